"""One signal of one source: placed runs wait here for their second and then go to the ring."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.dsp.plausible import blank, range_of
from edge.dsp.ring import EDGE, Ring
from edge.dsp.timeline import Placement
from edge.records import FloatArray, Samples

MAX_SAMPLES: Final = 300_000
"""Samples a ring holds at most: whatever rate a board claims, its memory is bounded (2.4 MB)."""
MAX_WAITING: Final = 4096
"""Runs that may wait for their time; more means that a source's clock is far ahead."""


class Track:
    """A fixed-rate signal, its ring, and what has been noticed of it.

    Parameters
    ----------
    first : Samples
        Any run of the signal: names it and gives its rate.
    source : str
        Where it comes from.
    capacity_s : float
        Span the ring keeps.
    """

    def __init__(self, first: Samples, source: str, capacity_s: float) -> None:
        self.signal, self.lead, self.source = first.signal, first.lead, source
        self.fs_hz = first.fs_hz
        self.ring = Ring(min(math.ceil(capacity_s * first.fs_hz), MAX_SAMPLES))
        self.last_s = -math.inf
        """Time of the newest sample that had a value."""
        self.n_valid = 0
        """Samples with a value since `count_valid` was last asked."""
        self.uncertainty_s = 0.0
        """Bound on the error of the times of the newest run."""
        self.n_overrun = 0
        self.n_implausible = 0
        """Samples that could be no measurement and were taken for missing."""
        self._range = range_of(first.signal)
        self._waiting: deque[tuple[FloatArray, float, float, int]] = deque()
        self._end_s = -math.inf
        self._n_same = 0
        self._last_value = math.nan

    def take(self, values: FloatArray, place: Placement) -> None:
        """Let a placed run wait for its second."""
        waiting, n_stale = self._waiting, place.n_stale
        if len(waiting) >= MAX_WAITING:
            self.n_overrun += 1
            waiting.popleft()
        start_s, step_s = place.start_s, place.step_s
        self.uncertainty_s = place.uncertainty_s
        if n_stale:
            values = values[n_stale:]
            start_s += n_stale * step_s
        if start_s < self._end_s - step_s:
            # Whatever a sensor's clock says: samples lie in the order in which they came.
            start_s = self._end_s
        self._end_s = start_s + len(values) * step_s
        waiting.append((values, start_s, step_s, place.n_skipped))

    def flow(self, until_s: float) -> int:
        """Move the samples taken before `until_s` to the ring; return the first one's number."""
        start_idx = self.ring.head_idx
        waiting = self._waiting
        due: list[FloatArray] = []
        first_s = end_s = 0.0
        n = 0
        while waiting:
            values, start_s, step_s, n_skipped = waiting[0]
            n_values = len(values)
            n_due = math.ceil((until_s - start_s) / step_s - EDGE)
            if n_due <= 0 and n_values:
                break
            if n_skipped:
                self._write(due, first_s, end_s, n)
                due, n = [], 0
                self.ring.skip(n_skipped)
            if not due:
                first_s = start_s
            if n_due < n_values:
                due.append(values[:n_due])
                n += n_due
                end_s = start_s + n_due * step_s
                waiting[0] = (values[n_due:], end_s, step_s, 0)
                break
            due.append(values)
            n += n_values
            end_s = start_s + n_values * step_s
            waiting.popleft()
        self._write(due, first_s, end_s, n)
        return start_idx

    def count_valid(self) -> int:
        """Return the samples with a value since the last call."""
        n, self.n_valid = self.n_valid, 0
        return n

    @property
    def frozen_s(self) -> float:
        """How long the newest value has been repeated exactly."""
        return (self._n_same - 1) / self.fs_hz if self._n_same > 1 else 0.0

    def _write(self, due: list[FloatArray], first_s: float, end_s: float, n: int) -> None:
        if not n:
            return
        values, ring = due[0] if len(due) == 1 else np.concatenate(due), self.ring
        low, high = self._range
        # NaN fails both comparisons, and is looked at more closely too.
        if not (values.item(values.argmin()) >= low and values.item(values.argmax()) <= high):
            values, n_implausible = blank(values, low, high)
            self.n_implausible += n_implausible
        ring.append(values, first_s, (end_s - first_s) / n)
        if is_whole(values):
            self.n_valid += n
            self.last_s = ring.time_s(ring.head_idx - 1)
        else:
            valid = np.flatnonzero(~np.isnan(values))
            self.n_valid += len(valid)
            if len(valid):
                self.last_s = ring.time_s(ring.head_idx - n + int(valid[-1]))
        self._notice_same(values, n)

    def _notice_same(self, values: FloatArray, n: int) -> None:
        last: float = values.item(-1)
        if n > 1 and values.item(-2) != last:
            self._n_same = 1
        else:
            differ = np.flatnonzero(values != last)
            if len(differ):
                self._n_same = n - 1 - int(differ[-1])
            else:
                self._n_same = n + (self._n_same if last == self._last_value else 0)
        self._last_value = last


def is_whole(values: FloatArray) -> bool:
    """Return whether none of at least one value is NaN."""
    # The greatest of values with a NaN among them is NaN: half the cost of asking each.
    return not math.isnan(values.item(values.argmax()))
