"""Whether a destination may be tried now: a way to it, a clock that is set, and its turn.

Pure but for the routes it is handed. What is closed says why, and until when.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from edge.clock import TimeQuality
from edge.sync.backoff import Backoff, after_outage_s
from edge.sync.network import Routes

CLOCK_S: Final = 600.0
"""So long certificates wait for the clock. Then they are judged by it as it is, all of them: where
it is wrong they fail, and the reason is said."""
NO_NETWORK: Final = "no network"
NO_CLOCK: Final = "the clock is not set yet: certificates cannot be judged by it"
NO_TURN: Final = "waits its turn after an outage"
TRUSTED: Final = frozenset({TimeQuality.SYNCED, TimeQuality.HOLDOVER})


class Closed(msgspec.Struct, frozen=True):
    """Why nothing is tried (empty: it failed, and waits), and until when."""

    quiet: str = ""
    until_s: float = math.inf


class Gates:
    """What stands before one destination.

    Attributes
    ----------
    box : str
        Pseudonym of the box: gives it its place among others that come back together.
    """

    def __init__(self, now_s: float) -> None:
        self.backoff = Backoff()
        self.box = ""
        self._way: str | None = ""
        self._lost_s = now_s
        self._unset_s: float | None = None

    def network(self, routes: Routes, host: str, now_s: float) -> bool:
        """Take the routes as they are now; return whether there is a way again, or another one."""
        was, self._way = self._way, routes.interface_to(host)
        if self._way is None:
            self._lost_s = now_s if was is not None else self._lost_s
            return False
        if was is None:
            self.backoff.spread(now_s, after_outage_s(self.box, now_s - self._lost_s))
            return True
        if was != self._way and self.backoff.n_failed:
            self.backoff.spread(now_s, after_outage_s(self.box, 0.0))
            return True
        return False

    def clock(self, quality: TimeQuality | None, now_s: float) -> None:
        """Take how far the clock is to be trusted."""
        if quality in TRUSTED:
            self._unset_s = None
        elif self._unset_s is None:
            self._unset_s = now_s

    def closed(self, now_s: float, *, urgent: bool, tls: bool) -> Closed | None:
        """Return what keeps the destination from being tried; None: nothing does."""
        if self._way is None:
            return Closed(NO_NETWORK)
        if tls and self._unset_s is not None and now_s < self._unset_s + CLOCK_S:
            return Closed(NO_CLOCK, self._unset_s + CLOCK_S)
        due_s = self.backoff.due_s(urgent=urgent)
        if due_s > now_s:
            return Closed("" if self.backoff.n_failed else NO_TURN, due_s)
        return None
