"""Fast heart that lasts.

Present when the heart's rate is strictly above ``limit_bpm`` for ``delay_s`` or longer: with the
defaults 121 bpm for 30 s is, 120 bpm for an hour is not.
The rate is the ECG's or a strap's; without either an oximeter's pulse counts (`edge.alarms._rate`).
None of them is None, never False.

`very_high_hr` is the same with a harder limit and a shorter delay.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._rate import above
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "high_hr"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "hr_bpm", "pulse_bpm"),
    settings={"limit_bpm": 120.0, "delay_s": 30.0, "hold_s": HOLD_S},
    limits={"limit_bpm": (90.0, 180.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=above(NAME),
    source="clinical.md 6.3: HR > 120, 10-60 s, medium",
    category=Category.CARDIOVASCULAR,
)
