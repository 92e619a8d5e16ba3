"""What was silenced, up to which priority, and until when; who has the watch.

Both end by themselves. A time that cannot be trusted (before the beginning: the boot clock went
back) counts as over: in doubt it sounds.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from edge.alerts.settings import PAUSE_MOST_S, WATCH_MOST_S
from edge.records import AlarmAct, AlarmEvent, Alert, Priority, Role


class Mute(msgspec.Struct):
    """A pause, or sound that is off.

    Attributes
    ----------
    act : AlarmAct
        AUDIO_PAUSED, ALARMS_PAUSED or AUDIO_OFF.
    patient : str
        Whose alarms; empty: everybody's.
    upto : Priority
        The highest it covers: a mute never hides a higher priority than it was given for.
    since_s, until_s : float, float | None
        Half open; None: until somebody says otherwise.
    """

    act: AlarmAct
    patient: str
    upto: Priority
    by: str
    role: Role
    since_s: float
    until_s: float | None

    def holds(self, now_s: float) -> bool:
        """Return whether it has not ended by itself.

        Whatever a kept state says: no pause is longer than the longest there is, and only sound
        that is off has no end.
        """
        if self.until_s is None:
            return self.act is AlarmAct.AUDIO_OFF
        return self.since_s <= now_s < min(self.until_s, self.since_s + PAUSE_MOST_S)

    def covers(self, alert: Alert, now_s: float) -> bool:
        """Return whether it silences an alert now."""
        return (
            self.holds(now_s)
            and self.patient in ("", alert.patient)
            and alert.priority.rank <= self.upto.rank
            and not (self.act is AlarmAct.AUDIO_OFF and alert.priority is Priority.HIGH)
        )

    def begun(self) -> AlarmEvent:
        """Return the record of its beginning."""
        whole = "all signals" if self.act is AlarmAct.ALARMS_PAUSED else "sound"
        length = (
            "off" if self.until_s is None else f"paused for {self.until_s - self.since_s:.0f} s"
        )
        return AlarmEvent(
            self.act,
            self.patient,
            self.since_s,
            f"{whole} {length} up to {self.upto.value} priority",
            self.by,
            self.role,
            priority=self.upto,
            until_s=self.until_s,
        )

    def over(self, now_s: float, reason: str) -> AlarmEvent:
        """Return the record of its end; a person's name is added where one ended it."""
        return AlarmEvent(
            AlarmAct.REARMED, self.patient, now_s, reason, of=self.act, priority=self.upto
        )


class Watch(msgspec.Struct):
    """Who has the watch over a patient, and until when."""

    patient: str
    holder: str
    since_s: float
    until_s: float

    def holds(self, now_s: float) -> bool:
        """Return whether it has not ended."""
        return self.since_s <= now_s < min(self.until_s, self.since_s + WATCH_MOST_S)


def holder_of(watches: Iterable[Watch], patient: str, now_s: float) -> str:
    """Return who has the watch over a patient; empty: nobody in particular."""
    held = [w for w in watches if w.patient in ("", patient) and w.holds(now_s)]
    return max(held, key=lambda w: (w.patient != "", w.since_s)).holder if held else ""
