"""Keep the head beside the database, and say in the chain itself when the two do not fit."""

from __future__ import annotations

import errno
import time
from enum import StrEnum
from pathlib import Path

import structlog

from edge.store.chain import TAKEN_OVER, LedgerEntry, LedgerKind
from edge.store.database import READ_AGAIN_S, Database
from edge.store.head import START, Head, head_path, read_head, write_head

_log = structlog.get_logger("ledger")


class HeadState(StrEnum):
    """How the head beside the database stands to the chain in it.

    SAME: it is the chain's end. BEHIND: the chain goes on after it, as after a crash, or while a
    monitor writes. AHEAD: rows are gone. OTHER: the rows are not the ones it was written for.
    MISSING: there is none, or what is there is none. UNREAD: the disk did not give it, at a start
    only: it may be any of these, and the disk is no tamperer.
    """

    SAME = "same"
    BEHIND = "behind"
    AHEAD = "ahead"
    OTHER = "other"
    MISSING = "missing"
    UNREAD = "unread"

    @property
    def is_break(self) -> bool:
        """Whether no crash explains it."""
        return self in (HeadState.AHEAD, HeadState.OTHER, HeadState.MISSING)


def judge(head: Head | None, database: Database) -> HeadState:
    """Return how a head that was read *before* stands to the chain."""
    if head is None:
        return HeadState.MISSING
    (n,) = database.execute("SELECT coalesce(max(n), 0) FROM ledger").fetchone()
    if head.n > n:
        return HeadState.AHEAD
    if head.n == 0:
        return (HeadState.BEHIND if n else HeadState.SAME) if head == START else HeadState.OTHER
    row = database.execute("SELECT hash FROM ledger WHERE n = ?", (head.n,)).fetchone()
    if row is None or not isinstance(row[0], bytes) or not head.is_of(row[0]):
        return HeadState.OTHER
    return HeadState.SAME if head.n == n else HeadState.BEHIND


class HeadKeeper:
    """The head of one database, as one run of the monitor keeps it.

    Attributes
    ----------
    trouble : str
        Why the last head could not be written; empty: it was.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.trouble = ""

    def begin(self, database: Database) -> None:
        """Write the first head of all, before there is a chain: from then on one is never missing.

        To be called before the schema is brought up to date. Where one is there and is none any
        more, there was a chain once: then it stays, and is told as a break.

        Raises
        ------
        OSError
            It cannot be written: a chain that began without it would look like one that was cut.
        """
        if not database.table("ledger").exists() and not head_path(self._path).exists():
            write_head(self._path, START)

    def found(self, database: Database, run_id: str, at_s: float) -> LedgerEntry | None:
        """Return what the chain has to say of the head that was found at a start."""
        try:
            head = self._read()
            state = judge(head, database)
        except OSError:
            head, state = None, HeadState.UNREAD
        last = database.execute("SELECT n, stage FROM ledger ORDER BY n DESC LIMIT 1").fetchone()
        n, stage = last or (0, "")
        taken_over = head == START and stage == TAKEN_OVER
        if state is HeadState.SAME or (state is HeadState.BEHIND and taken_over):
            return None
        body = {"n": n, "head": None if head is None else str(head)}
        if state.is_break:
            _log.error("rows of the ledger are gone or changed", found=state.value, **body)
        return LedgerEntry(LedgerKind.CHAIN, run_id, f"head_{state.value}", "", at_s, body)

    def keep(self, head: Head) -> None:
        """Write the head of what has been committed; a disk that will not is told, and no more."""
        try:
            write_head(self._path, head)
        except OSError as error:
            if not self.trouble:
                _log.warning("cannot keep the head of the ledger", error=str(error))
            self.trouble = str(error)
        else:
            self.trouble = ""

    def _read(self) -> Head | None:
        """Return the head; OSError: the disk does not give it."""
        for wait_s in (*READ_AGAIN_S, None):
            try:
                return read_head(self._path)
            except OSError as error:
                _log.warning("cannot read the head of the ledger", error=str(error))
                if wait_s is None and error.errno == errno.EIO:
                    raise
                time.sleep(wait_s or 0.0)
        return None  # what forbids it is on purpose


def begun_anew(aside: Path, base: int, run_id: str, at_s: float) -> LedgerEntry:
    """Return what a chain begins with whose database was put aside because it was damaged."""
    try:
        head = read_head(aside)
    except OSError:
        head = None
    told = {"aside": aside.name, "head": None if head is None else str(head), "base": base}
    return LedgerEntry(LedgerKind.CHAIN, run_id, "begun_anew", "", at_s, told)
