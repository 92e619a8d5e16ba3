"""The vital signs of this second, and how far each can be trusted.

Heart rate is 60000 over the mean of the latest RR intervals: those that ended in the last 8 s, at
most 8 and at least 4 of them (so that 20 bpm is still seen), an even number, without the shortest
and the longest. An even number keeps the pairs of a bigeminy together, so the irregular test
rhythms of EC13 / IEC 60601-2-27 (3a to 3d: 80, 60, 120 and 90 bpm) read their true rate; leaving
out both ends lets one missed or one false beat pass. The steps 80 -> 120 and 80 -> 40 bpm are
within 5 bpm of their end in less than 8 s (`tests/edge/features/test_vitals.py`).

Nothing here is held: a value too old to be true is NaN, and how old it is has a name of its own.
The windows are one second long. Besides the signals of the sensors they may hold
``ecg_quality_au``: one value for each second of ECG, at that second's middle, as
`edge.dsp.quality.EcgQuality` gives it. It tells since when the ECG has been usable without a break.

Source: IEC 60601-2-27 201.7.9.2.9.101 (what a monitor must say of its heart rate); the limits of
age are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, isnan, nan

from edge.features import FeatureFamily
from edge.records import SECOND_S, Samples, Window

USABLE_QUALITY = 0.3
"""Below this the ECG is unusable: beats found in it are not trusted, nor is their absence."""
BEAT_LIMIT_S = 5.0
"""No heart rate when the last beat is older; at 20 bpm beats are 3 s apart."""
ECG_LIMIT_S = 3.0
"""No word on the absence of beats when the last sample of ECG is older."""
SETTLE_S = 4.5
"""Time the beat detector may take before it reports its first beats, `edge.dsp.qrs_rules`."""
RATE_SPAN_S, RATE_REACH_S = 8.0, 15.0
RATE_MOST, RATE_LEAST = 8, 4
RATE_LIMIT_S = 10.0
SPO2_LIMIT_S = 10.0
PULSE_LIMIT_S = 10.0
TEMP_LIMIT_S = 60.0
FLAG_LIMIT_S = 15.0

_QUALITY_STEP_S = 2.0
"""A second without a value may be a late packet; two of them are a break."""
_AGES = {
    "ecg_mv": "ecg_age_s",
    "spo2_pct": "spo2_age_s",
    "hr_bpm": "hr_age_s",
    "pulse_bpm": "pulse_age_s",
    "temp_degc": "temp_age_s",
}
_AGES_BY_STEM = {"pleth": "pleth_age_s", "resp": "resp_age_s", "accel": "accel_age_s"}
_FROZEN = {
    "ecg_mv": "ecg_frozen_s",
    "spo2_pct": "spo2_frozen_s",
    "pulse_bpm": "pulse_frozen_s",
    "temp_degc": "temp_frozen_s",
}


def compute(window: Window) -> Mapping[str, float]:
    """Return the vital signs at the end of `window`.

    Parameters
    ----------
    window : Window
        One second, with beats and slow signals of the 30 s before it.

    Returns
    -------
    Mapping[str, float]
        `FEATURES.names`; NaN where a value is missing, too old, or its ECG unusable. Do not read
        NaN as normal: the ages and the quality say why.
    """
    signals, end_s = window.signals, window.end_s
    quality = window.quality.get("ecg_mv", nan)
    rr = signals.get("rr_ms")
    hr_bpm = nan if quality < USABLE_QUALITY else _rate_bpm(rr, end_s)
    if isnan(hr_bpm):
        hr_bpm = _latest(signals.get("hr_bpm"), end_s, RATE_LIMIT_S)
    values = {
        "hr_bpm": hr_bpm,
        "beat_age_s": _beat_age_s(window, quality, rr),
        "ecg_quality": quality,
        "spo2_pct": _latest(signals.get("spo2_pct"), end_s, SPO2_LIMIT_S),
        "pulse_bpm": _latest(signals.get("pulse_bpm"), end_s, PULSE_LIMIT_S),
        "temp_degc": _latest(signals.get("temp_degc"), end_s, TEMP_LIMIT_S),
        "lead_off_flag": _latest(signals.get("lead_off_flag"), end_s, FLAG_LIMIT_S),
        "contact_flag": _latest(signals.get("contact_flag"), end_s, FLAG_LIMIT_S),
    }
    ages = window.age_s
    for signal, name in _AGES.items():
        values[name] = ages.get(signal, nan)
    for stem, name in _AGES_BY_STEM.items():
        values[name] = _youngest_s(ages, stem)
    frozen = window.frozen_s
    for signal, name in _FROZEN.items():
        values[name] = frozen.get(signal, nan)
    return values


def _rate_bpm(rr: Samples | None, end_s: float) -> float:
    """Return the heart rate from the latest intervals; NaN with fewer than two, or too old."""
    if rr is None or rr.times_s is None:
        return nan
    # Twice as many as are wanted, so that unknown intervals among them can be passed over.
    times = rr.times_s[-2 * RATE_MOST :].tolist()
    values = rr.values[-2 * RATE_MOST :].tolist()
    if end_s - times[-1] > BEAT_LIMIT_S:
        return nan
    intervals: list[float] = []
    for at_s, rr_ms in zip(reversed(times), reversed(values), strict=True):
        age_s = end_s - at_s
        n = len(intervals)
        if n == RATE_MOST or age_s > (RATE_SPAN_S if n >= RATE_LEAST else RATE_REACH_S):
            break
        if isfinite(rr_ms) and rr_ms > 0.0:
            intervals.append(rr_ms)
    n = len(intervals)
    if n < 2:
        return nan
    if n & 1 and n > RATE_LEAST:
        intervals.pop()
        n -= 1
    total = sum(intervals)
    if n >= RATE_LEAST:
        total -= min(intervals) + max(intervals)
        n -= 2
    return 60000.0 * n / total


def _beat_age_s(window: Window, quality: float, rr: Samples | None) -> float:
    """Return for how long a usable ECG has shown no beat; NaN where that cannot be told."""
    ecg_age_s = window.age_s.get("ecg_mv", nan)
    if not (quality >= USABLE_QUALITY and ecg_age_s <= ECG_LIMIT_S):
        return nan
    seen_s = window.end_s - ecg_age_s
    if rr is not None and rr.times_s is not None:
        beat_s = float(rr.times_s[-1])
    else:  # the last beat, if there ever was one, is older than the window reaches back
        beat_s = window.end_s - window.age_s.get("rr_ms", nan)
    history = window.signals.get("ecg_quality_au")
    if history is not None and history.times_s is not None:
        usable_s = _usable_since_s(history, beat_s)
        if not beat_s >= usable_s:
            beat_s = usable_s + SETTLE_S
            return nan if seen_s < beat_s else seen_s - beat_s
    return nan if isnan(beat_s) else max(seen_s - beat_s, 0.0)


def _usable_since_s(history: Samples, enough_s: float) -> float:
    """Return since when the ECG has been usable without a break; stop looking at `enough_s`."""
    times: list[float] = history.times_s.tolist()  # type: ignore[union-attr]
    values: list[float] = history.values.tolist()
    since_s = times[-1]
    for at_s, value in zip(reversed(times), reversed(values), strict=True):
        if not (value >= USABLE_QUALITY and since_s - at_s < _QUALITY_STEP_S):
            return since_s
        since_s = at_s - 0.5 * SECOND_S
        if since_s <= enough_s:
            break
    return since_s


def _latest(samples: Samples | None, end_s: float, limit_s: float) -> float:
    """Return the latest number of a slow signal; NaN when it is older than `limit_s`."""
    if samples is None:
        return nan
    values = samples.values
    for i in range(values.size - 1, -1, -1):
        at_s = _time_s(samples, i)
        if end_s - at_s > limit_s:
            return nan
        value = float(values[i])
        if isfinite(value):
            return value
    return nan


def _time_s(samples: Samples, i: int) -> float:
    if samples.times_s is not None:
        return float(samples.times_s[i])
    return samples.start_s + i / samples.fs_hz if samples.fs_hz > 0.0 else samples.start_s


def _youngest_s(ages: Mapping[str, float], stem: str) -> float:
    """Return the age of the youngest signal whose name begins with `stem`, whatever its unit."""
    found = [age_s for signal, age_s in ages.items() if signal.startswith(stem)]
    return min(found) if found else nan


_WORDS = {
    "hr_bpm": "heart rate, beats a minute",
    "beat_age_s": "time without a heart beat in a usable ECG, s",
    "ecg_quality": "quality of the ECG, 0 useless to 1 clean",
    "spo2_pct": "oxygen saturation, %",
    "pulse_bpm": "pulse rate of the oximeter, beats a minute",
    "temp_degc": "temperature, degrees Celsius",
    "lead_off_flag": "an electrode is off (1) or not (0)",
    "contact_flag": "the strap touches the skin (1) or not (0)",
    "ecg_age_s": "time since the last ECG, s",
    "spo2_age_s": "time since the last oxygen saturation, s",
    "hr_age_s": "time since the last heart rate of the strap, s",
    "pulse_age_s": "time since the last pulse rate, s",
    "temp_age_s": "time since the last temperature, s",
    "pleth_age_s": "time since the last pulse wave, s",
    "resp_age_s": "time since the last breathing signal, s",
    "accel_age_s": "time since the last movement signal, s",
    "ecg_frozen_s": "how long the ECG has been exactly the same, s",
    "spo2_frozen_s": "how long the oxygen saturation has been exactly the same, s",
    "pulse_frozen_s": "how long the pulse rate has been exactly the same, s",
    "temp_frozen_s": "how long the temperature has been exactly the same, s",
}

FEATURES = FeatureFamily(
    name="vitals",
    every_s=SECOND_S,
    needs=(),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
)
