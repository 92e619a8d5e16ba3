"""A sensor that says itself that it is not on the body.

Present when ``lead_off_flag`` is 1, or ``contact_flag`` is 0, for ``delay_s`` or longer
(``>=``). Each flag is counted on its own; one that was off and cannot be read any more keeps
the rule from saying False. Where several sensors say so each is in the evidence, so that one more
is a new condition for `edge.alerts` even while the first is acknowledged (hazard H6).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S, Lasting, met, unmet
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "lead_off"

FLAGS = (("lead_off_flag", 1.0, "ECG lead off"), ("contact_flag", 0.0, "sensor without contact"))
"""Name of the flag, the value that means off, and what a carer reads."""

State: TypeAlias = tuple[Lasting, ...]
"""One count a flag, in the order of `FLAGS`, and then one of a second sensor that says so."""


def step(
    state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[State, Finding]:
    """Count how long each flag has said off; see the module."""
    at_s = seen.end_s
    get = seen.values.get
    told = False
    unsure = False
    present = False
    counts: list[Lasting] = []
    off: list[str] = []
    evidence: dict[str, float] = {}
    more: list[Lasting] = []
    for (name, off_value, words), before, second in zip(
        FLAGS, state[: len(FLAGS)], state[len(FLAGS) :], strict=True
    ):
        count = before
        value = get(name, math.nan)
        n_off = int(get(f"n_{name}", 1.0)) if value == off_value else 0
        if value == off_value:
            count, lasted_s, lasted = met(before, at_s, settings["delay_s"], settings["hold_s"])
            present = present or lasted
            off.append(f"{words} for {lasted_s:.0f} s")
            evidence[name] = value
        elif math.isnan(value):
            unsure = unsure or before is not None
        else:
            told = True
            count = unmet(before, at_s, settings["hold_s"])
        counts.append(count)
        if n_off > 1:
            again, _, lasted = met(second, at_s, settings["delay_s"], settings["hold_s"])
            if lasted:
                off.append(f"{n_off} sensors say so")
                evidence |= {f"{name}_{i}": value for i in range(2, n_off + 1)}
        else:
            again = second if math.isnan(value) else unmet(second, at_s, settings["hold_s"])
        more.append(again)
    counts += more
    if off:
        found = present or None
        return tuple(counts), Finding(seen.patient, NAME, at_s, found, ", ".join(off), evidence)
    if unsure or not told:
        return tuple(counts), Finding(seen.patient, NAME, at_s, None, "no sensor tells")
    return tuple(counts), Finding(seen.patient, NAME, at_s, False, "sensors on")  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("lead_off_flag", "contact_flag"),
    settings={"delay_s": 3.0, "hold_s": HOLD_S},
    limits={"delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=(None,) * (2 * len(FLAGS)),
    step=step,
    source="clinical.md 6.3: sensor off, medium technical; 10 s target A2 leaves room for 3 s",
    category=Category.EQUIPMENT,
)
