"""Uneven clocks laid on a nominal rate, for formats that know no other time.

Every sample goes to the nearest place, its value untouched. Where two come to lie on the same
place the later one stands; a place between two neighbours that none came to lie on repeats the one
before. Both are counted, and how far each sample lies off its place is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.export.placing import Run
from edge.export.spool import HOLE, Channel
from edge.records import FloatArray, TimeArray

SLOW_HZ: Final = 1.0
"""What comes more rarely, or one by one, is laid on one place a second."""
HOLD_S: Final = 2.5
"""A value that comes one by one stands for the places after it, if the next comes within this."""
OFF: Final = 0.55
"""Of a wave's sampling interval: a sample lies at most so far off its place. Half, and for one
that is repeated what its own interval is longer than the nominal one (at most 2 % + 2,000 ppm)."""

_Placed = tuple[NDArray[np.int64], FloatArray]


class Grid:
    """One channel on a nominal rate, read from its beginning to its end.

    Parameters
    ----------
    channel : Channel
        What is laid.
    fs_hz : float
        Places a second.
    from_s : float
        Time of place 0.

    Attributes
    ----------
    n_left_out, n_repeated : int
        Samples without a place of their own; places that repeat the sample before.
    off_s : float
        The farthest a sample lies off its place so far.
    """

    def __init__(self, channel: Channel, fs_hz: float, from_s: float) -> None:
        self.fs_hz, self._from_s = fs_hz, from_s
        wave = channel.fs_hz >= SLOW_HZ
        spacing_s = 1.0 / channel.fs_hz if channel.fs_hz else HOLD_S / HOLE
        self._hold_s = HOLE * spacing_s
        self.bound_s = OFF / channel.fs_hz if wave else self._hold_s + 0.5 / fs_hz
        """No sample lies farther off its place."""
        self.n_left_out = self.n_repeated = 0
        self.off_s = 0.0
        self._runs = self._laid(channel.runs())
        self._waiting: _Placed = (np.empty(0, np.int64), np.empty(0, np.float32))
        self._at = 0
        self._last: tuple[int, float, float] | None = None  # place, time, value

    def take(self, n: int) -> FloatArray:
        """Return the next `n` places, NaN where there is no sample."""
        start, stop = self._at, self._at + n
        self._at = stop
        laid = np.full(n, np.nan, np.float32)
        idx, values = self._waiting
        while True:
            begin, due = np.searchsorted(idx, (start, stop))
            laid[idx[begin:due] - start] = values[begin:due]
            idx, values = idx[due:], values[due:]
            if idx.size:
                break
            more = next(self._runs, None)
            if more is None:
                break
            idx, values = more
        self._waiting = idx, values
        return laid

    def _laid(self, runs: Iterator[Run]) -> Iterator[_Placed]:
        for run in runs:
            times_s = run.start_s + run.step_s * np.arange(len(run.values))
            places = (times_s - self._from_s) * self.fs_hz
            idx = np.floor(places + 0.5).astype(np.int64)
            keep = idx >= (self._last[0] if self._last else 0)
            idx, times_s, values = idx[keep], times_s[keep], run.values[keep]
            if not idx.size:
                continue
            self.off_s = max(self.off_s, float(np.abs(places[keep] - idx).max()) / self.fs_hz)
            yield self._filled(idx, times_s, values)

    def _filled(self, idx: NDArray[np.int64], times_s: TimeArray, values: FloatArray) -> _Placed:
        """Return samples and places, each place after a sample that stands for it filled too."""
        if self._last is not None:
            place, at_s, value = self._last
            idx = np.concatenate(([place], idx))
            times_s = np.concatenate(([at_s], times_s))
            values = np.concatenate((np.array([value], np.float32), values))
        moved = np.diff(idx)
        self.n_left_out += int((moved == 0).sum())
        holes = np.flatnonzero((moved > 1) & (np.diff(times_s) <= self._hold_s))
        self._last = int(idx[-1]), float(times_s[-1]), float(values[-1])
        if not holes.size:
            return idx, values
        widths = moved[holes] - 1
        self.n_repeated += int(widths.sum())
        before = np.repeat(holes, widths)
        nth = np.concatenate([np.arange(1, width + 1) for width in widths])
        filled = idx[before] + nth
        off_s = np.abs(filled / self.fs_hz + self._from_s - times_s[before])
        self.off_s = max(self.off_s, float(off_s.max()))
        return np.insert(idx, before + 1, filled), np.insert(values, before + 1, values[before])


def rate_of(channel: Channel) -> float:
    """Return the nominal rate a channel is laid on."""
    return max(channel.fs_hz, SLOW_HZ)
