"""Little room is left on the disk that holds the records.

Present when ``disk_free_pct`` is at or below (``<=``) ``bad_pct``: low priority; at or below
``worse_pct``: medium. Over when it is ``margin_pct`` better than the limit. When the disk is full
nothing more is kept; alarms go on (`cannot_record` speaks then).

Priority (clinical.md 6.2): nobody is harmed by a disk that fills; what is lost is the record, and
with it the proof of what alarmed. Delayed, and at most a reversible injury by a decision made
without it: LOW. With 5 % left a night may fill it, and that night is what is looked at next
morning: MEDIUM, as clinical.md 6.3 has it (box: low, then medium, until fixed).
"""

from __future__ import annotations

from edge.alarms import Rule, Scope
from edge.alarms._graded import FINE, Graded, graded
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "disk_low"


def words(value: float, _grade: int) -> str:
    """Return what a carer reads."""
    return (
        f"only {value:.0f} % of the box's disk is free: when it is full nothing more is recorded "
        "(alarms go on); delete what is not needed, or put in a larger card"
    )


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"bad_pct": 10.0, "worse_pct": 5.0, "margin_pct": 2.0},
    limits={"bad_pct": (2.0, 50.0), "worse_pct": (1.0, 49.0), "margin_pct": (0.5, 10.0)},
    start=FINE,
    step=graded(
        Graded(
            NAME,
            "disk_free_pct",
            "bad_pct",
            "worse_pct",
            "margin_pct",
            -1.0,
            words,
            "there is room on the disk",
            "nothing tells how full the disk is",
        )
    ),
    source="clinical.md 6.3: box: disk, low -> medium until fixed; security-safety.md H13",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
