"""What a notice may say: all that the notifier is ever told, and no more.

This file is the allow-list. Names, times, priorities and the plain words of a rule are in it; a
measured value is not, but for `AlertNotice.reason`, which is empty unless somebody has set
``details = true``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from edge.clock import TimeQuality
from edge.control import Way
from edge.records import Alert, AlertState, Kind, Meaning, Priority, Role, Step

NOTICES_SOCKET: Final = "notices.sock"
"""Beside the control socket: answers the notifier alone, and nothing but what stands here."""

STALLED_S: Final = 30.0
"""A monitor whose tick has not moved on for so long is as good as gone."""
HEARD_S: Final = 7.0
"""A notifier that has not told how it is for so long is gone; it is due every 2.2 s at the latest.

The alert `cannot_notify` is due 10 s after its end: these 7, until the next turn of the box watch
(1.0), the next tick (0.25), and the next second of the rule (1.0) make 9.25 at most; what it
waits itself (``delay_s``, 3) counts from the last word of the notifier, and has passed by then."""

PROVE_S: Final = 20.0
"""A way that has not taken a test notice after so long has failed."""

_WORDS: Final = {
    "spo2": "SpO2",
    "hr": "heart rate",
    "resp": "breathing rate",
    "news2": "NEWS2",
    "temp": "temperature",
    "ecg": "ECG",
}


class AlertNotice(msgspec.Struct, frozen=True):
    """What may be said of an alert.

    Attributes
    ----------
    id, patient, priority, kind, state
        As in `edge.records.Alert`; `patient` is a pseudonym.
    words : str
        The rule in plain words.
    since_utc, at_utc : datetime | None
        When it began and when this state did; None: no wall time is known.
    answered_by, role, meaning
        Who has answered it, as what, and what that means; empty and None: nobody.
    step, to : Step, str
        How far it was carried, and who has the watch (empty: whoever is configured).
    reason : str
        With measured values; empty unless somebody wants details.
    """

    id: str
    patient: str
    words: str
    kind: Kind
    priority: Priority
    state: AlertState
    since_utc: datetime | None
    at_utc: datetime | None
    step: Step = Step.BOX
    to: str = ""
    answered_by: str = ""
    role: Role | None = None
    meaning: Meaning | None = None
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether its condition has ended and nothing waits for an answer."""
        return self.state is AlertState.ENDED

    @property
    def settled(self) -> bool:
        """Whether somebody who can help has answered; of high priority that is no patient."""
        if self.state is not AlertState.ACKNOWLEDGED:
            return self.over
        return self.role is not Role.PATIENT or self.priority is not Priority.HIGH


class Board(msgspec.Struct, frozen=True):
    """The monitor as a notice may tell of it.

    Attributes
    ----------
    change : int
        Grows with each change; to be given back as `edge.control.Notices.after`.
    run_id, boot_id, box : str
        Which monitor.
    tick_s : float
        Boot time the monitor has come to. One that does not move on watches nobody.
    ready : bool
        It has taken up what stood before its start; until then it knows of no alert.
    not_watching : tuple[str, ...]
        What it should watch and does not, a sentence each, without a measured value.
    sounding : Priority | None
        Of the sound at the box now; None: it is silent.
    paused : bool
        Somebody has paused it.
    standing, ended : tuple[AlertNotice, ...]
        Alerts that stand, and the last that ended in this run.
    proof : int
        The number of the test notice that is asked for by every way, once; 0: none is.
    """

    change: int
    run_id: str
    boot_id: str
    box: str
    tick_s: float
    now_s: float
    time_quality: TimeQuality | None
    ready: bool
    not_watching: tuple[str, ...] = ()
    sounding: Priority | None = None
    paused: bool = False
    standing: tuple[AlertNotice, ...] = ()
    ended: tuple[AlertNotice, ...] = ()
    proof: int = 0


class NoticesReport(msgspec.Struct, frozen=True):
    """What the status says of the notices.

    Attributes
    ----------
    wanted : bool
        Somebody is configured to be told.
    age_s : float | None
        Since the notifier last said how it is; None: never since the start.
    trouble : str
        Why notices do not go out; empty: they do, or are not wanted.
    failing_s : float | None
        For how long; None: not failing.
    since_s : float | None
        The same as a moment of the boot clock, which stays the same while it fails.
    idle : bool
        What fails has nothing to send just now: nobody is untold yet.
    """

    wanted: bool
    age_s: float | None
    trouble: str
    failing_s: float | None
    ways: tuple[Way, ...] = ()
    deadman: Way | None = None
    since_s: float | None = None
    idle: bool = False


def plain_words(rule: str) -> str:
    """Return a rule's name as people say it.

    >>> plain_words("very_low_spo2"), plain_words("high_hr")
    ('very low SpO2', 'high heart rate')
    """
    return " ".join(_WORDS.get(word, word) for word in rule.split("_"))


def notice_of(
    alert: Alert,
    step: Step,
    to: str,
    utc: tuple[datetime | None, datetime | None],
    *,
    details: bool,
) -> AlertNotice:
    """Return what may be said of an alert; `utc`: of its beginning and of this state."""
    since_utc, at_utc = utc
    answered = bool(alert.answered_by)
    return AlertNotice(
        alert.id,
        alert.patient,
        plain_words(alert.rule),
        alert.kind,
        alert.priority,
        alert.state,
        since_utc,
        at_utc,
        step,
        to,
        alert.answered_by,
        alert.role if answered and isinstance(alert.role, Role) else None,
        alert.meaning if answered and isinstance(alert.meaning, Meaning) else None,
        alert.reason if details else "",
    )
