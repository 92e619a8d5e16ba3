"""What a device's own clock shows: read from it, set where it lets us, or assumed.

Source: Current Time Service 1.1 and GATT Specification Supplement (0x2A2B: date and time, day of
the week, 1/256 s, why it was set). From memory: devices take 1 (set by hand) as the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from edge.bits import date_time_s
from edge.clock import WallEntry
from edge.events import ClockBasis, DeviceClock
from edge.gatt import CURRENT_TIME
from edge.readers._ble_gatt import Connection, pick

ASSUMED_UNCERTAINTY_S: Final = 3900.0
"""A clock somebody set by hand: five minutes off, and perhaps still on summer time."""
STEP_S: Final = 1 / 256

_SET_BY_HAND: Final = 1


def pack_current_time(local: datetime) -> bytes:
    """Return a local time as Current Time (0x2A2B), 10 bytes.

    Examples
    --------
    >>> pack_current_time(datetime(2026, 11, 22, 3, 4, 5, 500_000)).hex()
    'ea070b16030405078001'
    """
    return local.year.to_bytes(2, "little") + bytes(
        [
            local.month,
            local.day,
            local.hour,
            local.minute,
            local.second,
            local.isoweekday(),
            local.microsecond * 256 // 1_000_000,
            _SET_BY_HAND,
        ]
    )


def current_time_s(payload: bytes) -> float | None:
    """Return Current Time as seconds since 2000-01-01; None where the device does not know it."""
    if len(payload) < 7:
        return None
    whole_s = date_time_s(payload, 0)
    if whole_s is None:
        return None
    return whole_s + (payload[8] * STEP_S if len(payload) > 8 else 0.0)


def local_time(wall: WallEntry) -> datetime:
    """Return the box's local time, without its zone: what people set a clock to."""
    return datetime.fromtimestamp(wall.wall_s, tz=UTC).astimezone().replace(tzinfo=None)


async def set_clock(connection: Connection, wall: WallEntry) -> bool:
    """Set the device's clock to the box's local time; False where it has none that can be set."""
    clock = pick(connection.found, CURRENT_TIME)
    if clock is None or "write" not in clock.can:
        return False
    await connection.write(clock, pack_current_time(local_time(wall)), response=True)
    return True


async def read_clock(
    connection: Connection, source: str, now_s: Callable[[], float]
) -> DeviceClock | None:
    """Return what the device's clock shows; None where it has none, or does not know the time."""
    clock = pick(connection.found, CURRENT_TIME)
    if clock is None or "read" not in clock.can:
        return None
    asked_s = now_s()
    payload = await connection.read(clock)
    answered_s = now_s()
    device_s = current_time_s(payload)
    if device_s is None:
        return None
    # A fraction of 0 nearly always means that the device counts whole seconds.
    step_s = STEP_S if math.modf(device_s)[0] else 1.0
    return DeviceClock(
        source,
        device_s + step_s / 2,
        (asked_s + answered_s) / 2,
        (answered_s - asked_s + step_s) / 2,
        ClockBasis.READ,
    )


def assume_clock(source: str, wall: WallEntry, boot_s: float) -> DeviceClock | None:
    """Return the box's local time as the device's; None while the box does not know it."""
    if not wall.synchronised:
        return None
    local = pack_current_time(local_time(wall))
    device_s = current_time_s(local)
    if device_s is None:
        return None
    return DeviceClock(source, device_s, boot_s, ASSUMED_UNCERTAINTY_S, ClockBasis.ASSUMED)
