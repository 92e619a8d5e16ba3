"""What was measured, and by what, as tables: vital signs, measurements, sensors."""

from __future__ import annotations

import re
from typing import Any

from rich.text import Text

from edge.cli._tables import span_text, table
from edge.news2 import in_words

_VITALS = {
    "hr_bpm": ("heart rate", "/min", 0),
    "pulse_bpm": ("pulse rate", "/min", 0),
    "spo2_pct": ("SpO2", "%", 0),
    "resp_brpm": ("respiration", "/min", 0),
    "temp_degc": ("temperature", "°C", 1),
    "skin_degc": ("skin temperature", "°C", 1),
}
"""Vital sign -> how people call it, its unit, decimals; others are shown by their own names."""

_NOT_VITAL = ("_age_s", "_frozen_s", "_flag", "_quality", "unheard_s")

_MEASURED = {
    "nibp_sys_mmhg": ("blood pressure, systolic", "mmHg", 0),
    "nibp_dia_mmhg": ("blood pressure, diastolic", "mmHg", 0),
    "nibp_map_mmhg": ("blood pressure, mean", "mmHg", 0),
    "glucose_mgdl": ("glucose", "mg/dL", 0),
    "weight_kg": ("weight", "kg", 1),
    **_VITALS,
}
"""Measurements that are taken one by one, in the same form."""

_SECURITY = {
    "open": "not protected: can be imitated",
    "encrypted": "encrypted",
    "authenticated": "encrypted, authenticated",
    "secure": "encrypted, authenticated, LE Secure Connections",
}
"""How a link is protected, for people."""


def stream_text(stream: str) -> str:
    """Return a stream's name with the Bluetooth SIG's UUIDs in their short form.

    >>> stream_text("stored:00002a5e-0000-1000-8000-00805f9b34fb")
    'stored:2a5e'
    """
    return re.sub(r"0000([0-9a-f]{4})-0000-1000-8000-00805f9b34fb", r"\1", stream)


def print_sensors(live: dict[str, Any], out: Any) -> None:  # noqa: ANN401  # rich's console
    """Print the sensors, and how each is linked."""
    if not live["sensors"]:
        return
    rows = [
        (
            sensor["name"] or sensor["source"],
            sensor["place"],
            sensor["patient"],
            Text(
                sensor["state"].replace("_", " "),
                style="green" if sensor["state"] == "connected" else "yellow",
            ),
            span_text(sensor["since_s"]),
            _SECURITY.get(sensor["security"], sensor["security"]),
            "-" if sensor["battery_pct"] is None else f"{sensor['battery_pct']:.0f} %",
            sensor["reason"],
        )
        for sensor in live["sensors"]
    ]
    heads = ("sensor", "place", "patient", "link", "for", "protection", "battery", "reason")
    out.print(table("Sensors", heads, rows))
    out.print()


def print_readings(live: dict[str, Any], out: Any) -> None:  # noqa: ANN401  # rich's console
    """Print what was measured one by one."""
    if not live["readings"]:
        return
    rows = []
    for reading in live["readings"]:
        if reading["signal"].endswith("_flag"):
            continue
        label, unit, decimals = _MEASURED.get(reading["signal"], (reading["signal"], "", 1))
        ago = None if reading["at_s"] is None else live["now_s"] - reading["at_s"]
        when = "time unknown" if ago is None else f"{span_text(ago)} ago"
        shown = f"{reading['value']:.{decimals}f} {unit}".rstrip()
        rows.append((reading["patient"], label, shown, when))
    out.print(table("Measurements", ("patient", "what", "value", "taken"), rows))
    out.print()


def vital_rows(patient: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the rows of a patient's numbers: name, value, age."""
    vitals = patient["vitals"]
    names = [name for name in _VITALS if name in vitals]
    names += [n for n in vitals if n not in _VITALS and not n.endswith(_NOT_VITAL)]
    names = [
        name
        for name in names
        if not name.startswith(("n_", "news2_", "battery_", "silent_", "rhythm_", "fall_"))
    ]
    rows = []
    for name in names:
        label, unit, decimals = _VITALS.get(name, (name, "", 2))
        value = vitals[name]
        shown = "-" if value is None else f"{value:.{decimals}f} {unit}".rstrip()
        rows.append((label, shown, span_text(_age_s(name, vitals))))
    if "news2_refusal" in vitals:
        told = in_words(vitals).removeprefix("NEWS2 is ")
        rows.append(("NEWS2", told, span_text(vitals.get("news2_age_s"))))
    if patient["score"] is not None:
        rows.append(("anomaly score", f"{patient['score']:.2f}", ""))
    return rows


def _age_s(name: str, vitals: dict[str, Any]) -> float | None:
    """Return the age of a vital sign; a heart rate is as old as the beat or number it rests on."""
    ages = [vitals.get(f"{name.partition('_')[0]}_age_s")]
    if name == "hr_bpm":
        ages.append(vitals.get("beat_age_s"))
    known = [age for age in ages if age is not None]
    return min(known) if known else None
