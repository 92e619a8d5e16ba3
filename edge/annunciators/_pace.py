"""Does the card take samples at its rate? Pure: times and counts in, a complaint out.

A card has a crystal: over three seconds it takes three seconds of samples, give or take its buffer.
One that takes none has stalled; one that takes too few drops out; one that takes as many as it
is given has no crystal, so nothing is heard (ALSA's ``null``, a driver whose card is gone).
"""

from __future__ import annotations

from typing import Final

STALL_S: Final = 3.0
"""Not one sample for so long is a stall; a card takes some every 20 ms."""
WINDOW_S: Final = 3.0
"""Over which the rate is taken."""
LEAST_RATE: Final = 0.9
MOST_RATE: Final = 1.07
"""Against the rate that was asked for. Crystals are within 0.001; 0.2 s of buffers that fill
again after we were late make 6 % of a window."""
OFFERED_RATE: Final = 1.1
"""The most that is handed over, so that a card without a crystal does not eat the processor."""
AHEAD_S: Final = 0.4
"""Handed over at once at the start, to fill pipe and buffers."""
LATE_S: Final = 0.5
"""Our own absence of this length says nothing of the card: the window begins anew."""


class Pace:
    """Follows one run of the player.

    Parameters
    ----------
    fs_hz : int
        Rate that was asked for.
    now_s : float
        Start of the run.

    Attributes
    ----------
    proven : bool
        A whole window was right.
    rate : float
        Of the last whole window, against `fs_hz`; NaN before the first.
    """

    def __init__(self, fs_hz: int, now_s: float) -> None:
        self._fs_hz = fs_hz
        self._credit, self._credited_s = AHEAD_S * fs_hz, now_s
        self._took_s = self._seen_s = now_s
        self._window_s, self._window_n = now_s, 0
        self._settled = False
        self.proven = False
        self.rate = float("nan")

    def wait_s(self, now_s: float, n: int) -> float:
        """Return how long to wait before `n` samples may be handed over; 0: now."""
        gained = (now_s - self._credited_s) * self._fs_hz * OFFERED_RATE
        self._credit = min(AHEAD_S * self._fs_hz, self._credit + gained)
        self._credited_s = now_s
        return max(0.0, (n - self._credit) / (self._fs_hz * OFFERED_RATE))

    def took(self, now_s: float, n: int) -> None:
        """Note that `n` samples were taken."""
        self._credit -= n
        self._took_s = now_s
        self._window_n += n

    def complaint(self, now_s: float) -> str:
        """Return what is wrong with the pace, empty while nothing is. To be asked all the time."""
        late, self._seen_s = now_s - self._seen_s > LATE_S, now_s
        if late:
            self._begin_window(now_s)
            self._took_s = now_s
            return ""
        if now_s - self._took_s >= STALL_S:
            return f"has taken no sound for {now_s - self._took_s:.1f} s"
        return self._judge(now_s) if now_s - self._window_s >= WINDOW_S else ""

    def _judge(self, now_s: float) -> str:
        """End a window."""
        rate = self._window_n / (self._fs_hz * (now_s - self._window_s))
        self._begin_window(now_s)
        if not self._settled:
            # The first holds the start of the player and the filling of the buffers.
            self._settled = True
            return ""
        self.rate = rate
        if rate < LEAST_RATE:
            return f"takes only {100 * rate:.0f} % of the sound it should"
        if rate > MOST_RATE:
            return "takes sound faster than it can be heard: there is no sound card behind it"
        self.proven = True
        return ""

    def _begin_window(self, now_s: float) -> None:
        self._window_s, self._window_n = now_s, 0
