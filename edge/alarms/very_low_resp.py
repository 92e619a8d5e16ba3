"""Very slow breathing that lasts.

Present when ``resp_brpm`` is strictly below ``limit_brpm`` for ``delay_s`` or longer: with the
defaults 7 a minute for 15 s is, 8 a minute for an hour is not.
No rate (NaN: no sensor that tells one, and no breathing wave) is None, never False.

`low_resp` goes on beside it; no breath at all is `no_breath`'s.
"""

from __future__ import annotations

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S
from edge.alarms._limit import Watched, below
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "very_low_resp"

RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=False,
    every_s=SECOND_S,
    needs=("resp_brpm", "resp_au"),
    settings={"limit_brpm": 8.0, "delay_s": 15.0, "hold_s": HOLD_S},
    limits={"limit_brpm": (3.0, 12.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=below(Watched(NAME, "resp_brpm", "respiration rate", "/min", "limit_brpm")),
    source="clinical.md 6.3: RR < 8, 15 s, high",
    category=Category.VENTILATION,
)
