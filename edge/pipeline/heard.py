"""When each sensor was heard last, and in what rhythm it speaks.

A signal's age tells that no sensor brings it any more. Of two sensors that bring the same signal
one may fall silent, and of a sensor whose signal nobody waits for nothing is told by an age: so
every sensor that speaks again and again is listened for by itself as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from statistics import median
from typing import Final

import numpy as np

from edge.records import Samples

N_GAPS: Final = 5
"""The rhythm is the median of so many gaps: an outage among them is not the rhythm."""
PAUSE_S: Final = 3.0
"""A shorter silence is none."""
LAG_S: Final = 2.0
"""A signal whose newest value is this much younger than the silence is nearly as old."""
MAX_HEARD: Final = 64
"""Sensors listened for; more means that something makes names up."""


class Heard:
    """One sensor that speaks again and again."""

    def __init__(self) -> None:
        self.signals: set[str] = set()
        self.last_s = -inf
        self._gaps_s: deque[float] = deque(maxlen=N_GAPS)

    def note(self, at_s: float, signals: Collection[str]) -> None:
        """Take that it spoke in the second that ends at `at_s`."""
        if -inf < self.last_s < at_s:
            self._gaps_s.append(at_s - self.last_s)
        self.last_s = at_s
        self.signals.update(signals)

    @property
    def rhythm_s(self) -> float | None:
        """How far apart it speaks; None: not known yet."""
        return median(self._gaps_s) if len(self._gaps_s) == N_GAPS else None


class Listening:
    """The sensors of one patient that are listened for."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}

    def note(self, source: str, at_s: float, found: Sequence[tuple[Samples, float]]) -> None:
        """Take what a source sent; what it measured once, and its battery, is no rhythm."""
        signals = {
            samples.signal
            for samples, _ in found
            if not samples.spot and not samples.backfilled and samples.signal != "battery_pct"
        }
        if not signals:
            return
        heard = self._heard.get(source)
        if heard is None:
            # From its first value on: a sensor that was never on the body is not missed.
            if len(self._heard) >= MAX_HEARD or not any(_has_value(s) for s, _ in found):
                return
            heard = self._heard[source] = Heard()
        heard.note(at_s, signals)

    def forget(self, source: str) -> None:
        """Listen for a source no more: it was removed, or is another patient's now."""
        self._heard.pop(source, None)

    def silent(
        self, now_s: float, ages: Callable[[float], Mapping[str, float]]
    ) -> list[tuple[str, float, float]]:
        """Return source, silence and rhythm of each sensor whose silence no age tells.

        Parameters
        ----------
        ages : Callable
            ``ages(now_s)``: signal -> age of its newest value, whoever brought it. Asked only where
            a sensor is silent.
        """
        quiet = [
            (source, heard.signals, now_s - heard.last_s, heard.rhythm_s)
            for source, heard in self._heard.items()
            if now_s - heard.last_s >= PAUSE_S
        ]
        if not quiet:
            return []
        age_s = ages(now_s)
        return [
            (source, silence_s, rhythm_s)
            for source, signals, silence_s, rhythm_s in quiet
            if rhythm_s is not None
            and not any(age_s.get(s, 0.0) > silence_s - LAG_S for s in signals & TOLD)
        ]


TOLD: Final = frozenset({"ecg_mv", "hr_bpm", "spo2_pct", "pleth_au", "resp_au", "accel_g"})
"""Signals whose age is told within ten seconds."""


def _has_value(samples: Samples) -> bool:
    return not samples.signal.endswith("_flag") and not np.isnan(samples.values).all()
