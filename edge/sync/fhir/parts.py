"""What resources are made of: identifiers, references, quantities, texts and times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

from edge.egress.allowed import ALLOWED, Content
from edge.egress.bounds import cut
from edge.sync import SyncError
from edge.sync.fhir.codes import ABSENT, BOX, PATIENT, SCHEMA, SYSTEM, UCUM, UNITS
from edge.sync.parcel import Resource

MAX_CODE: Final = 64
_NOT_IN_A_CODE: Final = re.compile(r"[^A-Za-z0-9_.:-]+")
_UNKNOWN: Final = "unknown"


class ContentError(SyncError):
    """It cannot be told in FHIR, or what came is not what we send; the text says why."""


def text(said: str, most: int) -> str:
    """Return a text FHIR can hold: printable, not of blanks alone; empty where nothing is left."""
    return cut(said, most).strip()


def code(name: str) -> str:
    """Return a name as a code: without blanks and what no name of ours has.

    >>> code("very_low_spo2"), code(" a rule "), code("")
    ('very_low_spo2', 'a_rule', 'unknown')
    """
    return _NOT_IN_A_CODE.sub("_", name).strip("_")[:MAX_CODE] or _UNKNOWN


def entry_id(uuid: str) -> UUID:
    """Return the id of an entry of the outbox.

    Raises
    ------
    ContentError
        It is no uuid.
    """
    try:
        return UUID(uuid)
    except ValueError:
        raise ContentError("an entry of the outbox has an id that is no uuid") from None


def part_id(uuid: str, name: str) -> str:
    """Return the id of one resource of several that an entry becomes."""
    return str(uuid5(entry_id(uuid), name))


def identifier(system: str, value: str) -> Resource:
    """Return an Identifier."""
    return {"system": system, "value": value}


def coding(system: str, value: str) -> Resource:
    """Return a Coding; without its display, which may be looked up."""
    return {"system": system, "code": value}


def concept(codings: Iterable[tuple[str, str]], words: str = "") -> Resource:
    """Return a CodeableConcept."""
    found: Resource = {"coding": [coding(*one) for one in codings]}
    return {**found, "text": words} if words else found


def patient(pseudonym: str) -> Resource:
    """Return a logical reference: whoever knows the pseudonym knows the patient.

    With its type, or servers do not find it by patient (``subject.where(resolve() is Patient)``).
    """
    return {"type": "Patient", "identifier": identifier(PATIENT, pseudonym)}


def device(box: str) -> Resource:
    """Return a logical reference to the box."""
    return {"identifier": identifier(BOX, box)}


def number(value: float) -> float | int:
    """Return a decimal with at most three digits after the point; whole ones have no point.

    >>> number(84.0), number(36.65000000001)
    (84, 36.65)
    """
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def quantity(value: float, unit: str) -> Resource:
    """Return a Quantity; `unit` is the last word of our name for it.

    >>> quantity(84.0, "pct")
    {'value': 84, 'unit': '%', 'system': 'http://unitsofmeasure.org', 'code': '%'}
    """
    shown, ucum = UNITS[unit]
    return {"value": number(value), "unit": shown, "system": UCUM, "code": ucum}


def brief(value: float, unit: str) -> Resource:
    """Return the same without its unit for people: of a component, beside a whole one."""
    return {"value": number(value), "system": UCUM, "code": UNITS[unit][1]}


def beside(value: float, unit: str) -> Resource:
    """Return a Quantity in the unit of a value that stands beside it with its code."""
    return {"value": number(value), "unit": UNITS[unit][0]}


def interval(
    first: float | None,
    second: float | None,
    unit: str,
    of: Callable[[float, str], Resource] = brief,
) -> Resource:
    """Return a Range that holds both; a side nobody knows is open.

    >>> interval(7.0, 4.0, "points", beside)
    {'low': {'value': 4, 'unit': 'score'}, 'high': {'value': 7, 'unit': 'score'}}
    >>> sorted(interval(None, 4.0, "points"))
    ['high']
    """
    if first is not None and second is not None:
        first, second = sorted((first, second))
    sides = (("low", first), ("high", second))
    return {side: of(bound, unit) for side, bound in sides if bound is not None}


def instant(at: datetime) -> str | None:
    """Return a dateTime in UTC, to the millisecond; None: no calendar has it.

    >>> instant(datetime(2026, 11, 22, 9, 30, tzinfo=UTC))
    '2026-11-22T09:30:00Z'
    """
    try:
        told = at.astimezone(UTC).isoformat(timespec="milliseconds")
    except OverflowError:  # a clock that was never set, at the edge of all calendars
        return None
    return f"{told.removesuffix('+00:00').removesuffix('.000')}Z"


def no_value() -> list[Resource]:
    """Return the extension that stands where a value must be, and nobody knows it."""
    return [{"url": ABSENT, "valueCode": _UNKNOWN}]


def tag(content: Content) -> Resource:
    """Return the ``meta`` that says which version of which content a resource is."""
    return {"tag": [coding(SCHEMA, f"{content.value}-{ALLOWED[content].version}")]}


def own(uuid: str) -> Resource:
    """Return the identifier by which repeats are told."""
    return identifier(SYSTEM, uuid)
