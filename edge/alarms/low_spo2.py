"""Low oxygen saturation that lasts.

Present when ``spo2_pct`` is strictly below ``limit_pct`` for ``delay_s`` or longer: with the
defaults 87 % for 15 s is, 88 % for an hour is not.
No reading (NaN: none yet, or none within 10 s) is None, never False.

Lowering the limit from 90 to 88 % takes away 63 % of the alarms, a delay of 15 s at 90 % takes
away 60 % (Masimo, 32 million points of 10 hospitals; clinical.md 6.5).
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._limit import Watched, below
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "low_spo2"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("spo2_pct",),
    settings={"limit_pct": 88.0, "delay_s": 15.0, "hold_s": HOLD_S},
    limits={"limit_pct": (80.0, 95.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=below(Watched(NAME, "spo2_pct", "SpO2", "%", "limit_pct")),
    source="clinical.md 6.3: SpO2 low, < 88-90 %, 15 s, medium; evidence 6.5",
    category=Category.OXYGENATION,
    prompt=True,
)
