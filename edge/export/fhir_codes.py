"""Codes of FHIR exports: LOINC, ISO/IEEE 11073-10101 and UCUM for the signals we know.

Leads and waves as in HL7's own ECG example (hl7.org/fhir/R4/observation-example-sample-data.html);
vital signs as in hl7.org/fhir/R4/observation-vitalsigns.html.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
MDC: Final = "urn:iso:std:iso:11073:10101"
OURS: Final = "urn:homeward:signal"
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_LOINC: Final = {
    "ecg_mv": ("11524-6", "EKG study"),
    "hr_bpm": ("8867-4", "Heart rate"),
    "pulse_bpm": ("8889-8", "Heart rate by Pulse oximetry"),
    "resp_brpm": ("9279-1", "Respiratory rate"),
    "spo2_pct": ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
    "temp_degc": ("8310-5", "Body temperature"),
    "nibp_sys_mmhg": ("8480-6", "Systolic blood pressure"),
    "nibp_dia_mmhg": ("8462-4", "Diastolic blood pressure"),
    "nibp_map_mmhg": ("8478-0", "Mean blood pressure"),
    "weight_kg": ("29463-7", "Body weight"),
    "glucose_mgdl": ("2339-0", "Glucose [Mass/volume] in Blood"),
}
_WAVES: Final = {"pleth_au": ("150452", "MDC_PULS_OXIM_PLETH")}
_LEADS: Final = {
    "I": ("131329", "MDC_ECG_ELEC_POTL_I"),
    "II": ("131330", "MDC_ECG_ELEC_POTL_II"),
    "III": ("131389", "MDC_ECG_ELEC_POTL_III"),
    "aVR": ("131390", "MDC_ECG_ELEC_POTL_AVR"),
    "aVL": ("131391", "MDC_ECG_ELEC_POTL_AVL"),
    "aVF": ("131392", "MDC_ECG_ELEC_POTL_AVF"),
    **{f"V{n}": (str(131330 + n), f"MDC_ECG_ELEC_POTL_V{n}") for n in range(1, 7)},
}
_UCUM: Final = {
    "mv": "mV",
    "ms": "ms",
    "bpm": "/min",
    "brpm": "/min",
    "pct": "%",
    "degc": "Cel",
    "g": "[g]",
    "au": "[arb'U]",
    "flag": "1",
    "mmhg": "mm[Hg]",
    "mgdl": "mg/dL",
    "mgdlmin": "mg/dL/min",
    "kg": "kg",
    "m": "m",
    "v": "V",
    "ohm": "Ohm",
}
VITAL: Final = frozenset(_LOINC) - {"ecg_mv", "glucose_mgdl"}
_ALSO: Final = {"spo2_pct": ("2708-6", "Oxygen saturation in Arterial blood")}
"""FHIR's vital signs want a second code for it."""


def codings(signal: str, lead: str) -> list[Json]:
    """Return the codes of a signal, the most special first, our own name last."""
    coding = [{"system": OURS, "code": signal}]
    if signal in _LOINC:
        coding.insert(0, _coding(LOINC, _LOINC[signal]))
    if signal in _ALSO:
        coding.insert(1, _coding(LOINC, _ALSO[signal]))
    wave = _LEADS.get(lead) if signal == "ecg_mv" else _WAVES.get(signal)
    if wave is not None:
        coding.insert(0, _coding(MDC, wave))
    return coding


def _coding(system: str, code: tuple[str, str]) -> Json:
    return {"system": system, "code": code[0], "display": code[1]}


def quantity(value: float, signal: str) -> Json:
    """Return a value in the UCUM unit of its signal."""
    unit = _UCUM[signal.rpartition("_")[2]]
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}
