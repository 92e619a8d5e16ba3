"""How long to wait between attempts."""

from __future__ import annotations

import random
from typing import Final

from edge.readers._ble_faults import Fault

MOST_S: Final = 30.0
"""No retry waits longer, but for a person's help."""
JITTER: Final = 0.2
"""Every wait is up to so much shorter or longer, so that eight sensors do not come at once."""


class Backoff:
    """How long to wait: longer with every failure in a row, never the same for two sensors."""

    def __init__(self) -> None:
        self.n_failures = 0

    def clear(self) -> None:
        """Begin anew: it worked."""
        self.n_failures = 0

    def wait_s(self, fault: Fault) -> float:
        """Count a failure; return the wait before the next attempt."""
        grown_s = fault.wait_s * 2.0 ** min(self.n_failures, 16) if fault.grows else fault.wait_s
        self.n_failures += 1
        longest_s = max(MOST_S, fault.wait_s)
        spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads attempts, no secret
        return min(grown_s * spread, longest_s)
