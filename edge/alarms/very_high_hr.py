"""Very fast heart that lasts.

Present when the heart's rate is strictly above ``limit_bpm`` for ``delay_s`` or longer: with the
defaults 151 bpm for 10 s is, 150 bpm for an hour is not.
The rate is the ECG's or a strap's; without either an oximeter's pulse counts (`edge.alarms._rate`).
None of them is None, never False.

`high_hr` goes on beside it: two limits with two priorities are two rules.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._rate import above
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "very_high_hr"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "hr_bpm", "pulse_bpm"),
    settings={"limit_bpm": 150.0, "delay_s": 10.0, "hold_s": HOLD_S},
    limits={"limit_bpm": (110.0, 220.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=above(NAME),
    source="clinical.md 6.3: HR > 150, 10 s, high",
    category=Category.CARDIOVASCULAR,
)
