"""The last self-test of the alarm path found something that does not work.

Present until a self-test passes (`edge.selftest`). Each part that failed is in the evidence by its
name, so that a second failure is news even while the first is answered (hazard H6). False after a
test that passed; None where none was told of.

Priority (clinical.md 6.2): what failed is on the way from a sensor to an ear, so the next alarm may
not be heard: delayed, death possible: MEDIUM. Where nothing but the clock failed, every alarm still
sounds at once and only its time of day may be wrong: LOW. A box that lives without a network has no
other fault than that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule, Scope
from edge.events import TEST_FAILED
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "self_test_failed"
MILD = frozenset({"clock"})
"""Parts without which every alarm still sounds."""


def step(
    state: None, seen: Features, _score: Score | None, _settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name what failed; see the module."""
    at_s = seen.end_s
    known = seen.values.get("selftest_known_flag", nan)
    if isnan(known) or known == 0.0:
        return state, Finding(seen.patient, NAME, at_s, None, "no self-test is known of")
    failed = sorted(
        name.removeprefix(TEST_FAILED) for name in seen.values if name.startswith(TEST_FAILED)
    )
    if not failed:
        return state, Finding(seen.patient, NAME, at_s, False, "the self-test passed")  # noqa: FBT003
    mild = MILD.issuperset(failed)
    harm = "alarms sound, their times may be wrong" if mild else "an alarm may not be heard"
    reason = (
        f"the self-test of the alarm path failed: {', '.join(failed)}; {harm}; "
        "homeward doctor --alarm-path says what mends it"
    )
    priority = Priority.LOW if mild else None
    evidence = dict.fromkeys(failed, 1.0)
    return state, Finding(seen.patient, NAME, at_s, True, reason, evidence, priority)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={},
    limits={},
    start=None,
    step=step,
    source="clinical.md 6.3: box, speaker: low to medium until fixed; users-ask.md 4.8",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
