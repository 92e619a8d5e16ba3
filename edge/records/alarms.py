"""What rules find, what becomes of it, and what people do about it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """Is the patient the reason, or the equipment (terms of IEC 60601-1-8)."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"


class Priority(StrEnum):
    """Alarm priority, named as in IEC 60601-1-8; INFORMATION makes no alarm signal."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFORMATION = "information"

    @property
    def rank(self) -> int:
        """3 for high down to 0 for information, for sorting."""
        return 3 - list(Priority).index(self)


class Category(StrEnum):
    """What an alarm is about: IEC 60601-1-8:2006+A2:2020 has a sound of its own for each."""

    GENERAL = "general"
    CARDIOVASCULAR = "cardiovascular"
    OXYGENATION = "oxygenation"
    VENTILATION = "ventilation"
    TEMPERATURE = "temperature"
    EQUIPMENT = "equipment"


class Finding(msgspec.Struct, frozen=True, tag="finding", tag_field="record"):
    """What one rule says of one moment.

    Attributes
    ----------
    present : bool | None
        True or False; None when the data cannot tell. None never ends an alert.
    reason : str
        The sentence a carer reads, with the numbers that decided.
    evidence : Mapping[str, float]
        The numbers by name, for machines.
    priority : Priority | None
        Where the rule has more than one (a score that rises); None: the rule's own.
    """

    patient: str
    rule: str
    at_s: float
    present: bool | None
    reason: str
    evidence: Mapping[str, float] = {}
    priority: Priority | None = None


class AlertState(StrEnum):
    """Life of an alert: raised -> active -> (acknowledged) -> ended.

    RAISED is its first record, ACTIVE an update (a new reason, a re-raise), LATCHED means that
    the condition is over and a person has yet to see it.
    """

    RAISED = "raised"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    LATCHED = "latched"
    ENDED = "ended"


class Role(StrEnum):
    """As what a person answers. Whoever presses the button at the bed counts as the patient."""

    PATIENT = "patient"
    CARER = "carer"
    CLINICIAN = "clinician"


class Meaning(StrEnum):
    """What an answer to an alert means: somebody knows; it was none; it was taken care of."""

    SEEN = "seen"
    FALSE_ALARM = "false_alarm"
    HANDLED = "handled"


class Step(StrEnum):
    """How far an alert that nobody answers has been carried."""

    BOX = "box"
    PAGE = "page"
    FIRST_CARER = "first_carer"
    SECOND_CARER = "second_carer"

    @property
    def rank(self) -> int:
        """0 for the box up to 3 for the second carer."""
        return list(Step).index(self)


class Alert(msgspec.Struct, frozen=True, tag="alert", tag_field="record"):
    """One state of one alert; the alert's story is all records with its `id`.

    Attributes
    ----------
    id : str
        The same for the whole episode; made from what caused it, so that a replay makes it again.
    episode : str
        Key of the episode: patient, rule, and its number.
    since_s, at_s : float
        When the condition was first found, and when this state began.
    answered_by : str
        Who acknowledged it; empty while nobody has.
    role, meaning : Role | UnsetType, Meaning | UnsetType
        As what, and what that meant; not there (in JSON too) while nobody has.
    """

    id: str
    patient: str
    episode: str
    rule: str
    kind: Kind
    priority: Priority
    state: AlertState
    since_s: float
    at_s: float
    reason: str
    evidence: Mapping[str, float]
    answered_by: str = ""
    role: Role | msgspec.UnsetType = msgspec.UNSET
    meaning: Meaning | msgspec.UnsetType = msgspec.UNSET


class AlarmAct(StrEnum):
    """What was done to the alarms, or what they did beside sounding (IEC 60601-1-8, 6.8).

    AUDIO_PAUSED: no sound for a while. ALARMS_PAUSED: no signal at all for a while. AUDIO_OFF:
    no sound until somebody says otherwise. REARMED: one of these is over. HANDED_OFF: a carer
    has the watch from now on. WATCH_OVER: nobody in particular has it any more. ESCALATED:
    nobody has answered an alert, and the next is told.
    """

    AUDIO_PAUSED = "audio_paused"
    ALARMS_PAUSED = "alarms_paused"
    AUDIO_OFF = "audio_off"
    REARMED = "rearmed"
    HANDED_OFF = "handed_off"
    WATCH_OVER = "watch_over"
    ESCALATED = "escalated"


class AlarmEvent(msgspec.Struct, frozen=True, tag="alarm_event", tag_field="record"):
    """One act on the alarms, or one step of theirs: it is logged with the alerts.

    Attributes
    ----------
    patient : str
        Whose alarms; empty: of everybody at this box.
    reason : str
        Why, for people.
    by, role : str, Role | None
        Who did it; empty and None: the monitor itself.
    of : AlarmAct | None
        REARMED: what is over.
    priority : Priority | None
        The highest a pause covers; of the alert that was carried further.
    until_s : float | None
        When a pause or a watch ends by itself; None: never, or it has.
    alert_id, step : str, Step | None
        ESCALATED: which alert, and how far.
    to : str
        Who has the watch, or is told; empty: whoever is configured.
    """

    act: AlarmAct
    patient: str
    at_s: float
    reason: str
    by: str = ""
    role: Role | None = None
    of: AlarmAct | None = None
    priority: Priority | None = None
    until_s: float | None = None
    alert_id: str = ""
    step: Step | None = None
    to: str = ""
