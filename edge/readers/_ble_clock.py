"""What a device's own clock shows: read from it, set where it lets us, or assumed.

Source: Current Time Service 1.1 and GATT Specification Supplement (0x2A2B: date and time, day of
the week, 1/256 s, why it was set). From memory: devices take 1 (set by hand) as the reason.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from edge.bits import date_time_s, uint16
from edge.clock import WallEntry
from edge.events import ClockBasis, DeviceClock
from edge.gatt import CURRENT_TIME, Profile, SessionClock
from edge.readers._ble_gatt import Connection, pick

ASSUMED_UNCERTAINTY_S: Final = 3900.0
"""A clock somebody set by hand: five minutes off, and perhaps still on summer time."""
STEP_S: Final = 1 / 256
MOST_OFF_S: Final = 2.0
"""A clock that is right to this is not set: each setting blurs what it was."""

_SET_BY_HAND: Final = 1


class Clocks:
    """Learns what the clocks of a connected device show.

    Parameters
    ----------
    connection : Connection
        The link.
    source : str
        Whose clocks they are.
    now_s : Callable
        The boot clock.
    raise_if_grave : Callable
        Raises again what ends the link; everything else a clock can do is passed over.
    """

    def __init__(
        self,
        connection: Connection,
        source: str,
        now_s: Callable[[], float],
        raise_if_grave: Callable[[Exception], None],
    ) -> None:
        self._connection, self._source, self._now_s = connection, source, now_s
        self._raise_if_grave = raise_if_grave
        self._told: list[DeviceClock] = []

    async def learn(
        self, profiles: Sequence[Profile], wall: Callable[[], WallEntry], *, write_time: bool
    ) -> list[DeviceClock]:
        """Return what the clocks show; sets one to the box's time where it is off and may be."""
        for profile in profiles:
            if profile.clock is not None:
                clock = profile.clock
                await self._note(
                    read_session_clock(self._connection, clock, self._source, self._now_s)
                )
        if self._told:
            return self._told
        # Before it is set: what waits in the device was timed by the clock as it was.
        shown = await self._note(self._read())
        right = wall()
        if write_time and right.synchronised and is_off(shown, right) and await self._set(right):
            await self._note(self._read())
        if not self._told and any(_carries_times(profile) for profile in profiles):
            assumed = assume_clock(self._source, right, self._now_s())
            return [assumed] if assumed is not None else []
        return self._told

    def _read(self) -> Awaitable[DeviceClock | None]:
        return read_clock(self._connection, self._source, self._now_s)

    async def _set(self, right: WallEntry) -> bool:
        try:
            return await set_clock(self._connection, right)
        except Exception as error:  # noqa: BLE001  # judged there
            self._raise_if_grave(error)
            return False

    async def _note(self, reading: Awaitable[DeviceClock | None]) -> DeviceClock | None:
        try:
            told = await reading
        except Exception as error:  # noqa: BLE001  # judged there
            self._raise_if_grave(error)
            return None
        if told is not None:
            self._told.append(told)
        return told


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


async def read_session_clock(
    connection: Connection, clock: SessionClock, source: str, now_s: Callable[[], float]
) -> DeviceClock | None:
    """Return what a clock shows that counts minutes; None where its start is not known."""
    start, minutes = pick(connection.found, clock.start), pick(connection.found, clock.minutes)
    if start is None or minutes is None:
        return None
    began = await connection.read(start)
    asked_s = now_s()
    passed = await connection.read(minutes)
    answered_s = now_s()
    began_s = date_time_s(began, 0) if len(began) >= 7 else None
    if began_s is None or len(passed) < 2:
        return None
    # Whole minutes that have passed: on average half a minute more.
    return DeviceClock(
        source,
        began_s + 60.0 * uint16(passed, 0) + 30.0,
        (asked_s + answered_s) / 2,
        30.0 + (answered_s - asked_s) / 2,
        ClockBasis.READ,
    )


def is_off(shown: DeviceClock | None, wall: WallEntry) -> bool:
    """Return whether a clock needs setting; one that shows nothing does."""
    if shown is None:
        return True
    right_s = current_time_s(pack_current_time(local_time(wall)))
    if right_s is None:
        return False
    return abs(shown.device_s + wall.boot_s - shown.boot_s - right_s) > MOST_OFF_S


def assume_clock(source: str, wall: WallEntry, boot_s: float) -> DeviceClock | None:
    """Return the box's local time as the device's; None while the box does not know it."""
    if not wall.synchronised:
        return None
    local = pack_current_time(local_time(wall))
    device_s = current_time_s(local)
    if device_s is None:
        return None
    return DeviceClock(source, device_s, boot_s, ASSUMED_UNCERTAINTY_S, ClockBasis.ASSUMED)


def _carries_times(profile: Profile) -> bool:
    return profile.records is not None or profile.deadline_s == 0
