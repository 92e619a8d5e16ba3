"""What the beats look like: shape, width and size against this patient's own middle beat.

Every beat is cut from the ECG filtered to 0.5 - 40 Hz (forward only, as it runs live), 250 ms
before to 450 ms after its R peak, and laid on one grid of 200 Hz, so the numbers are alike at
any sampling rate from 100 Hz. The middle beat is the median, sample by sample, of all beats in
reach (window and context), and sizes are ratios to the median of the same beats: the gain of the
electrode drops out.

A beat near the end of the window whose T wave has yet to come is left to the next window; each
beat is in exactly one.

Sources: de Chazal 2004, doi:10.1109/TBME.2004.827359 (widths, amplitudes and shape as beat
features); Llamedo & Martinez 2011, doi:10.1109/TBME.2010.2068048 (what generalises to new people).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import nan

import numpy as np
from numpy.typing import NDArray

from edge.dsp.filters import SosFilter, butter_sos
from edge.features import FeatureFamily
from edge.records import WINDOW_S, Samples, TimeArray, Window

BAND_HZ = (0.5, 40.0)
GRID_HZ = 200
BEFORE_S, AFTER_S = 0.25, 0.45
EDGE_S = 0.46
"""A beat is left to the next window when the window ends this soon after its R peak."""
TEMPLATE_LEAST = 3
LEAST_MV = 1e-3
"""Beats smaller than this have no shape."""
ONSET_SHARE = 0.2
"""The QRS complex is where the slope is above this share of its steepest."""

_Array = NDArray[np.float64]
_R = round(BEFORE_S * GRID_HZ)


def _span(begin_s: float, end_s: float) -> slice:
    """Return the grid between two times, seconds after the R peak."""
    return slice(_R + round(begin_s * GRID_HZ), _R + round(end_s * GRID_HZ))


_BASELINE = slice(0, round(0.1 * GRID_HZ))
_SHAPE = _span(-0.12, 0.30)
_QRS = _span(-0.12, 0.14)
_P_WAVE = _span(-0.22, -0.08)
_T_WAVE = _span(0.16, AFTER_S)


def compute(window: Window) -> Mapping[str, float]:
    """Return the shape of the beats of `window`.

    Returns
    -------
    Mapping[str, float]
        `FEATURES.names`; all NaN with fewer than three whole beats in reach, none in the window,
        or a sampling rate under 100 Hz. Noise makes beats look strange: read together with the
        ECG's quality.
    """
    values = dict.fromkeys(FEATURES.names, nan)
    ecg, times_s = window.signals["ecg_mv"], window.signals["rr_ms"].times_s
    if times_s is None or ecg.fs_hz < 100.0:
        return values
    beats, at_s = cut_beats(ecg, times_s)
    first, last = np.searchsorted(at_s, (window.start_s - EDGE_S, window.end_s - EDGE_S)).tolist()
    if len(beats) < TEMPLATE_LEAST or first == last:
        return values
    own = slice(first, last)
    _shapes(beats[:, _SHAPE], own, values)
    _complexes(beats, own, values)
    _p_waves(beats[:, _P_WAVE], own, values)
    return values


def cut_beats(ecg: Samples, times_s: TimeArray) -> tuple[_Array, TimeArray]:
    """Return the beats that lie whole in the ECG, and the times of their R peaks.

    Parameters
    ----------
    ecg : Samples
        In mV, at a fixed rate; NaN where samples are missing.
    times_s : TimeArray
        Times of the R peaks, ascending.

    Returns
    -------
    beats : NDArray
        Shape (beats, 140): filtered, on the grid of 200 Hz, each less its own baseline.
    at_s : TimeArray
        Shape (beats,). Beats with a missing sample under them are left out.
    """
    fs_hz = ecg.fs_hz
    centre = (times_s - ecg.start_s) * fs_hz
    whole = (centre >= BEFORE_S * fs_hz) & (centre < ecg.values.size - 1 - AFTER_S * fs_hz)
    x, missing = _filled(ecg)
    if missing is not None:
        begin = np.where(whole, centre - BEFORE_S * fs_hz, 0.0).astype(np.intp)
        end = np.where(whole, centre + AFTER_S * fs_hz, 0.0).astype(np.intp)
        whole &= missing[end + 1] == missing[begin]
    centre = centre[whole]
    if not centre.size:
        return np.empty((0, _grid(fs_hz).size)), times_s[whole]
    filtered = SosFilter(butter_sos(2, BAND_HZ, fs_hz, "bandpass")).run(x)
    where = centre[:, None] + _grid(fs_hz)
    before = where.astype(np.intp)
    where -= before
    beats = filtered[before]
    before += 1
    beats += (filtered[before] - beats) * where
    quiet = np.sort(beats[:, _BASELINE], axis=1)
    n = quiet.shape[1]
    beats -= 0.5 * (quiet[:, (n - 1) // 2, None] + quiet[:, n // 2, None])
    return beats, times_s[whole]


@cache
def _grid(fs_hz: float) -> _Array:
    n_after = round(AFTER_S * GRID_HZ)
    grid = np.arange(-_R, n_after, dtype=np.float64) * (fs_hz / GRID_HZ)
    grid.setflags(write=False)
    return grid


def _filled(ecg: Samples) -> tuple[NDArray[np.floating], NDArray[np.intp] | None]:
    """Return the ECG with gaps holding the last value, and how many are missing before each."""
    x: NDArray[np.floating] = ecg.values
    known = np.isfinite(x)
    if known.all():
        return x, None
    missing = np.concatenate(([0], np.cumsum(~known)))
    if not known.any():
        return np.zeros(x.size), missing
    source = np.maximum.accumulate(np.where(known, np.arange(x.size), int(known.argmax())))
    return x[source], missing


def _shapes(shape: _Array, own: slice, values: dict[str, float]) -> None:
    """Fill in how well the beats follow the middle beat."""
    middle = _median(shape)
    size = float(np.abs(middle).mean())
    if size < LEAST_MV / 10.0:
        return
    fit = np.sort(_correlate(shape[own], middle))
    values["corr_min"] = float(fit[0])
    values["corr_p10"] = _lowest_tenth(fit)
    values["corr_mean"] = float(fit.mean())
    values["resid_max"] = float(np.abs(shape[own] - middle).mean(axis=1).max()) / size


def _complexes(beats: _Array, own: slice, values: dict[str, float]) -> None:
    """Fill in width, size, slope, direction and T wave."""
    qrs = beats[:, _QRS]
    size = np.abs(qrs)
    swing = qrs.max(axis=1) - qrs.min(axis=1)
    usual = float(_median(swing))
    if usual < LEAST_MV:
        return
    steep = np.abs(np.diff(qrs, axis=1))
    width_ms = _widths_ms(steep[own])
    width_median_ms = float(_median(width_ms))
    values["width_max_ms"] = float(width_ms.max())
    values["width_median_ms"] = width_median_ms
    values["width_range_ms"] = float(width_ms.max()) - width_median_ms
    values["amp_max_ratio"] = float(swing[own].max()) / usual
    values["amp_min_ratio"] = float(swing[own].min()) / usual
    area = size.sum(axis=1)
    values["area_max_ratio"] = float(area[own].max() / _median(area))
    slope = steep.max(axis=1)
    usual_slope = float(_median(slope))
    values["slope_min_ratio"] = float(slope[own].min()) / usual_slope
    values["slope_max_ratio"] = float(slope[own].max()) / usual_slope
    up = qrs[np.arange(len(qrs)), size.argmax(axis=1)] > 0.0
    mostly_up = 2 * np.count_nonzero(up) > up.size
    values["polarity_frac"] = float((up[own] != mostly_up).mean())
    t_wave = beats[own, _T_WAVE]
    values["t_amp_max_ratio"] = float((t_wave.max(axis=1) - t_wave.min(axis=1)).max()) / usual
    p_wave = beats[own, _P_WAVE]
    values["p_amp_ratio"] = float(_median(p_wave.max(axis=1) - p_wave.min(axis=1))) / usual


def _p_waves(p_wave: _Array, own: slice, values: dict[str, float]) -> None:
    """Fill in whether every beat has the same P wave before it."""
    fit = _correlate(p_wave[own], _median(p_wave))
    values["p_corr_min"] = float(fit.min())
    values["p_corr_mean"] = float(fit.mean())


def _widths_ms(steep: _Array) -> _Array:
    """Return the QRS widths from slopes, shape (beats, points), smoothed over 20 ms."""
    smooth = steep[:, :-3] + steep[:, 1:-2] + steep[:, 2:-1] + steep[:, 3:]
    above = smooth > ONSET_SHARE * smooth.max(axis=1, keepdims=True)
    before = above.argmax(axis=1)
    after = above[:, ::-1].argmax(axis=1)
    width: _Array = (above.shape[1] - before - after) * (1000.0 / GRID_HZ)
    return width


def _correlate(rows: _Array, middle: _Array) -> _Array:
    """Return Pearson's correlation of each row with `middle`; 0 where one of them is flat."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    middle = middle - middle.mean()
    scale = np.sqrt(np.einsum("ij,ij->i", rows, rows) * (middle @ middle))
    fit: _Array = (rows @ middle) / np.maximum(scale, 1e-12)
    return fit


