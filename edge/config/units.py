"""Units: the last part of a name, and how people say it."""

from __future__ import annotations

from collections.abc import Mapping

UNIT_WORDS: Mapping[str, str] = {
    "au": "arbitrary units",
    "bpm": "beats a minute",
    "brpm": "breaths a minute",
    "day": "a day",
    "days": "days",
    "dbfs": "decibels against full scale",
    "degc": "degrees Celsius",
    "flag": "0 or 1",
    "g": "g",
    "gb": "gigabytes",
    "h": "hours",
    "hz": "hertz",
    "kg": "kilograms",
    "mb": "megabytes",
    "mgdl": "mg/dl",
    "min": "minutes",
    "mmhg": "mmHg",
    "ms": "milliseconds",
    "mv": "millivolts",
    "n": "a whole number",
    "ohm": "ohms",
    "pct": "percent",
    "ppm": "parts per million",
    "s": "seconds",
    "v": "volts",
}
"""Unit as it ends a name -> the same in words."""


def unit_of(name: str) -> str:
    """Return the unit a setting's name ends in, ``n`` for a count, empty where it has none.

    >>> unit_of("limit_pct"), unit_of("n_beats"), unit_of("enabled")
    ('pct', 'n', '')
    """
    if name.startswith("n_"):
        return "n"
    stem, _, last = name.rpartition("_")
    return last if stem and last in UNIT_WORDS else ""
