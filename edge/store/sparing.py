"""Make room inside the file, where the disk has none: the oldest of what can be spared goes.

Pages that become free are used again for what is new, so that the file need not grow. Nothing is
vacuumed: that would need as much room as the file takes. In this order:

    LOW    summaries that have been sent, then scores, but for the newest day of both
    FULL   the same with that day too, then summaries that were not sent yet, the oldest first

Alerts, what hangs on them and what the chain vouches for are never touched, sent or not; nor are
single measurements, which nobody can take again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edge.store.database import WAL_PAGES, Database
from edge.store.floors import Floor

ROWS: Final = 100
"""Rows that go in one transaction: some 100 kB of write-ahead log."""
FULL_WAL_PAGES: Final = 100
"""On a full disk the log is folded into the file this soon: it grows no further, and what it is
folded into is there already."""
NEWEST_SUMMARIES: Final = 1_440
NEWEST_SCORES: Final = 8_640
"""Rows of a day of one patient."""

_SETTLED: Final = (
    "SELECT n, summary FROM outbox WHERE summary <= ? AND settled_s IS NOT NULL"
    " ORDER BY summary LIMIT ?"
)
_UNSENT: Final = (
    "SELECT n, summary FROM outbox WHERE summary <= ? AND settled_s IS NULL"
    " ORDER BY summary LIMIT ?"
)


class Spared(msgspec.Struct, frozen=True):
    """What one transaction gave up; false: nothing.

    Attributes
    ----------
    n_sent, n_scores, n_unsent : int
        Summaries that had been sent, scores, summaries that nobody has.
    """

    n_sent: int = 0
    n_scores: int = 0
    n_unsent: int = 0

    def __bool__(self) -> bool:
        return bool(self.n_sent or self.n_scores or self.n_unsent)


def free_bytes(database: Database) -> int:
    """Return how much room there is inside the file."""
    (n_pages,) = database.execute("PRAGMA freelist_count").fetchone()
    (page_bytes,) = database.execute("PRAGMA page_size").fetchone()
    return int(n_pages) * int(page_bytes)


def spare(database: Database, floor: Floor, wanted_bytes: int) -> Spared:
    """Give up rows in one transaction, where less than this is free inside the file."""
    full = floor is Floor.FULL
    database.execute(f"PRAGMA wal_autocheckpoint={FULL_WAL_PAGES if full else WAL_PAGES}")
    if full:  # while there is room to fold it into
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if floor is Floor.ROOMY or free_bytes(database) >= wanted_bytes:
        return Spared()
    with database.atomic():
        if n := _summaries(database, _SETTLED, 1 if full else NEWEST_SUMMARIES):
            return Spared(n_sent=n)
        if n := _scores(database, 1 if full else NEWEST_SCORES):
            return Spared(n_scores=n)
        return Spared(n_unsent=_summaries(database, _UNSENT, 1) if full else 0)


def _summaries(database: Database, which: str, n_kept: int) -> int:
    """Give up summaries, but for the newest: its number must not come again."""
    found = database.execute(which, (_last(database, "summaries") - n_kept, ROWS)).fetchall()
    database.conn.executemany("DELETE FROM outbox WHERE n = ?", [(n,) for n, _ in found])
    database.conn.executemany("DELETE FROM summaries WHERE n = ?", [(n,) for _, n in found])
    return len(found)


def _scores(database: Database, n_kept: int) -> int:
    return database.execute(
        "DELETE FROM scores WHERE n IN (SELECT n FROM scores WHERE n <= ? ORDER BY n LIMIT ?)",
        (_last(database, "scores") - n_kept, ROWS),
    ).rowcount


def _last(database: Database, table: str) -> int:
    (n,) = database.execute(f"SELECT coalesce(max(n), 0) FROM {table}").fetchone()  # noqa: S608
    return int(n)