def _median(rows: _Array) -> _Array:
    """Return the median over the first axis; twice as quick as `numpy.median` on few rows."""
    ordered = np.sort(rows, axis=0)
    n = len(rows)
    return np.asarray(0.5 * (ordered[(n - 1) // 2] + ordered[n // 2]))


def _lowest_tenth(ordered: _Array) -> float:
    """Return the 10th percentile of sorted values, between neighbours where it falls there."""
    where = 0.1 * (ordered.size - 1)
    i = int(where)
    after = ordered[min(i + 1, ordered.size - 1)]
    return float(ordered[i] + (where - i) * (after - ordered[i]))


_WORDS = {
    "corr_min": "least likeness of a beat to the usual beat",
    "corr_p10": "likeness to the usual beat that nine beats in ten exceed",
    "corr_mean": "mean likeness of the beats to the usual beat",
    "resid_max": "largest difference of a beat from the usual beat",
    "width_max_ms": "widest QRS complex, ms",
    "width_median_ms": "usual width of the QRS complex, ms",
    "width_range_ms": "widest QRS complex beyond the usual width, ms",
    "amp_max_ratio": "tallest beat against the usual height",
    "amp_min_ratio": "smallest beat against the usual height",
    "area_max_ratio": "largest area under a beat against the usual",
    "slope_min_ratio": "slowest rise of a beat against the usual",
    "slope_max_ratio": "steepest rise of a beat against the usual",
    "polarity_frac": "share of beats that point the other way",
    "t_amp_max_ratio": "largest swing after a beat against the height of the beats",
    "p_amp_ratio": "height of the P wave against the height of the beats",
    "p_corr_min": "least likeness of a P wave to the usual one",
    "p_corr_mean": "mean likeness of the P waves to the usual one",
}

FEATURES = FeatureFamily(
    name="morphology",
    every_s=WINDOW_S,
    needs=("ecg_mv", "rr_ms"),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
    model=True,
)
