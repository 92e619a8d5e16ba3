"""Where samples are kept: preallocated, gap-aware, read as contiguous views without a copy.

Samples are numbered from the first one ever taken; a gap takes numbers too and reads as NaN. The
store is written twice, half a buffer apart, so that every span that fits is contiguous somewhere.
Times lie in anchors: the time of one sample and the step from there on; a window is cut by time.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from typing import Final

import msgspec
import numpy as np

from edge.records import FloatArray, TimeArray

SAME_TIME_S: Final = 1e-7
"""Anchors that predict a sample's time this well are not followed by another."""
EDGE: Final = 1e-6
"""Share of a sample by which rounding may put a time on the wrong side of a window's edge."""


class Anchor(msgspec.Struct, frozen=True, gc=False):
    """From sample `idx`, taken at `at_s`, samples are `step_s` apart."""

    idx: int
    at_s: float
    step_s: float


class Ring:
    """The newest samples of one fixed-rate signal.

    Parameters
    ----------
    capacity : int
        Samples kept.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._buffer = np.full(2 * capacity, np.nan, np.float32)
        self._anchors: deque[Anchor] = deque()
        self.head_idx = 0
        """Number of the next sample."""

    @property
    def tail_idx(self) -> int:
        """Number of the oldest sample kept."""
        return max(0, self.head_idx - self._capacity)

    @property
    def end_s(self) -> float:
        """Time of the next sample, if it came right after the last; minus infinity when empty."""
        return self.time_s(self.head_idx) if self._anchors else -np.inf

    def append(self, values: FloatArray, start_s: float, step_s: float) -> None:
        """Take the samples that follow, the first of them at `start_s`."""
        if not self._predicts(start_s, step_s):
            anchors, tail_idx = self._anchors, self.head_idx - self._capacity
            anchors.append(Anchor(self.head_idx, start_s, step_s))
            while len(anchors) > 1 and anchors[1].idx <= tail_idx:
                anchors.popleft()
        self._write(values)

    def skip(self, n: int) -> None:
        """Let `n` samples be missing."""
        if n >= self._capacity:
            self._buffer.fill(np.nan)
            self.head_idx += n
        elif n > 0:
            self._write(np.full(n, np.nan, np.float32))

    def time_s(self, idx: int) -> float:
        """Return when sample `idx` was taken, from the anchor before it."""
        anchor = self.anchor_of(idx)
        return anchor.at_s + (idx - anchor.idx) * anchor.step_s

    def view(self, start_idx: int, stop_idx: int) -> FloatArray:
        """Return samples ``[start_idx, stop_idx)`` as a read-only view.

        The view shows what is written later, too: use it at once or copy it.

        Raises
        ------
        IndexError
            The span is not (or no longer) in the ring.
        """
        head_idx, capacity = self.head_idx, self._capacity
        if not (0 <= start_idx <= stop_idx <= head_idx and head_idx - capacity <= start_idx):
            raise IndexError(
                f"samples {start_idx} to {stop_idx} are not in the ring, which holds "
                f"{self.tail_idx} to {self.head_idx}"
            )
        at = start_idx % capacity
        found = self._buffer[at : at + stop_idx - start_idx]
        found.setflags(write=False)
        return found

    def cut(self, start_s: float, end_s: float) -> tuple[float, FloatArray] | None:
        """Return the samples of ``[start_s, end_s)`` and the time of the first.

        Samples that have not come (yet) at the end of the span read as NaN; None when the span
        begins after the last sample or ends before the first.
        """
        if not self._anchors:
            return None
        first_idx = max(self._idx_at(start_s), self.tail_idx)
        stop_idx = self._idx_at(end_s)
        if first_idx >= min(stop_idx, self.head_idx):
            return None
        found = self.view(first_idx, min(stop_idx, self.head_idx))
        n_coming = min(stop_idx - self.head_idx, self._capacity)
        if n_coming > 0:
            found = np.concatenate([found, np.full(n_coming, np.nan, np.float32)])
            found.setflags(write=False)
        return self.time_s(first_idx), found

    def times_s(self, start_idx: int, stop_idx: int) -> TimeArray:
        """Return the times of samples ``[start_idx, stop_idx)``, shape (n,)."""
        return np.array([self.time_s(idx) for idx in range(start_idx, stop_idx)])

    def idx_at(self, at_s: float) -> int:
        """Return the number of the first sample taken at or after `at_s`; 0 when empty."""
        return self._idx_at(at_s) if self._anchors else 0

    def _idx_at(self, at_s: float) -> int:
        for anchor in reversed(self._anchors):
            if anchor.at_s <= at_s:
                break
        idx = anchor.idx + math.ceil((at_s - anchor.at_s) / anchor.step_s - EDGE)
        return max(idx, 0)

    def anchor_of(self, idx: int) -> Anchor:
        """Return the anchor before sample `idx`: what its time and its step come from.

        Raises
        ------
        IndexError
            No sample has come yet.
        """
        for anchor in reversed(self._anchors):
            if anchor.idx <= idx:
                return anchor
        if not self._anchors:
            raise IndexError("the ring is empty: no sample has a time")
        return self._anchors[0]

    def _predicts(self, start_s: float, step_s: float) -> bool:
        if not self._anchors:
            return False
        last = self._anchors[-1]
        ahead, last_step_s = self.head_idx - last.idx, last.step_s
        if abs(last.at_s + ahead * last_step_s - start_s) >= SAME_TIME_S:
            return False
        return abs(step_s - last_step_s) * ahead < SAME_TIME_S

    def _write(self, values: FloatArray) -> None:
        n, capacity, buffer = len(values), self._capacity, self._buffer
        if n > capacity:
            self.head_idx += n - capacity
            values, n = values[n - capacity :], capacity
        at = self.head_idx % capacity
        self.head_idx += n
        over = at + n - capacity
        if over > 0:
            buffer[:over] = buffer[capacity : capacity + over] = values[n - over :]
            n -= over
            values = values[:n]
        buffer[at : at + n] = values
        at += capacity
        buffer[at : at + n] = values


class Series:
    """The newest values of a signal that come one by one, each with its own time.

    Parameters
    ----------
    capacity : int
        Values kept at least; up to twice as many are.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._times_s = np.empty(2 * capacity, np.float64)
        self._values = np.empty(2 * capacity, np.float32)
        self._index: list[float] = []  # the same times: bisecting a list is ten times quicker

    @property
    def last_s(self) -> float:
        """Time of the newest value; minus infinity when there is none."""
        return self._index[-1] if self._index else -math.inf

    def append(self, at_s: float, value: float) -> None:
        """Take one value; a time before the last one is moved up to it."""
        index = self._index
        n = len(index)
        if n == 2 * self._capacity:
            n = self._capacity
            self._times_s[:n] = self._times_s[n:]
            self._values[:n] = self._values[n:]
            del index[:n]
        if n and at_s < index[-1]:
            at_s = index[-1]
        index.append(at_s)
        self._times_s[n] = at_s
        self._values[n] = value

    def cut(self, start_s: float, end_s: float) -> tuple[TimeArray, FloatArray] | None:
        """Return times and values of ``[start_s, end_s)``; None when there are none."""
        index = self._index
        low, high = bisect_left(index, start_s), bisect_left(index, end_s)
        if low == high:
            return None
        return self._times_s[low:high], self._values[low:high]
