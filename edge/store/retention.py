"""Forget daily what was kept long enough: a few rows at a time, between two writes.

Nothing is forgotten by a clock that may be wrong. A box without a clock of its own comes up with
any date, and one that jumps ahead by two years must not empty the store: so the wall clock must
have been synchronised for `TRUSTED_S`, in this boot and without a step between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import structlog

from edge.store.database import Database, StoreDamagedError, StoreError
from edge.store.forgetting import Forgetting
from edge.store.forgotten import KEEPING
from edge.store.wanted import ALERTS, ENTRIES, PLAIN, Wanted

_log = structlog.get_logger("recorder")

DAY_S: Final = 86_400.0
FIRST_S: Final = 900.0
"""After a start there is more to do than to tidy up."""
TRUSTED_S: Final = 3_600.0
STEP_S: Final = 60.0
"""A wall clock that moved by more against the boot clock has been set."""
KEPT_ALERTS: Final = 1_000
"""The newest alerts and acts, whatever their age."""
KEPT_SELF_TESTS: Final = 10


class Store(Protocol):
    """What is needed of `edge.store.Store`."""

    def trusted_wall_s(self, boot_id: str, now_s: float) -> float | None:
        """Return the wall time, where the clock has been right for a while."""
        ...

    def forgetting(
        self, wanted: Wanted, by: str, at_s: float, *, wall_s: float | None = None
    ) -> Forgetting:
        """Return a request to forget, not yet begun."""
        ...


class Retention:
    """What a day's tidying has left to do; used by the store's thread alone.

    Parameters
    ----------
    days : Mapping[str, float]
        Kind of record (``scores`` ...; ``alerts``: all the chain vouches for) -> days.
    began_s : float
        Boot clock.

    Attributes
    ----------
    n_forgotten : int
        Rows, since the start.
    trouble : str
        Why the last step could not be done; empty: it was.
    """

    def __init__(self, days: Mapping[str, float], began_s: float) -> None:
        self._days = dict(days)
        self._due_s = began_s + FIRST_S
        self._left: Iterator[Wanted] | None = None
        self._now: Forgetting | None = None
        self._wall_s = 0.0
        self.n_forgotten = 0
        self.trouble = ""

    def turn(self, store: Store, boot_id: str, now_s: float) -> bool:
        """Do one small step, where it is time; return whether there is more to do.

        A step that cannot be done is no trouble of recording: it is tried again later, from the
        beginning.

        Raises
        ------
        edge.store.StoreDamagedError
            The file is not sound any more.
        """
        try:
            return self._turn(store, boot_id, now_s)
        except StoreDamagedError:
            raise
        except StoreError as error:
            if str(error) != self.trouble:
                _log.warning("what was kept long enough cannot be forgotten", error=str(error))
            self.trouble, self._left, self._now = str(error), None, None
            self._due_s = now_s + FIRST_S
            return False

    def _turn(self, store: Store, boot_id: str, now_s: float) -> bool:
        if self._left is None and not self._begin(store, boot_id, now_s):
            return False
        if self._now is None:
            wanted = next(self._left or iter(()), None)
            if wanted is None:
                self._left, self.trouble = None, ""
                return False
            self._now = store.forgetting(wanted, KEEPING, now_s, wall_s=self._wall_s)
        if not self._now.step():
            self.n_forgotten += self._now.told.total
            self._now = None
        return True

    def _begin(self, store: Store, boot_id: str, now_s: float) -> bool:
        if now_s < self._due_s:
            return False
        wall_s = store.trusted_wall_s(boot_id, now_s)
        self._due_s = now_s + (DAY_S if wall_s is not None else FIRST_S)
        if wall_s is None:
            return False
        self._wall_s = wall_s
        self._left = plan(self._days, wall_s)
        return True


def plan(days: Mapping[str, float], wall_s: float) -> Iterator[Wanted]:
    """Give what is to be forgotten today."""
    for table in PLAIN:
        yield Wanted(to_s=wall_s - days[table] * DAY_S, tables=(table,), whole=True)
    to_s = wall_s - days["alerts"] * DAY_S
    acts = ("alarm_events", "setting_changes", ENTRIES)
    yield Wanted(to_s=to_s, tables=(ALERTS,), whole=True, keep_last=KEPT_ALERTS)
    yield Wanted(to_s=to_s, tables=acts, whole=True, keep_last=KEPT_ALERTS)
    yield Wanted(to_s=to_s, tables=("self_tests",), whole=True, keep_last=KEPT_SELF_TESTS)
    # Says nothing of anybody, and dates all that is kept: it goes last.
    longest_s = wall_s - max(days.values()) * DAY_S
    yield Wanted(to_s=longest_s, tables=("clock_log",), whole=True, keep_last=KEPT_ALERTS)


def trusted_wall_s(database: Database, boot_id: str, now_s: float) -> float | None:
    """Return the wall time, where the clock has been right for a while; None: nobody knows."""
    rows = database.execute(
        "SELECT boot_s, wall_s - boot_s, synced FROM clock_log JOIN runs ON runs.n = run"
        " WHERE boot_id = ? ORDER BY clock_log.n DESC LIMIT 1000",
        [boot_id],
    ).fetchall()
    newest: float | None = None
    for boot_s, offset_s, synced in rows:
        newest = offset_s if newest is None else newest
        if not synced or not abs(offset_s - newest) <= STEP_S:
            return None
        if now_s - boot_s >= TRUSTED_S:
            return now_s + newest
    return None


def standing_in(database: Database) -> frozenset[str]:
    """Return the ids of alerts whose last state is not their end.

    Raises
    ------
    sqlite3.Error
        They cannot be read.
    """
    rows = database.execute(
        "SELECT id FROM alerts GROUP BY id HAVING sum(state = 'ended') = 0"
    ).fetchall()
    return frozenset(alert_id for (alert_id,) in rows)
