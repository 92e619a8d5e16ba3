"""What the oximeter says over a window.

The saturation is the device's own, already averaged over some seconds: its slope is read over
window and context together. The pulse rate against the heart rate of the ECG tells whether every
beat reaches the finger, or whether one of the two is wrong.

No perfusion index: pleths of home oximeters come in arbitrary units, with their mean taken off.

Source: ISO 80601-2-61 (what an oximeter's figures mean: pulse oximeter equipment, accuracy).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

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
    times_s, spo2_pct = _series(window.signals["spo2_pct"])
    own = spo2_pct[np.searchsorted(times_s, window.start_s) :]
    known = own[np.isfinite(own)]
    if own.size:
        values["spo2_valid_frac"] = known.size / own.size
    if known.size:
        values["spo2_mean_pct"] = float(known.sum()) / known.size
        values["spo2_min_pct"] = float(known.min())
    values["spo2_slope_pct_per_min"] = _slope_per_min(times_s, spo2_pct)
    pulse_bpm = _mean(window.signals.get("pulse_bpm"), window.start_s, 1)
    values["pulse_mean_bpm"] = pulse_bpm
    rr_ms = _mean(window.signals.get("rr_ms"), window.start_s, HR_LEAST)
    values["pulse_hr_diff_bpm"] = pulse_bpm - 60000.0 / rr_ms if rr_ms > 0.0 else nan
    return values


def _series(samples: Samples) -> tuple[_Array, _Array]:
    """Return times and values of a signal, whether or not its values carry their own times."""
    values = samples.values.astype(np.float64)
    if samples.times_s is not None:
        return samples.times_s, values
    step_s = 1.0 / samples.fs_hz if samples.fs_hz > 0.0 else 0.0
    times_s = samples.start_s + step_s * np.arange(values.size, dtype=np.float64)
    return times_s, values


def _mean(samples: Samples | None, since_s: float, n_least: int) -> float:
    """Return the mean of the valid values since `since_s`; NaN with fewer than `n_least`."""
    if samples is None:
        return nan
    times_s, values = _series(samples)
    values = values[np.searchsorted(times_s, since_s) :]
    values = values[np.isfinite(values)]
    return float(values.sum()) / values.size if values.size >= n_least else nan


def _slope_per_min(times_s: _Array, values: _Array) -> float:
    """Return the slope of the least-squares line; NaN with too few values or too short a span."""
    known = np.isfinite(values)
    if np.count_nonzero(known) < SLOPE_LEAST:
        return nan
    times_s, values = times_s[known], values[known]
    if times_s[-1] - times_s[0] < SLOPE_SPAN_S:
        return nan
    off_s = times_s - times_s[0]
    off_s = off_s - off_s.sum() / off_s.size
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
