"""The power supply gives the box too little voltage.

Present while ``undervoltage_flag`` is 1, and for ``hold_s`` after it was: dips come and go with
what the box does just then, and many dips are one fault. A box whose supply sags starts itself anew
without a word, and writes that were under way may damage the card.

Priority (clinical.md 6.2): the box may stop watching at any moment and nobody would be told by it.
Death is possible, and delayed: MEDIUM. There is no lesser stage: a supply that once was too weak is
too weak.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from typing import TypeAlias

from edge.alarms import Rule, Scope
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "under_voltage"

State: TypeAlias = float | None
"""When it was last seen to be so; None: never."""

REASON = (
    "the box gets too little power: it may switch itself off without a word; use the power supply "
    "made for it, with its own cable, and take away what is plugged into its USB ports"
)


def step(
    state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[State, Finding]:
    """Say whether the supply is, or was a moment ago, too weak; see the module."""
    at_s = seen.end_s
    flag = seen.values.get("undervoltage_flag", nan)
    if isnan(flag):
        return state, Finding(seen.patient, NAME, at_s, None, "nothing tells of the power supply")
    if flag != 0.0:
        state = at_s
    # A boot clock that went back: it was another boot.
    if state is None or not 0.0 <= at_s - state < settings["hold_s"]:
        return None, Finding(seen.patient, NAME, at_s, False, "enough power")  # noqa: FBT003
    evidence = {"undervoltage_flag": 1.0}
    return state, Finding(seen.patient, NAME, at_s, True, REASON, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"hold_s": 60.0},
    limits={"hold_s": (5.0, 600.0)},
    start=None,
    step=step,
    source="security-safety.md H21; clinical.md 6.3: box, medium until fixed; hold: judgement",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
