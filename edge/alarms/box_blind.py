"""The box cannot look at itself.

Present when a look at a part of the box (its disk, its power supply and temperature) has not come
back for ``delay_s`` or longer (``>=``): ``look_fails_s:<name>``. A disk that hangs does just that:
it neither works nor says that it fails. What that look would have told is not known meanwhile.

Each look is a fault of its own. Priority (clinical.md 6.2): as `cannot_record`, whose cause it is
most often: MEDIUM.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms import Rule, Scope
from edge.alarms._failing import failing, named
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "box_blind"

PREFIX = "look_fails_s:"
WORDS = {"disk": "its disk does not answer", "hardware": "its power and heat cannot be read"}


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name the looks that have not come back; see the module."""
    found = failing(named(PREFIX, seen.values), seen.values, settings["delay_s"])
    if not found.for_s:
        reason = "the box sees itself" if found.present is False else "nothing tells of the box"
        return state, Finding(seen.patient, NAME, seen.end_s, found.present, reason)
    said = " and ".join(
        WORDS.get(name.removeprefix(PREFIX), name) for name in found.for_s
    )  # fmt: skip
    reason = (
        f"the box cannot look at itself: {said} (for {max(found.for_s.values()):.0f} s); alarms go "
        "on; if it lasts, start the box again, and replace the card if it comes back"
    )
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, found.for_s)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"delay_s": 6.0},
    limits={"delay_s": (2.0, 60.0)},
    start=None,
    step=step,
    source="reliability-targets.md A2, W1: what hangs is found; security-safety.md H1",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
