"""What a Polar sensor measures and how it packs it; part of `edge.virtual._polar`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

POWER_UP_NS: Final = 599_616_000_000_000_000
"""2019-01-01 00:00 in ns since 2000-01-01: what the clock shows after power-up."""
N_BEATS: Final = 8192
"""Beats that are remembered for certain."""


class Clock:
    """A device's crystal and the time it counts with it.

    Parameters
    ----------
    fast_ppm : float
        How much too fast it runs.
    """

    def __init__(self, fast_ppm: float) -> None:
        self.fast_ppm = fast_ppm
        self._since_s = 0.0

    def power_up(self, now_s: float) -> None:
        """Begin at 2019-01-01 again."""
        self._since_s = now_s

    def shown_ns(self, at_s: float) -> int:
        """Return what it shows at a moment of the perfect clock."""
        return POWER_UP_NS + round((at_s - self._since_s) * (1.0 + self.fast_ppm * 1e-6) * 1e9)

    def period_s(self, fs_hz: float) -> float:
        """Return the true distance of two samples that it counts as `fs_hz`."""
        return 1.0 / fs_hz / (1.0 + self.fast_ppm * 1e-6)


class Sampled:
    """A stream of evenly spaced samples.

    Parameters
    ----------
    form : tuple[int, int]
        First and tenth byte of its frames.
    clock : Clock
        What stamps them.
    begin_s, period_s : float
        Time of the first sample and true distance of two.
    n : int
        Samples in a frame.
    measure : Callable[[NDArray], bytes]
        True times, shape (n,) -> content of the frame.
    """

    def __init__(
        self,
        form: tuple[int, int],
        clock: Clock,
        begin_s: float,
        period_s: float,
        n: int,
        measure: Callable[[NDArray[np.float64]], bytes],
    ) -> None:
        self._kind, self._form = form
        self._clock = clock
        self._begin_s, self._period_s, self._n = begin_s, period_s, n
        self._measure = measure
        self._taken = 0

    def next_s(self) -> float:
        """Return when the last sample of the next frame is taken."""
        return self._begin_s + (self._taken + self._n - 1) * self._period_s

    def frame(self) -> bytes:
        """Return that frame."""
        last_ns = self._clock.shown_ns(self.next_s())
        idx = np.arange(self._taken, self._taken + self._n, dtype=np.float64)
        self._taken += self._n
        content = self._measure(self._begin_s + idx * self._period_s)
        return bytes([self._kind]) + last_ns.to_bytes(8, "little") + bytes([self._form]) + content


def pack_raw(rows: NDArray[np.float64], n_bytes: int) -> bytes:
    """Return whole numbers as rows of `n_bytes` each."""
    return b"".join(int(v).to_bytes(n_bytes, "little", signed=True) for v in rows.flat)


def pack_deltas(rows: NDArray[np.float64], n_bytes: int) -> bytes:
    """Return whole numbers as a reference row and one block of differences."""
    deltas = [int(v) for v in np.diff(rows, axis=0).flat]
    width = 1 + max(max(v, ~v).bit_length() for v in deltas)
    packed = 0
    for v in reversed(deltas):
        packed = packed << width | v & (1 << width) - 1
    content = packed.to_bytes((len(deltas) * width + 7) // 8, "little")
    return pack_raw(rows[:1], n_bytes) + bytes([width, len(rows) - 1]) + content


class Heart:
    """A heart that can be asked for its beats.

    Parameters
    ----------
    rng : Generator
        Where its rate and its irregularity come from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._rest_s = rng, 60.0 / float(rng.uniform(56.0, 76.0))
        self.beats_s: list[float] = []
        """Times of its newest beats: of the R peaks, where there is an ECG."""

    def begin(self, now_s: float) -> None:
        """Let it have its first beat."""
        self.beats_s.append(now_s)

    def between(self, low_s: float, high_s: float) -> list[float]:
        """Return the beats of a span; it may lie ahead."""
        beats_s = self.beats_s
        while beats_s[-1] <= high_s:
            breath = 1.0 + 0.04 * math.sin(2 * math.pi * 0.25 * beats_s[-1])
            jitter_s = float(self._rng.normal(0.0, 0.012))
            beats_s.append(beats_s[-1] + max(self._rest_s * breath + jitter_s, 0.3))
        if len(beats_s) > 2 * N_BEATS:
            del beats_s[:N_BEATS]
        return beats_s[bisect_right(beats_s, low_s) : bisect_right(beats_s, high_s)]

    def rate_bpm(self, now_s: float) -> int:
        """Return the mean rate of the last ten seconds; 0 before it is known."""
        beats_s = self.between(now_s - 10.0, now_s)
        if len(beats_s) < 2:
            return 0
        return round(60.0 * (len(beats_s) - 1) / (beats_s[-1] - beats_s[0]))


def breathing_g(times_s: NDArray[np.float64], down: int) -> NDArray[np.float64]:
    """Return what a sensor on a breathing chest feels, in g, shape (n, 3); `down` is the axis."""
    rows = np.zeros((len(times_s), 3))
    rows[:, down] = 1.0
    rows[:, (down + 1) % 3] = 0.02 * np.sin(2 * np.pi * 0.25 * times_s)
    return rows
