"""A sensor that repeats exactly the same value for too long.

Present when a value has been repeated exactly for strictly longer than its limit while the
signal still arrives. How long is too long depends on how coarse the number is:

- ECG, 5 s: an electrode is never silent to the last bit; five seconds without one bit of noise
  is an amplifier that hangs or a driver that sends its last buffer again.
- pulse rate, 120 s: whole bpm, but a heart varies by more than 1 bpm within two minutes.
- SpO2, 600 s: whole percent, and a quiet sleeper does stay at 97 % for minutes.
- temperature, 3600 s: tenths of a degree, skin at rest may hold one for long.

The limits are judgement; no source was found for them. A signal that does not arrive is
`signal_lost`'s: its repetition says nothing (None). None too where nothing can be told. An ECG
whose electrode is off is `lead_off`'s and is passed over here: one fault, one alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "frozen_value"

REPEATS = (
    ("ecg_frozen_s", "ecg_limit_s", "ecg_age_s", "ECG"),
    ("pulse_frozen_s", "pulse_limit_s", "pulse_age_s", "pulse rate"),
    ("spo2_frozen_s", "spo2_limit_s", "spo2_age_s", "SpO2"),
    ("temp_frozen_s", "temp_limit_s", "temp_age_s", "temperature"),
)
"""Name of the repetition, of its limit, of the signal's age, and the carer's word."""


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name every signal that repeats itself for longer than its limit; see the module."""
    get = seen.values.get
    told = False
    gone = False
    frozen: list[str] = []
    evidence: dict[str, float] = {}
    for name, limit_name, age_name, word in REPEATS:
        repeated_s = get(name, nan)
        if isnan(repeated_s):
            continue
        told = True
        limit_s = settings[limit_name]
        if repeated_s > limit_s:
            if name == "ecg_frozen_s" and get("ecg_off_flag") == 1.0:
                # An open electrode rails; that is `lead_off`'s to say, once.
                continue
            if get(age_name, 0.0) > settings["stale_s"]:
                gone = True
                continue
            frozen.append(f"{word} exactly the same for {repeated_s:.0f} s, limit {limit_s:g} s")
            evidence[name] = repeated_s
    if frozen:
        reason = ", ".join(frozen)
        return state, Finding(seen.patient, NAME, seen.end_s, True, reason, evidence)  # noqa: FBT003
    present = None if gone or not told else False
    reason = "values change" if present is False else "nothing arrives that could repeat itself"
    return state, Finding(seen.patient, NAME, seen.end_s, present, reason)


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "pulse_bpm", "spo2_pct", "temp_degc"),
    settings={
        "ecg_limit_s": 5.0,
        "pulse_limit_s": 120.0,
        "spo2_limit_s": 600.0,
        "temp_limit_s": 3600.0,
        "stale_s": 10.0,
    },
    limits={
        "ecg_limit_s": (1.0, 60.0),
        "pulse_limit_s": (30.0, 1800.0),
        "spo2_limit_s": (60.0, 3600.0),
        "temp_limit_s": (300.0, 14400.0),
        "stale_s": (2.0, 60.0),
    },
    start=None,
    step=step,
    source="clinical.md 6.3: frozen value, medium technical; the spans are judgement",
    category=Category.EQUIPMENT,
)
