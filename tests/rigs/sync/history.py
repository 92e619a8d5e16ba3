"""What became of every entry, told from logs: exactly once, in order, nothing settled that is lost.

Pure: it knows neither boxes nor brokers. What a box made is the truth; what came and what is stored
at the far end is held against it. `test_history.py` shows that every kind of fault is seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec


class Made(msgspec.Struct, frozen=True):
    """An entry of a box's outbox.

    Attributes
    ----------
    seq : int
        Its number there: larger is later.
    digest : str
        SHA-256 of what it says; empty: not known to who tells.
    """

    box: str
    uuid: str
    seq: int
    kind: str
    digest: str = ""


class Came(msgspec.Struct, frozen=True):
    """An entry as it came to the far end; `early`: before smaller numbers, and it said so."""

    box: str
    uuid: str
    seq: int
    kind: str
    digest: str = ""
    early: bool = False


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a history shows; ids by fault.

    Attributes
    ----------
    missing : tuple[str, ...]
        Made, and not stored.
    lied : tuple[str, ...]
        Settled at the box, and not stored: these are gone for ever.
    double, foreign : tuple[str, ...]
        Stored more than once; stored, and never made.
    changed : tuple[str, ...]
        Stored with another content, number, kind or box than was made.
    late : tuple[str, ...]
        Came for the first time after one of a larger number of the same box and kind, and neither
        had gone ahead. A fault only where `ordered`: a broker that dies loses what it had
        confirmed while what follows is already under way; the record is in order by number.
    clashing : tuple[str, ...]
        Stored with a number that another of the same box has: its record is in no order.
    unsettled : tuple[str, ...]
        Stored, and the box does not know: it would send them again.
    n_made, n_stored, n_again : int
        Entries; entries stored; arrivals of what had come before.
    """

    n_made: int
    n_stored: int
    n_again: int
    missing: tuple[str, ...] = ()
    lied: tuple[str, ...] = ()
    double: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    clashing: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    ordered: bool = True

    @property
    def faults(self) -> list[str]:
        """Each kind of fault in one line; none: all came exactly once, in order."""
        names = ["missing", "lied", "double", "foreign", "changed", "clashing", "unsettled"]
        found = {name: getattr(self, name) for name in [*names, *["late"] * self.ordered]}
        return [
            f"{len(ids)} {name}, such as {', '.join(ids[:3])}" for name, ids in found.items() if ids
        ]

    @property
    def line(self) -> str:
        """All of it in one line."""
        said = f"{self.n_stored}/{self.n_made} stored, {self.n_again} came again"
        said += "" if self.ordered else f", {len(self.late)} came late"
        return "; ".join([said, *self.faults])


def check(
    made: Sequence[Made],
    stored: Sequence[Made],
    settled: Collection[str],
    came: Sequence[Came] = (),
    *,
    ordered: bool = True,
) -> Verdict:
    """Hold what is stored at the far end against what boxes made.

    Parameters
    ----------
    made, stored : Sequence[Made]
        What boxes made; every row that the far end has.
    settled : Collection[str]
        Ids that the boxes take for stored over there.
    came : Sequence[Came]
        Every arrival there, in order.
    ordered : bool
        Whether they had to come in order too: links were cut, but nothing between was killed.
    """
    of_box = {one.uuid: one for one in made}
    held = Counter(one.uuid for one in stored)
    numbers = Counter((one.box, one.seq) for one in {one.uuid: one for one in stored}.values())
    known, first = set(settled), _first(came)
    return Verdict(
        n_made=len(of_box),
        n_stored=sum(1 for uuid in held if uuid in of_box),
        n_again=len(came) - len(first),
        missing=tuple(uuid for uuid in of_box if uuid not in held),
        lied=tuple(uuid for uuid in settled if uuid not in held),
        double=tuple(uuid for uuid, n in held.items() if n > 1),
        foreign=tuple(uuid for uuid in held if uuid not in of_box),
        changed=tuple(
            one.uuid for one in stored if one.uuid in of_box and not _same(one, of_box[one.uuid])
        ),
        late=tuple(_late(first)),
        clashing=tuple(one.uuid for one in stored if numbers[one.box, one.seq] > 1),
        unsettled=tuple(uuid for uuid in held if uuid in of_box and uuid not in known),
        ordered=ordered,
    )


def _same(one: Made, other: Made) -> bool:
    if (one.box, one.seq, one.kind) != (other.box, other.seq, other.kind):
        return False
    return not one.digest or not other.digest or one.digest == other.digest


def _first(came: Iterable[Came]) -> list[Came]:
    known: dict[str, Came] = {}
    for one in came:
        known.setdefault(one.uuid, one)
    return list(known.values())


def _late(first: Iterable[Came]) -> Iterable[str]:
    """Yield what is out of order among first arrivals; what goes ahead disturbs nobody's order."""
    last: dict[tuple[str, str], int] = {}
    for one in first:
        if one.early:
            continue
        key = (one.box, one.kind)
        if one.seq <= last.get(key, 0):
            yield one.uuid
        last[key] = max(one.seq, last.get(key, 0))
