"""What the sender is handed of the outbox, on this machine: what waits, and entry by entry."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress.alert import AlertOut
from edge.egress.bounds import MAX_NAME, MAX_SENTENCE, Boot, Count, Uuid
from edge.egress.messages import EraseOut
from edge.egress.summary import SummaryOut

MAX_HANDED: Final = 64
"""Entries handed out at a time."""
MAX_SINKS: Final = 16


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What waits for one sink."""

    sink: Annotated[str, Meta(max_length=MAX_NAME, description="Name of the destination")]
    n_urgent: Annotated[Count, Meta(description="States of alerts of high priority")] = 0
    n_alerts: Annotated[Count, Meta(description="States of alerts, urgent ones included")] = 0
    n_summaries: Annotated[Count, Meta(description="Summaries")] = 0
    n_erase: Annotated[Count, Meta(description="Requests to delete")] = 0
    oldest_s: Annotated[
        Boot | None, Meta(description="Boot time since when an alert has waited; none: none waits")
    ] = None
    n_rejected: Annotated[
        Count, Meta(description="Set aside: the other end will never take them")
    ] = 0

    @property
    def n(self) -> int:
        """All that waits."""
        return self.n_alerts + self.n_summaries + self.n_erase


class SyncBoard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the sender is told of the monitor."""

    change: Annotated[Count, Meta(description="Another number after every change")]
    run_id: Annotated[str, Meta(max_length=MAX_NAME, description="Id of the monitor's start")]
    boot_id: Annotated[str, Meta(max_length=MAX_NAME, description="Id of the machine's start")]
    box: Annotated[str, Meta(max_length=MAX_NAME, description="Pseudonym of the box")]
    now_s: Annotated[Boot, Meta(description="Boot clock")]
    time_quality: Annotated[
        TimeQuality | None,
        Meta(
            description="How far to trust the wall clock: no certificate is judged by a wrong one"
        ),
    ]
    withheld: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_NAME)], ...],
        Meta(max_length=MAX_HANDED, description="Switches of consent that are off"),
    ] = ()
    queues: Annotated[
        tuple[Queue, ...], Meta(max_length=MAX_SINKS, description="What waits, by sink")
    ] = ()


class Handed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the outbox; one of `alert`, `summary` and `erase` is there."""

    uuid: Uuid
    seq: Annotated[
        int, Meta(ge=1, le=1 << 53, description="Number in this box's outbox: larger is later")
    ]
    early: Annotated[
        bool, Meta(description="Handed out before others of a smaller number, for it is urgent")
    ] = False
    alert: Annotated[AlertOut | None, Meta(description="What it says: of an alert")] = None
    summary: Annotated[SummaryOut | None, Meta(description="What it says: of a period")] = None
    erase: Annotated[EraseOut | None, Meta(description="What it says: delete these")] = None
    trouble: Annotated[
        str,
        Meta(max_length=MAX_SENTENCE, description="Why it cannot leave; it says nothing then"),
    ] = ""


class Hand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the sender is handed at once, in the order in which it is to leave."""

    entries: Annotated[
        tuple[Handed, ...], Meta(max_length=MAX_HANDED, description="Entries of the outbox")
    ] = ()
