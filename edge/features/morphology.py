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
    first, last = at_s.searchsorted((window.start_s - EDGE_S, window.end_s - EDGE_S)).tolist()
    if at_s.size < TEMPLATE_LEAST or first == last:
        return values
    own = beats[:, first:last]
    # One sort gives the middle beat from the P wave to the end of the shape.
    begin = _P_WAVE.start
    middle = _median(beats[begin : _SHAPE.stop])
    _shapes(own[_SHAPE], middle[_SHAPE.start - begin :], values)
    _complexes(beats, slice(first, last), values)
    _p_waves(own[_P_WAVE], middle[: _P_WAVE.stop - begin], values)
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
        Shape (140, beats), one column a beat, so that numpy works on all beats at once: filtered,
        on the grid of 200 Hz, each less its own baseline.
    at_s : TimeArray
        Shape (beats,). Beats with a missing sample under them are left out.
    """
    fs_hz = ecg.fs_hz
    centre = (times_s - ecg.start_s) * fs_hz
    reach = (BEFORE_S * fs_hz, ecg.values.size - 1 - AFTER_S * fs_hz)
    first, last = centre.searchsorted(reach).tolist()
    centre, at_s = centre[first:last], times_s[first:last]
    x, missing = _filled(ecg)
    if missing is not None:
        begin = (centre - BEFORE_S * fs_hz).astype(np.intp)
        end = (centre + AFTER_S * fs_hz).astype(np.intp)
        whole = missing[end + 1] == missing[begin]
        centre, at_s = centre[whole], at_s[whole]
    if not centre.size:
        return np.empty((_grid(fs_hz).size, 0)), at_s
    band = _band(fs_hz)
    band.restart()
    filtered = band.run(x)
    where = _grid(fs_hz) + centre
    whole_part = np.floor(where)
    where -= whole_part
    before = whole_part.astype(np.intp)
    beats = filtered.take(before)
    step = filtered[1:].take(before)
    step -= beats
    step *= where
    beats += step
    quiet = np.sort(beats[_BASELINE], axis=0)
    n = len(quiet)
    beats -= 0.5 * (quiet[(n - 1) // 2] + quiet[n // 2])
    return beats, at_s


@cache
def _grid(fs_hz: float) -> _Array:
    """Return the grid around an R peak in samples, shape (140, 1)."""
    n_after = round(AFTER_S * GRID_HZ)
    grid = np.arange(-_R, n_after, dtype=np.float64)[:, None] * (fs_hz / GRID_HZ)
    grid.setflags(write=False)
    return grid


@cache
def _band(fs_hz: float) -> SosFilter:
    """Return the filter, to be restarted before each use: making one costs more than a beat."""
    return SosFilter(butter_sos(2, BAND_HZ, fs_hz, "bandpass"))


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


# Below, arrays have one column a beat. The methods of arrays (mean, max ...) cost more than the
# arithmetic on arrays of this size, hence the ufuncs; rows of a few numbers are Python's lists.


def _shapes(shape: _Array, middle: _Array, values: dict[str, float]) -> None:
    """Fill in how well the window's beats follow the middle beat."""
    n = len(middle)
    size = float(np.add.reduce(np.abs(middle))) / n
    if size < LEAST_MV / 10.0:
        return
    fit = sorted(_correlate(shape, middle))
    values["corr_min"] = fit[0]
    values["corr_p10"] = _lowest_tenth(fit)
    values["corr_mean"] = sum(fit) / len(fit)
    off = shape - middle[:, None]
    np.abs(off, out=off)
    values["resid_max"] = max(np.add.reduce(off, axis=0).tolist()) / n / size


