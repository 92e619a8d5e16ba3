"""What a sender is handed of the outbox: structs of the list, and only what may leave.

The sender itself comes with a later version (`edge.sync`); what it will be given is decided here,
in the monitor, and not by whoever has the network.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from edge.clock import TimeQuality, WallLog
from edge.daemon.gate import Gate
from edge.egress.alert import AlertOut, Stamped, alert_out
from edge.egress.consent import Switch
from edge.egress.summary import SummaryOut, summary_out
from edge.store import StoredAlert, StoredSummary, Waiting


def hand_out(
    waiting: Waiting, gate: Gate, wall: WallLog, box: str = ""
) -> AlertOut | SummaryOut | None:
    """Return what may leave of an entry of the outbox; None: people do not let it leave.

    Parameters
    ----------
    wall : WallLog
        What wall time it was, in every boot.
    box : str
        Pseudonym of the box.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to the list of what may leave.
    """
    content = waiting.content
    if not gate.allows(Switch.ALERTS if isinstance(content, StoredAlert) else Switch.SUMMARIES):
        return None
    if isinstance(content, StoredSummary):
        start = _wall(wall, content.summary.start_s, content.boot_id)
        when = Stamped(start[0], None, start[1])
        return summary_out(content.summary, waiting.uuid, when, box=box, pseudonym=gate.pseudonym)
    alert = content.alert
    since = _wall(wall, alert.since_s, content.boot_id)
    at = _wall(wall, alert.at_s, content.boot_id)
    when = Stamped(since[0], at[0], at[1])
    return alert_out(alert, content.sequence, waiting.uuid, when, box=box, pseudonym=gate.pseudonym)


def _wall(wall: WallLog, at_s: float, boot_id: str) -> tuple[datetime | None, TimeQuality | None]:
    with suppress(LookupError):
        return wall.utc_of(at_s, boot_id)
    return None, None
