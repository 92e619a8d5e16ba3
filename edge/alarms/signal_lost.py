"""A signal that was there and comes no more.

Present when the newest sample of any signal the patient ever had is strictly older than its
limit. One rule for all signals: the reason names those that are missing, and each is in the
evidence by the name of its age, so that one more missing signal is a new condition for
`edge.alerts` even while the first is acknowledged (hazard H6).

``limit_s`` is 8 s because the alarm is due 10 s after data stop (reliability-targets.md A2 and
L1; hazard H2) and the way to it may cost 2 s: up to 1 s until the next block of the signal
stages, up to 1 s of lag of the placed samples. clinical.md 6.3 allows 30-60 s. A thermometer
reports when it likes, so it has its own limit of five minutes.

A spot check is no signal that is waited for, and a sensor that a person removed is missed no more.
None only where no signal was ever there.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "signal_lost"

AGES = (
    ("ecg_age_s", "limit_s", "ECG"),
    ("hr_age_s", "limit_s", "heart rate"),
    ("spo2_age_s", "limit_s", "SpO2"),
    ("pleth_age_s", "limit_s", "pleth"),
    ("resp_age_s", "limit_s", "respiration"),
    ("accel_age_s", "limit_s", "movement"),
    ("temp_age_s", "temp_limit_s", "temperature"),
)
"""Name of the age, name of its limit, and what a carer calls the signal."""


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name every signal whose newest sample is older than its limit; see the module."""
    get = seen.values.get
    expected = False
    lost: list[str] = []
    evidence: dict[str, float] = {}
    for name, limit_name, word in AGES:
        age_s = get(name, nan)
        if isnan(age_s):
            continue
        expected = True
        if age_s > settings[limit_name]:
            lost.append(f"no {word} for {age_s:.0f} s")
            evidence[name] = age_s
    if lost:
        reason = ", ".join(lost)
        return state, Finding(seen.patient, NAME, seen.end_s, True, reason, evidence)  # noqa: FBT003
    # A person has taken every sensor away that was waited for: none is missed any more.
    expected = expected or get("n_awaited") == 0.0
    present = False if expected else None
    reason = "every signal comes" if expected else "no signal yet"
    return state, Finding(seen.patient, NAME, seen.end_s, present, reason)


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "hr_bpm", "spo2_pct", "pleth_au", "resp_au", "accel_g", "temp_degc"),
    settings={"limit_s": 8.0, "temp_limit_s": 300.0},
    limits={"limit_s": (3.0, 60.0), "temp_limit_s": (3.0, 3600.0)},
    start=None,
    step=step,
    source="security-safety.md 7, H2; reliability-targets.md A2, L1: 10 s; clinical.md 6.3",
    category=Category.EQUIPMENT,
)
