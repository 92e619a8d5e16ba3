#!/usr/bin/env python3
"""The signs of single components, as on circuit diagrams (IEC 60617), around a middle point."""

from __future__ import annotations

from typing import Final

from sheet import INK, Sheet, number

ROOM: Final = 76.0

# Each stroke: its path after the middle point, and what fills it. All are wired from left to right.
SYMBOLS: Final[dict[str, list[tuple[str, str]]]] = {
    "resistor": [("m-32 0 h64", "none"), ("m-18 -7 h36 v14 h-36 z", "#FFFFFF")],
    "led": [
        ("m-28 0 h56", "none"),
        ("m-10 -10 v20 l18 -10 z", INK),
        ("m8 -10 v20", "none"),
        ("m-2 -13 l7 -8 m-6 1 l6 -1 l0 6", "none"),
        ("m7 -13 l7 -8 m-6 1 l6 -1 l0 6", "none"),
    ],
    # Upright, its stripe above, between two pins of one side.
    "diode": [
        ("m-30 -13 h30 v26 h-30", "none"),
        ("m-9 7 h18 l-9 -15 z", INK),
        ("m-9 -8 h18", "none"),
    ],
    "button": [
        ("m-30 -13 h26 v5", "none"),
        ("m-30 13 h26 v-5", "none"),
        ("m-4 8 l11 -16", "none"),
        ("m10 0 h8 m0 -7 v14", "none"),
    ],
    "buzzer": [("m-14 -9 h10 l14 -9 v36 l-14 -9 h-10 z", "#FFFFFF")],
    "transistor": [
        ("m-28 0 h22 m0 -13 v26", "none"),
        ("m-6 -5 l18 -8 h16", "none"),
        ("m-6 5 l18 8 h16", "none"),
        ("m11 13 l-9 0 l4 -8 z", INK),
    ],
}


def draw(sheet: Sheet, name: str, at: tuple[float, float]) -> None:
    """Draw one sign around `at`."""
    for stroke, fill in SYMBOLS[name]:
        sheet.path(f"M{number(at[0])} {number(at[1])} {stroke}", stroke=INK, line=2, fill=fill)
