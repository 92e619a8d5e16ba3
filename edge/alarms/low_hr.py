"""Slow heart that lasts.

Present when the heart's rate is strictly below ``limit_bpm`` for ``delay_s`` or longer: with the
defaults 49 bpm for 30 s is, 50 bpm for an hour is not.
The rate is the ECG's or a strap's; without either an oximeter's pulse counts (`edge.alarms._rate`).
None of them is None, never False.

`very_low_hr` is the same with a harder limit and a shorter delay.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._rate import below
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "low_hr"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "hr_bpm", "pulse_bpm"),
    settings={"limit_bpm": 50.0, "delay_s": 30.0, "hold_s": HOLD_S},
    limits={"limit_bpm": (30.0, 70.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=below(NAME),
    source="clinical.md 6.3: HR < 50, 10-60 s, medium",
    category=Category.CARDIOVASCULAR,
)
