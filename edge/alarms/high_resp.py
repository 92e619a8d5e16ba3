"""Fast breathing that lasts.

Present when ``resp_brpm`` is strictly above ``limit_brpm`` for ``delay_s`` or longer: with the
defaults 25 a minute for 15 s is, 24 a minute for an hour is not.
No rate (NaN: no sensor that tells one, and no breathing wave) is None, never False.

`very_high_resp` is the same with a harder limit and a higher priority.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._limit import Watched, above
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "high_resp"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("resp_brpm", "resp_au"),
    settings={"limit_brpm": 24.0, "delay_s": 15.0, "hold_s": HOLD_S},
    limits={"limit_brpm": (18.0, 40.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=above(Watched(NAME, "resp_brpm", "respiration rate", "/min", "limit_brpm")),
    source="clinical.md 6.3: RR > 24, 15 s, medium",
    category=Category.VENTILATION,
)
