"""Straps, which tell of beats by their intervals: whose count, and when each beat was."""

from __future__ import annotations

import math
from typing import Final

from edge.dsp.beat_clock import BeatClock
from edge.records import Samples, TimeArray

SILENT_S: Final = 5.0
"""When the strap whose beats count has sent none for so long, another strap's count."""
MAX_STRAPS: Final = 64
"""Straps whose beats are timed apart; more means that something makes names up."""


class Straps:
    """The straps of one patient."""

    def __init__(self) -> None:
        self._told_by = ("", -math.inf)
        self._clocks: dict[str, BeatClock] = {}

    def counts(self, source: str, arrived_s: float) -> bool:
        """Return whether the intervals of a source are the ones that count among straps now."""
        teller, last_s = self._told_by
        if source != teller and arrived_s - last_s <= SILENT_S:
            return False
        self._told_by = (source, arrived_s)
        return True

    def times_s(self, samples: Samples, arrived_s: float, source: str) -> TimeArray:
        """Return when the beats were that end each interval, shape (n,)."""
        clock = self._clocks.get(source)
        if clock is None:
            if len(self._clocks) >= MAX_STRAPS:
                self._clocks.clear()
            clock = self._clocks[source] = BeatClock()
        return clock.place(samples, arrived_s)[0]
