"""Is this ECG usable, second by second.

A quality of 0.3 is where rules of the patient abstain: below it neither a beat nor the absence of
one is believed. So the index must tell a line that is dead from a heart that stands still. A dead
line repeats one value exactly, sits on a rail, or moves less than an amplifier's own noise. In
asystole the line still carries wander and the noise of the input: small noise lowers nothing,
because noise is judged against a swing of at least a millivolt.

What is looked at in each block, the worst one counting:

* samples missing,
* neighbouring samples exactly alike, and a swing below 12 uV over two blocks,
* samples at the block's own highest or lowest value (clipping, rails),
* a swing above 10 to 20 mV, which no heart makes,
* a jump of the mean from one block to the next,
* broad-band noise: the median size of the second difference against the swing. The median passes
  over the QRS complexes, which are short; of three lags the lowest counts: two of them do not see
  the mains of 50 and of 60 Hz, which a beat detector does not mind either.

It does not see noise that looks like beats (electrode motion, 1 - 10 Hz): such noise has the
spectrum of ventricular tachycardia, and calling that unusable would silence its alarm.

Source: the ingredients are those of Clifton 2012, doi:10.1088/0967-3334/33/9/1419, and of the
CinC 2011 entries; their limits were set on MIT-BIH DS1, see `tests/edge/dsp/test_quality.py`.
"""

from __future__ import annotations

from collections import deque
from math import inf, nan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.records import FloatArray

ECG_USABLE = 0.3
"""Quality below which rules about the patient's ECG abstain."""
ALIKE_SPAN = (0.7, 1.0)
SWING_SPAN_MV = (0.003, 0.012)
"""True asystole with a swing of 20 uV exists (CinC 2015, a385l): the line below it is dead."""
GREAT_SPAN_MV = (10.0, 20.0)
CLIP_SPAN = (0.1, 0.4)
CLIP_LEAST_MV = 0.2
"""A smaller swing has so few steps of the converter that its extremes repeat by themselves."""
JUMP_SPAN_MV = (0.8, 2.5)
NOISE_SPAN = (0.035, 0.105)
NOISE_LEAST_MV = 1.0
NOISE_LAGS_S = (0.010, 1 / 50, 1 / 60)
NOISE_FS_HZ = 180.0
"""The median needs no more second differences than this each second."""
N_SMOOTHED = 5

_WHITE = 0.6745 * 6.0**0.5
"""Median of the absolute second difference of white noise, against its standard deviation."""

_Block: TypeAlias = FloatArray | NDArray[np.float64]


