"""The boot clock, and what wall time it was: the only file that reads a clock.

A Pi has no clock of its own that runs while it is off, and its wall time jumps when the network
comes. So everything is ordered by the boot clock (``CLOCK_BOOTTIME``: it counts sleep, starts at
0 with each boot and is never set), and wall time is derived from a log of moments at which both
were read. Steps of the wall clock do not move the boot clock, so one synchronised moment tells
the wall time of everything in the same boot, before it too.

Whether wall time is synchronised is asked of the kernel (adjtimex(2), read only): true while its
maximum error is below 16 s, as ``timedatectl`` judges it. It holds for chrony, ntpd and
systemd-timesyncd alike and becomes false by itself some 9 hours after the last good answer, while
the file ``/run/systemd/timesync/synchronized`` knows only systemd-timesyncd and stays for ever.
That file decides only where the kernel may not be asked (a unit with ``ProtectClock=yes``).

Pure: `WallLog`, `is_due`. Reading: `BootClock`. Keeping: `WallFile`.
"""

from __future__ import annotations

import ctypes
import time
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

STEP_S: Final = 0.5
"""A change of wall time against boot time by more than this is a step, and is logged."""
EVERY_S: Final = 600.0
"""Without a step the log grows this often."""
FRESH_S: Final = 2 * EVERY_S
"""A synchronised entry speaks for this long; a daemon logs every `EVERY_S`."""
MAX_ENTRIES: Final = 20_000
"""Entries kept, about 4 months; the oldest go first."""

_MAX_ERROR_US: Final = 16_000_000
_TIMEX_BYTES: Final = 512
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeQuality(StrEnum):
    """How far a wall time can be trusted.

    SYNCED: the clock was synchronised at that time. HOLDOVER: derived from a synchronised moment
    of the same boot, at most some 100 ppm of the distance off (9 s a day). UNSYNCED: the clock
    was never synchronised in that boot; the date itself may be wrong.
    """

    SYNCED = "synced"
    HOLDOVER = "holdover"
    UNSYNCED = "unsynced"


class WallEntry(msgspec.Struct, frozen=True, gc=False):
    """One moment at which both clocks were read.

    Attributes
    ----------
    boot_id : str
        Which boot; boot times of different boots have nothing to do with each other.
    boot_s, wall_s : float
        Boot clock; seconds since 1970 UTC.
    synchronised : bool
        Whether the kernel vouched for `wall_s`.
    """

    boot_id: str
    boot_s: float
    wall_s: float
    synchronised: bool

    @property
    def offset_s(self) -> float:
        """Wall time less boot time: constant but for steps."""
        return self.wall_s - self.boot_s


def is_due(last: WallEntry | None, now: WallEntry) -> bool:
    """Return whether `now` says something that `last` did not, or `EVERY_S` has passed."""
    return (
        last is None
        or last.boot_id != now.boot_id
        or last.synchronised != now.synchronised
        or abs(now.offset_s - last.offset_s) > STEP_S
        or now.boot_s - last.boot_s >= EVERY_S
    )


class WallLog:
    """What wall time it was at any boot time.

    Parameters
    ----------
    entries : Iterable[WallEntry]
        Oldest first, of any number of boots.
    """

    def __init__(self, entries: Iterable[WallEntry] = ()) -> None:
        self._boots: dict[str, list[WallEntry]] = {}
        self._synced: dict[str, list[WallEntry]] = {}
        for entry in entries:
            self._add(entry)

    def note(self, now: WallEntry) -> WallEntry | None:
        """Take a reading of both clocks; return it if it was added, so that it can be kept."""
        boot = self._boots.get(now.boot_id)
        if not is_due(boot[-1] if boot else None, now):
            return None
        self._add(now)
        return now

    def stepped_s(self, now: WallEntry) -> float:
        """Return by how much wall time has jumped since the last entry; 0.0 when it has not."""
        boot = self._boots.get(now.boot_id)
        jump_s = now.offset_s - boot[-1].offset_s if boot else 0.0
        return jump_s if abs(jump_s) > STEP_S else 0.0

    def utc_of(self, boot_s: float, boot_id: str) -> tuple[datetime, TimeQuality]:
        """Return the wall time of a boot time, and how far to trust it.

        Raises
        ------
        LookupError
            Nothing was logged in that boot.
        """
        boot = self._boots.get(boot_id)
        if not boot:
            raise LookupError(
                f"no wall time is known for boot {boot_id}: its clock log is lost; "
                f"times of that boot can only be told from its start"
            )
        before = bisect_right(boot, boot_s, key=_boot_s)
        current = boot[max(0, before - 1)]
        if before and current.synchronised and boot_s - current.boot_s <= FRESH_S:
            return _utc(boot_s, current), TimeQuality.SYNCED
        synced = self._synced.get(boot_id)
        if synced:
            after = bisect_right(synced, boot_s, key=_boot_s)
            near = synced[max(0, after - 1) : after + 1]
            nearest = min(near, key=lambda entry: abs(entry.boot_s - boot_s))
            return _utc(boot_s, nearest), TimeQuality.HOLDOVER
        return _utc(boot_s, current), TimeQuality.UNSYNCED

    def _add(self, entry: WallEntry) -> None:
        for log in (self._boots, self._synced) if entry.synchronised else (self._boots,):
            boot = log.setdefault(entry.boot_id, [])
            boot.append(entry)
            del boot[:-MAX_ENTRIES]


def _boot_s(entry: WallEntry) -> float:
    return entry.boot_s


def _utc(boot_s: float, entry: WallEntry) -> datetime:
    return _EPOCH + timedelta(seconds=entry.offset_s + boot_s)


class BootClock:
    """Reads the clocks of this box.

    Attributes
    ----------
    boot_id : str
        Random and new with each boot.
    """

    def __init__(self) -> None:
        self.boot_id = _BOOT_ID.read_text(encoding="ascii").strip()

    def now_s(self) -> float:
        """Return seconds since this box was started, sleep included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e9

    def read(self) -> WallEntry:
        """Return both clocks at one moment; the error is the time between the two calls."""
        before_s = self.now_s()
        wall_s = time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9
        after_s = self.now_s()
        return WallEntry(self.boot_id, (before_s + after_s) / 2, wall_s, synchronised())


def synchronised() -> bool:
    """Return whether the wall clock of this box is set by a time server, and lately."""
    error_us = _kernel_max_error_us()
    return _TIMESYNCD.exists() if error_us is None else error_us < _MAX_ERROR_US


def _kernel_max_error_us() -> int | None:
    """Return the kernel's bound on the error of wall time; None where it may not be asked."""
    # struct timex begins: unsigned int modes (0: only read); long offset, freq, maxerror.
    timex = (ctypes.c_long * (_TIMEX_BYTES // ctypes.sizeof(ctypes.c_long)))()
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None or adjtimex(ctypes.byref(timex)) < 0:
        return None
    return int(timex[3])
