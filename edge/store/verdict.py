"""What a verification of the alarm record has found, while it is looked for and at its end."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from edge.store.flaw import Flaw
from edge.store.forgotten import Ledgered
from edge.store.head import START
from edge.store.keeping import HeadState
from edge.store.recovered import RecoveredParts

MAX_FLAWS: Final = 100
"""How many are told one by one; all are counted."""


class Verdict(msgspec.Struct, frozen=True, tag="verify", tag_field="record"):
    """What a verification found.

    Attributes
    ----------
    whole : bool
        Nothing is missing or changed, as far as can be known.
    n_rows, n_vouched : int, dict
        Rows of the ledger; rows it vouches for, by table.
    head : str
        ``COUNT:HASH`` of the last row.
    head_file, behind_by : HeadState, int
        How the head beside the database stands to that.
    first_broken : int | None
        The first row of the ledger that is not as it was written.
    n_flaws, flaws : int, tuple[Flaw, ...]
        All of them, the first `MAX_FLAWS` in full.
    known_breaks : int
        Breaks before the head that was expected: whoever wrote it down has seen them.
    taken_over : dict | None
        How many rows were there before the chain began, and when that was.
    notes : tuple[str, ...]
        What is no flaw and should be known.
    n_forgotten : int
        Rows that were forgotten on request or after [retention]; no flaw.
    expected : str
        ``found``, ``missing`` or ``other``; empty: no head was given.
    """

    whole: bool
    n_rows: int
    n_vouched: dict[str, int]
    head: str
    head_file: HeadState
    behind_by: int
    first_broken: int | None
    n_flaws: int
    flaws: tuple[Flaw, ...]
    known_breaks: int
    taken_over: dict[str, Any] | None
    notes: tuple[str, ...]
    expected: str
    n_forgotten: int = 0


class Findings:
    """Collects what is found."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self.breaks: list[Flaw] = []
        self.notes: list[str] = []
        self.n = 0
        self.first: int | None = None
        self.n_rows = 0
        self.last = START
        self.expected = ""
        self.taken_over: dict[str, Any] | None = None
        self.forgotten = Ledgered()
        self.recovered = RecoveredParts()

    def tell(self, row: int | None, table: str, n: int | None, what: str, text: str) -> None:
        """Take one flaw; the fields are those of `Flaw`."""
        self.n += 1
        if row is not None:
            self.first = row if self.first is None else min(row, self.first)
        if len(self.flaws) < MAX_FLAWS:
            self.flaws.append(Flaw(row, table, n, what, text))
