"""A signal whose values come one by one."""

from __future__ import annotations

import math
from typing import Final

from edge.dsp.plausible import range_of
from edge.dsp.ring import Series

CURRENT_S: Final = (2.0, 60.0)
"""A value that comes one by one covers one and a half of its own intervals, within these."""


class Values:
    """A signal whose values come one by one, and what has been noticed of it."""

    def __init__(self, signal: str) -> None:
        self.series = Series()
        self.n_implausible = 0
        self.implausible_of: dict[str, int] = {}
        """How many of them came from whom."""
        self._low, self._high = range_of(signal)
        self.last_s = -math.inf  # of the newest value that was one
        self.spacing_s = CURRENT_S[0]
        self.n_covered = 0
        self.source = ""
        """Whose the newest value was."""
        self._value = math.nan
        self._since_s = 0.0

    def take(self, at_s: float, value: float, *, awaited: bool = True) -> None:
        """Take one value; NaN is a value the sensor called invalid.

        After one that is not `awaited` (a spot check) nobody waits for the next.
        """
        if not self._low <= value <= self._high:
            if value == value:  # noqa: PLR0124  # NaN is no wrong value
                self.n_implausible += 1
                self.implausible_of[self.source] = self.implausible_of.get(self.source, 0) + 1
            value = math.nan
        self.series.append(at_s, value)
        if value != value or not awaited:  # noqa: PLR0124  # NaN
            return
        if self.last_s > -math.inf:
            self.spacing_s = at_s - self.last_s
        if value != self._value:
            self._value, self._since_s = value, at_s
        self.last_s = at_s

    @property
    def newest(self) -> float:
        """The newest value that was one; NaN: none yet."""
        return self._value

    @property
    def frozen_s(self) -> float:
        """How long the newest value has been repeated exactly."""
        last_s, since_s = self.last_s, self._since_s
        return last_s - since_s if last_s > since_s else 0.0

    def note_second(self, now_s: float) -> None:
        """Count this second as covered when the newest value still stands for it."""
        age_s = now_s - self.last_s
        low_s, high_s = CURRENT_S
        if age_s <= low_s or (age_s <= high_s and age_s <= 1.5 * self.spacing_s):
            self.n_covered += 1
