"""How far the ECG of a window can be believed.

From one Fourier transform: the shares of the QRS band, of baseline wander and of muscle and mains
noise, and the peakedness of the ECG between 0.5 and 40 Hz (a clean one is far from Gaussian).

Sources: Clifton 2012, doi:10.1088/0967-3334/33/9/1419 (kSQI, sSQI, pSQI, basSQI); Li 2008,
doi:10.1088/0967-3334/29/1/002.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import nan, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.features import FeatureFamily
from edge.records import WINDOW_S, Window

MISSING_LIMIT = 0.3
"""No spectrum when a greater share of the samples is missing."""
FLAT_S = 0.1
END_S = 0.1
FLAT_MV = 1e-3
_EDGES_HZ = (0.5, 1.0, 5.0, 15.0, 40.0, 100.0)
_LEAST_MV2 = 1e-9

_Array: TypeAlias = NDArray[np.float64]
_Edges: TypeAlias = dict[float, int]


def compute(window: Window) -> Mapping[str, float]:
    """Return the quality of the ECG of `window`, the context left out.

    Returns
    -------
    Mapping[str, float]
        `FEATURES.names`. The spectral ones are NaN when more than 30 % of the samples are missing
        or the line is constant; `hfsqi` also when the sampling rate is below 90 Hz.
    """
    values = dict.fromkeys(FEATURES.names, nan)
    values["quality"] = window.quality.get("ecg_mv", nan)
    ecg = window.signals["ecg_mv"]
    if ecg.fs_hz <= 0.0:
        return values
    n = round(window.length_s * ecg.fs_hz)
    begin = round((window.start_s - ecg.start_s) * ecg.fs_hz)
    x = ecg.values[max(begin, 0) : max(begin + n, 0)].astype(np.float64)
    known = np.isfinite(x)
    n_known = int(np.count_nonzero(known))
    missing = max(1.0 - n_known / n, 0.0)
    values["missing_frac"] = missing
    if n_known < 2:
        return values
    if n_known < x.size:
        at = np.flatnonzero(known)
        low, high = float(x[at].min()), float(x[at].max())
        x = np.interp(np.arange(x.size), at, x[at])
    else:
        low, high = float(x.min()), float(x.max())
    at_ends = int(np.count_nonzero(x >= high)) + int(np.count_nonzero(x <= low))
    values["clip_frac"] = min(at_ends / x.size, 1.0)
    values["flat_frac"] = _flat_frac(x, ecg.fs_hz)
    if missing <= MISSING_LIMIT and high - low > FLAT_MV:
        _spectrum(x, ecg.fs_hz, values)
    return values


def _flat_frac(x: _Array, fs_hz: float) -> float:
    """Return the share of tenths of a second in which the line does not move."""
    n = max(round(FLAT_S * fs_hz), 2)
    parts = x[: x.size // n * n].reshape(-1, n)
    if not len(parts):
        return nan
    return float(np.count_nonzero(parts.max(axis=1) - parts.min(axis=1) < FLAT_MV)) / len(parts)


def _spectrum(x: _Array, fs_hz: float, values: dict[str, float]) -> None:
    """Fill in the shares of the bands and the moments of the ECG between 0.5 and 40 Hz."""
    n = x.size
    level = float(x.sum()) / n
    # The line from end to end is taken away: the jump between them would leak into every band.
    k = min(max(round(END_S * fs_hz), 1), n // 2)
    rise = float(x[-k:].sum() - x[:k].sum()) / k
    x = x - level - _ramp(n) * (rise / (n - k))
    bins = np.fft.rfft(x)
    power = bins.real * bins.real + bins.imag * bins.imag
    edge = _edges(n, fs_hz)
    total = float(power[: edge[40.0]].sum())
    if total < _LEAST_MV2 * n:
        return
    upper = float(power[edge[5.0] : edge[40.0]].sum())
    if upper > 0.0:
        values["psqi"] = float(power[edge[5.0] : edge[15.0]].sum()) / upper
    values["bassqi"] = 1.0 - float(power[: edge[1.0]].sum()) / total
    if fs_hz >= 90.0:
        values["hfsqi"] = float(power[edge[40.0] : edge[100.0]].sum()) / total
    bins[: edge[0.5]] = 0.0
    bins[edge[40.0] :] = 0.0
    clean = np.fft.irfft(bins, n)
    square = clean * clean
    variance = float(square.sum()) / n
    if variance < _LEAST_MV2:
        return
    values["ssqi"] = float(square @ clean) / n / (variance * sqrt(variance))
    values["ksqi"] = float(square @ square) / n / (variance * variance) - 3.0


@cache
def _ramp(n: int) -> _Array:
    ramp = np.arange(n, dtype=np.float64) - 0.5 * (n - 1)
    ramp.setflags(write=False)
    return ramp


@cache
def _edges(n: int, fs_hz: float) -> _Edges:
    """Return the bin at which each frequency begins."""
    most = n // 2 + 1
    return {hz: min(int(np.ceil(hz * n / fs_hz)), most) for hz in _EDGES_HZ}


_WORDS = {
    "ksqi": "how much the beats stand out of the ECG",
    "ssqi": "how one-sided the ECG is",
    "psqi": "share of the ECG's power where beats have theirs",
    "bassqi": "share of the ECG's power that is not slow wander",
    "hfsqi": "muscle and mains noise against the ECG",
    "flat_frac": "share of the time in which the ECG does not move",
    "clip_frac": "share of the ECG at its own highest or lowest value",
    "missing_frac": "share of the ECG that is missing",
    "quality": "quality of the ECG, 0 useless to 1 clean",
}

FEATURES = FeatureFamily(
    name="ecg_quality",
    every_s=WINDOW_S,
    needs=("ecg_mv",),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
    model=True,
)
