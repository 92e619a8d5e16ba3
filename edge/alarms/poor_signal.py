"""An ECG too poor to be read, for longer than a movement takes.

Present when ``ecg_quality`` is strictly below ``quality_au`` for ``delay_s`` or longer; or when for
``blind_s`` or longer an ECG came that was poor now and again, and showed neither a beat nor for
long enough that there is none. A line may tremble about the limit: never poor for 6 s, never good
for the 8.5 s after which `asystole` speaks, and both rules would keep silent for ever.

While a lead is known to be off the quality says nothing of its own and the rule says None:
`lead_off` speaks then, and one cause makes one alert.

6 s, because the alarm is due 10 s after the signal became poor (reliability-targets.md A2) and the
way to it costs up to 3 s. 8 s, because ten are due, and the first beats of a lead that begins, or
comes back after a gap, are seen within six. It is low priority: a movement that lasts is worth a
soft tone, since nothing is watched meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from typing import TypeAlias

from edge.alarms import Rule
from edge.alarms._lasting import DELAY_LIMITS_S, HOLD_LIMITS_S, HOLD_S, Lasting, met, unmet
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "poor_signal"

STANDSTILL_S = 4.0
"""For so long no beat in an ECG that could show one: `asystole` speaks of it."""
SAME_S = 0.01

State: TypeAlias = tuple[Lasting, Lasting]
"""Counts of too poor a quality, and of an ECG that showed no beat, nor that there is none."""


def step(
    state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[State, Finding]:
    """Count how long the ECG has been too poor; see the module."""
    quality = seen.values.get("ecg_quality", nan)
    if isnan(quality):
        return state, _cannot_tell(seen, "no ECG")
    if seen.values.get("ecg_off_flag", nan) == 1.0:
        return state, _cannot_tell(seen, "ECG lead off")
    limit = settings["quality_au"]
    is_poor = quality < limit
    is_blind = is_poor or not _shows(seen.values)
    poor, poor_s, poor_lasted = _count(state[0], seen, settings, "delay_s", is_met=is_poor)
    blind, blind_s, blind_lasted = _count(state[1], seen, settings, "blind_s", is_met=is_blind)
    if not is_blind:
        fine = Finding(seen.patient, NAME, seen.end_s, False, "ECG readable")  # noqa: FBT003
        return (poor, blind), fine
    evidence = {"ecg_quality": quality, "quality_au": limit, "lasted_s": poor_s}
    reason = f"ECG too poor to read for {poor_s:.0f} s: quality {quality:.2f}, limit {limit:g}"
    if not is_poor or (blind_lasted and not poor_lasted):
        reason = f"ECG shows neither a beat nor a standstill for {blind_s:.0f} s: too poor to read"
        evidence["lasted_s"] = blind_s
    present = poor_lasted or blind_lasted or None
    return (poor, blind), Finding(seen.patient, NAME, seen.end_s, present, reason, evidence)


def _shows(values: Mapping[str, float]) -> bool:
    """Return whether the ECG shows beats, or that there have been none for long."""
    age_s = values.get("beat_age_s", 0.0)
    if isnan(age_s):
        return False
    # Where a usable ECG has shown no beat yet, its age counts from where one could have been told.
    is_of_beat = values.get("last_beat_age_s", 0.0) - values.get("ecg_age_s", 0.0) <= age_s + SAME_S
    return is_of_beat or age_s >= STANDSTILL_S


def _count(
    state: Lasting, seen: Features, settings: Mapping[str, float], delay: str, *, is_met: bool
) -> tuple[Lasting, float, bool]:
    """Return the next count, how long it has lasted, and whether that is long enough."""
    if is_met:
        return met(state, seen.end_s, settings[delay], settings["hold_s"])
    return unmet(state, seen.end_s, settings["hold_s"]), 0.0, False


def _cannot_tell(seen: Features, reason: str) -> Finding:
    return Finding(seen.patient, NAME, seen.end_s, None, reason)


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.LOW,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv",),
    settings={"quality_au": 0.3, "delay_s": 6.0, "blind_s": 8.0, "hold_s": HOLD_S},
    limits={
        "quality_au": (0.0, 1.0),
        "delay_s": DELAY_LIMITS_S,
        "blind_s": (6.0, 60.0),
        "hold_s": HOLD_LIMITS_S,
    },
    start=(None, None),
    step=step,
    source="reliability-targets.md A2: poor signal in 10 s; clinical.md 6.3: held at most 30 s; H8",
    category=Category.EQUIPMENT,
)
