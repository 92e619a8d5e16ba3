"""And back again: what a receiver's tables need to know of the resources of one entry.

It reads what `edge.sync.fhir.resources_of` writes, and nothing else: what is not exactly that
raises `ContentError`, which says what is wrong and nothing of what it held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from edge.clock import TimeQuality
from edge.egress.allowed import Content
from edge.records import AlertState, Kind, Priority, Role
from edge.sync.fhir.codes import (
    ALERT,
    BOX,
    EXT_ALERT,
    EXT_EPSILON,
    EXT_QUALITY,
    PATIENT,
    PERIOD,
    RULE,
    SCHEMA,
    SYSTEM,
)
from edge.sync.fhir.parts import ContentError

MAX_RESOURCES: Final = 8


class Facts(msgspec.Struct, frozen=True):
    """What is known of one entry.

    Attributes
    ----------
    uuid, content, version : str, Content, int
        Id of the entry; alert or summary, and the version of that.
    box, patient : str, str
        Pseudonyms; empty: none is given.
    at_utc : datetime | None
        When this state of the alert began, or the period.
    time_quality : TimeQuality | None
        How far to trust its times.
    alert_id, sequence, rule, kind, priority, state, since_utc, role, words, reason
        Of an alert, as in `edge.egress.alert.AlertOut`.
    end_utc : datetime | None
        When the period ended.
    epsilon : float
        Privacy budget spent on the summary; 0: it is exact.
    """

    uuid: str
    content: Content
    version: int
    box: str = ""
    patient: str = ""
    at_utc: datetime | None = None
    time_quality: TimeQuality | None = None
    alert_id: str = ""
    sequence: int = 0
    rule: str = ""
    kind: Kind | None = None
    priority: Priority | None = None
    state: AlertState | None = None
    since_utc: datetime | None = None
    role: Role | None = None
    words: str = ""
    reason: str = ""
    end_utc: datetime | None = None
    epsilon: float = 0.0


def facts(resources: Sequence[Mapping[str, Any]]) -> Facts:
    """Return what the resources of one entry say.

    Raises
    ------
    ContentError
        They are not what we send.
    """
    if not 1 <= len(resources) <= MAX_RESOURCES:
        raise ContentError(
            f"an entry of {len(resources)} resources; 1 to {MAX_RESOURCES} are known"
        )
    first = resources[0]
    try:
        told = _alert(first) if first["resourceType"] == "DetectedIssue" else _summary(first)
        if told.content is Content.ALERT and len(resources) > 1:
            raise ContentError("an alert is one resource, not several")
        for other in resources[1:]:
            _same(other, told)
    except (
        *(KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration),
        msgspec.ValidationError,
    ) as error:
        raise ContentError(
            f"an entry is not FHIR as Homeward writes it ({type(error).__name__})"
        ) from None
    return told


def columns(resources: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what lists show of an entry, as texts; nothing where it cannot be read.

    An entry that cannot be read is stored all the same: it may be of a later version.
    """
    try:
        told = facts(resources)
    except ContentError:
        return {}
    return {
        "patient": told.patient,
        "rule": told.rule,
        "priority": str(told.priority or ""),
        "state": str(told.state or ""),
        "at_utc": told.at_utc.isoformat(timespec="milliseconds") if told.at_utc else "",
    }


def _alert(issue: Mapping[str, Any]) -> Facts:
    _, version = _schema(issue, Content.ALERT)
    _is(issue["resourceType"], "DetectedIssue")
    _is(issue["status"], "final")
    (outer,) = [one for one in issue["extension"] if one["url"] == EXT_ALERT]
    said = {one["url"]: _only(one) for one in outer["extension"]}
    (rule,) = [one["code"] for one in issue["code"]["coding"] if one["system"] == RULE]
    plain = {
        "uuid": _uuid(issue),
        "content": Content.ALERT,
        "version": version,
        "box": _known(issue.get("author"), BOX),
        "patient": _known(issue.get("patient"), PATIENT),
        "at_utc": said.get("at"),
        "time_quality": said.get("quality"),
        "alert_id": _second(issue, ALERT),
        "sequence": said["sequence"],
        "rule": rule,
        "kind": said["kind"],
        "priority": said["priority"],
        "state": said["state"],
        "since_utc": issue.get("identifiedDateTime"),
        "role": said.get("role"),
        "words": issue["code"].get("text", ""),
        "reason": issue.get("detail", ""),
    }
    return msgspec.convert(plain, Facts)


def _summary(period: Mapping[str, Any]) -> Facts:
    _, version = _schema(period, Content.SUMMARY)
    _is(period["resourceType"], "Observation")
    _is(period["status"], "final")
    _is(period["code"]["coding"][0], {"system": PERIOD, "code": "summary"})
    when = period["effectivePeriod"]
    quality = [one["valueCode"] for one in when.get("extension", ()) if one["url"] == EXT_QUALITY]
    spent = [
        one["valueDecimal"] for one in period.get("extension", ()) if one["url"] == EXT_EPSILON
    ]
    plain = {
        "uuid": _uuid(period),
        "content": Content.SUMMARY,
        "version": version,
        "box": _known(period.get("device"), BOX),
        "patient": _known(period.get("subject"), PATIENT),
        "at_utc": when.get("start"),
        "end_utc": when.get("end"),
        "time_quality": quality[0] if quality else None,
        "epsilon": spent[0] if spent else 0.0,
    }
    return msgspec.convert(plain, Facts)


def _same(other: Mapping[str, Any], told: Facts) -> None:
    """Check that a vital sign belongs to the same entry, box and patient."""
    _is(other["resourceType"], "Observation")
    _schema(other, Content.SUMMARY)
    _is(other["identifier"][1]["value"], told.uuid)
    _is(_known(other.get("subject"), PATIENT), told.patient)
    _is(_known(other.get("device"), BOX), told.box)


def _schema(resource: Mapping[str, Any], expected: Content) -> tuple[str, int]:
    (said,) = [one["code"] for one in resource["meta"]["tag"] if one["system"] == SCHEMA]
    name, _, version = said.rpartition("-")
    _is(name, expected.value)
    return name, int(version)


def _uuid(resource: Mapping[str, Any]) -> str:
    (value,) = [one["value"] for one in resource["identifier"] if one["system"] == SYSTEM]
    return str(UUID(value))


def _second(resource: Mapping[str, Any], system: str) -> str:
    return next((one["value"] for one in resource["identifier"] if one["system"] == system), "")


def _known(reference: Mapping[str, Any] | None, system: str) -> Any:  # noqa: ANN401  # converted
    known_as = (reference or {}).get("identifier")
    if known_as is None or known_as["system"] != system:
        return ""
    return known_as["value"]


def _only(extension: Mapping[str, Any]) -> Any:  # noqa: ANN401  # whatever type the code has
    (value,) = [told for name, told in extension.items() if name.startswith("value")]
    return value


def _is(found: object, expected: object) -> None:
    if found != expected:
        raise ValueError("not as Homeward writes it")
