"""When to try again: after a failure, and after a network or a power cut that many boxes had.

Pure. After a failure the wait is drawn by full jitter (uniform from 0 to a bound that doubles), of
what Brooker measured the kindest to a server that many want at once (AWS Architecture Blog,
"Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

import hashlib
from typing import Final

FIRST_S: Final = 1.0
MOST_S: Final = 300.0
URGENT_S: Final = 30.0
"""No alert of high priority waits longer for the next try."""
ASKED_S: Final = 3600.0
"""The longest that the other end may ask to be left alone for."""
ASKED_URGENT_S: Final = 60.0
"""The same where an alert of high priority waits: a server's wish is no reason to hide it."""
SHORT_S: Final = 60.0
"""A shorter outage is this home's alone; a longer one may be a region's."""
HOME_S: Final = 5.0
REGION_S: Final = 120.0
JUST_STARTED_S: Final = 600.0
"""A machine that has run no longer may have come back together with many others."""


class Backoff:
    """The tries at one destination."""

    def __init__(self) -> None:
        self.n_failed = 0
        self._due_s = self._urgent_s = 0.0

    def failed(self, now_s: float, chance: float, asked_s: float | None = None) -> float:
        """Take that a try has failed; return how long it waits now.

        Parameters
        ----------
        chance : float
            Drawn from 0 to 1.
        asked_s : float | None
            For how long the other end wants to be left alone.
        """
        bound_s = min(MOST_S, FIRST_S * 2.0 ** min(self.n_failed, 16))
        self.n_failed += 1
        asked_s = min(max(asked_s or 0.0, 0.0), ASKED_S)
        wait_s = max(chance * bound_s, asked_s)
        self._due_s = now_s + wait_s
        self._urgent_s = now_s + max(chance * min(bound_s, URGENT_S), min(asked_s, ASKED_URGENT_S))
        return wait_s

    def worked(self) -> None:
        """Take that a try has worked."""
        self.n_failed = 0
        self._due_s = self._urgent_s = 0.0

    def spread(self, now_s: float, wait_s: float) -> None:
        """Wait so long from now, for no failure: many others may be about to try too."""
        self.n_failed = 0
        self._due_s, self._urgent_s = now_s + wait_s, now_s + min(wait_s, HOME_S)

    def due_s(self, *, urgent: bool) -> float:
        """Return from when on the next try may be."""
        return self._urgent_s if urgent else self._due_s


def share_of(box: str) -> float:
    """Return where in a span this box has its place, 0 to 1: the same each time, others elsewhere.

    >>> 0.0 <= share_of("box-1") < 1.0, share_of("box-1") == share_of("box-1")
    (True, True)
    """
    return int.from_bytes(hashlib.sha256(box.encode()).digest()[:7]) / 2.0**56


def after_outage_s(box: str, outage_s: float) -> float:
    """Return how long this box waits when a network is there again.

    Up to 5 s after a short cut. After a longer one, which may have been a region's, boxes are
    spread over a tenth of it, two minutes at most.

    >>> after_outage_s("box-1", 10.0) <= 5.0
    True
    """
    span_s = HOME_S if outage_s <= SHORT_S else min(REGION_S, max(HOME_S, outage_s / 10.0))
    return span_s * share_of(box)


def after_start_s(box: str, up_s: float) -> float:
    """Return how long this box waits at its sender's start; `up_s`: since the machine's start."""
    return REGION_S * share_of(box) if up_s < JUST_STARTED_S else 0.0
