"""What a sender is handed of the outbox: structs of the list, and only what may leave.

The sender (`edge.sync`) is another process, because it may open network connections; what it is
given is decided here, in the monitor, and not by whoever has the network.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import msgspec

from edge.clock import TimeQuality, WallLog
from edge.daemon.gate import Gate
from edge.egress import EgressError
from edge.egress.alert import AlertOut, Stamped, alert_out
from edge.egress.bounds import MAX_SENTENCE, cut
from edge.egress.consent import Switch
from edge.egress.messages import EraseOut, erase_out
from edge.egress.outbox import Handed
from edge.egress.private import blur, share_of_day
from edge.egress.summary import SummaryOut, summary_out
from edge.store import Due, EraseRequest, StoredAlert, StoredSummary, Waiting

Blur: TypeAlias = Callable[[SummaryOut], SummaryOut]
"""Takes what would tell too much of one person out of a summary."""
SENSELESS: Final = "what is stored of it makes no sense"

_ALERT: Final = msgspec.json.Decoder(AlertOut)
_SUMMARY: Final = msgspec.json.Decoder(SummaryOut)


class Wall(Protocol):
    """Knows what wall time it was."""

    def utc_of(self, boot_s: float, boot_id: str) -> tuple[datetime, TimeQuality]:
        """Return the wall time of a boot time; see `edge.clock.WallLog.utc_of`."""
        ...


class Walls:
    """What wall time it was, in this run and in all before it.

    Parameters
    ----------
    now : WallLog
        Of this run; it grows.
    began_s, boot_id : float, str
        When this run began, and in which boot.
    before : WallLog
        Of the runs before it.
    """

    def __init__(self, now: WallLog, began_s: float, boot_id: str, before: WallLog) -> None:
        self._now, self._began_s, self._boot_id, self._before = now, began_s, boot_id, before

    def utc_of(self, boot_s: float, boot_id: str) -> tuple[datetime, TimeQuality]:
        """Return the wall time of a boot time; as `edge.clock.WallLog.utc_of`."""
        of_this_run = boot_id == self._boot_id and boot_s >= self._began_s
        first, other = (self._now, self._before) if of_this_run else (self._before, self._now)
        try:
            return first.utc_of(boot_s, boot_id)
        except LookupError:
            return other.utc_of(boot_s, boot_id)


def blurred(epsilon_per_day: float, seed: bytes) -> Blur:
    """Return what blurs summaries, so that those of a day together keep to the budget."""
    return lambda one: blur(one, share_of_day(epsilon_per_day, one.length_s), seed)


def hand_out(
    waiting: Waiting, gate: Gate, wall: Wall, box: str = "", called: str = ""
) -> AlertOut | SummaryOut | None:
    """Return what may leave of an entry of the outbox; None: people do not let it leave.

    Parameters
    ----------
    wall : Wall
        What wall time it was, in every boot.
    box, called : str
        Pseudonyms of the box, and of the patient; empty: what they are called now.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to the list of what may leave.
    """
    content = waiting.content
    if not gate.allows(Switch.ALERTS if isinstance(content, StoredAlert) else Switch.SUMMARIES):
        return None

    def pseudonym(patient: str) -> str:
        return called or gate.pseudonym(patient)

    if isinstance(content, StoredSummary):
        start = _wall(wall, content.summary.start_s, content.boot_id)
        when = Stamped(start[0], None, start[1])
        return summary_out(content.summary, waiting.uuid, when, box=box, pseudonym=pseudonym)
    alert = content.alert
    since = _wall(wall, alert.since_s, content.boot_id)
    at = _wall(wall, alert.at_s, content.boot_id)
    when = Stamped(since[0], at[0], at[1])
    return alert_out(alert, content.sequence, waiting.uuid, when, box=box, pseudonym=pseudonym)


def handed(due: Due, gate: Gate, wall: Wall, box: str, blurs: Blur | None = None) -> Handed | None:
    """Return an entry as it is handed to the sender; None: people do not let it leave.

    What has left before is handed out to the letter as it was then.
    """
    content = due.content
    if content is None:
        return Handed(due.uuid, due.n, trouble=SENSELESS)
    try:
        if isinstance(content, EraseRequest):
            return Handed(due.uuid, due.n, erase=_erase(content, wall))
        out = hand_out(Waiting(due.uuid, content), gate, wall, box, due.called)
        if isinstance(out, SummaryOut) and blurs is not None:
            out = blurs(out)
    except EgressError as error:
        return Handed(due.uuid, due.n, trouble=cut(str(error), MAX_SENTENCE) or SENSELESS)
    if out is None:
        return None
    out = _again(due, content) or out
    if isinstance(out, AlertOut):
        return Handed(due.uuid, due.n, due.early, alert=out)
    return Handed(due.uuid, due.n, due.early, summary=out)


def body_of(one: Handed) -> bytes:
    """Return what an entry of the outbox says, to be kept as it was handed out."""
    out = one.alert or one.summary
    return b"" if out is None else msgspec.json.encode(out)


def is_dated(one: Handed) -> bool:
    """Return whether it is known what time it was: a better time would not come of waiting."""
    out = one.alert or one.summary
    return out is not None and out.time_quality not in (None, TimeQuality.UNSYNCED)


def _again(due: Due, content: StoredAlert | StoredSummary) -> AlertOut | SummaryOut | None:
    """Return what was handed out before, where it left; None: it did not."""
    if due.body:
        with suppress(msgspec.DecodeError):
            decoder = _ALERT if isinstance(content, StoredAlert) else _SUMMARY
            return decoder.decode(due.body)
    return None


def _erase(request: EraseRequest, wall: Wall) -> EraseOut:
    asked_utc, _ = _wall(wall, request.asked_s, request.boot_id)
    return erase_out(request.uuid, request.uuids, asked_utc)


def _wall(wall: Wall, at_s: float, boot_id: str) -> tuple[datetime | None, TimeQuality | None]:
    with suppress(LookupError):
        return wall.utc_of(at_s, boot_id)
    return None, None
