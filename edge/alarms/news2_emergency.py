"""NEWS2 of seven or more, for certain.

Present when the lower bound is at or above (``>=``) ``n_points`` for ``delay_s`` or longer; what
ends it and what cannot be told: `edge.alarms._news2`. The hospital's answer to such a score is an
emergency team and continuous monitoring; here a carer should ring for help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.alarms import Rule
from edge.alarms._news2 import LIMITS, NEEDS, SETTINGS, Seen, lasting
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "news2_emergency"


def judge(now: Seen, made_by: Sequence[str], settings: Mapping[str, float]) -> bool | None:
    """Compare what is certain, and what could be, with the limit; see the module."""
    limit = settings["n_points"]
    if now.lower >= limit:
        return True
    if now.upper < limit or (made_by and now.lower + now.unseen(made_by) < limit):
        return False
    return None


RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=NEEDS,
    settings={"n_points": 7.0, **SETTINGS},
    limits={"n_points": (5.0, 12.0), **LIMITS},
    start=None,
    step=lasting(NAME, judge),
    source="clinical.md 6.1, 6.3: NEWS2 >= 7, persistent, medium; RCP 2017 response table",
    category=Category.GENERAL,
)
