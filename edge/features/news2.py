"""NEWS2 of this moment, from what sensors see and people have entered (`edge.news2`).

Pulse and SpO2 are taken over the 30 s a window looks back on: a nurse counts for as long, and a
value that trembles across a band's edge makes no score that trembles. The pulse is that of the
mean RR interval where the ECG can be read, else the median of a strap, else of the oximeter; SpO2
is a median. Breaths a minute
come from a sensor. A sensor's value counts while it is fresh; otherwise what a person entered or a
cuff or thermometer measured stands until it expires (a window's signals that begin with ``held_``,
`edge.events.HELD`). Skin temperature is not body temperature and is never looked at; there is no
estimate of oxygen or of consciousness: a person says, or it is missing.

Without the patient's facts (`edge.events.Facts`) there is no score: the year of birth is not known.

Source: Royal College of Physicians, National Early Warning Score (NEWS) 2, London 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite, isnan, nan
from statistics import fmean, median
from typing import Final

from edge.dsp.breaths import rate_brpm
from edge.events import HELD
from edge.features import FeatureFamily
from edge.news2 import (
    PARAMETERS,
    POINTS,
    PULSE,
    RESP,
    SPO2,
    TEMPERATURE,
    WORDS,
    Refusal,
    Subject,
    assess,
    refusal,
)
from edge.records import SECOND_S, Samples, Window

USABLE_QUALITY: Final = 0.3
"""Below this, beats found in an ECG are not trusted (as in `edge.features.vitals`)."""
FRESH_S: Final = 10.0
"""A pulse, a saturation or a respiration rate older than this is not this moment's (hazard H2)."""
TEMP_FRESH_S: Final = 60.0
N_BEATS: Final = 4
"""Intervals that make a rate."""
_LIVE: Final[Mapping[str, tuple[tuple[str, float], ...]]] = {
    RESP: ((RESP, FRESH_S),),
    SPO2: ((SPO2, FRESH_S),),
    PULSE: (("hr_bpm", FRESH_S), (PULSE, FRESH_S)),
    TEMPERATURE: ((TEMPERATURE, TEMP_FRESH_S),),
}
"""Parameter -> the signals of sensors that tell it, the most trusted first, and for how long."""


def compute(window: Window) -> Mapping[str, float]:
    """Return the score's bounds and what they are made of.

    Returns
    -------
    Mapping[str, float]
        `FEATURES.names`. ``news2_refusal`` is an `edge.news2.Refusal`; unless it is 0 everything
        else is NaN. ``.._points`` are a parameter's least points, NaN where it is missing.
    """
    found = _UNKNOWN.copy()
    subject = _subject(window)
    refused = refusal(subject)
    found["news2_refusal"] = float(refused)
    if refused is not Refusal.NONE:
        return found
    values: dict[str, float] = {}
    ages_s: dict[str, float] = {}
    for name in PARAMETERS:
        value, age_s = _value(name, window)
        if not isnan(value):
            values[name], ages_s[name] = value, age_s
    seen = assess(values, subject, ages_s)
    found["news2_lower"], found["news2_upper"] = float(seen.lower), float(seen.upper)
    found["news2_n_missing"] = float(len(seen.missing))
    found["news2_n_red"] = float(len(seen.red))
    found["news2_scale"] = float(seen.scale)
    found["news2_age_s"] = seen.age_s
    for name in PARAMETERS:
        if name not in seen.missing:
            found[POINTS[name]] = float(seen.points[name][0])
    return found


def _subject(window: Window) -> Subject:
    years, pregnant, scale = (
        _latest(window.signals.get(f"{HELD}{fact}"))
        for fact in ("years_au", "pregnant_flag", "spo2_scale_au")
    )
    return Subject(years, pregnant == 1.0, 2 if scale == 2.0 else 1)


def _value(name: str, window: Window) -> tuple[float, float]:
    """Return what is known of a parameter now, and how old that is; NaN: nothing."""
    signals, end_s = window.signals, window.end_s
    if name == PULSE and window.quality.get("ecg_mv", 1.0) >= USABLE_QUALITY:
        # The mean: of a bigeminy's two intervals the median would be one or the other.
        rr_ms, age_s = _middle(signals.get("rr_ms"), end_s, FRESH_S, N_BEATS, fmean)
        if rr_ms > 0.0:
            return 60000.0 / rr_ms, age_s
    for signal, fresh_s in _LIVE.get(name, ()):
        value, age_s = _middle(signals.get(signal), end_s, fresh_s)
        if not isnan(value):
            return value, age_s
    if name == RESP:
        value = rate_brpm(signals.get("breath_brpm"), end_s)
        if not isnan(value):
            return value, 0.0
    held = signals.get(HELD + name)
    value = _latest(held)
    return value, end_s - held.start_s if held is not None else nan


def _middle(
    samples: Samples | None,
    end_s: float,
    fresh_s: float,
    n_least: int = 1,
    middle: Callable[[list[float]], float] = median,
) -> tuple[float, float]:
    """Return the middle of what is there, and the newest value's age; NaN when that is old."""
    if samples is None:
        return nan, nan
    # Thirty numbers: lists are quicker than arrays.
    values: list[float] = samples.values.tolist()
    known = [value for value in values if isfinite(value)]
    if len(known) < n_least:
        return nan, nan
    last = next(i for i in range(len(values) - 1, -1, -1) if isfinite(values[i]))
    if samples.times_s is not None:
        at_s = samples.times_s.item(last)
    else:
        at_s = samples.start_s + last / samples.fs_hz
    age_s = max(end_s - at_s, 0.0)
    return (middle(known), age_s) if age_s <= fresh_s else (nan, nan)


def _latest(held: Samples | None) -> float:
    return nan if held is None else held.values.item(-1)


_WORDS = {
    "news2_lower": "NEWS2 points for certain",
    "news2_upper": "NEWS2 points at most",
    "news2_n_missing": "NEWS2 parameters not known",
    "news2_n_red": "NEWS2 parameters with three points for certain",
    "news2_scale": "NEWS2 scale of the oxygen saturation",
    "news2_age_s": "age of the oldest value in NEWS2, s",
    "news2_refusal": "why there is no NEWS2 (0: there is)",
} | {point: f"NEWS2 points for {WORDS[name]}" for name, point in POINTS.items()}
_UNKNOWN = dict.fromkeys(_WORDS, nan)

FEATURES = FeatureFamily(
    name="news2",
    every_s=SECOND_S,
    needs=(),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
)
