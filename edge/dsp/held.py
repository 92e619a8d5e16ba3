"""What was said or measured once, and stands until it expires: an entry, a cuff's reading.

Unlike a stream's values these are not stale after seconds; unlike a setting they do not last. A
newer one takes the place of the one before, whoever it came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, TypeAlias

import numpy as np

from edge.events import HELD, HOURLY_S
from edge.records import Samples

SPOT_VALID_S: Final = HOURLY_S
"""How long the reading of a cuff or a thermometer stands, as if a person had entered it."""
SPOTS: Final = frozenset({"nibp_sys_mmhg", "temp_degc"})
"""Readings of their own that stand; SpO2 and pulse do not: a sensor that is off is not stood in
for by what was read an hour ago."""
MAX_HELD: Final = 32
"""Names that are kept; more means that something makes names up."""


Kept: TypeAlias = tuple[str, float, float, float]
"""Name, when it was so, value, and until when it stands: plain, to be written down."""


class HeldValues:
    """The values of one patient that stand."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Samples, float]] = {}
        self.n_taken = 0
        """Values taken that expire, to see that there is something new to write down."""

    def take(self, signal: str, at_s: float, value: float, until_s: float = math.inf) -> None:
        """Let a value stand from now on.

        Parameters
        ----------
        signal : str
            Its name, beginning with `edge.events.HELD`.
        at_s : float
            When it was so; one that is older than what stands is passed over.
        until_s : float
            From then on it is not known any more.
        """
        before = self._held.get(signal)
        if before is not None and at_s < before[0].start_s:
            return
        if before is None and len(self._held) >= MAX_HELD:
            return
        times_s, values = np.array([at_s]), np.array([value], np.float32)
        times_s.setflags(write=False)
        values.setflags(write=False)
        self._held[signal] = (Samples(signal, at_s, 0.0, values, times_s=times_s), until_s)
        self.n_taken += math.isfinite(until_s)

    def take_spot(self, samples: Samples, at_s: float) -> None:
        """Let a measurement of its own stand where it is one that does."""
        if samples.signal in SPOTS and not math.isnan(value := samples.values.item(-1)):
            self.take(HELD + samples.signal, at_s, value, at_s + SPOT_VALID_S)

    def clear(self) -> None:
        """Forget all of it: it was of somebody else."""
        self._held.clear()

    def standing(self, now_s: float) -> dict[str, Samples]:
        """Return what stands at `now_s`, by name."""
        return {n: held for n, (held, until_s) in self._held.items() if now_s < until_s}

    def kept(self) -> list[Kept]:
        """Return what expires, to be written down; facts are told anew at every start."""
        return [
            (name, held.start_s, held.values.item(-1), until_s)
            for name, (held, until_s) in self._held.items()
            if math.isfinite(until_s)
        ]

    def restore(self, kept: Iterable[Kept], by_s: float) -> None:
        """Let what was written down stand again, its times moved on to this boot's clock."""
        for name, at_s, value, until_s in kept:
            self.take(name, at_s + by_s, value, until_s + by_s)
