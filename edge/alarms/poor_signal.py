"""An ECG too poor to be read, for longer than a movement takes.

Present when ``ecg_quality`` is strictly below ``quality_au`` for ``delay_s`` or longer. While a
lead is known to be off the quality says nothing of its own and the rule says None: `lead_off`
speaks then, and one cause makes one alert.

6 s, because the alarm is due 10 s after the signal became poor (reliability-targets.md A2) and the
way to it costs up to 3 s. It is low priority: a movement that lasts is worth a soft tone, since
nothing is watched meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S, Lasting, met, unmet
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "poor_signal"


def step(
    state: Lasting, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[Lasting, Finding]:
    """Count how long the ECG has been too poor; see the module."""
    at_s = seen.end_s
    quality = seen.values.get("ecg_quality", nan)
    if isnan(quality):
        return state, Finding(seen.patient, NAME, at_s, None, "no ECG")
    if seen.values.get("ecg_off_flag", nan) == 1.0:
        return state, Finding(seen.patient, NAME, at_s, None, "ECG lead off")
    limit = settings["quality_au"]
    if quality >= limit:
        state = unmet(state, at_s, settings["hold_s"])
        return state, Finding(seen.patient, NAME, at_s, False, "ECG readable")  # noqa: FBT003
    state, lasted_s, lasted = met(state, at_s, settings["delay_s"], settings["hold_s"])
    reason = f"ECG too poor to read for {lasted_s:.0f} s: quality {quality:.2f}, limit {limit:g}"
    evidence = {"ecg_quality": quality, "quality_au": limit, "lasted_s": lasted_s}
    return state, Finding(seen.patient, NAME, at_s, lasted or None, reason, evidence)


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.LOW,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv",),
    settings={"quality_au": 0.3, "delay_s": 6.0, "hold_s": HOLD_S},
    limits={"quality_au": (0.0, 1.0), "delay_s": DELAY_LIMITS_S, "hold_s": HOLD_LIMITS_S},
    start=None,
    step=step,
    source="reliability-targets.md A2: poor signal in 10 s; clinical.md 6.3: held at most 30 s; H8",
    category=Category.EQUIPMENT,
)
