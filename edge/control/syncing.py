"""The sender's socket: what it may ask, and no more.

It is handed what may leave (`edge.egress.outbox`), says what a receiver has stored, and tells how
each sink is. It can mark entries, and can neither change nor delete any.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.egress.outbox import MAX_HANDED, MAX_SINKS

SYNC_SOCKET: Final = "sync.sock"
"""Beside the control socket: answers the sender alone, and nothing but what stands here."""

SinkName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=32)]
_Uuid: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="command"):
    """What all requests share, as in `edge.control`."""


class SyncWait(_Request, frozen=True, tag="sync_wait"):
    """What waits (`edge.egress.outbox.SyncBoard`), as soon as it is not as at `after` any more."""

    after: int = -1
    wait_s: Annotated[float, Meta(ge=0.0, le=50.0)] = 0.0


class SyncFetch(_Request, frozen=True, tag="sync_fetch"):
    """Entries that wait for a sink (`edge.egress.outbox.Hand`), in the order they are to leave.

    Attributes
    ----------
    kind : str
        Alerts: newest urgent ones first, then by number. Summaries, requests to delete: by number.
    after : int
        Only those with a larger number: what is under way is not handed out again. Urgent ones
        come whatever their number is, unless they stand in `but`.
    but : tuple[str, ...]
        Not these.
    """

    sink: SinkName
    kind: Literal["alert", "summary", "erase"]
    after: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    but: Annotated[tuple[_Uuid, ...], Meta(max_length=4 * MAX_HANDED)] = ()
    limit: Annotated[int, Meta(ge=1, le=MAX_HANDED)] = MAX_HANDED


class SyncSettle(_Request, frozen=True, tag="sync_settle"):
    """A receiver has stored these: they never leave again to this sink."""

    sink: SinkName
    uuids: Annotated[tuple[_Uuid, ...], Meta(max_length=4 * MAX_HANDED)]


class SyncReject(_Request, frozen=True, tag="sync_reject"):
    """A receiver will never take this one: it is set aside and shown."""

    sink: SinkName
    uuid: _Uuid
    why: Annotated[str, Meta(max_length=200)]


class SyncBeat(_Request, frozen=True, tag="sync_beat"):
    """How the box is (`edge.egress.messages.HeartbeatOut`); an error where that may not leave."""


class SyncNumbers(_Request, frozen=True, tag="sync_numbers"):
    """How each patient is now: a list of `edge.egress.numbers.NumbersOut`; error as `SyncBeat`."""


class SinkState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one sink is: does it work, since when (boot time), what happened last.

    Attributes
    ----------
    trouble : str
        Why it does not; empty: it does.
    certificate_s : float | None
        Wall time at which our certificate for it ends, seconds since 1970.
    quiet : str
        Why nothing is tried now although something waits: no network, budget spent, metered.
    """

    name: SinkName
    sink: Annotated[str, Meta(max_length=32)]
    works: bool
    since_s: float
    trouble: Annotated[str, Meta(max_length=300)] = ""
    sent_s: float | None = None
    received_s: float | None = None
    certificate_s: float | None = None
    quiet: Annotated[str, Meta(max_length=200)] = ""
    n_bytes_today: int = 0
    n_forged: int = 0


class SyncState(_Request, frozen=True, tag="sync_state"):
    """That the sender lives, and how each sink is: told every few seconds."""

    pid: int
    sinks: Annotated[tuple[SinkState, ...], Meta(max_length=MAX_SINKS)]


SyncRequest: TypeAlias = (
    SyncWait | SyncFetch | SyncSettle | SyncReject | SyncBeat | SyncNumbers | SyncState
)
