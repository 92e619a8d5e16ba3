"""A small or full disk: what is given up, what is still written, and the way back.

    floors    how much room there is
    ballast   the file that is given up
    sparing   rows that make room inside the records

To be turned in the thread that writes: it looks at the disk, makes or releases the ballast, tells
the backlog what to hold back, and has rows spared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from edge.config.store import Store as StoreSettings
from edge.store.backlog import Backlog
from edge.store.ballast import Ballast
from edge.store.database import StoreFullError
from edge.store.floors import LEAST, Floor, Floors, Room, room_of
from edge.store.sparing import Spared

LOOK_S: Final = 30.0
"""While there is room the disk is looked at this often; one that refuses is known at once."""
HURRIED_S: Final = 2.0
"""The same while there is little."""
PIECE_S: Final = 0.2
"""Between two pieces of work: what alarms has its turn."""
REST_S: Final = 600.0
"""What was given up so lately is only allocated again, not written: that wears the card."""

_log = structlog.get_logger("store")


class RoomReport(msgspec.Struct, frozen=True):
    """How much room the records have, for the status.

    Attributes
    ----------
    floor : str
        ``roomy``; ``low``: what is old makes room; ``full``: only alarms are written.
    ballast_bytes : int
        Held back for alarms; 0: there is none, or it was given up.
    n_sent, n_scores, n_unsent : int
        Rows given up in this run; see `edge.store.sparing.Spared`.
    """

    floor: str = "roomy"
    ballast_bytes: int = 0
    n_sent: int = 0
    n_scores: int = 0
    n_unsent: int = 0


class Rationing:
    """Owner of the ballast.

    Parameters
    ----------
    path : Path
        The database.
    settings : StoreSettings
        ``[store]``.
    backlog : Backlog
        Is told when to hold back what is no alarm.

    Attributes
    ----------
    report : RoomReport
        Of the last turn.
    """

    def __init__(self, path: Path, settings: StoreSettings, backlog: Backlog) -> None:
        self.report = RoomReport()
        self._folder, self._backlog = path.parent, backlog
        self._floors, self._ballast = Floors(settings), Ballast(path.parent)
        self._due_s = 0.0
        self._released_s: float | None = None
        self._trouble = ""

    @property
    def wanted_bytes(self) -> int:
        """Room that should be free inside the records, when there is little on the disk."""
        return max(self._floors.ballast, LEAST) // 4

    def idle_s(self, now_s: float) -> float:
        """Return in how many seconds to turn."""
        left_s = self._due_s - now_s
        return max(0.0, left_s) if left_s <= LOOK_S else 0.0

    def turn(self, now_s: float, spare: Callable[[Floor, int], Spared]) -> None:
        """Look at the disk and do the next piece of what is to do.

        Parameters
        ----------
        spare : Callable
            ``spare(floor, wanted_bytes)`` gives up rows of the store.

        Raises
        ------
        edge.store.StoreError
            Rows could not be given up.
        """
        room = self._room()
        if room is None:
            self._due_s = now_s + LOOK_S
            return
        floor = self._floors.now
        self._go_to(self._floors.look(room, now_s), floor, now_s)
        pieces = self._make(room, now_s)
        spared = Spared()
        try:
            spared = spare(self._floors.now, self.wanted_bytes)
        except StoreFullError as error:  # to forget takes room too; what alarms does not wait
            _log.warning("no rows could be given up", error=str(error))
        finally:
            calm_s = LOOK_S if self._floors.now is Floor.ROOMY else HURRIED_S
            self._due_s = now_s + (PIECE_S if pieces or spared else calm_s)
            self._tell(spared)

    def fail(self, now_s: float, *, full: bool) -> bool:
        """Take that a write failed, and return whether that made room to try it again.

        Parameters
        ----------
        full : bool
            The disk said that it is full; else it is looked at whether it is.
        """
        room, before = self._room(), self._floors.now
        if full:
            self._floors.refuse(room, now_s)
        elif room is not None:
            self._floors.look(room, now_s)
        if self._floors.now is not Floor.FULL:
            return False
        held = self._ballast.held()
        self._go_to(Floor.FULL, before, now_s)
        self._due_s = now_s
        self._tell(Spared())
        return held > self._ballast.held() or before is not Floor.FULL

    def _go_to(self, floor: Floor, before: Floor, now_s: float) -> None:
        self._backlog.rationed = floor is Floor.FULL
        if floor is Floor.FULL:
            self._release(now_s)
        if floor is not before:
            _log.warning("room for the records", floor=floor.name.lower())

    def _release(self, now_s: float) -> None:
        try:
            if self._ballast.release():
                self._released_s = now_s
        except OSError as error:
            if self._is_news(error):
                _log.warning("the ballast cannot be given up", error=str(error))

    def _make(self, room: Room, now_s: float) -> bool:
        """Write the next piece of the ballast; return whether there is more to do."""
        wanted = self._floors.ballast
        if self._ballast.held() >= wanted or not self._floors.has_room_for_ballast(room):
            return False
        released_s = self._released_s
        lately = released_s is not None and 0.0 <= now_s - released_s < REST_S
        try:
            return not self._ballast.make(wanted, written=not lately)
        except OSError as error:
            if self._is_news(error):
                _log.warning("no ballast can be made", error=str(error))
            return False

    def _room(self) -> Room | None:
        try:
            return room_of(self._folder)
        except OSError as error:  # the folder is gone, or its disk: the store says so
            if self._is_news(error):
                _log.warning("the disk does not say how much room there is", error=str(error))
            return None

    def _tell(self, spared: Spared) -> None:
        before = self.report
        self.report = RoomReport(
            self._floors.now.name.lower(),
            self._ballast.held(),
            before.n_sent + spared.n_sent,
            before.n_scores + spared.n_scores,
            before.n_unsent + spared.n_unsent,
        )

    def _is_news(self, error: Exception) -> bool:
        """Say whether this trouble was not told yet."""
        before, self._trouble = self._trouble, str(error)
        return before != self._trouble
