"""One state of one alert -> one DetectedIssue.

Why a DetectedIssue (hl7.org/fhir/R4/detectedissue.html): an "actual or potential clinical issue",
with a severity, the evidence, the device that found it and what was done about it; it may be
without a patient, as an alert of the box itself is. A Flag (hl7.org/fhir/R4/flag.html) is a
standing warning on a chart, cannot be of a Device, and has neither priority nor evidence. A
Communication (hl7.org/fhir/R4/communication.html) says that somebody was told; what it was about
would have to be another resource.

Each state is a resource of its own and never changes, so that sending it again is harmless and the
story stays readable: ``identifier[0]`` is the state's, ``identifier[1]`` the alert's, the same for
all of its states. What R4 has no field for stands in one extension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge.egress.alert import AlertOut, VitalsOut
from edge.egress.allowed import Content
from edge.egress.bounds import MAX_ID, MAX_NAME, MAX_REASON
from edge.records import Kind
from edge.sync.fhir.codes import (
    ACT_CODE,
    ALERT,
    EXT_ALERT,
    MEANING,
    NEWS2,
    OBSERVATION_ALERT,
    RULE,
    SEVERITY,
    VITALS,
)
from edge.sync.fhir.parts import (
    brief,
    code,
    concept,
    device,
    entry_id,
    identifier,
    instant,
    interval,
    own,
    patient,
    tag,
    text,
)
from edge.sync.parcel import Resource

_EVIDENCE: Final = "values"


def issue_of(alert: AlertOut) -> Resource:
    """Return one state of one alert as a DetectedIssue.

    Raises
    ------
    edge.sync.fhir.parts.ContentError
        Its entry has an id that is no uuid.
    """
    uuid = str(entry_id(alert.uuid))
    found: Resource = {
        "resourceType": "DetectedIssue",
        "meta": tag(Content.ALERT),
        "extension": [_extension(alert)],
        "identifier": [own(uuid)],
        "status": "final",
        "code": _what(alert),
    }
    if told := text(alert.id, MAX_ID):
        found["identifier"].append(identifier(ALERT, told))
    severity = SEVERITY[alert.priority]
    if severity is not None:
        found["severity"] = severity
    since = instant(alert.since_utc) if alert.since_utc is not None else None
    if since is not None:
        found["identifiedDateTime"] = since
    found |= _who(alert)
    if reason := text(alert.reason, MAX_REASON):
        found["detail"] = reason
    if values := _components(alert.values):
        found["contained"] = [
            {
                "resourceType": "Observation",
                "id": _EVIDENCE,
                "status": "final",
                "code": {"text": "values that decided"},
                "component": values,
            }
        ]
        found["evidence"] = [{"detail": [{"reference": f"#{_EVIDENCE}"}]}]
    if alert.role is not None or alert.meaning is not None:
        found["mitigation"] = [_answer(alert)]
    return found


def _what(alert: AlertOut) -> Resource:
    codings = [(RULE, code(alert.rule))]
    if alert.kind is Kind.PHYSIOLOGICAL:
        codings.append((ACT_CODE, OBSERVATION_ALERT))
    return concept(codings, text(alert.words, 2 * MAX_NAME))


def _who(alert: AlertOut) -> Mapping[str, object]:
    """Return whose alert it is and which box has found it; one of the box's own implicates it."""
    found: dict[str, object] = {}
    if whose := text(alert.patient, MAX_NAME):
        found["patient"] = patient(whose)
    if box := text(alert.box, MAX_NAME):
        found["author"] = device(box)
        if not whose:
            found["implicated"] = [device(box)]
    return found


def _extension(alert: AlertOut) -> Resource:
    parts: list[Resource] = [
        {"url": "kind", "valueCode": alert.kind.value},
        {"url": "priority", "valueCode": alert.priority.value},
        {"url": "state", "valueCode": alert.state.value},
        {"url": "sequence", "valueUnsignedInt": alert.sequence},
    ]
    at = instant(alert.at_utc) if alert.at_utc is not None else None
    if at is not None:
        parts.append({"url": "at", "valueDateTime": at})
    if alert.time_quality is not None:
        parts.append({"url": "quality", "valueCode": alert.time_quality.value})
    if alert.role is not None:
        parts.append({"url": "role", "valueCode": alert.role.value})
    return {"url": EXT_ALERT, "extension": parts}


def _answer(alert: AlertOut) -> Resource:
    """Return who answered, by role: R4 wants a practitioner as its author, and we name nobody."""
    meaning, role = alert.meaning, alert.role
    said = f"{(meaning or 'answered').replace('_', ' ')}{f', by a {role}' if role else ''}"
    codings = [(MEANING, meaning.value)] if meaning is not None else []
    return {"action": concept(codings, said) if codings else {"text": said}}


def _components(values: VitalsOut) -> list[Resource]:
    found: list[Resource] = []
    for name, codes in VITALS.items():
        value = getattr(values, name)
        if value is not None:
            unit = name.rpartition("_")[2]
            found.append({"code": concept(codes[:1]), "valueQuantity": brief(value, unit)})
    score = interval(values.news2_lower, values.news2_upper, "points")
    if score:
        found.append({"code": concept([NEWS2]), "valueRange": score})
    return found
