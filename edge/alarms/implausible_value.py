"""A value that cannot be true keeps coming from a sensor.

What lies outside all that can be measured (`edge.dsp.plausible`) is left out before any limit sees
it, and with it whatever it stood for: the patient's number is blank and no limit can be reached.
One such value is noise on a line. Present when they came in ``n_seconds`` or more of the last
``span_s`` seconds, over when they came in fewer. Each sensor and signal is a fault of its own:
``n_implausible:<signal>:<sensor>``. A sensor that speaks less than ``n_seconds`` times in the span
is not told of here; its number is missing then, and `signal_lost` says so.

Priority: clinical.md 6.3 has a frozen value as medium technical; a value that is no measurement
says as little: MEDIUM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import TypeAlias

from edge.alarms import Rule
from edge.alarms._failing import named
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "implausible_value"

PREFIX = "n_implausible:"
WORDS = {
    "ecg_mv": "an ECG",
    "hr_bpm": "a heart rate",
    "rr_ms": "a beat interval",
    "spo2_pct": "an oxygen saturation",
    "pulse_bpm": "a pulse rate",
    "resp_brpm": "a respiration rate",
    "temp_degc": "a temperature",
    "skin_degc": "a skin temperature",
    "accel_g": "a movement",
    "battery_pct": "a battery charge",
}
"""Signal -> what a carer calls it."""

Count: TypeAlias = tuple[float, Sequence[float]]
State: TypeAlias = Mapping[str, Count]
"""Name -> how many there were, and the seconds in which there were more."""


def step(
    state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[State, Finding]:
    """Name what keeps sending values that cannot be true; see the module."""
    at_s, values = seen.end_s, seen.values
    total = values.get("n_implausible", nan)
    if isnan(total):
        return state, Finding(seen.patient, NAME, at_s, None, "nothing has come")
    if total == 0.0:
        return {}, Finding(seen.patient, NAME, at_s, False, "values can be true")  # noqa: FBT003
    n_needed, span_s = int(settings["n_seconds"]), settings["span_s"]
    counts: dict[str, Count] = {}
    wrong: dict[str, float] = {}
    for name in named(PREFIX, values):
        before, times = state.get(name, (0.0, ()))
        recent = [s for s in times if 0.0 <= at_s - s < span_s]
        if values[name] != before:
            recent.append(at_s)
        counts[name] = values[name], recent[-n_needed:]
        if len(recent) >= n_needed:
            wrong[name] = values[name]
    if not wrong:
        return counts, Finding(seen.patient, NAME, at_s, False, "values can be true")  # noqa: FBT003
    said = " and ".join(_words(name) for name in wrong)
    reason = (
        f"{said}: it is left out, and nobody is told when it is too high or too low; see that the "
        "sensor is worn as it should be, switch it off and on, and replace it if it goes on"
    )
    return counts, Finding(seen.patient, NAME, at_s, True, reason, wrong)  # noqa: FBT003


def _words(name: str) -> str:
    signal, _, sensor = name.removeprefix(PREFIX).partition(":")
    return f"{WORDS.get(signal, signal)} that cannot be true keeps coming from {sensor}"


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"n_seconds": 5.0, "span_s": 60.0},
    limits={"n_seconds": (1.0, 30.0), "span_s": (10.0, 600.0)},
    start={},
    step=step,
    source="clinical.md 6.3; users-ask.md 17; reliability-targets.md P2; the spans are judgement",
    category=Category.EQUIPMENT,
)
