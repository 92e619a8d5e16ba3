"""Every code system and code of what leaves: LOINC, SNOMED CT, UCUM, HL7's, and our own.

Vital signs carry the codes of hl7.org/fhir/R4/observation-vitalsigns.html: LOINC 8867-4 heart
rate, 9279-1 respiratory rate, 8310-5 body temperature, 2708-6 oxygen saturation with 59408-5 by
pulse oximetry beside it; the pulse of an oximeter is 8889-8. NEWS2's total is SNOMED CT (UK
edition) 1104051000000101, as the NHS publishes it (nhsconnect.github.io/FHIR-NEWS2; HL7 UK Core
value set EarlyWarningTotalScores); there is no LOINC code that UK Core would have instead.

Our systems are names, not addresses: nobody has to own a host for them, and nothing can be looked
up there. `OWN` lists all their codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge.clock import TimeQuality
from edge.records import AlertState, Kind, Meaning, Priority, Role

SYSTEM: Final = "urn:homeward:entry"
"""Of the identifier by which a receiver tells repeats: with a bare uuid."""
PART_OF: Final = "urn:homeward:summary"
"""Of the second identifier of an Observation: the entry it is a part of."""
ALERT: Final = "urn:homeward:alert"
"""Of the second identifier of a DetectedIssue: the alert whose state it is."""
PATIENT: Final = "urn:homeward:patient"
BOX: Final = "urn:homeward:box"
SCHEMA: Final = "urn:homeward:schema"
RULE: Final = "urn:homeward:rule"
SIGNAL: Final = "urn:homeward:signal"
STATISTIC: Final = "urn:homeward:stat"
PERIOD: Final = "urn:homeward:period"
MEANING: Final = "urn:homeward:meaning"

EXT_ALERT: Final = "urn:homeward:fhir:alert"
"""Extension: kind, priority, state, at, sequence, quality, role of a state of an alert."""
EXT_QUALITY: Final = "urn:homeward:fhir:time-quality"
EXT_EPSILON: Final = "urn:homeward:fhir:epsilon"
"""Extension: privacy budget spent on the whole summary; it is blurred (`edge.egress.private`)."""

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

OBSERVATION_ALERT: Final = "OBSA"
"""v3-ActCode, DetectedIssueCategory: what was observed may need action."""

VITALS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "hr_bpm": ((LOINC, "8867-4"),),
    "spo2_pct": ((LOINC, "2708-6"), (LOINC, "59408-5")),
    "pulse_bpm": ((LOINC, "8889-8"),),
    "resp_brpm": ((LOINC, "9279-1"),),
    "temp_degc": ((LOINC, "8310-5"),),
}
"""Codes of the vital signs; the general one first. No other number has them."""
NEWS2: Final = (SNOMED, "1104051000000101")
WORDS: Final[Mapping[str, str]] = {
    "hr_bpm": "Heart rate",
    "spo2_pct": "Oxygen saturation by pulse oximetry",
    "pulse_bpm": "Pulse rate by pulse oximetry",
    "resp_brpm": "Breathing rate",
    "temp_degc": "Body temperature",
    "news2": "NEWS2, at least and at most",
}
UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "bpm": ("/min", "/min"),
    "brpm": ("/min", "/min"),
    "pct": ("%", "%"),
    "degc": ("Cel", "Cel"),
    "s": ("s", "s"),
    "share": ("1", "1"),
    "points": ("score", "{ScoreOf}"),
}
"""Last word of a name -> the unit for people, and in UCUM."""

SEVERITY: Final[Mapping[Priority, str | None]] = {
    Priority.HIGH: "high",
    Priority.MEDIUM: "moderate",
    Priority.LOW: "low",
    Priority.INFORMATION: None,
}
"""DetectedIssue.severity knows no information; the priority itself stands in the extension."""

OWN: Final[Mapping[str, Mapping[str, str]]] = {
    STATISTIC: {
        "min-max": "smallest and largest value of the period",
        "p10-p90": "10th and 90th percentile, linear between order statistics",
        "n": "seconds of the period with a value",
    },
    PERIOD: {
        "summary": "what one period looked like",
        "n_beats": "heart beats seen",
        "n_broken": "packets dropped because they were broken",
        "n_gaps": "gaps in the signals",
        "length_s": "length of the period",
    },
    MEANING: {
        Meaning.SEEN.value: "somebody knows of it",
        Meaning.FALSE_ALARM.value: "somebody says it was none",
        Meaning.HANDLED.value: "somebody took care of it",
    },
    EXT_ALERT: {
        **{f"kind={one.value}": "of the patient, or of the equipment" for one in Kind},
        **{f"priority={one.value}": "of the alarm, as IEC 60601-1-8 names it" for one in Priority},
        **{f"state={one.value}": "where the alert stood" for one in AlertState},
        **{f"role={one.value}": "as what somebody has answered" for one in Role},
        **{f"quality={one.value}": "how far to trust its times" for one in TimeQuality},
    },
    SIGNAL: WORDS,
}
"""Our systems' codes and what they mean; of `RULE` and of other signals the name is the code."""
