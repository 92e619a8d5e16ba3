"""What the recorder's thread does with the store: open it, write, make room, try again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from edge.config.store import Store as StoreSettings
from edge.daemon.mending import Mending
from edge.store import (
    Backlog,
    Keys,
    Run,
    Store,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreKeyError,
    StorePlainError,
)
from edge.store.floors import Floor
from edge.store.rationing import Rationing, RoomReport
from edge.store.retention import Retention
from edge.store.salvage import SalvageReport
from edge.store.sparing import Spared

ENCRYPT_AGAIN_S: Final = 60.0
"""How long after records could not be encrypted that is tried again: it writes all of them."""

SLOW_S: Final = 0.01
COUNTED: Final = 20.0
"""An outbox that took longer than that to count is counted again after this many times as long:
every alert would wait for it."""
TIDY_S: Final = 6 * 3600.0
"""How often what was kept long enough is looked for."""

Tidy: TypeAlias = Callable[[Store], object]


class Storing:
    """Owner of the store; to be used by one thread, but for what its attributes say.

    Parameters
    ----------
    path : Path
        The database.
    run : Run
        This start of the monitor.
    now_s : Callable
        The boot clock.
    settings : StoreSettings
        ``[store]``.
    keys : Keys | None
        Opens the device keys, as soon as they can be had; None: those beside the database.

    Attributes
    ----------
    backlog : Backlog
        What waits to be written.
    store : Store | None
        None: it is not open.
    n_failures : int
        Writes that failed.
    written_s : float | None
        Boot clock, last successful write.
    n_outbox : int | None
        Alerts and summaries without a receipt, at the last write.
    moved_aside : str
        Where a damaged file was moved; empty: none was.
    tidy : list
        Done every `TIDY_S` between two writes: what was kept long enough goes.
    retention : Retention | None
        Forgets what was kept long enough; None: all is kept.
    locked : bool
        The trouble is that the key of the records cannot be had.
    """

    def __init__(
        self,
        path: Path,
        run: Run,
        now_s: Callable[[], float],
        settings: StoreSettings,
        keys: Keys | None = None,
    ) -> None:
        self.backlog = Backlog()
        self.store: Store | None = None
        self.n_failures = 0
        self.written_s: float | None = None
        self.n_outbox: int | None = None
        self.moved_aside = ""
        self.locked = False
        self.tidy: list[Tidy] = []
        self._tidy_due_s = self._count_due_s = -math.inf
        self._counted = False
        self._trouble = ""
        self._again_s = -math.inf
        self.retention: Retention | None = None
        self._keys = keys
        self._path, self._run, self._now_s = path, run, now_s
        self._rationing = Rationing(path, settings, self.backlog)
        self._mending = Mending(path, now_s)

    def room(self) -> RoomReport:
        """Return how much room there is; from any thread."""
        return self._rationing.report

    def idle_s(self) -> float:
        """Return for how long there is nothing to do; from any thread."""
        now_s = self._now_s()
        if self.backlog.due(now_s):
            return 0.0
        return min(self._rationing.idle_s(now_s), self._mending.idle_s(now_s))

    def salvage(self) -> SalvageReport | None:
        """Return what was recovered of a damaged file in this run; from any thread."""
        return self._mending.report

    def write(self, *, everything: bool) -> str:
        """Write what is due, or everything that may be written now; do the next chore.

        Returns
        -------
        str
            Why that failed; empty: it did not.
        """
        now_s = self._now_s()
        if self.store is None and now_s < self._again_s:
            return self._trouble
        locked = False  # told at the end only: in the midst of a try nobody knows
        try:
            try:
                self._flush(now_s, everything=everything)
            except StoreError as error:
                if not self._rationing.fail(now_s, full=isinstance(error, StoreFullError)):
                    raise
                self._flush(now_s, everything=everything)  # what was given up makes room for it
            if self._rationing.idle_s(now_s) <= 0.0:
                self._rationing.turn(now_s, self._spare)
            self._tidy(now_s)
            if self.store is not None and self._mending.idle_s(now_s) <= 0.0:
                self._mending.turn(self.store, now_s)
        except StoreDamagedError as error:
            self.n_failures += 1
            self._mending.damaged()
            self.close()  # opened anew in the next round, the damaged file put aside
            return str(error)
        except StorePlainError as error:
            self.n_failures += 1
            self._again_s, self._trouble = now_s + ENCRYPT_AGAIN_S, str(error)
            return self._trouble
        except StoreError as error:
            self.n_failures += 1
            locked = isinstance(error, StoreKeyError)
            return str(error)
        finally:
            self.locked = locked
        return ""

    def write_last(self) -> str:
        """Write all that waits, whatever room there is; return why that failed."""
        self._again_s = -math.inf
        trouble = self.write(everything=True)
        if not trouble and self.backlog.rationed:
            self.backlog.rationed = False
            trouble = self.write(everything=True)
        return trouble

    def close(self) -> None:
        """Close the store."""
        store, self.store = self.store, None
        if store is not None:
            store.close()

    def _flush(self, now_s: float, *, everything: bool) -> None:
        if self.store is None:
            self._mending.check()
            self.store = Store.begin(self._path, self._run, self.backlog, keys=self._keys)
            self.moved_aside = str(self.store.moved_aside or self.moved_aside)
            self._mending.opened(self.store)
            self._count(self.store)
        if everything or self.backlog.due(now_s):
            self.store.flush(now_s)
            self.written_s = now_s
            self._counted = False
        if not self._counted and now_s >= self._count_due_s:
            self._count(self.store)

    def _count(self, store: Store) -> None:
        began_s, self._counted = self._now_s(), True
        self.n_outbox = store.outbox_count()
        ended_s = self._now_s()
        took_s = ended_s - began_s
        self._count_due_s = ended_s + (COUNTED * took_s if took_s > SLOW_S else 0.0)

    def _tidy(self, now_s: float) -> None:
        if self.store is None:
            return
        if self.retention is not None:
            self.retention.turn(self.store, self._run.boot_id, now_s)
        if now_s >= self._tidy_due_s:
            self._tidy_due_s = now_s + TIDY_S
            for tidy in self.tidy:
                tidy(self.store)

    def _spare(self, floor: Floor, wanted_bytes: int) -> Spared:
        return Spared() if self.store is None else self.store.spare(floor, wanted_bytes)
