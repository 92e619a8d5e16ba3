"""Alerts wait too long to leave the box.

Present when the oldest alert without a receipt has waited for ``bad_s`` or longer (``>=``): low
priority; for ``worse_s``: medium. None where nothing is to leave the box, which is the default.

Being without a network is no fault: the box is made for it, and what waits is sent later, whole and
in order. After an hour whoever relies on the far end should know that it does not know.

Priority (clinical.md 6.2): the box calls at the bed; delayed: LOW. After half a day somebody relies
on a far end that has seen no alarm of the night: MEDIUM, as clinical.md 6.3 has it for the box.
"""

from __future__ import annotations

from edge.alarms import Rule, Scope
from edge.alarms._graded import FINE, Graded, graded
from edge.records import SECOND_S, Category, Kind, Priority

NAME = "sync_stale"


def words(value: float, _grade: int) -> str:
    """Return what a carer reads."""
    return (
        f"alerts have waited for {value / 3600.0:.1f} h to leave the box: who follows from "
        "elsewhere does not see them; see that the network is there (homeward status)"
    )


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"bad_s": 3600.0, "worse_s": 43200.0, "margin_s": 60.0},
    limits={"bad_s": (60.0, 86400.0), "worse_s": (120.0, 604800.0), "margin_s": (0.0, 600.0)},
    start=FINE,
    step=graded(
        Graded(
            NAME,
            "unsent_s",
            "bad_s",
            "worse_s",
            "margin_s",
            1.0,
            words,
            "what should leave the box has left it",
            "nothing is to leave the box",
        )
    ),
    source="security-safety.md H14: sync stale alarm locally; the spans are judgement",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
