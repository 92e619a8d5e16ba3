"""Nobody has tested the alarm path for too long.

Present when the last self-test that came to its end is older than ``limit_s`` (``>``), low
priority, and older than ``worse_s``, medium; where there was none, since the monitor was started.
The daily test may be put off by some hours while an alarm sounds, so 26 h is the day and those.
Whether the last one passed does not count here: that is `self_test_failed`. None where the box
tells nothing of self-tests.

Priority (clinical.md 6.2): nothing is known to be wrong; something may be: LOW. After another day
the test itself does not work, and nobody is told of what it would find: MEDIUM.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule, Scope
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "self_test_overdue"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Compare the age of the last self-test with the limits; see the module."""
    at_s = seen.end_s
    age_s = seen.values.get("selftest_age_s", nan)
    if isnan(age_s):
        return state, Finding(seen.patient, NAME, at_s, None, "nothing is told of self-tests")
    if age_s <= settings["limit_s"]:
        return state, Finding(seen.patient, NAME, at_s, False, "the self-test is fresh")  # noqa: FBT003
    ever = "" if seen.values.get("selftest_known_flag", nan) == 1.0 else " (and never before)"
    reason = (
        f"the alarm path has not been tested for {age_s / 3600.0:.0f} h{ever}: whether an alarm "
        "would be heard is not known; run homeward doctor --alarm-path"
    )
    priority = None if age_s > settings["worse_s"] else Priority.LOW
    # One fault, whichever limit it has reached.
    evidence = {"selftest_age_s": age_s}
    return state, Finding(seen.patient, NAME, at_s, True, reason, evidence, priority)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"limit_s": 93_600.0, "worse_s": 180_000.0},
    limits={"limit_s": (3600.0, 604_800.0), "worse_s": (7200.0, 1_209_600.0)},
    start=None,
    step=step,
    source="clinical.md 6.3: box, self-test overdue: low to medium until fixed; users-ask.md 4.8",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
