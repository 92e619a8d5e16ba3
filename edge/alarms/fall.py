"""Somebody fell and lies still.

Present while the last half minute holds a moment without weight, an impact of ``impact_g`` or more
(``>=``) within a second, and then, ten seconds on, a body that is turned out of the upright (at
most ``upright_g`` of gravity along what was vertical before) and moves no more than ``moving_g``.
See `edge.features.fall` for the source, and for the falls it cannot see.

**Off by default.** It was never measured on a real fall: the published figures are of intentional
falls of three people, and here there are simulated traces only. Whoever switches it on
(``[alarms.fall] enabled = true``) should expect both misses and false alarms, and wear the sensor
on the trunk. A sensor that says that it is off the body tells nothing of whoever wore it: None. No
decoder here knows a help button; where one sends a press, that is the better alarm.

Latching: somebody who was found on the floor and got up is still something a person has to know of.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "fall"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Compare what the last half minute holds with the thresholds; see the module."""
    values, at_s = seen.values, seen.end_s
    if values.get("lead_off_flag", nan) == 1.0 or values.get("contact_flag", nan) == 0.0:
        return state, Finding(seen.patient, NAME, at_s, None, "the sensor is not on the body")
    names = ("fall_impact_g", "fall_upright_g", "fall_moving_g")
    impact_g, upright_g, moving_g = (values.get(name, nan) for name in names)
    if isnan(impact_g) or isnan(upright_g) or isnan(moving_g):
        return state, Finding(seen.patient, NAME, at_s, None, "no acceleration to see a fall in")
    lies = upright_g <= settings["upright_g"] and moving_g <= settings["moving_g"]
    if not (lies and impact_g >= settings["impact_g"]):
        return state, Finding(seen.patient, NAME, at_s, False, "no fall")  # noqa: FBT003
    reason = f"a fall: an impact of {impact_g:.1f} g, and lying still for ten seconds"
    evidence = {"impact_g": impact_g, "upright_g": upright_g, "moving_g": moving_g}
    return state, Finding(seen.patient, NAME, at_s, True, reason, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=True,
    every_s=SECOND_S,
    needs=("accel_g",),
    settings={"impact_g": 2.0, "upright_g": 0.5, "moving_g": 0.1},
    limits={"impact_g": (1.5, 6.0), "upright_g": (0.0, 0.9), "moving_g": (0.02, 0.5)},
    start=None,
    step=step,
    source="clinical.md 6.3: fall, high, latching; thresholds after doi:10.1016/"
    "j.gaitpost.2008.01.003 [mem], stillness [own]; not measured on any real fall",
    category=Category.GENERAL,
    enabled=False,
)
