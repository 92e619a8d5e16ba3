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

from bisect import bisect_left, insort
from collections.abc import Mapping
from itertools import pairwise
from math import fsum, inf, log, nan, sqrt

import numpy as np

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

# A window holds some ten intervals: lists of Python's numbers cost less than numpy's calls.


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
    if signal.times_s is None:
        return values
    end_s = window.end_s
    begin, first, last = signal.times_s.searchsorted(
        (end_s - ENTROPY_SPAN_S, window.start_s, end_s)
    ).tolist()
    # An unknown interval is endless: sorted, it comes behind all others.
    rr_ms = [x if 0.0 < x < RR_MOST_MS else inf for x in signal.values.tolist()]
    values["n_beats"] = float(last - first)
    _spread(rr_ms[first:last], values)
    _against_before(rr_ms, first, last, values)
    _entropy([x for x in rr_ms[begin:last] if x < inf], values)
    return values


def _spread(rr_ms: list[float], values: dict[str, float]) -> None:
    """Fill in what the window's own intervals tell."""
    ordered = sorted([x for x in rr_ms if x < inf])
    n = len(ordered)
    if n < 2:
        return
    median = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    mean = fsum(ordered) / n
    off = [x - mean for x in ordered]
    variance = sum([x * x for x in off]) / n
    sdrr = sqrt(variance)
    values["hr_median_bpm"] = 60000.0 / median
    values["mean_rr_ms"] = mean
    values["sdrr_ms"] = sdrr
    values["cv_rr"] = sdrr / mean
    values["rr_min_ratio"] = ordered[0] / median
    values["rr_max_ratio"] = ordered[-1] / median
    change = [after - before for before, after in pairwise(rr_ms) if before < inf and after < inf]
    n = len(change)
    if n == 0:
        return
    size = [abs(x) for x in change]
    square = sum([x * x for x in change]) / n
    drift = sum(change) / n
    change_variance = max(square - drift * drift, 0.0)
    sd1 = sqrt(0.5 * change_variance)
    sd2 = sqrt(max(2.0 * variance - 0.5 * change_variance, 0.0))
    values["rmssd_ms"] = sqrt(square)
    values["pnn50_pct"] = 100.0 * len([x for x in size if x > 50.0]) / n
    values["max_drr_ratio"] = max(size) / median
    values["sd1_ms"] = sd1
    values["sd2_ms"] = sd2
    values["sd1_sd2"] = sd1 / (sd2 + _SD2_FLOOR_MS)


def _against_before(rr_ms: list[float], first: int, last: int, values: dict[str, float]) -> None:
    """Fill in how the window's intervals compare with the median of the ones before each."""
    before = sorted(rr_ms[max(first - REFERENCE_BEATS, 0) : first])
    ratio = []
    for i in range(first, last):
        n = bisect_left(before, inf)
        if n >= REFERENCE_LEAST and rr_ms[i] < inf:
            ratio.append(rr_ms[i] / (0.5 * (before[(n - 1) // 2] + before[n // 2])))
        insort(before, rr_ms[i])
        if len(before) > REFERENCE_BEATS:
            del before[bisect_left(before, rr_ms[i - REFERENCE_BEATS])]
    if not ratio:
        return
    values["prematurity"] = min(ratio)
    values["pause_ratio"] = max(ratio)
    irregular = [x for x in ratio if abs(x - 1.0) > IRREGULAR_SHARE]
    values["irregular_frac"] = len(irregular) / len(ratio)


def _entropy(rr_ms: list[float], values: dict[str, float]) -> None:
    """Fill in sample entropy (m = 1), its coefficient and the turning point ratio."""
    n = len(rr_ms)
    if n < ENTROPY_LEAST:
        return
    x = np.array(rr_ms)
    off = x[:, None] - x
    near = np.abs(off, out=off) <= ENTROPY_TOLERANCE_MS
    first = near[:-1, :-1]
    n_one = int(np.count_nonzero(first)) - (n - 1)
    n_two = int(np.count_nonzero(first & near[1:, 1:])) - (n - 1)
    if n_one > 0:
        # No pair of two matching: one half is the least that can be told apart from none.
        sampen = -log(max(n_two, 1) / n_one)
        values["sampen"] = sampen
        values["cosen"] = sampen + log(2.0 * ENTROPY_TOLERANCE_MS * n / sum(rr_ms))
    change = x[1:] - x[:-1]
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
