"""Very slow heart that lasts.

Present when the heart's rate is strictly below ``limit_bpm`` for ``delay_s`` or longer: with the
defaults 39 bpm for 10 s is, 40 bpm for an hour is not.
The rate is the ECG's or a strap's; without either an oximeter's pulse counts (`edge.alarms._rate`).
None of them is None, never False.

A heart that does not beat at all is `asystole`'s.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._rate import below
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "very_low_hr"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "hr_bpm", "pulse_bpm"),
    settings={"limit_bpm": 40.0, "delay_s": 10.0, "hold_s": HOLD_S},
    limits={"limit_bpm": (20.0, 60.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=below(NAME),
    source="clinical.md 6.3: HR < 40, 10 s, high",
    category=Category.CARDIOVASCULAR,
)
