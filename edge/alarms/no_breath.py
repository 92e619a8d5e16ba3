"""No breath in a breathing wave that could show one.

Present when the last breath is ``limit_s`` old or older (``>=``). Only a wave can show it: a sensor
that merely tells a rate is no proof that nobody breathes. ``breath_age_s`` is known only while a
wave comes that has shown breaths before (`edge.dsp.breaths`); otherwise, and while an electrode is
known to be off (a chest impedance is measured through it), the answer is None; once it is on again,
the absence counts from then.

A hole in the wave in the midst of a pause is no breath: that it is over is said only once one was
seen (``last_breath_age_s``); until then the answer is None.

Latching: a pause that is over is still something a person has to know of.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from typing import TypeAlias

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "no_breath"


State: TypeAlias = float | None
"""When an electrode was last seen to be off; None: never."""


def step(
    state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[State, Finding]:
    """Compare the age of the last breath with its limit; see the module."""
    at_s, values = seen.end_s, seen.values
    if values.get("lead_off_flag", nan) == 1.0:
        return at_s, Finding(seen.patient, NAME, at_s, None, "electrode off")
    breath_age_s = values.get("breath_age_s", nan)
    if isnan(breath_age_s):
        return state, Finding(seen.patient, NAME, at_s, None, "no breathing wave to see breaths in")
    if state is not None and at_s >= state:
        breath_age_s = min(breath_age_s, at_s - state)
    limit_s = settings["limit_s"]
    if breath_age_s < limit_s:
        if not values.get("last_breath_age_s", nan) < limit_s:
            reason = "no breath seen yet since the wave came back"
            return state, Finding(seen.patient, NAME, at_s, None, reason)
        return state, Finding(seen.patient, NAME, at_s, False, "breathes")  # noqa: FBT003
    reason = f"no breath for {breath_age_s:.0f} s, limit {limit_s:g} s"
    evidence = {"breath_age_s": breath_age_s, "limit_s": limit_s}
    return state, Finding(seen.patient, NAME, at_s, True, reason, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=True,
    every_s=SECOND_S,
    needs=("resp_au",),
    settings={"limit_s": 30.0},
    limits={"limit_s": (15.0, 60.0)},
    start=None,
    step=step,
    source="clinical.md 6.3: no breath 30 s, only with a real waveform, high, latching",
    category=Category.VENTILATION,
)
