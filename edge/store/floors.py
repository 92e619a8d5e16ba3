"""How much room the disk has, in three floors, and which of them counts now.

    ROOMY   all is written
    LOW     little is left: what has been sent long ago makes room inside the file for what is new
    FULL    the ballast (`edge.store.ballast`) is given up; of what is new only alarms are written,
            and what hangs on them

The disk is FULL when it refuses a write, or below half a ballast; it stays so until there is room
for the ballast twice over: made again, it leaves the disk well above the mark it was given up at.
"""

from __future__ import annotations

import os
from enum import IntEnum
from pathlib import Path
from typing import Final

import msgspec

from edge.config.store import Store as StoreSettings

SLACK: Final = 1.1
"""A floor is left with so much more free than it was reached with."""
REFUSED_S: Final = 60.0
"""A disk that refuses although it says that there is room (a quota, no more files) is believed
full for so long, and then tried again."""
BALLAST_SHARE: Final = 1 / 16
"""On a disk so small that the ballast would be a burden it is smaller."""
LEAST: Final = 256 * 1024
"""The marks of a disk without ballast are those of one of this size."""
MB: Final = 1_000_000


class Floor(IntEnum):
    """How much room there is; see the module."""

    ROOMY = 0
    LOW = 1
    FULL = 2


class Room(msgspec.Struct, frozen=True):
    """Bytes of a file system that we may use, and bytes in all."""

    free: int
    total: int


def room_of(folder: Path) -> Room:
    """Return how much room there is.

    Raises
    ------
    OSError
        The disk does not say.
    """
    found = os.statvfs(folder)
    blocks = found.f_bfree if os.geteuid() == 0 else found.f_bavail  # some are kept for root
    return Room(blocks * found.f_frsize, found.f_blocks * found.f_frsize)


class Floors:
    """Which floor counts; asked again and again.

    Parameters
    ----------
    settings : StoreSettings
        ``[store]``.

    Attributes
    ----------
    now : Floor
        As it was found last.
    ballast : int
        Bytes of the ballast; `BALLAST_SHARE` of the disk at most, and 0 before the first look.
    """

    def __init__(self, settings: StoreSettings) -> None:
        self.now = Floor.ROOMY
        self.ballast = 0
        self._settings = settings
        self._refused_s: float | None = None

    def look(self, room: Room, now_s: float) -> Floor:
        """Return the floor with so much room."""
        self.ballast = min(int(self._settings.ballast_mb * MB), int(room.total * BALLAST_SHARE))
        self.now = self._floor(room, now_s)
        return self.now

    def refuse(self, room: Room | None, now_s: float) -> None:
        """Take that the disk had no room for a write, whatever it says of itself."""
        self.now = Floor.FULL
        if room is not None and room.free >= 2 * self._mark:
            self._refused_s = now_s

    def has_room_for_ballast(self, room: Room) -> bool:
        """Return whether the ballast, where there is none, may be made now."""
        return self.now is not Floor.FULL and room.free >= 2 * self.ballast > 0

    @property
    def _mark(self) -> int:
        return max(self.ballast, LEAST)

    def _floor(self, room: Room, now_s: float) -> Floor:
        if self._is_full(room.free, now_s):
            return Floor.FULL
        self._refused_s = None
        share = int(room.total * self._settings.low_pct / 100.0)
        # Not below the mark: the floors must come in their order on the smallest disk.
        low = max(min(int(self._settings.low_mb * MB), share), self._mark)
        slack = SLACK if self.now is not Floor.ROOMY else 1.0
        return Floor.LOW if room.free < low * slack else Floor.ROOMY

    def _is_full(self, free: int, now_s: float) -> bool:
        if self.now is not Floor.FULL:
            return free < self._mark // 2
        refused_s = self._refused_s
        if refused_s is not None and refused_s <= now_s < refused_s + REFUSED_S:
            return True
        return free < 2 * self._mark