def _complexes(beats: _Array, own: slice, values: dict[str, float]) -> None:
    """Fill in width, size, slope, direction and T wave."""
    qrs = beats[_QRS]
    high, low = np.maximum.reduce(qrs, axis=0), np.minimum.reduce(qrs, axis=0)
    steep = np.abs(qrs[1:] - qrs[:-1])
    sizes = np.empty((3, len(high)))  # swing, area, slope of every beat
    np.subtract(high, low, out=sizes[0])
    np.add.reduce(np.abs(qrs), axis=0, out=sizes[1])
    np.maximum.reduce(steep, axis=0, out=sizes[2])
    usual, usual_area, usual_slope = _median(sizes).tolist()
    if usual < LEAST_MV:
        return
    swing, area, slope = sizes[:, own].tolist()
    width_ms = sorted(_widths_ms(steep[:, own]))
    width_median_ms = _middle(width_ms)
    values["width_max_ms"] = width_ms[-1]
    values["width_median_ms"] = width_median_ms
    values["width_range_ms"] = width_ms[-1] - width_median_ms
    values["amp_max_ratio"] = max(swing) / usual
    values["amp_min_ratio"] = min(swing) / usual
    values["area_max_ratio"] = max(area) / usual_area
    values["slope_min_ratio"] = min(slope) / usual_slope
    values["slope_max_ratio"] = max(slope) / usual_slope
    up = (high + low > 0.0).tolist()
    mostly_up = 2 * up.count(True) > len(up)
    values["polarity_frac"] = up[own].count(not mostly_up) / len(swing)
    values["t_amp_max_ratio"] = max(_swings(beats[_T_WAVE, own])) / usual
    values["p_amp_ratio"] = _middle(sorted(_swings(beats[_P_WAVE, own]))) / usual


def _p_waves(p_wave: _Array, middle: _Array, values: dict[str, float]) -> None:
    """Fill in whether every beat has the same P wave before it."""
    fit = _correlate(p_wave, middle)
    values["p_corr_min"] = min(fit)
    values["p_corr_mean"] = sum(fit) / len(fit)


def _widths_ms(steep: _Array) -> list[float]:
    """Return the QRS widths from slopes, shape (points, beats), smoothed over 20 ms."""
    smooth = steep[:-3] + steep[1:-2]
    smooth += steep[2:-1]
    smooth += steep[3:]
    above = smooth > ONSET_SHARE * np.maximum.reduce(smooth, axis=0)
    width: _Array = len(above) - above.argmax(axis=0) - above[::-1].argmax(axis=0)
    return [n * (1000.0 / GRID_HZ) for n in width.tolist()]


def _swings(part: _Array) -> list[float]:
    """Return the distance of highest and lowest value in each column."""
    swing = np.maximum.reduce(part, axis=0)
    swing -= np.minimum.reduce(part, axis=0)
    found: list[float] = swing.tolist()
    return found


def _correlate(columns: _Array, middle: _Array) -> list[float]:
    """Return Pearson's correlation of each column with `middle`; 0 where one of them is flat."""
    n = len(middle)
    columns = columns - np.add.reduce(columns, axis=0) / n
    middle = middle - np.add.reduce(middle) / n
    scale = np.sqrt(np.add.reduce(columns * columns, axis=0) * (middle @ middle))
    fit: list[float] = ((middle @ columns) / np.maximum(scale, 1e-12)).tolist()
    return fit


def _median(rows: _Array) -> _Array:
    """Return the median of each row; a tenth of the cost of `numpy.median` on short rows."""
    ordered = np.sort(rows, axis=1)
    n = ordered.shape[1]
    return np.asarray(0.5 * (ordered[:, (n - 1) // 2] + ordered[:, n // 2]))


def _middle(ordered: list[float]) -> float:
    """Return the median of sorted values."""
    n = len(ordered)
    return 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])


def _lowest_tenth(ordered: list[float]) -> float:
    """Return the 10th percentile of sorted values, between neighbours where it falls there."""
    where = 0.1 * (len(ordered) - 1)
    i = int(where)
    after = ordered[min(i + 1, len(ordered) - 1)]
    return ordered[i] + (where - i) * (after - ordered[i])


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
