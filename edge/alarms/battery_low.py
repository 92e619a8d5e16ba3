"""The battery of a sensor is nearly empty.

Present when the charge a sensor tells of is at or below (``<=``) ``bad_pct``: low priority; at or
below ``worse_pct``: medium. Over when it is ``margin_pct`` better (charged, or a new battery). Each
sensor is a fault of its own, named as people named it: ``battery_pct:<sensor>``. What a sensor said
last counts until it says something else: a sensor that has gone silent has not been charged. A
sensor that was removed is not looked at any more.

Priority (clinical.md 6.2): when it is empty the patient is not watched any more, and then
`signal_lost` says so. At 20 % that is days or hours away and the day's end is early enough: LOW. At
10 % it may be this night: death is possible, delayed: MEDIUM. The shares are judgement: 20 % is
where phones and straps begin to ask for a charge, and coin cells fall steeply below 10 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TypeAlias

from edge.alarms import Rule
from edge.alarms._failing import named
from edge.alarms._graded import FINE, Grade, grade, priority_of
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "battery_low"

PREFIX = "battery_pct:"
WHAT_TO_DO = "an empty sensor watches nobody; charge it, or put in a new battery"

State: TypeAlias = Mapping[str, Grade]
"""Name of each charge -> how low it is."""


def step(
    state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[State, Finding]:
    """Name the sensors whose battery is low; see the module."""
    limits, margin = (settings["bad_pct"], settings["worse_pct"]), settings["margin_pct"]
    charges = {n: v for n in named(PREFIX, seen.values) if isfinite(v := seen.values[n])}
    state = {n: grade(v, state.get(n, FINE), limits, margin, -1.0) for n, v in charges.items()}
    low = {name: pct for name, pct in charges.items() if state[name] != FINE}
    if not low:
        reason = "no battery is low"
        return state, Finding(seen.patient, NAME, seen.end_s, False, reason)  # noqa: FBT003
    said = ", ".join(f"{n.removeprefix(PREFIX)} is down to {v:.0f} %" for n, v in low.items())
    reason = f"the battery of {said}: {WHAT_TO_DO}"
    priority = priority_of(max(state.values()))
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, low, priority)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("battery_pct",),
    settings={"bad_pct": 20.0, "worse_pct": 10.0, "margin_pct": 5.0},
    limits={"bad_pct": (2.0, 60.0), "worse_pct": (1.0, 50.0), "margin_pct": (1.0, 20.0)},
    start={},
    step=step,
    source="clinical.md 6.3: battery, low -> medium until fixed; reliability-targets.md A2",
    category=Category.EQUIPMENT,
)
