"""Very low oxygen saturation that lasts.

Present when ``spo2_pct`` is strictly below ``limit_pct`` for ``delay_s`` or longer: with the
defaults 84 % for 10 s is, 85 % for an hour is not.
No reading (NaN: none yet, or none within 10 s) is None, never False.

`low_spo2` goes on beside it: two limits with two priorities are two rules.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._limit import Watched, below
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "very_low_spo2"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=False,
    every_s=SECOND_S,
    needs=("spo2_pct",),
    settings={"limit_pct": 85.0, "delay_s": 10.0, "hold_s": HOLD_S},
    limits={"limit_pct": (70.0, 92.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=below(Watched(NAME, "spo2_pct", "SpO2", "%", "limit_pct")),
    source="clinical.md 6.3: SpO2 very low, < 85 %, 10 s, high",
    category=Category.OXYGENATION,
    prompt=True,
)
