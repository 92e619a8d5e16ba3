"""Breaths in a breathing wave (chest impedance, a belt), and since when there has been none.

The wave is averaged to `RATE_HZ` and smoothed over `SMOOTH_S`, which takes most of the heart's own
trace out of a chest impedance. A breath is a rise and a fall that are both at least `SHARE` of the
usual swing (the median of the last breaths' falls): shallow waves between breaths, as the heart
makes them, are none. A breath is placed at its top.

Nothing is said before a breathing wave has been recognised: `N_TRUSTED` breaths in a row, one to
`LONGEST_S` apart. Only then does it mean something that no breath comes (`Breaths.last_s`). After a
hole in the samples the absence counts from its end: nobody could see breaths in it. A hole longer
than `FORGET_S` begins everything anew. After `RELEARN_S` without a breath the usual swing shrinks,
to a fifth at most, so that a wave that became smaller (the patient has turned) is found again.
After `GIVE_UP_S` it is learnt from nothing: an alert stands by then, and what was taken for breaths
may have been something far larger. A wave that was not recognised in that time is learnt from
nothing too: its first seconds may have been those of a movement. So it is after an electrode was
off, whose wave is no breath's.

Thresholds are judgement, checked on simulated breathing and on `bidmc` (tests/edge/dsp).
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Final

import numpy as np

from edge.dsp.track import Track
from edge.records import FloatArray, Samples

RATE_HZ: Final = 8.0
SMOOTH_S: Final = 0.75
SHARE: Final = 0.4
LEARN_S: Final = 10.0
"""Of the first seconds the range is the usual swing."""
N_SWINGS: Final = 9
N_TRUSTED: Final = 4
SHORTEST_S: Final = 1.0
LONGEST_S: Final = 15.0
HOLE_S: Final = 2.0
FORGET_S: Final = 60.0
"""After a longer hole the sensor may sit elsewhere, and what was usual is not known any more."""
RELEARN_S: Final = 45.0
HALF_S: Final = 15.0
GIVE_UP_S: Final = 180.0
LEAST_SHARE: Final = 0.2
FRESH_S: Final = 20.0
"""No rate from breaths when the last is older; at 4 a minute they are 15 s apart."""
MOST_BREATHS: Final = 9


def rate_brpm(breaths: Samples | None, end_s: float) -> float:
    """Return the breaths a minute of the latest breaths; NaN with fewer than two, or too old.

    Parameters
    ----------
    breaths : Samples | None
        As `Breaths.advance` told them: the rate since the breath before, at the breath's time.
    end_s : float
        Now.
    """
    if breaths is None or breaths.times_s is None:
        return math.nan
    times_s: list[float] = breaths.times_s[-MOST_BREATHS:].tolist()
    rates: list[float] = breaths.values[-MOST_BREATHS:].tolist()
    # Over a hole nobody knows how many there were: the count begins anew behind it.
    first = max((i for i, rate in enumerate(rates) if not math.isfinite(rate)), default=0)
    n, span_s = len(times_s) - 1 - first, times_s[-1] - times_s[first]
    if n < 1 or not span_s > 0.0 or end_s - times_s[-1] > FRESH_S:
        return math.nan
    return 60.0 * n / span_s


class Breaths:
    """The breaths of one track; this object alone calls its `flow`.

    Parameters
    ----------
    track : Track
        A breathing wave, in whatever unit.
    """

    def __init__(self, track: Track) -> None:
        self.track = track
        self._n_block = max(1, round(track.fs_hz / RATE_HZ))
        self._step_s = self._n_block / track.fs_hz
        self._rest: FloatArray = np.empty(0, np.float32)
        self._end_s = self._taken_s = math.inf
        self.start_anew()

    def advance(self, until_s: float) -> list[tuple[float, float]]:
        """Take the samples before `until_s`; return time and rate of the breaths found.

        Returns
        -------
        list of (float, float)
            Boot time of the breath's top, and 60 over the seconds since the breath before; NaN
            where a hole lies between.
        """
        ring = self.track.ring
        start_idx = self.track.flow(until_s)
        if ring.head_idx == start_idx:
            return []
        first_idx = max(start_idx, ring.tail_idx)
        values, start_s = ring.view(first_idx, ring.head_idx), ring.time_s(first_idx)
        if start_s - self._end_s > HOLE_S:
            self._rest = np.empty(0, np.float32)
        self._end_s = ring.end_s
        self._rest = np.concatenate([self._rest, values])
        n_values = len(self._rest)
        n = n_values // self._n_block
        blocks = self._rest[: n * self._n_block].reshape(n, self._n_block)
        self._rest = self._rest[n * self._n_block :]
        first_s = self._end_s - n_values / self.track.fs_hz + 0.5 * self._step_s
        found: list[tuple[float, float]] = []
        for i, value in enumerate(blocks.mean(axis=1, dtype=np.float64).tolist()):
            if not math.isnan(value):
                found += self._take(first_s + i * self._step_s, value)
        return found

    def start_anew(self) -> None:
        """Forget the wave: the next one has to be recognised first."""
        self._wave = _Wave(self._step_s)

    @property
    def last_s(self) -> float:
        """Time of the last breath, or since when one could have been seen; -inf: no wave yet."""
        wave = self._wave
        return max(wave.breath_s, wave.resumed_s) if wave.is_trusted else -math.inf

    def _take(self, at_s: float, value: float) -> list[tuple[float, float]]:
        """Take one block's mean; return the breath it ends, if it ends one."""
        hole_s = at_s - self._taken_s
        self._taken_s = at_s
        if hole_s > FORGET_S or at_s - max(self.last_s, self._wave.began_s) > GIVE_UP_S:
            self.start_anew()
        elif hole_s > HOLE_S:
            self._wave.resume(at_s)
        breath = self._wave.take(at_s, value)
        return [] if breath is None else [breath]


