"""A store that was damaged: recovered piece by piece, and not begun anew again and again.

A file that is damaged twice within a minute lies on a card that fails: what happens then waits in
memory, `cannot_record` says so, and it is tried again after a minute, then after two, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from edge.clock import BootClock
from edge.store import Store, StoreError
from edge.store.asides import asides, tidy
from edge.store.salvage import SalvageReport

AGAIN_S: Final = 60.0
"""A file that holds for longer than this is begun anew at once."""
MAX_AGAIN_S: Final = 600.0
TURN_S: Final = 0.1
"""Between two pieces of a recovery: what alarms is written first."""

_log = structlog.get_logger("store")


class Mending:
    """Knows of damage, and has it recovered.

    Parameters
    ----------
    path : Path
        The database.
    now_s : Callable
        The boot clock.

    Attributes
    ----------
    report : SalvageReport | None
        What was recovered in this run; None: nothing was to be.
    """

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        self.report: SalvageReport | None = None
        self._path, self._now_s = path, now_s
        self._damaged_s: float | None = None
        self._wait_s = 0.0
        self._recovering = False
        self._noted = False
        self._due_s = 0.0

    def check(self) -> None:
        """Refuse to open the store so soon after it was damaged again.

        Raises
        ------
        StoreError
            It is to be tried later.
        """
        left_s = self._left_s()
        if left_s > 0.0:
            raise StoreError(
                f"{self._path} was damaged again within a minute: the card fails, replace it; what "
                f"happens waits in memory, and is tried again in {left_s:.0f} s"
            )

    def damaged(self) -> None:
        """Take that the store was found damaged."""
        now_s = self._now_s()
        again = self._damaged_s is not None and 0.0 <= now_s - self._damaged_s < AGAIN_S
        held = self._wait_s > 0.0 and now_s - (self._damaged_s or 0.0) < 2 * self._wait_s
        self._wait_s = min(max(AGAIN_S, 2 * self._wait_s), MAX_AGAIN_S) if again or held else 0.0
        self._damaged_s = now_s
        self._recovering = False
        self._noted = True

    def opened(self, store: Store) -> None:
        """Take that the store is open."""
        if store.moved_aside is not None:
            if not self._noted:
                self.damaged()
            _log.error("the records were damaged and are begun anew", aside=str(store.moved_aside))
        self._noted = False
        self._recovering = store.salvage is not None
        if store.salvage is not None:
            self.report = store.salvage.report()
        else:
            self._tidy("")

    def idle_s(self, now_s: float) -> float:
        """Return in how many seconds to turn."""
        if not self._recovering:
            return AGAIN_S
        left_s = self._due_s - now_s
        return max(0.0, left_s) if left_s <= TURN_S else 0.0

    def turn(self, store: Store, now_s: float) -> None:
        """Recover some more.

        Raises
        ------
        StoreError
            It could not be written.
        """
        if not self._recovering:
            return
        report = store.recover(now_s)
        self._due_s = self._now_s() + TURN_S
        self._recovering = report is not None and not report.finished
        self.report = report or self.report
        if report is not None and report.finished:
            n_back, n_lost = report.n_recovered, report.n_lost
            _log.warning(
                "recovered after damage", aside=report.aside, recovered=n_back, lost=n_lost
            )
            self._tidy("")

    def _left_s(self) -> float:
        if self._damaged_s is None or not self._wait_s:
            return 0.0
        return max(0.0, self._damaged_s + self._wait_s - self._now_s())

    def _tidy(self, needed: str) -> None:
        try:
            if len(asides(self._path)) > 1:
                removed = tidy(self._path, {needed}, BootClock().read().wall_s)
                for aside in removed:
                    _log.info("a damaged file of long ago was removed", aside=aside.name)
        except OSError as error:
            _log.warning("damaged files cannot be looked through", error=str(error))
