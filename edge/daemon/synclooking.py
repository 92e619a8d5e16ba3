"""What waits for each destination, as it was at the last look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from edge.daemon.recorder import Recorder
from edge.store import Run, Sinks, Store, StoreError, Waits

LOOK_S: Final = 30.0
"""What waits is looked at this often though nothing is known to have changed."""
AGAIN_S: Final = 2.0
"""A store that cannot be read is asked again after this."""
COUNTED: Final = 20.0
"""What waits is counted again after this many times as long as it took: a twentieth of a thread."""

_log = structlog.get_logger("sync")


class Looking:
    """Looks at what waits, and counts it where that costs little or was long ago.

    Parameters
    ----------
    recorder : Recorder
        Asks the store, in its thread.
    run : Run
        This start of the monitor.
    now_s : Callable
        The boot clock.
    sinks : Sinks
        The destinations of today.

    Attributes
    ----------
    waits : tuple[Waits, ...] | None
        What waits; None: nobody has looked yet.
    impossible : dict[str, int]
        Requests to delete that nobody can be asked, by destination.
    """

    def __init__(
        self, recorder: Recorder, run: Run, now_s: Callable[[], float], sinks: Sinks
    ) -> None:
        self._recorder, self._run, self._now_s, self._sinks = recorder, run, now_s, sinks
        self.waits: tuple[Waits, ...] | None = None
        self.impossible: dict[str, int] = {}
        self._count_due_s = 0.0

    async def look(self) -> float:
        """Look; return after how many seconds to look again at the latest."""
        now = self._now_s(), self._run.boot_id
        counts = self.waits is None or self._rest_s() <= 0.0
        known = () if counts else self.waits or ()

        def act(store: Store) -> tuple[list[Waits], dict[str, int], float]:
            began_s = self._now_s()
            waits = store.waits(self._sinks, now, known)
            return waits, store.impossible(self._sinks), self._now_s() - began_s

        try:
            waits, self.impossible, took_s = await self._recorder.using(act)
        except StoreError as error:
            _log.debug("what waits cannot be read", error=str(error))
            return AGAIN_S
        self.waits = tuple(waits)
        if counts:
            self._count_due_s = self._now_s() + COUNTED * took_s
            return LOOK_S
        return self._rest_s()

    def _rest_s(self) -> float:
        """Return for how long what waits is not to be counted again."""
        return max(0.0, self._count_due_s - self._now_s())
