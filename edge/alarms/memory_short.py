"""The box has little memory left.

Present when ``memory_free_pct`` (what could be had without swapping, of all there is) is at or
below (``<=``) ``bad_pct``: low priority; at or below ``worse_pct``: medium. Over when it is
``margin_pct`` better than the limit. The next program that asks for more may be ended by the
kernel, and that may be the monitor (hazard H22).

Priority (clinical.md 6.2): as `over_heat`. The limits are judgement: 5 % of the smallest box
(512 MB) is what one more process takes.
"""

from __future__ import annotations

from edge.alarms import Rule, Scope
from edge.alarms._graded import FINE, Graded, graded
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "memory_short"


def words(value: float, _grade: int) -> str:
    """Return what a carer reads."""
    return (
        f"only {value:.0f} % of the box's memory is free: the monitor may be ended for want of it; "
        "end other programs on the box, or start it again"
    )


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"bad_pct": 8.0, "worse_pct": 5.0, "margin_pct": 3.0},
    limits={"bad_pct": (2.0, 50.0), "worse_pct": (1.0, 49.0), "margin_pct": (0.5, 10.0)},
    start=FINE,
    step=graded(
        Graded(
            NAME,
            "memory_free_pct",
            "bad_pct",
            "worse_pct",
            "margin_pct",
            -1.0,
            words,
            "there is memory left",
            "nothing tells how much memory is left",
        )
    ),
    source="security-safety.md H22; reliability-targets.md W2; the limits are judgement",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
