"""A sensor that spoke again and again is silent, though others still bring what it brought.

`signal_lost` watches signals: of two clips that bring an SpO2 one may die, and the SpO2 still
comes. And nobody waits there for a signal such as the glucose of a sensor in the skin. So each
sensor is listened for by itself: ``silent_s:<sensor>``, and the rhythm it speaks in,
``rhythm_s:<sensor>``. What `signal_lost` tells of is left to it: one fault, one alert.

Present when a sensor has been silent for longer than ``limit_s`` and longer than ``n_missed`` times
its rhythm (``>``): one that speaks every second after 8 s, a glucose sensor that speaks every five
minutes after a quarter of an hour. A sensor that was removed, or is another patient's now, is not
listened for. A measurement of its own (a scale, a cuff) makes no rhythm.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from edge.alarms import Rule
from edge.alarms._failing import named
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "sensor_silent"

PREFIX, RHYTHM = "silent_s:", "rhythm_s:"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name the sensors that are silent for too long; see the module."""
    values = seen.values
    limit_s, n_missed = settings["limit_s"], settings["n_missed"]
    silent: dict[str, float] = {}
    for name in named(PREFIX, values):
        rhythm_s = values.get(RHYTHM + name.removeprefix(PREFIX), inf)
        # A comparison with NaN is false.
        if values[name] > max(limit_s, n_missed * rhythm_s):
            silent[name] = values[name]
    if not silent:
        reason = "every sensor speaks"
        return state, Finding(seen.patient, NAME, seen.end_s, False, reason)  # noqa: FBT003
    said = ", ".join(f"{n.removeprefix(PREFIX)} for {v:.0f} s" for n, v in silent.items())
    reason = (
        f"nothing from {said}: what it measures is not watched; see that it is on, charged and "
        "near the box (homeward devices)"
    )
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, silent)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"limit_s": 8.0, "n_missed": 3.0},
    limits={"limit_s": (3.0, 60.0), "n_missed": (2.0, 10.0)},
    start=None,
    step=step,
    source="reliability-targets.md A2: stop each sensor, 10 s; users-ask.md 1; H2, H16",
    category=Category.EQUIPMENT,
)
