"""Where an ECG moves fast: the slope envelope in which heart beats stand out, and its peaks.

Band-pass, slope over 20 ms, moving sum of its absolute value over about one QRS complex, and the
local maxima of that sum that nothing within 200 ms exceeds. The slopes are turned into integers
(2**-30 mV) before anything is summed: integer sums are exact, so the envelope and all that is
decided on it are the same to the bit however the signal was cut into blocks.

Source: J. Pan and W. J. Tompkins, "A real-time QRS detection algorithm", IEEE Trans. Biomed. Eng.
32 (1985) 230-236, doi:10.1109/TBME.1985.325532 (band-pass, derivative, window of one QRS; here
the absolute value of P. S. Hamilton's version instead of the square).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.dsp.filters import SosFilter, butter_sos

BAND_HZ = (6.0, 18.0)
SLOPE_S = 0.018  # a difference over 1/55 s is nearly blind to 50 and 60 Hz
WINDOW_S = 0.120  # one QRS complex, also a wide one
APART_S = 0.200  # two ventricles cannot beat closer together
KEPT_S = 8.0  # how far back questions can be asked
QUANTUM_MV = 2.0**-30
NO_PEAK = (0, 0)  # every peak is higher than nothing


class QrsEnvelope:
    """The envelope of one lead, held for the last `KEPT_S` seconds.

    Parameters
    ----------
    fs_hz : float
        100 to 1000.
    """

    def __init__(self, fs_hz: float) -> None:
        sos = butter_sos(2, BAND_HZ, fs_hz, "bandpass").copy()
        sos[0, :3] /= QUANTUM_MV  # a power of two: exact
        self._filter = SosFilter(sos)
        self._slope_n = max(1, round(SLOPE_S * fs_hz))
        self.window_n = max(2, round(WINDOW_S * fs_hz))
        self.apart_n = round(APART_S * fs_hz)
        #: The most samples one call may bring.
        self.block_n = round(fs_hz)
        #: How far back may be asked.
        self.kept_n = round(KEPT_S * fs_hz)
        #: The middle of a QRS shows on the envelope as a peak this many samples later.
        self.lag_n = _energy_delay(SosFilter(sos), fs_hz) + (self._slope_n + self.window_n) // 2
        size = 2 * self.kept_n + self.block_n
        self._raw = np.zeros(size)
        self._slope = np.zeros(size, np.int64)
        self._height = np.zeros(size, np.int64)
        # The arrays start with zeros as if the lead had been silent: index 0 is at `kept_n`.
        self._shift = self.kept_n
        # One block only: the end of the block before, and then this one.
        self._filtered = np.zeros(self._slope_n + self.block_n)
        self._steps = np.zeros(1 + self.block_n, np.int64)
        self._rising = np.zeros(1 + self.block_n, np.bool_)
        self._top = NO_PEAK
        #: Samples so far, missing ones included.
        self.n = 0

    def push(self, ecg_mv: NDArray[np.floating[Any]]) -> list[tuple[int, int]]:
        """Take at most `block_n` finite samples; return the peaks that became certain."""
        n, slope_n, filtered = len(ecg_mv), self._slope_n, self._filtered
        at, end = self._make_room(n)
        self._raw[at:end] = ecg_mv
        block = filtered[slope_n : slope_n + n]
        block[:] = self._filter.run(ecg_mv)
        slope = block - filtered[:n]
        self._slope[at:end] = np.absolute(slope, slope)
        filtered[:slope_n] = filtered[n : n + slope_n]
        return self._sum_up(at, end)

    def skip(self, n: int) -> list[tuple[int, int]]:
        """Pass over at most `block_n` missing samples; the filter starts afresh after them."""
        slope_n, filtered = self._slope_n, self._filtered
        at, end = self._make_room(n)
        self._raw[at:end] = self._raw[at - 1]
        filtered[slope_n : slope_n + n] = 0.0
        filtered[:slope_n] = filtered[n : n + slope_n]
        self._filter.restart()
        self._slope[at:end] = 0
        return self._sum_up(at, end)

    def _make_room(self, n: int) -> tuple[int, int]:
        at = self.n + self._shift
        if at + n > len(self._raw):
            drop = at - self.kept_n
            for kept in (self._raw, self._slope, self._height):
                kept[: self.kept_n] = kept[drop:at]
            self._shift -= drop
            at = self.kept_n
        self.n += n
        return at, at + n

    def _sum_up(self, at: int, end: int) -> list[tuple[int, int]]:
        """Carry the moving sum on over a block: what comes into the window, less what leaves."""
        n, window_n, rising, steps = end - at, self.window_n, self._rising, self._steps
        come, gone = self._slope[at:end], self._slope[at - window_n : end - window_n]
        sums = self._height[at - 1 : end]
        steps[0] = sums[0]
        np.subtract(come, gone, steps[1 : n + 1])
        np.add.accumulate(steps[: n + 1], 0, None, sums)  # in place it would take twice as long
        # A sample is a local maximum once its right neighbour is known: the first that may be one
        # is the last of the block before.
        np.greater(come, gone, rising[1 : n + 1])
        (spots,) = np.greater(rising[:n], rising[1 : n + 1]).nonzero()
        rising[0] = rising[n]
        return self._find_peaks(spots.tolist(), sums[spots].tolist(), self.n - n - 1)

    def _find_peaks(
        self, spots: list[int], heights: list[int], at_idx: int
    ) -> list[tuple[int, int]]:
        """Give out the local maxima that nothing within `apart_n` exceeds."""
        peaks: list[tuple[int, int]] = []
        apart_n = self.apart_n
        top_idx, top = self._top
        for spot, height in zip(spots, heights, strict=True):
            idx = at_idx + spot
            if idx - top_idx > apart_n:
                if top:
                    peaks.append((top_idx, top))
                top_idx, top = idx, height
            elif height > top:
                top_idx, top = idx, height
        if top and self.n - 1 - top_idx > apart_n:
            peaks.append((top_idx, top))
            top_idx, top = NO_PEAK
        self._top = top_idx, top
        return peaks

    @property
    def open_idx(self) -> int:
        """Envelope index before which every peak has been given out."""
        idx, top = self._top
        return idx if top else max(self.n - 1, 0)

    def heights(self, first_idx: int, end_idx: int) -> NDArray[np.int64]:
        """Return the envelope over a span no older than `KEPT_S`."""
        return self._height[first_idx + self._shift : end_idx + self._shift]

    def lowest(self, first_idx: int, end_idx: int) -> int:
        """Return the envelope's lowest value over a span no older than `KEPT_S`."""
        heights = self._height[first_idx + self._shift : end_idx + self._shift]
        return heights.item(heights.argmin())  # half the cost of `np.minimum.reduce`

    def steepest(self, peak_idx: int) -> int:
        """Return the largest slope, up or down, of the complex under a peak."""
        at = peak_idx + self._shift
        slopes = self._slope[at - self.window_n : at + 1]
        return slopes.item(slopes.argmax())

    def raw(self, first_idx: int, end_idx: int, step_n: int = 1) -> NDArray[np.float64]:
        """Return the signal as it came, mV, over a span no older than `KEPT_S`."""
        return self._raw[first_idx + self._shift : end_idx + self._shift : step_n]


def _energy_delay(band_pass: SosFilter, fs_hz: float) -> int:
    """Return the centre of gravity of the squared impulse response, samples."""
    impulse = np.zeros(round(fs_hz) + 1)
    impulse[1] = 1.0
    energy = band_pass.run(impulse)[1:] ** 2
    return round(float(energy @ np.arange(len(energy)) / energy.sum()))
