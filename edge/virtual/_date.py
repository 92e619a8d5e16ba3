"""A device's own date and time: the Date Time (0x2A08) and Current Time (0x2A2B) characteristics.

Date Time, 7 bytes: year (16 bit), month, day, hour, minute, second. Current Time: the same, then
day of the week (1 Monday .. 7 Sunday), 1/256 s, and why it was last changed (bit 0: by hand).

Source: GATT Specification Supplement, Date Time, Day Date Time, Exact Time 256, Current Time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from edge.bits import date_time_s
from edge.gatt import CURRENT_TIME, uuid
from edge.virtual import Characteristic, Service

CURRENT_TIME_SERVICE: Final = uuid(0x1805)
SWITCHED_ON: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)
"""What a virtual wearable's clock shows when the port's clock is at 0: it has nothing to do with
the true date, as with real devices that nobody set."""
_BEGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
_CHANGED_BY_HAND: Final = 0x01


class Truth(msgspec.Struct, frozen=True):
    """One thing a virtual wearable measured, for tests to compare with.

    Attributes
    ----------
    at_s : float
        When, by the perfect clock of `edge.virtual.Port`.
    signal : str
        Named as the decoder names it.
    value : float
        In the unit of the signal's name, rounded as the device sends it; NaN for none.
    """

    at_s: float
    signal: str
    value: float


class DeviceDate:
    """A quartz clock that somebody set, or nobody.

    Parameters
    ----------
    shows : datetime
        What it shows when the port's clock is at 0, in what the device takes for local time.
    fast_ppm : float
        How much too fast it runs.
    """

    def __init__(self, shows: datetime, fast_ppm: float = 0.0) -> None:
        self._shown_s = (shows.replace(tzinfo=UTC) - _BEGIN).total_seconds()
        self._set_s = 0.0
        self._rate = 1.0 + fast_ppm * 1e-6
        self.is_set = False

    def shown_s(self, now_s: float) -> float:
        """Return what it shows, in seconds since 2000-01-01."""
        return self._shown_s + (now_s - self._set_s) * self._rate

    def date_time(self, now_s: float) -> bytes:
        """Return the seven bytes of its Date Time."""
        return _seven(_BEGIN + timedelta(seconds=self.shown_s(now_s)))

    def current_time(self, now_s: float) -> bytes:
        """Return the ten bytes of its Current Time."""
        at = _BEGIN + timedelta(seconds=self.shown_s(now_s))
        fraction = at.microsecond * 256 // 1_000_000
        return _seven(at) + bytes([at.isoweekday(), fraction, _CHANGED_BY_HAND * self.is_set])

    def set(self, current_time: bytes, now_s: float) -> bool:
        """Set it to what a central wrote; false, and unchanged, where that is no time."""
        seconds = date_time_s(current_time, 0) if len(current_time) == 10 else None
        if seconds is None:
            return False
        self._shown_s, self._set_s = seconds + current_time[8] / 256, now_s
        self.is_set = True
        return True


def time_service(*, writable: bool = False) -> Service:
    """Return the service with which a device shows its time, and lets it be set."""
    can = ("read", "write") if writable else ("read",)
    return Service(CURRENT_TIME_SERVICE, (Characteristic(CURRENT_TIME, can),))


def _seven(at: datetime) -> bytes:
    return at.year.to_bytes(2, "little") + bytes([at.month, at.day, at.hour, at.minute, at.second])
