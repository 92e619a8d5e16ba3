"""Nights one after the other on one axis of watched time, and what its moments are called."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from edge.whatif.recalling import Recalled

_STEPS_S = (10, 30, 60, 300, 600, 1800, 3600, 2 * 3600, 4 * 3600, 12 * 3600, 86400, 2 * 86400)
N_TICKS = 9


class Axis:
    """Where a moment lies, from 0 to 1.

    Parameters
    ----------
    nights : Sequence[Recalled]
        In their order; time between them, when nobody watched, is left out.
    began : Sequence[datetime | None]
        When each began by the clock on the wall; None: nobody knows, and time counts from 0.
    """

    def __init__(self, nights: Sequence[Recalled], began: Sequence[datetime | None]) -> None:
        self._nights, self._began = nights, began
        self._starts_s = [sum(one.length_s for one in nights[:i]) for i in range(len(nights))]
        self.length_s = max(1.0, sum(one.length_s for one in nights))

    def place(self, night: int, at_s: float) -> float:
        """Return where a moment of a night lies, from 0 to 1."""
        one = self._nights[night]
        inside_s = min(max(at_s - one.begin_s, 0.0), one.length_s)
        return (self._starts_s[night] + inside_s) / self.length_s

    def label(self, night: int, at_s: float) -> str:
        """Return a moment as people say it."""
        began = self._began[night]
        passed_s = at_s - self._nights[night].begin_s
        if began is not None:
            return (began + timedelta(seconds=passed_s)).strftime("%a %d %b %H:%M:%S")
        return span_label(self._starts_s[night] + passed_s)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Give places of round moments, and their names."""
        step_s = next((s for s in _STEPS_S if self.length_s / s <= N_TICKS), _STEPS_S[-1])
        for night, one in enumerate(self._nights):
            began = self._began[night]
            first_s = 0.0
            if began is not None:
                of_day_s = 3600 * began.hour + 60 * began.minute + began.second
                first_s = -of_day_s % step_s
            elif night:
                first_s = -self._starts_s[night] % step_s
            passed_s = first_s
            while passed_s <= one.length_s:
                at_s = one.begin_s + passed_s
                text = self.label(night, at_s)
                if began is not None:
                    text = text[:6] if step_s >= 86400 else text[-8:-3]
                yield self.place(night, at_s), text
                passed_s += step_s

    def envelope(
        self,
        curves: Mapping[int, tuple[array[float], array[float]]],
        n: int,
    ) -> list[tuple[float, float, float]]:
        """Return the lowest and highest value in each of `n` parts of the axis; NaN: none."""
        lows, highs = [math.inf] * n, [-math.inf] * n
        for night, (times, values) in curves.items():
            for at_s, value in zip(times, values, strict=True):
                if math.isnan(value):
                    continue
                part = min(n - 1, int(self.place(night, at_s) * n))
                lows[part] = min(lows[part], value)
                highs[part] = max(highs[part], value)
        return [
            ((i + 0.5) / n, low, high) if low <= high else ((i + 0.5) / n, math.nan, math.nan)
            for i, (low, high) in enumerate(zip(lows, highs, strict=True))
        ]


def span_label(seconds: float) -> str:
    """Return a time from the beginning on.

    >>> span_label(3725.0), span_label(2 * 86400 + 60)
    ('1:02:05', '2 d 0:01:00')
    """
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86400)
    text = f"{rest // 3600}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days} d {text}" if days else text
