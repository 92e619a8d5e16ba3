"""People who are not in the room cannot be told.

Present when what sends the notices is gone, or has something to send and cannot, for ``delay_s`` or
longer (``>=``): ``notices_fails_s``. A way that cannot be reached while it has nothing to send
(``idle_way_fails_s``) has ``idle_delay_s``: lines are cut anew in the night, and by that nobody is
left untold. None where nobody is to be told.

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
    idle = failing(("idle_way_fails_s",), seen.values, settings["idle_delay_s"])
    for_s = {**found.for_s, **idle.for_s}
    if not for_s:
        present = None if idle.pending else found.present
        reason = "notices go out" if present is False else "nothing tells of the notices"
        return state, Finding(seen.patient, NAME, seen.end_s, present, reason)
    reason = (
        f"notices cannot go out for {max(for_s.values()):.0f} s: who is not in the room is not "
        "told of an alarm; stay within hearing, and see that the network is there "
        "(homeward notify --test)"
    )
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, for_s)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"delay_s": 3.0, "idle_delay_s": 300.0},
    limits={"delay_s": (0.0, 600.0), "idle_delay_s": (0.0, 3600.0)},
    start=None,
    step=step,
    source="security-safety.md H14; users-ask.md 2; clinical.md 6.2: may not rely on delivery",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
