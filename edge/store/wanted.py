"""What is to be forgotten: by wall time, by patient, by how long it was kept, in which tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from edge.store.chain import LedgerKind

SPANS: Final[Mapping[str, tuple[str, str]]] = {
    "scores": ("start_s", "start_s + length_s"),
    "gaps": ("start_s", "end_s"),
    "links": ("at_s", "at_s"),
    "readings": ("arrived_s", "arrived_s"),
    "summaries": ("start_s", "start_s + length_s"),
    "alarm_events": ("at_s", "at_s"),
    "setting_changes": ("at_s", "at_s"),
    "self_tests": ("began_s", "ended_s"),
    "clock_log": ("boot_s", "boot_s"),
}
"""Table -> what its rows span on the boot clock of their run."""

PLAIN: Final = ("scores", "gaps", "links", "readings", "summaries")
"""Tables the chain does not vouch for."""
TOLD: Final[Mapping[str, LedgerKind]] = {
    "alarm_events": LedgerKind.ALARM_EVENT,
    "setting_changes": LedgerKind.LIMIT,
    "self_tests": LedgerKind.SELF_TEST,
    "clock_log": LedgerKind.CLOCK,
}
"""Tables it vouches for, but for runs (which say nothing of anybody) and alerts (whole stories)."""
ALERTS: Final = "alerts"
ENTRIES: Final = "ledger"
"""What stands in the ledger alone."""
OWN_KINDS: Final = (
    LedgerKind.DELIVERY,
    LedgerKind.ENTRY,
    LedgerKind.SETTING,
    LedgerKind.DECISION,
)
OF_PEOPLE: Final = (*PLAIN, "alarm_events", "setting_changes", "self_tests", ALERTS, ENTRIES)
"""All tables of which a person may want something forgotten. The clock log says nothing of anybody
and dates what stays."""
NO_PATIENT: Final = ("self_tests", "clock_log")
"""Tables without a patient."""


class Wanted(msgspec.Struct, frozen=True):
    """What is to be forgotten.

    Attributes
    ----------
    from_s, to_s : float
        Wall time, seconds since 1970; half open.
    patient : str
        Of this one only; empty: of everybody, and of the box.
    tables : tuple[str, ...]
        In these tables.
    whole : bool
        Only what ended before `to_s`, instead of all that reaches into the span.
    keep_last : int
        So many of the newest rows of each vouched table stay.
    """

    from_s: float = -math.inf
    to_s: float = math.inf
    patient: str = ""
    tables: tuple[str, ...] = OF_PEOPLE
    whole: bool = False
    keep_last: int = 0

    @property
    def of(self) -> str:
        """What it is called in the ledger."""
        if self.whole:
            return "kept long enough"
        if self.patient:
            return "patient"
        return "all" if (self.from_s, self.to_s) == (-math.inf, math.inf) else "span"
