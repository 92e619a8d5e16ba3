"""People who are not in the room cannot be told.

Present when what sends the notices has failed for ``delay_s`` or longer (``>=``):
``notices_fails_s``. None where nobody is to be told.

Priority (clinical.md 6.2): the box still calls at the bed. Harm needs an alarm that nobody in the
room answers: delayed, death possible: MEDIUM.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms import Rule, Scope
from edge.alarms._failing import failing
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "cannot_notify"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Say for how long notices have not gone out; see the module."""
    found = failing(("notices_fails_s",), seen.values, settings["delay_s"])
    if not found.for_s:
        reason = "notices go out" if found.present is False else "nothing tells of the notices"
        return state, Finding(seen.patient, NAME, seen.end_s, found.present, reason)
    (for_s,) = found.for_s.values()
    reason = (
        f"notices have not gone out for {for_s:.0f} s: who is not in the room is not told of an "
        "alarm; stay within hearing, and see that the network is there (homeward notify --test)"
    )
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, found.for_s)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"delay_s": 3.0},
    limits={"delay_s": (0.0, 600.0)},
    start=None,
    step=step,
    source="security-safety.md H14; users-ask.md 2; clinical.md 6.2: may not rely on delivery",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
