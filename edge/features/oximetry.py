"""What the oximeter says over a window.

The saturation is the device's own, already averaged over some seconds: its slope is read over
window and context together. The pulse rate against the heart rate of the ECG tells whether every
beat reaches the finger, or whether one of the two is wrong.

No perfusion index: pleths of home oximeters come in arbitrary units, with their mean taken off.

Source: ISO 80601-2-61 (what an oximeter's figures mean: pulse oximeter equipment, accuracy).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from edge.features import FeatureFamily
from edge.records import WINDOW_S, Samples, Window

SLOPE_LEAST = 5
SLOPE_SPAN_S = 15.0
"""No slope from values that lie closer together in time."""
HR_LEAST = 3

_Array = NDArray[np.float64]


def compute(window: Window) -> Mapping[str, float]:
    """Return saturation and pulse of `window`.

    Returns
    -------
    Mapping[str, float]
        `FEATURES.names`; NaN where the oximeter gave no valid value. A steady figure from a cold
        hand can be wrong without any of these showing it.
    """
    values = dict.fromkeys(FEATURES.names, nan)
    signals, start_s = window.signals, window.start_s
    spo2 = signals["spo2_pct"]
    times_s = _times_s(spo2)
    own: list[float] = spo2.values[times_s.searchsorted(start_s) :].tolist()
    known = [x for x in own if isfinite(x)]
    if own:
        values["spo2_valid_frac"] = len(known) / len(own)
    if known:
        values["spo2_mean_pct"] = sum(known) / len(known)
        values["spo2_min_pct"] = min(known)
    values["spo2_slope_pct_per_min"] = _slope_per_min(times_s, spo2.values.astype(np.float64))
    pulse_bpm = _mean(signals.get("pulse_bpm"), start_s, 1)
    values["pulse_mean_bpm"] = pulse_bpm
    rr_ms = _mean(signals.get("rr_ms"), start_s, HR_LEAST)
    values["pulse_hr_diff_bpm"] = pulse_bpm - 60000.0 / rr_ms if rr_ms > 0.0 else nan
    return values


def _times_s(samples: Samples) -> _Array:
    """Return the times of a signal's values, whether or not they carry their own."""
    if samples.times_s is not None:
        return samples.times_s
    step_s = 1.0 / samples.fs_hz if samples.fs_hz > 0.0 else 0.0
    return samples.start_s + step_s * np.arange(samples.values.size, dtype=np.float64)


def _mean(samples: Samples | None, since_s: float, n_least: int) -> float:
    """Return the mean of the valid values since `since_s`; NaN with fewer than `n_least`."""
    if samples is None:
        return nan
    own: list[float] = samples.values[_times_s(samples).searchsorted(since_s) :].tolist()
    known = [x for x in own if isfinite(x)]
    return sum(known) / len(known) if len(known) >= n_least else nan


def _slope_per_min(times_s: _Array, values: _Array) -> float:
    """Return the slope of the least-squares line; NaN with too few values or too short a span."""
    known = np.isfinite(values)
    n = int(np.count_nonzero(known))
    if n < SLOPE_LEAST:
        return nan
    if n < values.size:
        times_s, values = times_s[known], values[known]
    if times_s[-1] - times_s[0] < SLOPE_SPAN_S:
        return nan
    off_s = times_s - times_s[0]
    off_s -= np.add.reduce(off_s) / n
    return 60.0 * float(off_s @ values) / float(off_s @ off_s)


_WORDS = {
    "spo2_mean_pct": "mean oxygen saturation, %",
    "spo2_min_pct": "lowest oxygen saturation, %",
    "spo2_slope_pct_per_min": "fall or rise of the oxygen saturation, % a minute",
    "spo2_valid_frac": "share of the oximeter's values that are valid",
    "pulse_mean_bpm": "mean pulse rate of the oximeter, beats a minute",
    "pulse_hr_diff_bpm": "pulse rate of the oximeter less heart rate of the ECG, beats a minute",
}

FEATURES = FeatureFamily(
    name="oximetry",
    every_s=WINDOW_S,
    needs=("spo2_pct",),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
)
