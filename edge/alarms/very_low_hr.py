"""Very slow heart that lasts.

Present when ``hr_bpm`` is strictly below ``limit_bpm`` for ``delay_s`` or longer: with the
defaults 39 bpm for 10 s is, 40 bpm for an hour is not.
No rate (NaN: no usable ECG and no strap) is None, never False.

A heart that does not beat at all is `asystole`'s.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._limit import Watched, below
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "very_low_hr"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "hr_bpm"),
    settings={"limit_bpm": 40.0, "delay_s": 10.0, "hold_s": HOLD_S},
    limits={"limit_bpm": (20.0, 60.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=below(Watched(NAME, "hr_bpm", "heart rate", "bpm", "limit_bpm")),
    source="clinical.md 6.3: HR < 40, 10 s, high",
    category=Category.CARDIOVASCULAR,
)
