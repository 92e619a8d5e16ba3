"""The vital signs of this second, and how far each can be trusted.

Heart rate is 60000 over the mean of the latest RR intervals: those that ended in the last 8 s, at
most 8 and at least 4 of them (so that 20 bpm is still seen), an even number, without the shortest
and the longest. An even number keeps the pairs of a bigeminy together, so the irregular test
rhythms of EC13 / IEC 60601-2-27 (3a to 3d: 80, 60, 120 and 90 bpm) read their true rate; leaving
out both ends lets one missed or one false beat pass. The steps 80 -> 120 and 80 -> 40 bpm are
within 5 bpm of their end in less than 8 s (`tests/edge/features/test_vitals.py`).

The respiration rate is the sensor's own where it tells one, else that of the breaths in a breathing
wave (`edge.dsp.breaths`). ``breath_age_s`` is known only while such a wave comes and has been
recognised as one: without a wave the absence of breaths cannot be seen.

Nothing here is held: a value too old to be true is NaN, and how old it is has a name of its own.
The windows are one second long. Besides the signals of the sensors they may hold
``ecg_quality_au``: one value for each second of ECG, at that second's middle, as
`edge.dsp.quality.EcgQuality` gives it. It tells since when the ECG has been usable without a break.

Source: IEC 60601-2-27 201.7.9.2.9.101 (what a monitor must say of its heart rate); the limits of
age are this project's own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache
from math import inf, isfinite, isnan, nan

from edge.dsp.breaths import rate_brpm
from edge.features import FeatureFamily
from edge.records import SECOND_S, FloatArray, Samples, TimeArray, Window

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
RESP_LIMIT_S = 10.0
WAVE_LIMIT_S = 3.0
"""No word on the absence of breaths when the last sample of the wave is older."""
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
    "rr_ms": "last_beat_age_s",
}
_AGES_BY_STEM = {"pleth": "pleth_age_s", "resp": "resp_age_s", "accel": "accel_age_s"}
_LATEST = {
    "spo2_pct": SPO2_LIMIT_S,
    "pulse_bpm": PULSE_LIMIT_S,
    "temp_degc": TEMP_LIMIT_S,
    "skin_degc": TEMP_LIMIT_S,
    "lead_off_flag": FLAG_LIMIT_S,
    "ecg_off_flag": FLAG_LIMIT_S,
    "contact_flag": FLAG_LIMIT_S,
}
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
    if isnan(hr_bpm) and "hr_bpm" in signals:
        hr_bpm = _latest(signals["hr_bpm"], end_s, RATE_LIMIT_S)
    values = _UNKNOWN.copy()
    values["hr_bpm"] = hr_bpm
    values["beat_age_s"] = _beat_age_s(window, end_s, quality, rr)
    values["ecg_quality"] = quality
    values["resp_brpm"] = _resp_brpm(signals, end_s)
    _note_breaths(values, window)
    for signal, limit_s in _LATEST.items():
        if signal in signals:
            values[signal] = _latest(signals[signal], end_s, limit_s)
    for signal, age_s in window.age_s.items():
        name = _age_name(signal)
        # Of several sensors of one kind the youngest value counts; NaN is older than any.
        if name is not None and not values[name] <= age_s:
            values[name] = age_s
    frozen = window.frozen_s
    for signal, name in _FROZEN.items():
        if signal in frozen:
            values[name] = frozen[signal]
    return values


@lru_cache(maxsize=256)
def _age_name(signal: str) -> str | None:
    """Return the name of the age that a signal's own age counts for."""
    of_stem = (name for stem, name in _AGES_BY_STEM.items() if signal.startswith(stem))
    return _AGES.get(signal) or next(of_stem, None)


def _rate_bpm(rr: Samples | None, end_s: float) -> float:
    """Return the heart rate from the latest intervals; NaN with fewer than two, or too old."""
    if rr is None or rr.times_s is None:
        return nan
    # Twice as many as are wanted, so that unknown intervals among them can be passed over.
    times: list[float] = rr.times_s[-2 * RATE_MOST :].tolist()
    rr_ms: list[float] = rr.values[-2 * RATE_MOST :].tolist()
    if end_s - times[-1] > BEAT_LIMIT_S:
        return nan
    if not 0.0 < min(rr_ms) <= sum(rr_ms) < inf:  # NaN makes the sum NaN
        known = [i for i, x in enumerate(rr_ms) if 0.0 < x < inf]
        times, rr_ms = [times[i] for i in known], [rr_ms[i] for i in known]
    n = len(times) - bisect_left(times, end_s - RATE_SPAN_S)
    if n < RATE_LEAST:
        n = min(len(times) - bisect_left(times, end_s - RATE_REACH_S), RATE_LEAST)
    n = min(n, RATE_MOST)
    if n < 2:
        return nan
    if n & 1 and n > RATE_LEAST:
        n -= 1
    rr_ms = rr_ms[-n:]
    total = sum(rr_ms)
    if n >= RATE_LEAST:
        total -= min(rr_ms) + max(rr_ms)
        n -= 2
    return 60000.0 * n / total


