"""What a verification makes of a ledger that was recovered of a damaged file.

Rows that are missing because their page was lost are told apart from rows that somebody took out:
the chain itself has said which could not be read (`edge.store.closing`). All others that are
missing, and all that are not as they were written, are flaws as ever. That a file was begun anew
is a break, until it lies before a head that somebody has written down since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from edge.store.closing import Recovered
from edge.store.database import Database
from edge.store.eras import ERA, Era, head_n
from edge.store.flaw import Flaw
from edge.store.remnants import Span


class RecoveredParts:
    """Collects what is missing, and what the chain says of it.

    Attributes
    ----------
    lost : list[Span]
        Once judged: rows that are missing and that the damage explains, first and last.
    """

    def __init__(self) -> None:
        self._begun: list[tuple[int, Era]] = []
        self._told: dict[int, Recovered] = {}
        self._under_way: set[int] = set()
        self._missing: list[Span] = []
        self.lost: list[Span] = []

    def look(self, database: Database) -> None:
        """Take which recoveries are not at their end."""
        known = "SELECT count(*) FROM sqlite_master WHERE name = 'salvage'"
        if database.execute(known).fetchone()[0]:
            rows = database.execute("SELECT base FROM salvage WHERE finished = 0")
            self._under_way = {int(base) for (base,) in rows}

    def skip(self, first: int, end: int) -> None:
        """Take that rows are not there, from the first to before the second."""
        self._missing.append((first, end))

    def begin(self, n: int, body: Mapping[str, Any]) -> None:
        """Take the row with which a file was begun anew."""
        head = body["head"]
        self._begun.append((n, Era(str(body["aside"]), int(body.get("base", n - 1)), head)))

    def end(self, body: Mapping[str, Any]) -> None:
        """Take the row with which a recovery ended."""
        told = msgspec.convert(body, Recovered)
        self._told[told.base] = told

    def judge(self, notes: list[str], breaks: list[Flaw]) -> Iterator[Span]:
        """Yield which rows are missing and nobody has said why; the rest is noted."""
        bases = sorted(era.base for _, era in self._begun)
        for n, era in self._begun:
            breaks.append(Flaw(n, "ledger", n, "break", self._words(n, era)))
            if era.base in self._under_way:
                notes.append(f"{era.aside} is being recovered: rows that are missing may yet come")
        for span in self._missing:
            for part in _by_era(span):
                base = next((base for base in bases if part[1] <= base + 1), None)
                left = [part] if base is None else list(self._unexplained(part, base))
                self.lost += _without(part, left)
                yield from left

    def _unexplained(self, span: Span, base: int) -> Iterator[Span]:
        """Yield what is left of missing rows without those that were lost."""
        if base in self._under_way:
            return
        told = self._told.get(base)
        if told is None:  # begun anew by an older Homeward, which recovered nothing
            return
        end = head_n(Era(told.aside, base, told.head))
        first, last = span[0], span[1] if end is None else min(span[1], end + 1)
        for lost_first, lost_end in told.missing:
            if lost_first <= first < lost_end:
                first = lost_end
            elif first < lost_first < last:
                yield first, lost_first
                first = lost_end
        if first < last:
            yield first, last

    def _words(self, n: int, era: Era) -> str:
        begun = f"row {n}: the file was damaged and put aside as {era.aside} (head {era.head})"
        told = self._told.get(era.base)
        if told is None:
            return f"{begun}; what was recorded before is there, and not all of it here"
        if told.unreadable:
            return f"{begun}; nothing of it could be read"
        lost = ", ".join(_rows_text(span) for span in told.missing[:10])
        more = " and more" if len(told.missing) > 10 else ""
        missing = (
            f"; rows {lost}{more} are missing" if lost else "; no row of the ledger is missing"
        )
        of_tables = sum(n_lost for table, n_lost in told.n_lost.items() if table != "ledger")
        others = f", and {of_tables} rows elsewhere" if of_tables else ""
        vouched = f"; {told.n_vouched} rows lost their place in it" if told.n_vouched else ""
        return f"{begun}; recovered after damage{missing}{others}{vouched}"


def _without(part: Span, left: list[Span]) -> Iterator[Span]:
    """Yield the rows of a span that are in none of those, first and last."""
    at = part[0]
    for first, end in left:
        if at < first:
            yield at, first - 1
        at = end
    if at < part[1]:
        yield at, part[1] - 1


def _rows_text(span: Span) -> str:
    first, end = span
    return str(first) if end == first + 1 else f"{first} to {end - 1}"


def _by_era(span: Span) -> Iterator[Span]:
    """Yield the parts of a span that belong to one file each."""
    first, end = span
    while first < end:
        border = ((first - 1) // ERA + 1) * ERA + 1
        yield first, min(end, border)
        first = border
