"""Rows of the chain that were emptied on request, and how that is told from tampering.

A row that is forgotten loses all it said: whom, what, by whom, when, and its salt. What stays is
its place: number, run, kind, the row of the table it vouched for, the hash before and its own. So
the chain still holds together, and nothing is left to guess from. In the same transaction an entry
is chained that names the emptied rows, who wanted it, and a digest over what stays of them:

    digest = SHA-256 over all skeletons, in order; skeleton = SHA-256(n | run | kind | row | prev |
    hash)

A row that is empty and named by no such entry was emptied by somebody else. A row that is named
and is not empty, or whose place was changed, was tampered with later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

STAGE: Final = "forgotten"
KEEPING: Final = "[retention]"
"""Whose request it is when records were kept as long as they are to be kept."""

Range = tuple[int, int]
"""First and last of rows in a row."""


class Emptied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of the entry that says what was forgotten.

    Attributes
    ----------
    rows : tuple[Range, ...]
        Of the ledger, emptied.
    digest : str
        Over what is left of them.
    n : dict[str, int]
        Rows that are gone, by table.
    of : str
        What was wanted: ``span``, ``patient``, ``all``, ``kept long enough``.
    at_utc : str
        Wall time as the box knew it; empty: it did not.
    """

    rows: tuple[Range, ...]
    digest: str
    n: dict[str, int]
    of: str
    at_utc: str = ""


def skeleton(columns: Mapping[str, Any]) -> bytes:
    """Return the digest of what stays of an emptied row; text may come as its bytes."""
    parts = []
    for name in ("n", "run", "kind", "row", "prev", "hash"):
        value = columns[name]
        if isinstance(value, str):
            value = value.encode()
        is_bytes = isinstance(value, bytes)
        parts.append(b"b%d:%s" % (len(value), value) if is_bytes else b"i%a;" % (value,))
    return hashlib.sha256(b"".join(parts)).digest()


def is_emptied(columns: Mapping[str, Any]) -> bool:
    """Return whether a row looks as one that was forgotten."""
    text = {name: columns[name] for name in ("stage", "ref", "by", "body")}
    said = {name: v.decode("latin-1") if isinstance(v, bytes) else v for name, v in text.items()}
    blank = {"stage": STAGE, "ref": "", "by": "", "body": ""}
    return said == blank and columns["at_s"] == 0.0 and columns.get("salt") is None


def digest_of(skeletons: Iterable[bytes]) -> str:
    """Return the digest over what stays of rows, in their order."""
    return hashlib.sha256(b"".join(skeletons)).hexdigest()


def ranges_of(numbers: Sequence[int]) -> tuple[Range, ...]:
    """Return ascending numbers as ranges.

    >>> ranges_of([3, 4, 5, 9])
    ((3, 5), (9, 9))
    """
    found: list[Range] = []
    for n in numbers:
        if found and found[-1][1] == n - 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return tuple(found)


def in_ranges(ranges: Iterable[Range]) -> Iterator[int]:
    """Return the numbers of ranges."""
    for first, last in ranges:
        yield from range(first, last + 1)


def _is_in(ranges: Iterable[Range], n: int) -> bool:
    return any(first <= n <= last for first, last in ranges)


class Ledgered:
    """What a walk through the chain finds of emptied rows, and of entries that name some.

    Attributes
    ----------
    covered : set[int]
        Rows that an entry names, and that are as it left them.
    n_unsaid : int
        Rows that are empty, and whose entry may be one that was lost when the file was damaged.
    n_by : dict[str, int]
        How many rows of tables were forgotten, by who wanted it.
    """

    def __init__(self) -> None:
        self._empty: dict[int, bytes] = {}
        self._entries: list[tuple[int, Emptied]] = []
        self.covered: set[int] = set()
        self.n_unsaid = 0
        self.n_by: dict[str, int] = {}

    def saw(self, n: int, columns: Mapping[str, Any]) -> bool:
        """Take a row whose hash is another; return whether it was emptied, and not edited."""
        if columns["kind"] in (b"chain", "chain") or not is_emptied(columns):
            return False
        self._empty[n] = skeleton(columns)
        return True

    def hear(self, n: int, by: str, told: Emptied) -> None:
        """Take an entry that says what was forgotten.

        Raises
        ------
        msgspec.ValidationError
            It names rows that cannot be.
        """
        after = 0
        for first, last in told.rows:
            if not after < first <= last < n:
                raise msgspec.ValidationError(f"rows {first} to {last} in row {n}")
            after = last
        self._entries.append((n, told))
        self.n_by[by] = self.n_by.get(by, 0) + sum(told.n.values())

    def judge(self, lost: Sequence[Range] = ()) -> Iterator[tuple[int, str]]:
        """Return rows that are not as they should be, with what is wrong.

        Parameters
        ----------
        lost : Sequence[Range]
            Rows that are known to be lost with damaged pages. Of an entry that names some of them
            the digest cannot be told any more; an empty row before them may have had its entry
            there.
        """
        for n, told in self._entries:
            every = list(in_ranges(told.rows))
            named = [one for one in every if one in self._empty or not _is_in(lost, one)]
            full = [one for one in named if one not in self._empty or one >= n]
            for one in full:
                yield one, f"row {one} was forgotten (row {n} says so), and is there again"
            if full:
                continue
            of_named = digest_of(self._empty[one] for one in named)
            if len(named) == len(every) and of_named != told.digest:
                text = f"of the rows that row {n} says were forgotten some were changed"
                yield named[0] if named else n, text
            else:
                self.covered.update(named)
        end = max((last for _, last in lost), default=0)
        for n in sorted(self._empty.keys() - self.covered - self._named()):
            if n < end:
                self.covered.add(n)
                self.n_unsaid += 1
                continue
            yield n, f"row {n} was emptied, and no row says that it was forgotten on request"

    def _named(self) -> set[int]:
        return {n for _, told in self._entries for n in in_ranges(told.rows)}
