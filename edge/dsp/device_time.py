"""When a sensor's own date and time was: its clock, mapped to the boot clock by readings of it.

A meter writes its own local time into every record, to the second, by a clock that drifts, that
people set, and that starts anew when the battery is changed. The box reads that clock when it
connects (`edge.events.DeviceClock`); a record lies as far before that reading as its time does.
"""

from __future__ import annotations

from typing import Final

import msgspec

RESOLUTION_S: Final = 1.0
"""Records are timed to the second."""
DRIFT: Final = 100e-6
"""What a quartz clock in a pocket may be off, 9 s a day."""
AHEAD_S: Final = 5.0
"""A record may be later than the reading of the clock it is mapped by by what both take; one that
is later still was made before the clock was set back."""
MAX_PAIRS: Final = 16
"""Readings of the clock that are remembered, the oldest goes first."""


class _Pair(msgspec.Struct, frozen=True):
    device_s: float
    boot_s: float
    uncertainty_s: float


class DeviceTime:
    """Maps one sensor's date and time to the boot clock."""

    def __init__(self) -> None:
        self._pairs: list[_Pair] = []

    def note(self, device_s: float, boot_s: float, uncertainty_s: float) -> None:
        """Take what the clock showed at a boot time, and the bound on the error of that."""
        self._pairs.append(_Pair(device_s, boot_s, uncertainty_s))
        del self._pairs[:-MAX_PAIRS]

    def place(self, device_s: float, arrived_s: float) -> tuple[float, float] | None:
        """Return the boot time of a record and the bound on its error.

        Parameters
        ----------
        device_s : float
            The record's own time.
        arrived_s : float
            When it came: a record is never later.

        Returns
        -------
        tuple[float, float] | None
            None where no reading of the clock is known that the record can be mapped by.
        """
        # A record made before a clock was set is nearest to what the clock showed before that.
        fitting = [
            (abs(pair.device_s - device_s), pair, at_s)
            for pair in self._pairs
            if (at_s := pair.boot_s + device_s - pair.device_s)
            <= arrived_s + AHEAD_S + pair.uncertainty_s
        ]
        if not fitting:
            return None
        _, pair, at_s = min(fitting, key=lambda found: found[0])
        bound_s = RESOLUTION_S + pair.uncertainty_s + DRIFT * abs(pair.boot_s - at_s)
        return min(at_s, arrived_s), bound_s
