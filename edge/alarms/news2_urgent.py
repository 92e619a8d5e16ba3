"""NEWS2 of five or six, or three points in a single parameter, for certain.

Present when the lower bound is at or above (``>=``) ``n_points``, or one parameter has three
points, for ``delay_s`` or longer; what ends it and what cannot be told: `edge.alarms._news2`.
`news2_emergency` goes on beside it: two limits with two priorities are two rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.alarms import Rule
from edge.alarms._news2 import LIMITS, NEEDS, SETTINGS, Seen, lasting
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "news2_urgent"


def judge(now: Seen, made_by: Sequence[str], settings: Mapping[str, float]) -> bool | None:
    """Compare what is certain, and what could be, with the limit; see the module."""
    if now.lower >= settings["n_points"] or now.n_red > 0.0:
        return True
    # A single missing value may be three points, whatever the sum is.
    if now.n_missing == 0.0 or (made_by and not now.unseen(made_by)):
        return False
    return None


RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.LOW,
    latching=False,
    every_s=SECOND_S,
    needs=NEEDS,
    settings={"n_points": 5.0, **SETTINGS},
    limits={"n_points": (3.0, 7.0), **LIMITS},
    start=None,
    step=lasting(NAME, judge),
    source="clinical.md 6.1, 6.3: NEWS2 5-6 or a single 3, persistent, low; RCP 2017",
    category=Category.GENERAL,
)
