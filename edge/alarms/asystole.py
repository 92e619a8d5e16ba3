"""No heart beat in an ECG that could show one.

Present when the last beat is ``limit_s`` old or older (``>=``) while the ECG can be trusted:
the newest sample is at most ``stale_s`` old, no lead is known to be off and the signal quality
is at least ``quality_au``. Otherwise None: a wire that fell off is no asystole, and no proof
against one. A flat line is not excused: a quality index that called a heart without beats poor
would silence this rule, so ``ecg_quality`` must judge noise, clipping and contact, not beats.

Latching: a pause that is over is still something a person has to know of.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "asystole"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Compare the age of the last beat with its limit; see the module."""
    at_s = seen.end_s
    values = seen.values
    blind = _blind(values, settings)
    beat_age_s = values.get("beat_age_s", nan)
    if blind or isnan(beat_age_s):
        return state, Finding(seen.patient, NAME, at_s, None, blind or "no beat seen yet")
    limit_s = settings["limit_s"]
    if beat_age_s < limit_s:
        return state, Finding(seen.patient, NAME, at_s, False, "heart beats")  # noqa: FBT003
    reason = f"no heart beat for {beat_age_s:.1f} s, limit {limit_s:g} s"
    evidence = {
        "beat_age_s": beat_age_s,
        "limit_s": limit_s,
        "ecg_quality": values["ecg_quality"],
    }
    return state, Finding(seen.patient, NAME, at_s, True, reason, evidence)  # noqa: FBT003


def _blind(values: Mapping[str, float], settings: Mapping[str, float]) -> str:
    """Return why the ECG cannot show a beat; empty when it can."""
    # Comparisons with NaN are false: what is not known to be good counts as bad here.
    if not values.get("ecg_age_s", nan) <= settings["stale_s"]:
        return "no ECG"
    if values.get("ecg_off_flag", nan) == 1.0:
        return "ECG lead off"
    if not values.get("ecg_quality", nan) >= settings["quality_au"]:
        return "ECG too poor to see a beat"
    return ""


RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.HIGH,
    latching=True,
    every_s=SECOND_S,
    needs=("ecg_mv",),
    settings={"limit_s": 4.0, "stale_s": 3.0, "quality_au": 0.3},
    limits={"limit_s": (2.0, 10.0), "stale_s": (0.5, 5.0), "quality_au": (0.0, 1.0)},
    start=None,
    step=step,
    source="clinical.md 6.3: no beat 4 s, only with a real waveform, high, latching",
    category=Category.CARDIOVASCULAR,
)
