"""How far the ECG of a window can be believed.

From one Fourier transform: the shares of the QRS band, of baseline wander and of muscle and mains
noise, and the peakedness of the ECG between 0.5 and 40 Hz (a clean one is far from Gaussian).

Sources: Clifton 2012, doi:10.1088/0967-3334/33/9/1419 (kSQI, sSQI, pSQI, basSQI); Li 2008,
doi:10.1088/0967-3334/29/1/002.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import isfinite, nan, sqrt
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
    x: NDArray[np.floating] = ecg.values[max(begin, 0) : max(begin + n, 0)]
    x, n_known = _bridged(x)
    missing = max(1.0 - n_known / n, 0.0)
    values["missing_frac"] = missing
    if n_known < 2:
        return values
    low, high = float(np.minimum.reduce(x)), float(np.maximum.reduce(x))
    at_ends = int(np.count_nonzero(x >= high)) + int(np.count_nonzero(x <= low))
    values["clip_frac"] = min(at_ends / x.size, 1.0)
    values["flat_frac"] = _flat_frac(x, ecg.fs_hz)
    if missing <= MISSING_LIMIT and high - low > FLAT_MV:
        _spectrum(x.astype(np.float64), ecg.fs_hz, values)
    return values


def _bridged(x: NDArray[np.floating]) -> tuple[NDArray[np.floating], int]:
    """Return `x` with straight lines over what is missing, and how many samples are not."""
    if isfinite(float(x @ x)):  # as a rule nothing is missing, and this is the quickest proof
        return x, x.size
    at = np.flatnonzero(np.isfinite(x))
    return np.interp(np.arange(x.size), at, x[at]) if at.size else x, at.size


def _flat_frac(x: NDArray[np.floating], fs_hz: float) -> float:
    """Return the share of tenths of a second in which the line does not move."""
    n = max(round(FLAT_S * fs_hz), 2)
    # One column a part: numpy then compares whole rows at once.
    parts = x[: x.size // n * n].reshape(-1, n).T.copy()
    if not parts.size:
        return nan
    high, low = np.maximum.reduce(parts, axis=0), np.minimum.reduce(parts, axis=0)
    swing = np.subtract(high, low, dtype=np.float64)
    n_flat = int(np.count_nonzero(swing < FLAT_MV))
    return n_flat / len(swing)


def _spectrum(x: _Array, fs_hz: float, values: dict[str, float]) -> None:
    """Fill in the shares of the bands and the moments of the ECG between 0.5 and 40 Hz.

    Writes over `x`.
    """
    n = x.size
    # The line from end to end is taken away: the jump between them would leak into every band.
    k = min(max(round(END_S * fs_hz), 1), n // 2)
    rise = float(np.add.reduce(x[-k:]) - np.add.reduce(x[:k])) / k
    x -= _ramp(n) * (rise / (n - k))
    bins = np.fft.rfft(x)
    bins[0] = 0.0  # the level tells nothing
    edge = _edges(n, fs_hz)
    slow = _power(bins[: edge[1.0]])
    beats = _power(bins[edge[5.0] : edge[15.0]])
    upper = beats + _power(bins[edge[15.0] : edge[40.0]])
    total = slow + _power(bins[edge[1.0] : edge[5.0]]) + upper
    if total < _LEAST_MV2 * n:
        return
    if upper > 0.0:
        values["psqi"] = beats / upper
    values["bassqi"] = 1.0 - slow / total
    if fs_hz >= 90.0:
        values["hfsqi"] = _power(bins[edge[40.0] : edge[100.0]]) / total
    bins[: edge[0.5]] = 0.0
    _moments(bins[: edge[40.0]], n, values)


def _power(bins: NDArray[np.complex128]) -> float:
    """Return the sum of the squared magnitudes."""
    parts = bins.view(np.float64)  # real and imaginary in turn
    return float(parts @ parts)


def _moments(bins: NDArray[np.complex128], n: int, values: dict[str, float]) -> None:
    """Fill in skewness and kurtosis of the line of `n` samples that has these frequencies.

    The mean of a fourth power depends on sums of four frequencies only: where those stay below
    the sampling rate, fewer samples of the same line have the same moments.
    """
    few = _n_enough(len(bins), n)
    clean = np.fft.irfft(bins, few)
    square = clean * clean
    variance = float(clean @ clean) / few
    if variance * (few / n) ** 2 < _LEAST_MV2:  # irfft takes the amplitude for that of `few`
        return
    values["ssqi"] = float(square @ clean) / few / (variance * sqrt(variance))
    values["ksqi"] = float(square @ square) / few / (variance * variance) - 3.0


@cache
def _n_enough(n_bins: int, n: int) -> int:
    """Return how many samples keep the fourth moment, a length that transforms quickly."""
    quick = (2**i * 3**j * 5**k for i in range(2, 14) for j in range(4) for k in range(4))
    return min((m for m in quick if 4 * (n_bins - 1) < m < n), default=n)


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
