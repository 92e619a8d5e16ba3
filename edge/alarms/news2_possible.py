"""NEWS2 that could be seven or more, with hardly anything missing.

Present when the upper bound is at or above (``>=``) ``n_points`` for ``delay_s`` or longer while at
most ``n_missing`` parameters are not known: with more of them missing every patient could be ill,
and that is no news (None). Low priority only: a carer may measure what is missing, enter it, and so
end it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.alarms import Rule
from edge.alarms._news2 import LIMITS, NEEDS, SETTINGS, Seen, lasting
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "news2_possible"


def judge(now: Seen, made_by: Sequence[str], settings: Mapping[str, float]) -> bool | None:  # noqa: ARG001
    """Compare what could be with the limit; see the module."""
    if now.upper < settings["n_points"]:
        return False
    if now.lower >= settings["n_points"]:
        return None  # it is certain: `news2_emergency` says so, and one cause makes one alert
    return True if now.n_missing <= settings["n_missing"] else None


RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.LOW,
    latching=False,
    every_s=SECOND_S,
    needs=NEEDS,
    settings={"n_points": 7.0, "n_missing": 1.0, **SETTINGS},
    limits={"n_points": (5.0, 12.0), "n_missing": (0.0, 3.0), **LIMITS},
    start=None,
    step=lasting(NAME, judge),
    source="clinical.md 6.1: alarm on the upper bound only as low priority",
    category=Category.GENERAL,
)