def _resp_brpm(signals: Mapping[str, Samples], end_s: float) -> float:
    """Return the sensor's respiration rate, else that of the breaths seen; NaN: neither."""
    told = signals.get("resp_brpm")
    value = nan if told is None else _latest(told, end_s, RESP_LIMIT_S)
    return rate_brpm(signals.get("breath_brpm"), end_s) if isnan(value) else value


def _note_breaths(values: dict[str, float], window: Window) -> None:
    """Put in since when no breath could be seen, and when one was seen last."""
    # Both ages are missing, or NaN, where there is no wave or nothing in it was recognised.
    if not window.age_s.get("resp_au", nan) <= WAVE_LIMIT_S:
        return
    values["breath_age_s"] = window.age_s.get("breath_brpm", nan)
    breaths = window.signals.get("breath_brpm")
    if breaths is not None and breaths.times_s is not None:
        values["last_breath_age_s"] = window.end_s - breaths.times_s.item(-1)


def _beat_age_s(window: Window, end_s: float, quality: float, rr: Samples | None) -> float:
    """Return for how long a usable ECG has shown no beat; NaN where that cannot be told."""
    ages, signals = window.age_s, window.signals
    ecg_age_s = ages.get("ecg_mv", nan)
    if not (quality >= USABLE_QUALITY and ecg_age_s <= ECG_LIMIT_S):
        return nan
    seen_s = end_s - ecg_age_s
    if rr is not None and rr.times_s is not None:
        beat_s = float(rr.times_s[-1])
    else:  # the last beat, if there ever was one, is older than the window reaches back
        beat_s = end_s - ages.get("rr_ms", nan)
    history = signals.get("ecg_quality_au")
    if history is not None and history.times_s is not None:
        usable_s = _usable_since_s(history.times_s, history.values, beat_s)
        if not beat_s >= usable_s:
            beat_s = usable_s + SETTLE_S
            return nan if seen_s < beat_s else seen_s - beat_s
    return nan if isnan(beat_s) else max(seen_s - beat_s, 0.0)


def _usable_since_s(times_s: TimeArray, values: FloatArray, enough_s: float) -> float:
    """Return since when the ECG has been usable without a break; stop looking at `enough_s`."""
    since_s: float = times_s.item(-1)
    # One by one from the end: as a rule the last beat is near and two or three are enough.
    for i in range(values.size - 1, -1, -1):
        at_s: float = times_s.item(i)
        if not (values.item(i) >= USABLE_QUALITY and since_s - at_s < _QUALITY_STEP_S):
            return since_s
        since_s = at_s - 0.5 * SECOND_S
        if since_s <= enough_s:
            break
    return since_s


def _latest(samples: Samples, end_s: float, limit_s: float) -> float:
    """Return the latest number of a slow signal; NaN when it is older than `limit_s`."""
    values, times_s = samples.values, samples.times_s
    step_s = 1.0 / samples.fs_hz if samples.fs_hz > 0.0 else 0.0
    for i in range(values.size - 1, -1, -1):
        at_s = samples.start_s + i * step_s if times_s is None else times_s.item(i)
        if end_s - at_s > limit_s:
            return nan
        value: float = values.item(i)
        if isfinite(value):
            return value
    return nan


_WORDS = {
    "hr_bpm": "heart rate, beats a minute",
    "beat_age_s": "time without a heart beat in a usable ECG, s",
    "last_beat_age_s": "time since the last heart beat that was seen, s",
    "ecg_quality": "quality of the ECG, 0 useless to 1 clean",
    "spo2_pct": "oxygen saturation, %",
    "pulse_bpm": "pulse rate of the oximeter, beats a minute",
    "resp_brpm": "respiration rate, breaths a minute",
    "breath_age_s": "time without a breath in a breathing wave, s",
    "last_breath_age_s": "time since the last breath that was seen, s",
    "temp_degc": "temperature, degrees Celsius",
    "skin_degc": "temperature of the skin, which is not the body's, degrees Celsius",
    "lead_off_flag": "an electrode is off (1) or not (0)",
    "ecg_off_flag": "an electrode of the ECG that is watched is off (1) or not (0)",
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

_UNKNOWN = dict.fromkeys(_WORDS, nan)

FEATURES = FeatureFamily(
    name="vitals",
    every_s=SECOND_S,
    needs=(),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
)
