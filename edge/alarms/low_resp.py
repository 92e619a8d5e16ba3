"""Slow breathing that lasts.

Present when ``resp_brpm`` is strictly below ``limit_brpm`` for ``delay_s`` or longer: with the
defaults 9 a minute for 15 s is, 10 a minute for an hour is not.
No rate (NaN: no sensor that tells one, and no breathing wave) is None, never False.

`very_low_resp` is the same with a harder limit and a higher priority.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._limit import Watched, below
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "low_resp"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("resp_brpm", "resp_au"),
    settings={"limit_brpm": 10.0, "delay_s": 15.0, "hold_s": HOLD_S},
    limits={"limit_brpm": (4.0, 14.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=below(Watched(NAME, "resp_brpm", "respiration rate", "/min", "limit_brpm")),
    source="clinical.md 6.3: RR < 10, 15 s, medium",
    category=Category.VENTILATION,
)
