"""Little room is left on the disk that holds the records.

Present when ``disk_free_pct`` is at or below (``<=``) ``bad_pct``: low priority; at or below
``worse_pct``: medium. Over when it is ``margin_pct`` better than the limit. Medium as well while
``rationed_flag`` is not 0: there is so little room that of what is new only alarms are recorded
(`edge.store.floors`). When not even they can be kept `cannot_record` speaks; alarms go on.

Priority (clinical.md 6.2): nobody is harmed by a disk that fills; what is lost is the record, and
with it the proof of what alarmed. Delayed, and at most a reversible injury by a decision made
without it: LOW. With 5 % left a night may fill it, and that night is what is looked at next
morning: MEDIUM, as clinical.md 6.3 has it (box: low, then medium, until fixed).
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms import Rule, Scope
from edge.alarms._graded import FINE, Grade, Graded, graded
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "disk_low"


def words(value: float, _grade: int) -> str:
    """Return what a carer reads."""
    return (
        f"only {value:.0f} % of the box's disk is free: when it is full only alarms are recorded; "
        "delete what is not needed, or put in a larger card"
    )


_by_share = graded(
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
)


def step(
    state: Grade, seen: Features, score: Score | None, settings: Mapping[str, float]
) -> tuple[Grade, Finding]:
    """Compare the free share with the limits, and ask whether records are held back."""
    state, found = _by_share(state, seen, score, settings)
    if not seen.values.get("rationed_flag", 0.0) > 0.0:
        return state, found
    reason = (
        "the box's disk is full: alarms go on and are recorded, other records wait or are given "
        "up; delete what is not needed, or put in a larger card"
    )
    evidence = {**found.evidence, "rationed_flag": 1.0}
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, evidence)  # noqa: FBT003


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
    step=step,
    source="clinical.md 6.3: box: disk, low -> medium until fixed; security-safety.md H13",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