class EcgQuality:
    """Signal quality of one ECG lead.

    Parameters
    ----------
    fs_hz : float
        Sampling rate, from 100 Hz.
    """

    def __init__(self, fs_hz: float) -> None:
        self._lags = tuple(max(1, round(lag_s * fs_hz)) for lag_s in NOISE_LAGS_S)
        self._least = max(2, 4 * self._lags[0])
        self._scores: deque[float] = deque(maxlen=N_SMOOTHED)
        self._all_clean = False
        self._step = max(1, round(fs_hz / NOISE_FS_HZ))
        self._forget_level()

    def push(self, block: _Block) -> float:
        """Return the quality after `block`, 0 (useless) to 1 (clean).

        The mean of the last five blocks, or of the last two where that is lower: trust is lost
        in two seconds and won back in five.

        Parameters
        ----------
        block : FloatArray
            Shape (n,), mV, one second; NaN where samples are missing. Empty or all NaN: nothing
            came.
        """
        score, scores = self._score(block), self._scores
        if score == 1.0 and self._all_clean:
            return 1.0  # what goes and what comes are alike
        scores.append(score)
        n = len(scores)
        self._all_clean = scores.count(1.0) == N_SMOOTHED
        return min(sum(scores) / n, 0.5 * (scores[-1] + scores[max(n - 2, 0)]))

    def restart(self) -> None:
        """Forget the past: another electrode, another sensor."""
        self._scores.clear()
        self._all_clean = False
        self._forget_level()

    def _forget_level(self) -> None:
        self._mean_mv = nan
        # Lowest and highest value of the block before; how much it swung, and the one before it.
        self._low_mv, self._high_mv = inf, -inf
        self._swings_mv = (0.0, 0.0)

    def _score(self, block: _Block) -> float:
        x, ranked = block, _ranked(block)
        # Sorting puts NaN last: one difference tells whether there is anything but numbers.
        if x.size and not ranked.item(-1) - ranked.item(0) < inf:
            x = block[np.isfinite(block)]
            ranked = _ranked(x)
        if x.size < self._least or 2 * x.size <= block.size:
            self._forget_level()
            return 0.0
        return min(2.0 * x.size / block.size - 1.0, self._score_known(x, ranked))

    def _score_known(self, x: _Block, ranked: _Block) -> float:
        n, low, high = x.size, ranked.item(0), ranked.item(-1)
        mean_mv, swing_mv = float(np.add.reduce(x)) / n, high - low
        jump_mv = abs(mean_mv - self._mean_mv)
        two_mv = max(high, self._high_mv) - min(low, self._low_mv)
        # A slow heart may leave a second without a beat: the swing is the most of three blocks.
        most_mv = max(swing_mv, *self._swings_mv, NOISE_LEAST_MV)
        self._mean_mv, self._low_mv, self._high_mv = mean_mv, low, high
        self._swings_mv = (swing_mv, self._swings_mv[0])
        alike = int(np.count_nonzero(x[1:] == x[:-1])) / (n - 1)
        score = 1.0
        if (  # hardly ever: the four calls cost more than all of this
            alike > ALIKE_SPAN[0]
            or two_mv < SWING_SPAN_MV[1]
            or swing_mv > GREAT_SPAN_MV[0]
            or jump_mv > JUMP_SPAN_MV[0]
        ):
            score = min(
                _falling(alike, ALIKE_SPAN),
                1.0 - _falling(two_mv, SWING_SPAN_MV),
                _falling(swing_mv, GREAT_SPAN_MV),
                _falling(jump_mv, JUMP_SPAN_MV),
            )
        if swing_mv > CLIP_LEAST_MV and 2.0 * alike > CLIP_SPAN[0]:  # a rail makes runs
            score = min(score, _unclipped(ranked, low, high))
        return min(score, self._noise(x, most_mv)) if score else score

    def _noise(self, x: _Block, swing_mv: float) -> float:
        """Return 1 with little broad-band noise, 0 with noise as large as the beats."""
        ratio, step = inf, self._step
        for lag in self._lags:
            if x.size <= 2 * lag:
                break
            middle = x[lag:-lag:step]
            size = x[2 * lag :: step] + x[: -2 * lag : step]
            size -= middle + middle
            np.absolute(size, size)
            size.sort()  # half the cost of `partition`
            ratio = min(ratio, size.item(size.size // 2) / (_WHITE * swing_mv))
            if ratio <= NOISE_SPAN[0]:
                return 1.0
        return _falling(ratio, NOISE_SPAN)


def _ranked(x: _Block) -> _Block:
    """Return `x` sorted: a few vector instructions, cheaper than looking for both extremes."""
    ranked = x.copy()
    ranked.sort()
    return ranked


def _unclipped(ranked: _Block, low: float, high: float) -> float:
    """Return 1 with few samples at the lowest or highest value, 0 with many."""
    allowed = int(CLIP_SPAN[0] * ranked.size)
    if ranked.item(allowed) > low and ranked.item(-1 - allowed) < high:
        return 1.0
    ends = max(int(np.count_nonzero(ranked == low)), int(np.count_nonzero(ranked == high)))
    return _falling(ends / ranked.size, CLIP_SPAN)


def _falling(value: float, span: tuple[float, float]) -> float:
    """Return 1 up to the span's begin, 0 from its end, a straight line between; NaN gives 1."""
    if not value > span[0]:
        return 1.0
    return max(0.0, (span[1] - value) / (span[1] - span[0]))
