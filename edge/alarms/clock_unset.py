"""The box does not know what time it is.

A Pi has no clock of its own that runs while it is off. Present while ``clock_synced_flag`` is 0:

- the clock was never set since the box was switched on (``clock_set_flag`` is 0): the date itself
  may be wrong, and so may every time in the record; medium priority, as clinical.md 6.3 has it for
  a clock that is not valid. In the first ``boot_s`` after the box was switched on it is not told:
  the time servers have not been asked yet.
- it was set, and no time server has answered for hours (the kernel says so after about nine): it
  goes on with at most 9 s a day of error; low priority.

Alarms themselves need no date: their order and their delays are by the boot clock. What the box
does by the hour (a quieter night, a self-test in the morning) does not happen at the right time.

Priority (clinical.md 6.2): a wrong time in the record leads to a wrong decision later: delayed, and
at most reversible: LOW; where even the date may be wrong clinical.md 6.3 says MEDIUM.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule, Scope
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "clock_unset"

NEVER = (
    "the box does not know the date and the time: times in the record may be wrong, and the night "
    "is as loud as the day; connect it to the network for a minute, or set the clock by hand"
)
NOT_LATELY = (
    "no time server has answered the box for hours: its clock goes wrong by some seconds a day; "
    "see that the network is there"
)


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Say whether the wall clock can be relied on; see the module."""
    at_s, get = seen.end_s, seen.values.get
    synced = get("clock_synced_flag", nan)
    if isnan(synced):
        return state, Finding(seen.patient, NAME, at_s, None, "nothing tells of the clock")
    if synced != 0.0:
        return state, Finding(seen.patient, NAME, at_s, False, "the clock is set")  # noqa: FBT003
    if get("clock_set_flag", 0.0) != 0.0:
        evidence = {"clock_synced_flag": synced}
        return state, Finding(
            seen.patient, NAME, at_s, True, NOT_LATELY, evidence, Priority.LOW  # noqa: FBT003
        )  # fmt: skip
    if at_s < settings["boot_s"]:
        return state, Finding(seen.patient, NAME, at_s, None, "the clock is being set")
    evidence = {"clock_set_flag": 0.0}
    return state, Finding(seen.patient, NAME, at_s, True, NEVER, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"boot_s": 90.0},
    limits={"boot_s": (0.0, 300.0)},
    start=None,
    step=step,
    source="clinical.md 6.3: clock invalid, medium technical; security-safety.md H11",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
