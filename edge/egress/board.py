"""What the process that sends notices is told of the monitor: names, times and plain words.

A measured value is not in it, but for `AlertNotice.reason`, which is empty unless somebody has set
``details = true`` and the patient lets it leave (`edge.egress.consent`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress.bounds import (
    MAX_NAME,
    MAX_NOTICES,
    MAX_REASON,
    MAX_SENTENCE,
    AlertId,
    Boot,
    BoxName,
    Count,
    Patient,
    Utc,
    Words,
    cut,
)
from edge.records import Alert, AlertState, Kind, Meaning, Priority, Role, Step

_WORDS: Final = {
    "spo2": "SpO2",
    "hr": "heart rate",
    "resp": "breathing rate",
    "news2": "NEWS2",
    "temp": "temperature",
    "ecg": "ECG",
}
MAX_SENTENCES: Final = 64


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

    id: AlertId
    patient: Patient
    words: Words
    kind: Annotated[Kind, Meta(description="Of the patient, or of the equipment")]
    priority: Annotated[Priority, Meta(description="Priority of the alarm")]
    state: Annotated[AlertState, Meta(description="Where the alert stands")]
    since_utc: Annotated[Utc | None, Meta(description="Since when (UTC)")]
    at_utc: Annotated[Utc | None, Meta(description="Since when in this state (UTC)")]
    step: Annotated[Step, Meta(description="How far it was carried without an answer")] = Step.BOX
    to: Annotated[str, Meta(max_length=MAX_NAME, description="Name of who has the watch")] = ""
    answered_by: Annotated[
        str, Meta(max_length=MAX_NAME, description="Name of who has answered")
    ] = ""
    role: Annotated[Role | None, Meta(description="As what they answered")] = None
    meaning: Annotated[Meaning | None, Meta(description="What the answer means")] = None
    reason: Annotated[
        str,
        Meta(
            max_length=MAX_REASON,
            description="The rule's sentence WITH MEASURED VALUES; empty unless details = true "
            "and consent to notice_details",
        ),
    ] = ""

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
    withheld : tuple[str, ...]
        Switches of consent that are off: what they cover is not sent, nor kept to be sent.
    """

    change: Annotated[int, Meta(ge=0, description="Grows with each change")]
    run_id: Annotated[str, Meta(max_length=MAX_NAME, description="Which run of the monitor")]
    boot_id: Annotated[str, Meta(max_length=MAX_NAME, description="Which boot of the box")]
    box: BoxName
    tick_s: Annotated[Boot, Meta(description="Boot time the monitor has come to")]
    now_s: Annotated[Boot, Meta(description="Boot time now")]
    time_quality: Annotated[
        TimeQuality | None, Meta(description="How far wall times can be trusted")
    ]
    ready: Annotated[bool, Meta(description="Whether it knows what stands")]
    not_watching: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_SENTENCE)], ...],
        Meta(max_length=MAX_SENTENCES, description="What it should watch and does not"),
    ] = ()
    sounding: Annotated[
        Priority | None, Meta(description="Priority of the sound at the box now")
    ] = None
    paused: Annotated[bool, Meta(description="Whether the sound is paused")] = False
    standing: Annotated[
        tuple[AlertNotice, ...], Meta(max_length=MAX_NOTICES, description="Alerts that stand")
    ] = ()
    ended: Annotated[
        tuple[AlertNotice, ...], Meta(max_length=MAX_NOTICES, description="The last that ended")
    ] = ()
    proof: Annotated[Count, Meta(description="Number of the test notice asked for; 0: none")] = 0
    withheld: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_NAME)], ...],
        Meta(max_length=16, description="Switches of consent that are off"),
    ] = ()


def plain_words(rule: str) -> str:
    """Return a rule's name as people say it.

    >>> plain_words("very_low_spo2"), plain_words("high_hr")
    ('very low SpO2', 'high heart rate')
    """
    return " ".join(_WORDS.get(word, word) for word in rule.split("_"))


def notice_of(  # each from another place
    alert: Alert,
    step: Step,
    to: str,
    utc: tuple[datetime | None, datetime | None],
    *,
    details: bool,
    pseudonym: Callable[[str], str] = str,
) -> AlertNotice:
    """Return what may be said of an alert.

    Parameters
    ----------
    utc : tuple
        Of its beginning and of this state.
    details : bool
        With its reason, and so with measured values.
    pseudonym : Callable
        Gives the id under which a patient is known outside.
    """
    since_utc, at_utc = utc
    answered = bool(alert.answered_by)
    return AlertNotice(
        alert.id,
        outside(alert.patient, pseudonym),
        cut(plain_words(alert.rule), 2 * MAX_NAME),
        alert.kind,
        alert.priority,
        alert.state,
        since_utc,
        at_utc,
        step,
        cut(to, MAX_NAME),
        cut(alert.answered_by, MAX_NAME),
        alert.role if answered and isinstance(alert.role, Role) else None,
        alert.meaning if answered and isinstance(alert.meaning, Meaning) else None,
        reason_out(alert, pseudonym) if details else "",
    )


def reason_out(alert: Alert, pseudonym: Callable[[str], str]) -> str:
    """Return an alert's sentence; where it names its patient, by the pseudonym."""
    inside = alert.patient
    named = alert.reason.replace(inside, outside(inside, pseudonym)) if inside else alert.reason
    return cut(named, MAX_REASON)


def outside(patient: str, pseudonym: Callable[[str], str]) -> str:
    """Return the id of a patient as it leaves; what belongs to the box has none."""
    return cut(pseudonym(patient), MAX_NAME) if patient else ""


def urgent_first(notices: Iterable[AlertNotice]) -> tuple[AlertNotice, ...]:
    """Return as many as a board may hold: were there more, those of least priority are not told."""
    found = tuple(notices)
    if len(found) <= MAX_NOTICES:
        return found
    kept = sorted(found, key=lambda one: -one.priority.rank)[:MAX_NOTICES]
    return tuple(kept)


def sentences(found: Iterable[str]) -> tuple[str, ...]:
    """Return what is not watched, as many sentences as a board may hold."""
    return tuple(cut(one, MAX_SENTENCE) for one in found)[:MAX_SENTENCES]
