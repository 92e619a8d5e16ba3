"""One state of one alert, as a receiver's record may hold it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress.board import outside, plain_words, reason_out
from edge.egress.bounds import (
    MAX_NAME,
    MAX_REASON,
    AlertId,
    Count,
    Patient,
    RuleName,
    Utc,
    Uuid,
    Words,
    checked,
    cut,
    within,
)
from edge.records import Alert, AlertState, Kind, Meaning, Priority, Role


class VitalsOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The vital signs that decided, one number each; None: it was not among them."""

    hr_bpm: Annotated[float, Meta(ge=0.0, le=400.0, description="Heart rate")] | None = None
    spo2_pct: Annotated[float, Meta(ge=0.0, le=100.0, description="Oxygen saturation")] | None = (
        None
    )
    pulse_bpm: Annotated[float, Meta(ge=0.0, le=400.0, description="Pulse rate")] | None = None
    resp_brpm: Annotated[float, Meta(ge=0.0, le=150.0, description="Breathing rate")] | None = None
    temp_degc: Annotated[float, Meta(ge=10.0, le=50.0, description="Temperature")] | None = None
    news2_lower: Annotated[float, Meta(ge=0.0, le=20.0, description="NEWS2, at least")] | None = (
        None
    )
    news2_upper: Annotated[float, Meta(ge=0.0, le=20.0, description="NEWS2, at most")] | None = None


class AlertOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One state of one alert; who answered is told by role, never by name."""

    uuid: Uuid
    box: Annotated[str, Meta(max_length=MAX_NAME, description="Pseudonym of the box")]
    patient: Patient
    id: AlertId
    sequence: Annotated[Count, Meta(description="Place in the story of this alert, from 1")]
    rule: RuleName
    words: Words
    kind: Annotated[Kind, Meta(description="Of the patient, or of the equipment")]
    priority: Annotated[Priority, Meta(description="Priority of the alarm")]
    state: Annotated[AlertState, Meta(description="Which state")]
    since_utc: Annotated[Utc | None, Meta(description="When it began (UTC)")]
    at_utc: Annotated[Utc | None, Meta(description="When this state began (UTC)")]
    time_quality: Annotated[TimeQuality | None, Meta(description="How far to trust both")]
    reason: Annotated[
        str, Meta(max_length=MAX_REASON, description="The rule's sentence, with measured values")
    ]
    values: Annotated[VitalsOut, Meta(description="The vital signs that decided")] = VitalsOut()
    role: Annotated[Role | None, Meta(description="As what somebody has answered")] = None
    meaning: Annotated[Meaning | None, Meta(description="What the answer means")] = None


class Stamped(msgspec.Struct, frozen=True):
    """When something was, by the wall: both moments, and how far to trust them."""

    since_utc: datetime | None = None
    at_utc: datetime | None = None
    quality: TimeQuality | None = None


def alert_out(  # each from another place
    alert: Alert,
    sequence: int,
    uuid: str,
    when: Stamped,
    *,
    box: str = "",
    pseudonym: Callable[[str], str] = str,
) -> AlertOut:
    """Return what may leave of one state of an alert.

    Parameters
    ----------
    sequence, uuid : int, str
        Its place in the alert's story; the id of its entry in the outbox.
    box : str
        Pseudonym of the box.
    pseudonym : Callable
        Gives the id under which a patient is known outside.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to its bounds.
    """
    answered = bool(alert.answered_by)
    return checked(
        AlertOut(
            uuid,
            cut(box, MAX_NAME),
            outside(alert.patient, pseudonym),
            alert.id,
            sequence,
            cut(alert.rule, MAX_NAME),
            cut(plain_words(alert.rule), 2 * MAX_NAME),
            alert.kind,
            alert.priority,
            alert.state,
            when.since_utc,
            when.at_utc,
            when.quality,
            reason_out(alert, pseudonym),
            vitals_of(alert.evidence),
            alert.role if answered and isinstance(alert.role, Role) else None,
            alert.meaning if answered and isinstance(alert.meaning, Meaning) else None,
        )
    )


def vitals_of(evidence: Mapping[str, float]) -> VitalsOut:
    """Return the vital signs among the numbers that decided, and no other number.

    >>> vitals_of({"spo2_pct": 84.0, "ecg_mv": 31.4, "hr_bpm": 31415.9}).spo2_pct
    84.0
    """
    return VitalsOut(
        hr_bpm=within(evidence.get("hr_bpm"), 0.0, 400.0),
        spo2_pct=within(evidence.get("spo2_pct"), 0.0, 100.0),
        pulse_bpm=within(evidence.get("pulse_bpm"), 0.0, 400.0),
        resp_brpm=within(evidence.get("resp_brpm"), 0.0, 150.0),
        temp_degc=within(evidence.get("temp_degc"), 10.0, 50.0),
        news2_lower=within(evidence.get("news2_lower"), 0.0, 20.0),
        news2_upper=within(evidence.get("news2_upper"), 0.0, 20.0),
    )
