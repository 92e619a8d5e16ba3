"""Packets that come late from now on: what is missing is told from what is only held back.

Where nothing counts what was lost, or a sensor's clock stood still, its packets come later than
their time and stay so. A store that empties does the same at first, but less from packet to packet.
"""

from __future__ import annotations

from typing import Final

STALL_S: Final = 1.5
"""Packets that come late for so long, and no less late, are not held back: samples are missing."""
N_STALLED: Final = 3
"""So many of them, too."""
STALL_STEP: Final = 0.7
"""Share of a packet that has to be missing where nothing numbers or stamps them."""
STALL_STAMPED_S: Final = 1.0
STALLED_STAMPED_S: Final = 10.0
"""Time that has to be missing where the sensor's own clock says that none is, and for how long it
has to look so: clocks seldom stand still, and many events in a row may fail."""
HELD_S: Final = 1.0
"""Packets that come so much later still were held back, and tell nothing of the usual delays."""
DRAINED: Final = 0.02
"""Lateness that lessens by more than this share is a store that empties."""


class StallWatch:
    """Watches how late the packets of one stream come."""

    def __init__(self) -> None:
        self.waits = False
        """Whether it is not yet clear what became of packets that are late."""
        self._since_s = self._least_s = self._limit_s = 0.0
        self._n = 0

    def forget(self) -> None:
        """Begin anew: the clock is another one."""
        self.waits = False

    def was_held(self, late_s: float) -> bool:
        """Return whether a packet that is so late tells nothing of the usual delays."""
        return self.waits and late_s >= self._limit_s + HELD_S

    def take(
        self, late_s: float, arrived_s: float, packet_s: float, spread_s: float, *, stamped: bool
    ) -> tuple[float, float]:
        """Take how late one packet came.

        Parameters
        ----------
        packet_s : float
            How long its samples lasted.
        spread_s : float
            By how much packets differ otherwise.
        stamped : bool
            Its time is by a clock, not by the count of what came.

        Returns
        -------
        tuple[float, float]
            Time that is missing before it, 0.0 where none is or that is not clear yet; and what
            the bound of its time grows by, because nobody counted what came before it.
        """
        limit_s = spread_s + (STALL_STAMPED_S if stamped else STALL_STEP * packet_s)
        missing_s = 0.0
        if self.waits or late_s > limit_s:
            wait_s = STALLED_STAMPED_S if stamped else STALL_S
            missing_s = self._wait(late_s, arrived_s, limit_s, wait_s)
        if stamped:
            return missing_s, 0.0
        return missing_s, limit_s + max(late_s, 0.0) if self.waits else limit_s

    def _wait(self, late_s: float, arrived_s: float, limit_s: float, wait_s: float) -> float:
        if not self.waits:
            self.waits, self._limit_s = True, limit_s
            self._since_s, self._least_s, self._n = arrived_s, late_s, 0
        if late_s <= self._limit_s:
            self.waits = False
            return 0.0
        if late_s < self._least_s * (1.0 - DRAINED):
            self._since_s, self._n = arrived_s, 0
        self._least_s = min(self._least_s, late_s)
        self._n += 1
        if self._n < N_STALLED or arrived_s - self._since_s < wait_s:
            return 0.0
        self.waits = False
        return self._least_s
