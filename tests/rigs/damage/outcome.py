"""What became of damages, as one table."""

from __future__ import annotations

from collections import Counter

MAX_TOLD = 8


class Outcomes:
    """Collects what became of each damage.

    Attributes
    ----------
    n_wrong, told : int, list[str]
        What must not happen, and the first of it in words.
    seed : str
        Of the damage that is looked at now.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seed = ""
        self.n = self.n_wrong = 0
        self.told: list[str] = []
        self._what: Counter[tuple[str, str]] = Counter()
        self._kept: Counter[str] = Counter()
        self._there: Counter[str] = Counter()

    def take(self, kind: str, what: str, n_kept: int, n_there: int) -> None:
        """Take one: what happened, and how many of the records that were there are there still."""
        kind = "several" if ";" in kind else kind
        self.n += 1
        self._what[kind, what] += 1
        self._kept[kind] += n_kept
        self._there[kind] += n_there

    def wrong(self, text: str) -> None:
        """Take what must not happen."""
        self.n_wrong += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(f"{self.seed}: {text}")

    def count(self, what: str) -> int:
        """Return how often something happened."""
        return sum(n for (_, one), n in self._what.items() if one == what)

    @property
    def kept_pct(self) -> float:
        """How many of all records that were there are there still."""
        return 100.0 * sum(self._kept.values()) / max(1, sum(self._there.values()))

    def table(self) -> str:
        """Return the table."""
        words = sorted({what for _, what in self._what})
        lines = [f"{self.name:28} {'n':>6} " + " ".join(f"{w:>12}" for w in words) + "  kept %"]
        for kind in sorted(self._there):
            counts = [self._what[kind, what] for what in words]
            kept = 100.0 * self._kept[kind] / max(1, self._there[kind])
            told = " ".join(f"{n:>12}" for n in counts)
            lines.append(f"  {kind:26} {sum(counts):>6} {told}  {kept:6.1f}")
        lines.append(f"  all {self.n}: kept {self.kept_pct:.1f} %, wrong {self.n_wrong}")
        return "\n".join([*lines, *(f"    {text}" for text in self.told)])
