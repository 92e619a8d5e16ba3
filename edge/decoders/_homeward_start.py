"""Whether samples are of the board, and of its start, that described itself.

Numbers mean nothing without the description they were sent under. A board that begins anew, or
another one at the same cable, describes itself first; where that was lost, its samples would be
read with the old scale. The clock tells: they do not go on from the last ones, and nothing is read
until the next description, ten seconds at most.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from edge import frame

WAITED_S: Final = 10.0
"""So much longer than the one before a frame may have been on its way, on Bluetooth."""
BACK_S: Final = 1.0
"""A clock that goes back by less stands still, or a frame came twice; it is no new start."""
AWAY_S: Final = 60.0
"""After a longer absence of a line it must be said anew whose it is."""
SAME_S: Final = 0.5
SAME_SHARE: Final = 0.05
"""While a line is away, a board's clock and ours part by no more; 1 % is allowed to it."""


class _Last(NamedTuple):
    """The last samples frame of a board."""

    next_sequence: int
    clock_us: int
    arrived_s: float

    def goes_on(self, whole: frame.Frame, arrived_s: float) -> bool:
        """Return whether a frame that came over the same line is of the same start."""
        if whole.sequence == self.next_sequence:
            return True
        return self._moved_s(whole) <= arrived_s - self.arrived_s + WAITED_S

    def is_back(self, whole: frame.Frame, arrived_s: float) -> bool:
        """Return whether the same board, still running, is back at a line that was away."""
        away_s = arrived_s - self.arrived_s
        off_s = abs(self._moved_s(whole) - away_s)
        return away_s <= AWAY_S and off_s < SAME_S + SAME_SHARE * away_s

    def _moved_s(self, whole: frame.Frame) -> float:
        """Return how far the clock moved; back by more than `BACK_S` is nearly all round."""
        back_us = round(BACK_S * 1e6)
        return ((whole.clock_us - self.clock_us + back_us) % frame.CLOCK_WRAP - back_us) / 1e6


class StartWatch:
    """Watches for new starts on one board's line."""

    def __init__(self) -> None:
        self._last: _Last | None = None  # None: nothing since the description
        self._was_away = self._is_anew = False

    def line_was_away(self) -> None:
        """Take note that another board may be at the line's end now."""
        self._was_away = True

    def described(self) -> None:
        """Take note of a description: the next samples are read with it."""
        self._last, self._was_away, self._is_anew = None, False, False

    def described_darkly(self) -> None:
        """Take note of a description that cannot be read: the one before is true no more."""
        self._is_anew = True

    def read(self, next_sequence: int, clock_us: int, arrived_s: float) -> None:
        """Take note of the last samples frame that was read."""
        self._last = _Last(next_sequence, clock_us, arrived_s)

    def is_anew(self, whole: frame.Frame, arrived_s: float) -> bool:
        """Return whether a samples frame is of a start that has not described itself."""
        if self._last is not None:
            follows = self._last.is_back if self._was_away else self._last.goes_on
            self._is_anew |= not follows(whole, arrived_s)
        self._was_away = False
        return self._is_anew
