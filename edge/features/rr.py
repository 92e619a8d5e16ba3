"""How regular the beats are: numbers from RR intervals.

The intervals are RR, not NN: no beat is left out for being ectopic, so the spread is called
``sdrr_ms`` and must not be read as the SDNN of the heart rate variability literature.

An interval belongs to the window in which it ends. Entropies and the turning point ratio need
more intervals than 10 s hold and look at the last 30 s; each interval is compared with the median
of the 12 before it, which may reach into the context.

Sources: Task Force 1996, doi:10.1161/01.CIR.93.5.1043 (RMSSD, pNN50); Brennan 2001,
doi:10.1109/10.959330 (SD1, SD2); Lake & Moorman 2011, doi:10.1152/ajpheart.00561.2010 (sample
entropy and its coefficient, r = 30 ms); Dash 2009, doi:10.1007/s10439-009-9740-z (turning points).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from edge.features import FeatureFamily
from edge.records import WINDOW_S, Window

ENTROPY_SPAN_S = 30.0
ENTROPY_TOLERANCE_MS = 30.0
ENTROPY_LEAST = 8
REFERENCE_BEATS = 12
REFERENCE_LEAST = 3
IRREGULAR_SHARE = 0.12
"""An interval this far from the median of those before it counts as irregular."""
RR_MOST_MS = 60_000.0
"""Longer is not an interval between two beats."""
_SD2_FLOOR_MS = 5.0

_Array = NDArray[np.float64]
_BEFORE = np.arange(REFERENCE_BEATS)
_UNKNOWN = np.full(REFERENCE_BEATS, nan)


def compute(window: Window) -> Mapping[str, float]:
    """Return the rhythm of `window`.

    Returns
    -------
    Mapping[str, float]
        `FEATURES.names`. Spread and ratios need two known intervals in the window, entropies
        eight in 30 s; what is not there is NaN. A missed beat looks like a pause, a false one like
        a premature beat: read together with the ECG's quality.
    """
    values = dict.fromkeys(FEATURES.names, nan)
    signal = window.signals["rr_ms"]
    times_s = signal.times_s
    if times_s is None:
        return values
    rr_ms = signal.values.astype(np.float64)
    rr_ms[~((rr_ms > 0.0) & (rr_ms < RR_MOST_MS))] = nan
    first, last = np.searchsorted(times_s, (window.start_s, window.end_s)).tolist()
    values["n_beats"] = float(last - first)
    _spread(rr_ms[first:last], values)
    _against_before(rr_ms, first, last, values)
    begin = int(np.searchsorted(times_s, window.end_s - ENTROPY_SPAN_S))
    _entropy(rr_ms[begin:last], values)
    return values


def _spread(rr_ms: _Array, values: dict[str, float]) -> None:
    """Fill in what the window's own intervals tell."""
    known = rr_ms[~np.isnan(rr_ms)]
    n = known.size
    if n < 2:
        return
    ordered = np.sort(known)
    median = 0.5 * float(ordered[(n - 1) // 2] + ordered[n // 2])
    mean = float(known.sum()) / n
    off = known - mean
    variance = float(off @ off) / n
    sdrr = sqrt(variance)
    values["hr_median_bpm"] = 60000.0 / median
    values["mean_rr_ms"] = mean
    values["sdrr_ms"] = sdrr
    values["cv_rr"] = sdrr / mean
    values["rr_min_ratio"] = float(ordered[0]) / median
    values["rr_max_ratio"] = float(ordered[-1]) / median
    change = np.diff(rr_ms)
    change = change[~np.isnan(change)]
    n = change.size
    if n == 0:
        return
    size = np.abs(change)
    square = float(change @ change) / n
    drift = float(change.sum()) / n
    change_variance = max(square - drift * drift, 0.0)
    sd1 = sqrt(0.5 * change_variance)
    sd2 = sqrt(max(2.0 * variance - 0.5 * change_variance, 0.0))
    values["rmssd_ms"] = sqrt(square)
    values["pnn50_pct"] = 100.0 * float(np.count_nonzero(size > 50.0)) / n
    values["max_drr_ratio"] = float(size.max()) / median
    values["sd1_ms"] = sd1
    values["sd2_ms"] = sd2
    values["sd1_sd2"] = sd1 / (sd2 + _SD2_FLOOR_MS)


def _against_before(rr_ms: _Array, first: int, last: int, values: dict[str, float]) -> None:
    """Fill in how the window's intervals compare with the median of the ones before each."""
    if last == first:
        return
    padded = np.concatenate((_UNKNOWN, rr_ms))
    before = padded[np.arange(first, last)[:, None] + _BEFORE]
    ordered = np.sort(before, axis=1)  # NaN goes last
    n = REFERENCE_BEATS - np.isnan(before).sum(axis=1)
    rows = np.arange(last - first)
    middle = ordered[rows, np.maximum(n - 1, 0) // 2] + ordered[rows, n // 2]
    reference = 0.5 * middle
    ratio = rr_ms[first:last] / reference
    ratio = ratio[(n >= REFERENCE_LEAST) & (ratio > 0.0)]
    if ratio.size == 0:
        return
    values["prematurity"] = float(ratio.min())
    values["pause_ratio"] = float(ratio.max())
    irregular = np.count_nonzero(np.abs(ratio - 1.0) > IRREGULAR_SHARE)
    values["irregular_frac"] = float(irregular) / ratio.size


def _entropy(rr_ms: _Array, values: dict[str, float]) -> None:
    """Fill in sample entropy (m = 1), its coefficient and the turning point ratio."""
    rr_ms = rr_ms[~np.isnan(rr_ms)]
    n = rr_ms.size
    if n < ENTROPY_LEAST:
        return
    near = np.abs(rr_ms[:, None] - rr_ms) <= ENTROPY_TOLERANCE_MS
    ones = near[:-1, :-1]
    n_one = int(np.count_nonzero(ones)) - (n - 1)
    n_two = int(np.count_nonzero(ones & near[1:, 1:])) - (n - 1)
    if n_one > 0:
        # No pair of two matching: one half is the least that can be told apart from none.
        sampen = -log(max(n_two, 1) / n_one)
        values["sampen"] = sampen
        values["cosen"] = sampen + log(2.0 * ENTROPY_TOLERANCE_MS * n / float(rr_ms.sum()))
    change = np.diff(rr_ms)
    turns = int(np.count_nonzero(change[1:] * change[:-1] < 0.0))
    values["turning_point_ratio"] = turns / (n - 2)


_WORDS = {
    "n_beats": "heart beats in the window",
    "hr_median_bpm": "heart rate of the middle beat, beats a minute",
    "mean_rr_ms": "mean time between beats, ms",
    "sdrr_ms": "spread of the times between beats, ms",
    "rmssd_ms": "change from one interval to the next, ms",
    "pnn50_pct": "share of intervals that differ from the one before by more than 50 ms, %",
    "cv_rr": "spread of the intervals against their mean",
    "rr_min_ratio": "shortest RR interval against the median",
    "rr_max_ratio": "longest RR interval against the median",
    "max_drr_ratio": "largest change between neighbouring intervals against the median",
    "sd1_ms": "irregularity from beat to beat, ms",
    "sd2_ms": "slower change of the heart rhythm, ms",
    "sd1_sd2": "beat-to-beat irregularity against slower change",
    "sampen": "how unpredictable the intervals are (sample entropy)",
    "cosen": "how unpredictable the intervals are for this heart rate",
    "turning_point_ratio": "how often the intervals turn from longer to shorter or back",
    "prematurity": "earliest beat against the intervals before it",
    "pause_ratio": "longest pause against the intervals before it",
    "irregular_frac": "share of beats that come clearly early or late",
}

FEATURES = FeatureFamily(
    name="rr",
    every_s=WINDOW_S,
    needs=("rr_ms",),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
    model=True,
)
