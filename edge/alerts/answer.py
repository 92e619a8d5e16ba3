"""What people say to the alarms, and who may say it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.alerts.settings import PAUSE_MOST_S, WATCH_MOST_S
from edge.records import AlarmAct, Alert, Meaning, Priority, Role

Action: TypeAlias = Literal[
    "acknowledge", "pause_audio", "pause_alarms", "audio_off", "resume", "hand_off"
]
Name: TypeAlias = Annotated[str, Meta(max_length=64)]

ACT_OF: Final = {
    "pause_audio": AlarmAct.AUDIO_PAUSED,
    "pause_alarms": AlarmAct.ALARMS_PAUSED,
    "audio_off": AlarmAct.AUDIO_OFF,
    "resume": AlarmAct.REARMED,
    "hand_off": AlarmAct.HANDED_OFF,
}
"""Action -> what is logged when it was carried out; an acknowledgement is a state of its alert."""

_USES: Final = {
    "acknowledge": {"alert_id", "meaning"},
    "pause_audio": {"patient", "priority", "lasts_s"},
    "pause_alarms": {"patient", "priority", "lasts_s"},
    "audio_off": {"patient", "priority"},
    "resume": {"patient"},
    "hand_off": {"patient", "lasts_s", "to"},
}
_NOT_THE_PATIENTS: Final = frozenset({"pause_alarms", "audio_off", "hand_off"})


class AnswerError(ValueError):
    """An answer that cannot be followed; the text says why and what to do."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person said to the alarms; the payload of a packet of the stream ``person:answer``.

    Attributes
    ----------
    action : str
        ``acknowledge``: this alert stays quiet until its condition is over. ``pause_audio``: no
        sound for a while. ``pause_alarms``: no signal at all for a while. ``audio_off``: no
        sound until ``resume``, never for high priority. ``hand_off``: `to` has the watch.
    alert_id : str
        What is acknowledged.
    by, role : str, Role
        Who, and as what.
    meaning : Meaning
        Of an acknowledgement.
    patient : str
        Whose alarms; empty: of everybody at this box.
    priority : Priority | None
        The highest that a pause or "off" covers. None: the highest that sounds now, or medium
        when nothing sounds.
    lasts_s : float | None
        How long; None: as configured.
    to : str
        Who has the watch from now on; empty: nobody in particular.

    Raises
    ------
    ValueError
        Nobody says it, something was said that the action does not use, the patient may not do
        it, or it lasts too long.
    """

    action: Action
    alert_id: str = ""
    by: Name = ""
    role: Role = Role.CARER
    meaning: Meaning = Meaning.SEEN
    patient: Name = ""
    priority: Priority | None = None
    lasts_s: float | None = None
    to: Name = ""

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise ValueError("who says it? give a name")
        for field, default in _DEFAULTS.items():
            if field not in _USES[self.action] and getattr(self, field) != default:
                raise ValueError(f"{self.action} has no {field}; leave it out")
        if self.action == "acknowledge" and not self.alert_id:
            raise ValueError("which alert is acknowledged? give its id")
        if self.to and not self.to.strip():
            raise ValueError("who has the watch? give a name, or nothing for nobody")
        if self.role is Role.PATIENT and self.action in _NOT_THE_PATIENTS:
            raise ValueError(f"{self.action} is for carers; the patient may pause the sound")
        if self.action == "audio_off" and self.priority is Priority.HIGH:
            raise ValueError("high priority is never off; pause it, up to 120 s")
        self._check_length()

    def _check_length(self) -> None:
        if self.lasts_s is None:
            return
        most_s = WATCH_MOST_S if self.action == "hand_off" else PAUSE_MOST_S
        if not 0.0 < self.lasts_s <= most_s:
            raise ValueError(
                f"{self.action} for {self.lasts_s:g} s: it lasts more than 0 and at most "
                f"{most_s:g} s; give it again when it is over"
            )


_DEFAULTS: Final = {
    "alert_id": "",
    "meaning": Meaning.SEEN,
    "patient": "",
    "priority": None,
    "lasts_s": None,
    "to": "",
}


def settles(role: Role | msgspec.UnsetType | None, priority: Priority) -> bool:
    """Return whether an answer of this role means that help is there.

    The patient's own answer quietens the box, but a high priority is still carried to a carer:
    who is in danger may well be the one who presses the button.
    """
    return role is not Role.PATIENT or priority is not Priority.HIGH


def adds(alert: Alert, answer: Answer) -> bool:
    """Return whether an answer says more of an alert than the one it has had."""
    helped = alert.role is Role.PATIENT and answer.role is not Role.PATIENT
    return helped or (alert.meaning is not answer.meaning and answer.meaning is not Meaning.SEEN)
