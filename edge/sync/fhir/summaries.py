"""One period -> an Observation of the period itself, and one for each vital sign.

A vital sign's value is its median (``method``); what else describes the distribution stands in
components. NEWS2 is one Observation whose value is a Range: points for certain, points at most.
They are Observations as hl7.org/fhir/R4/observation-vitalsigns.html has them: subject, category,
LOINC and UCUM codes, and a time, which says why it is missing where no wall time is known.

A blurred summary (`edge.egress.private`) must never be read as a measurement of this patient. Its
Observations have our own codes alone, neither LOINC nor the category of vital signs; their texts
and an extension say that they are blurred.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from edge.clock import TimeQuality
from edge.egress.allowed import Content
from edge.egress.bounds import MAX_NAME
from edge.egress.summary import SummaryOut, VitalOut
from edge.sync.fhir.codes import (
    CATEGORY,
    EXT_EPSILON,
    EXT_QUALITY,
    NEWS2,
    PART_OF,
    PERIOD,
    RULE,
    SIGNAL,
    STATISTIC,
    VITALS,
    WORDS,
)
from edge.sync.fhir.parts import (
    beside,
    brief,
    code,
    concept,
    device,
    entry_id,
    identifier,
    instant,
    interval,
    no_value,
    own,
    part_id,
    patient,
    quantity,
    tag,
    text,
)
from edge.sync.parcel import Resource

SCORE: Final = "news2"
PARTS: Final = (*VITALS, SCORE)
"""What an entry may become besides the Observation of the period, which has the entry's own id."""
_LOWER, _UPPER = "news2_lower", "news2_upper"
_ENDS: Final = (("min", "max"), ("p10", "p90"))
_POINTS: Final = "points"
_MEDIAN: Final = {"text": "median of the period"}
_BLURRED: Final = ", blurred for privacy: no measurement of this patient"


def observations_of(summary: SummaryOut) -> tuple[Resource, ...]:
    """Return the period, then its vital signs.

    Raises
    ------
    edge.sync.fhir.parts.ContentError
        Its entry has an id that is no uuid.
    """
    by_name: dict[str, VitalOut] = {one.name: one for one in summary.vitals}
    found = [_period(summary)]
    found += [_vital(summary, by_name[name]) for name in VITALS if name in by_name]
    bounds = by_name.get(_LOWER), by_name.get(_UPPER)
    if any(bounds):
        found.append(_score(summary, *bounds))
    return tuple(found)


def _period(summary: SummaryOut) -> Resource:
    counts = {
        "n_beats": summary.n_beats,
        "n_broken": summary.n_broken,
        "n_gaps": summary.n_gaps,
    }
    components: list[Resource] = [_counted(PERIOD, name, n) for name, n in counts.items()]
    components.append(
        {
            "code": concept([(PERIOD, "length_s")]),
            "valueQuantity": brief(summary.length_s, "s"),
        }
    )
    components += [
        {"code": concept([(SIGNAL, code(one.signal))]), "valueQuantity": beside(one.share, "share")}
        for one in summary.coverage
    ]
    components += [_counted(RULE, code(one.rule), one.n) for one in summary.alerts]
    return {
        **_common(summary),
        "code": concept([(PERIOD, "summary")], f"Summary of a period{_blurred(summary)}"),
        "component": components,
    }


def _vital(summary: SummaryOut, vital: VitalOut) -> Resource:
    unit = vital.name.rpartition("_")[2]
    exact = not summary.epsilon
    codes = VITALS[vital.name] if exact else ((SIGNAL, vital.name),)
    return {
        **_common(summary, "vital-signs" if exact else "procedure", vital.name),
        "code": concept(codes, f"{WORDS[vital.name]}{_blurred(summary)}"),
        "method": _MEDIAN,
        "valueQuantity": quantity(vital.p50, unit),
        "component": _spread(vital, vital, unit),
    }


def _score(summary: SummaryOut, lower: VitalOut | None, upper: VitalOut | None) -> Resource:
    """Return NEWS2: points for certain and points at most, or the score where they are the same.

    Both bounds are known in the same seconds: one count holds for them.
    """
    low, high = (one.p50 if one is not None else None for one in (lower, upper))
    value: Resource = {"valueRange": interval(low, high, _POINTS)}
    if low is not None and low == high:
        value = {"valueQuantity": quantity(low, _POINTS)}
    return {
        **_common(summary, "procedure" if summary.epsilon else "survey", SCORE),
        "code": concept(
            ((SIGNAL, SCORE),) if summary.epsilon else (NEWS2,),
            f"{WORDS[SCORE]}{_blurred(summary)}",
        ),
        "method": _MEDIAN,
        **value,
        "component": _spread(lower, upper, _POINTS),
    }


def _spread(lower: VitalOut | None, upper: VitalOut | None, unit: str) -> list[Resource]:
    """Return what else describes a distribution, from the lower end of one to the upper of one."""
    found: list[Resource] = [
        {
            "code": concept([(STATISTIC, f"{low}-{high}")]),
            "valueRange": interval(
                getattr(lower, low, None), getattr(upper, high, None), unit, beside
            ),
        }
        for low, high in _ENDS
    ]
    n = max(one.n for one in (lower, upper) if one is not None)
    return [*found, _counted(STATISTIC, "n", n)]


def _common(summary: SummaryOut, category: str = "", part: str = "") -> Resource:
    """Return what all Observations of a summary have; `part`: which of several, empty: the period.

    How far to trust the time stands in the period's, and in the others where it is not synced.
    """
    entry = str(entry_id(summary.uuid))
    known_as = [own(entry)]
    if part:
        known_as = [own(part_id(entry, part)), identifier(PART_OF, entry)]
    found: Resource = {
        "resourceType": "Observation",
        "meta": tag(Content.SUMMARY),
        "identifier": known_as,
        "status": "final",
        "effectivePeriod": _when(summary),
    }
    if category:
        found["category"] = [concept([(CATEGORY, category)])]
    if summary.time_quality not in (None, TimeQuality.SYNCED if part else None):
        quality = [{"url": EXT_QUALITY, "valueCode": str(summary.time_quality)}]
        when = found["effectivePeriod"]
        when["extension"] = when.get("extension", []) + quality
    if summary.epsilon:
        found["extension"] = [{"url": EXT_EPSILON, "valueDecimal": summary.epsilon}]
    box = text(summary.box, MAX_NAME)
    whose = text(summary.patient, MAX_NAME)
    # R4 wants to know of whom a vital sign is.
    found["subject"] = patient(whose) if whose else {"display": "unknown"}
    if box:
        found["device"] = device(box)
        if not whose:
            found["subject"] = device(box)
    return found


def _when(summary: SummaryOut) -> Resource:
    """Return the period; R4 wants one of every vital sign, so an unknown one says so."""
    begin = summary.start_utc
    if begin is not None:
        start = instant(begin)
        try:
            end = instant(begin + timedelta(seconds=summary.length_s))
        except OverflowError:
            end = None
        if start is not None and end is not None:
            return {"start": start, "end": end}
    return {"extension": no_value()}


def _counted(system: str, name: str, n: int) -> Resource:
    return {"code": concept([(system, name)]), "valueInteger": n}


def _blurred(summary: SummaryOut) -> str:
    return _BLURRED if summary.epsilon else ""
