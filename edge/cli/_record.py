"""Times of what was stored, for people: shared by the forms of ``homeward alerts``."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from edge.clock import TimeQuality, WallEntry, WallLog
from edge.store import History, StoredAlarmEvent, StoredAlert


class When(msgspec.Struct, frozen=True):
    """When something was, as far as that can be told."""

    at_utc: datetime | None
    quality: TimeQuality | None
    age_s: float | None

    def __str__(self) -> str:
        if self.at_utc is None:
            return "unknown"
        doubt = " ?" if self.quality is TimeQuality.UNSYNCED else ""
        return f"{self.at_utc:%Y-%m-%d %H:%M:%S}{doubt}"


class Moment(msgspec.Struct, frozen=True):
    """A state of an alert or an act on the alarms, and when that was for people."""

    when: When
    alert: StoredAlert | None = None
    act: StoredAlarmEvent | None = None


class Times:
    """Turns boot times of any boot into times for people.

    Parameters
    ----------
    history : History
        Knows what the clocks showed.
    now : WallEntry
        Both clocks now.
    """

    def __init__(self, history: History, now: WallEntry) -> None:
        self._now = now
        self._wall = WallLog([*history.clock_log(), now])

    def when(self, at_s: float, boot_id: str) -> When:
        """Return when a boot time was."""
        utc: datetime | None = None
        quality: TimeQuality | None = None
        age_s: float | None = None
        with suppress(LookupError):  # that boot's clock log is lost: shown as unknown
            utc, quality = self._wall.utc_of(at_s, boot_id)
        if boot_id == self._now.boot_id:
            age_s = self._now.boot_s - at_s
        elif utc is not None and quality is not TimeQuality.UNSYNCED:
            age_s = (datetime.fromtimestamp(self._now.wall_s, UTC) - utc).total_seconds()
        return When(utc, quality, age_s)


def in_order(history: History, times: Times) -> list[Moment]:
    """Return all states of alerts and acts on the alarms in the order in which they came to be.

    Times of two boots cannot be compared; the order of the starts can.
    """
    place = {run.run_id: i for i, run in enumerate(history.runs())}
    found: list[tuple[tuple[int, float], Moment]] = []
    for alert in history.alerts():
        at_s = alert.alert.at_s
        moment = Moment(times.when(at_s, alert.boot_id), alert=alert)
        found.append(((place.get(alert.run_id, -1), at_s), moment))
    for act in history.alarm_events():
        at_s = act.event.at_s
        moment = Moment(times.when(at_s, act.boot_id), act=act)
        found.append(((place.get(act.run_id, -1), at_s), moment))
    return [moment for _, moment in sorted(found, key=lambda one: one[0])]