class _Wave:
    """A wave without holes, from its first value on."""

    def __init__(self, step_s: float) -> None:
        self._recent: deque[float] = deque(maxlen=max(1, round(SMOOTH_S / step_s)))
        self.began_s = math.inf
        """When its first value was taken."""
        self._swings: deque[float] = deque(maxlen=N_SWINGS)
        self._low, self._high = math.inf, -math.inf
        self._rises = True
        self._top = self._bottom = self._top_s = 0.0
        self.breath_s = self.resumed_s = -math.inf
        self._n_breaths = 0

    @property
    def is_trusted(self) -> bool:
        """Whether breaths were recognised in it."""
        return self._n_breaths >= N_TRUSTED

    def resume(self, at_s: float) -> None:
        """Go on after a hole: what was usual still is, but the wave may be anywhere."""
        self._recent.clear()
        self._rises = True
        self._top, self._bottom = -math.inf, math.inf
        self.resumed_s = at_s

    def take(self, at_s: float, value: float) -> tuple[float, float] | None:
        """Take one value; return time and rate of the breath that it ends."""
        self._recent.append(value)
        smooth = math.fsum(self._recent) / len(self._recent)
        self.began_s = min(self.began_s, at_s)
        if at_s - self.began_s < LEARN_S:
            self._low, self._high = min(self._low, smooth), max(self._high, smooth)
            return None
        if not self._swings:
            self._swings.append(self._high - self._low)
            self._top = self._bottom = smooth
        # The mean of the last `SMOOTH_S` is that of their middle.
        return self._turn(at_s - 0.5 * SMOOTH_S, smooth)

    def _turn(self, at_s: float, value: float) -> tuple[float, float] | None:
        """Follow the wave up and down; a top is a breath once the wave has fallen enough."""
        shrunk = self._shrunk(at_s)
        enough = SHARE * median(self._swings) * shrunk
        if self._rises:
            if value > self._top:
                self._top, self._top_s = value, at_s
            elif self._top - value > enough:
                if shrunk < 1.0:  # this small swing is the usual one from now on
                    swing = max(self._top - self._bottom, enough)
                    self._swings.clear()
                    self._swings.append(swing)
                self._rises, self._bottom = False, value
                return self._breath()
        elif value < self._bottom:
            self._bottom = value
        elif value - self._bottom > enough:
            self._swings.append(self._top - self._bottom)
            self._rises, self._top, self._top_s = True, value, at_s
        return None

    def _breath(self) -> tuple[float, float] | None:
        at_s = self._top_s
        apart_s = at_s - self.breath_s
        if apart_s < SHORTEST_S:
            return None
        self.breath_s = at_s
        if not self.is_trusted and apart_s > LONGEST_S:
            self._n_breaths = 1
            return None
        self._n_breaths += 1
        if not self.is_trusted:
            return None
        # Over a hole nobody knows how many there were.
        return at_s, 60.0 / apart_s if self.resumed_s <= at_s - apart_s else math.nan

    def _shrunk(self, at_s: float) -> float:
        """Return the share of the usual swing that is looked for: less after a long absence."""
        since_s = max(self.breath_s, self.resumed_s, self.began_s)
        over_s = at_s - since_s - RELEARN_S
        return 1.0 if over_s <= 0.0 else max(0.5 ** (over_s / HALF_S), LEAST_SHARE)
