"""Forget records: in small transactions, overwritten, and written down in the chain.

Every transaction removes some rows, empties what the ledger said of them, and chains who wanted
that and which rows it was (`edge.store.forgotten`). A crash between two leaves a store that is
whole; what is left is found by asking again. SQLite is told to overwrite what it frees, and at the
end its log is folded in and cut to nothing. What a flash card keeps of cells it has written before
is out of reach: that is what the encryption of the file is for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from sqlcipher3 import dbapi2 as sqlite3

from edge.store import of_people
from edge.store.chain import LedgerEntry, LedgerKind, Marks, columns_of, grow, marks_of
from edge.store.database import Database, store_error
from edge.store.forgotten import STAGE, Emptied, digest_of, ranges_of, skeleton
from edge.store.head import Head
from edge.store.meant import Found, Story, condition, find
from edge.store.wanted import PLAIN, Wanted

MAX_ROWS: Final = 300
"""Rows in one transaction, so that an alert does not wait for it."""
MAX_VACUUM_BYTES: Final = 24 * 1024 * 1024
"""A smaller file is rebuilt at the end; it goes through memory and takes about a second."""

OnSent = Callable[[Database, Sequence[str]], int]
"""Takes the ids of messages that a receiver has and that are forgotten here, in the transaction
that forgets them; returns how many receivers are to be asked to delete."""


class Forgotten(msgspec.Struct, tag="forgotten_records", tag_field="record"):
    """What was forgotten, or would be.

    Attributes
    ----------
    n : dict[str, int]
        Rows by table; ``ledger``: what stood there alone.
    n_withdrawn, n_sent : int
        Messages that waited to be sent and will not be; messages that a receiver has already.
    n_asked : int
        Of those, how many receivers are in line to be asked to delete them.
    n_standing : int
        Alerts that stand now, and therefore stay.
    n_undated : int
        Runs of the monitor whose date is not known, and which were left alone.
    bytes_gone : bool
        Overwritten in the file and in its log; False: somebody reads just now, and the log goes
        with the next rest.
    """

    n: dict[str, int] = {}
    n_withdrawn: int = 0
    n_sent: int = 0
    n_asked: int = 0
    n_standing: int = 0
    n_undated: int = 0
    bytes_gone: bool = False

    @property
    def total(self) -> int:
        """All rows."""
        return sum(self.n.values())


class Asked(msgspec.Struct, frozen=True):
    """Who wants something forgotten, and when: boot clock; wall time, empty: it is not known."""

    by: str
    at_s: float
    at_utc: str = ""


class Forgetting:
    """One request, carried out step by step; used by one thread at a time.

    Parameters
    ----------
    database, path : Database, Path
        To be written in.
    run_n : int
        The run that does it.
    wanted : Wanted
        What.
    asked : Asked
        By whom, and when.
    standing : Collection[str]
        Ids of alerts that have not ended.
    """

    def __init__(
        self,
        database: Database,
        path: Path,
        run_n: int,
        wanted: Wanted,
        asked: Asked,
        standing: Collection[str] = (),
    ) -> None:
        self._database, self._path, self._run_n = database, path, run_n
        self._wanted, self._asked = wanted, asked
        self.on_sent: OnSent = nobody_to_ask
        self.on_head: Callable[[Head], None] = lambda _: None
        """Is told the end of the chain when a step has made it grow."""
        self._head: Head | None = None
        with self._telling("read"):
            self._found = find(database, wanted, standing)
        self._stories = self._found.stories[::-1]
        self._plain = [table for table in wanted.tables if table in PLAIN]
        self._unsaid: dict[str, int] = {}
        self._of_people = wanted.of in ("all", "patient")
        self.told = Forgotten(n_standing=self._found.n_standing, n_undated=self._found.n_undated)

    @property
    def found(self) -> Found:
        """What is meant, as the store was when it was asked."""
        return self._found

    def planned(self) -> Forgotten:
        """Return what would be forgotten, without doing it."""
        return Forgotten(
            dict(self._found.n),
            n_standing=self._found.n_standing,
            n_undated=self._found.n_undated,
        )

    def step(self) -> bool:
        """Forget some rows, in one transaction; return whether there is more.

        Raises
        ------
        edge.store.StoreError
            Nothing of this step was forgotten; it may be tried again.
        """
        with self._telling("write"), _overwriting(self._database):
            if self._plain:
                self._forget_plain()
                return True
            if self._of_people:
                self._forget_of_people()
            if self._stories or self._unsaid:
                self._forget_stories()
        head, self._head = self._head, None
        if head is not None:
            self.on_head(head)
        return bool(self._stories)

    def finish(self) -> Forgotten:
        """Make sure that the bytes are gone from the file and its log; return what was done.

        Raises
        ------
        edge.store.StoreError
            The rows are forgotten; their bytes may still be in the file.
        """
        with self._telling("write"):
            self.told.bytes_gone = clean(self._database, self._path)
        return self.told

    def _forget_plain(self) -> None:
        table = self._plain[0]
        n_gone = 0
        with self._database.atomic():
            for span in self._found.spans:
                where, parameters = condition(table, self._wanted, span)
                some = f"SELECT n FROM {table} WHERE {where} LIMIT ?"  # noqa: S608  # ours
                rows = self._database.execute(some, [*parameters, MAX_ROWS - n_gone]).fetchall()
                self._withdraw("summary", [n for (n,) in rows] if table == "summaries" else [])
                self._database.conn.executemany(f"DELETE FROM {table} WHERE n = ?", rows)  # noqa: S608
                n_gone += len(rows)
                if n_gone >= MAX_ROWS:
                    break
        self._count(table, n_gone)
        if n_gone < MAX_ROWS:
            del self._plain[0]

    def _forget_of_people(self) -> None:
        """Forget what patients were called outside, and who decided on their limits."""
        with self._database.atomic():
            n_gone = of_people.forget(self._database, self._wanted.patient)
        self._of_people = False
        self._count("of_people", n_gone)

    def _forget_stories(self) -> None:
        batch: list[Story] = []
        n = 0
        while self._stories and (not batch or n + self._stories[-1].n <= MAX_ROWS):
            batch.append(self._stories.pop())
            n += batch[-1].n
        try:
            with self._database.atomic():
                self._forget_batch(batch)
        except sqlite3.Error:
            self._stories += batch[::-1]
            raise

    def _forget_batch(self, batch: Sequence[Story]) -> None:
        database = self._database
        marks = marks_of(database)
        numbers = sorted({n for story in batch for n in story.ledger})
        tables = sorted({table for story in batch for table in story.tables})
        gone: dict[str, int] = {}
        with unlocked(database, [*tables, "ledger"]):
            self._withdraw("alert", [n for story in batch for n in story.tables.get("alerts", ())])
            for story in batch:
                for table, rows in story.tables.items():
                    sql = f"DELETE FROM {table} WHERE n = ?"  # noqa: S608  # ours
                    database.conn.executemany(sql, [(n,) for n in rows])
                    gone[table] = gone.get(table, 0) + len(rows)
                if not story.tables:
                    gone["ledger"] = gone.get("ledger", 0) + len(story.ledger)
            database.conn.executemany(_EMPTY, [(STAGE, n) for n in numbers])
        self._say(numbers, gone, marks)

    def _say(self, numbers: list[int], gone: dict[str, int], marks: Marks) -> None:
        """Chain what was done in this transaction."""
        told = {
            table: gone.get(table, 0) + self._unsaid.get(table, 0)
            for table in {*gone, *self._unsaid}
        }
        body = Emptied(
            ranges_of(numbers),
            digest_of(self._skeletons(numbers)),
            told,
            self._wanted.of,
            self._asked.at_utc,
        )
        entry = LedgerEntry(
            LedgerKind.CHAIN, "", STAGE, self._asked.by, self._asked.at_s, msgspec.to_builtins(body)
        )
        self._head = grow(self._database, self._run_n, [entry], marks)
        self._unsaid = {}
        for table, n in gone.items():
            self.told.n[table] = self.told.n.get(table, 0) + n

    def _skeletons(self, numbers: Sequence[int]) -> Iterator[bytes]:
        names = columns_of(self._database)
        quoted = ", ".join(f'"{name}"' for name in names)
        for n in numbers:
            row = self._database.execute(
                f"SELECT {quoted} FROM ledger WHERE n = ?",  # noqa: S608  # ours
                [n],
            ).fetchone()
            yield skeleton(dict(zip(names, row, strict=True)))

    def _withdraw(self, column: str, rows: Sequence[int]) -> None:
        """Take what is forgotten out of the outbox."""
        left: list[str] = []
        for n in rows:
            found = self._database.execute(
                "SELECT uuid, settled_s, EXISTS (SELECT 1 FROM deliveries"  # noqa: S608  # ours
                f" WHERE deliveries.outbox = outbox.n) FROM outbox WHERE {column} = ?",
                [n],
            ).fetchall()
            left += [uuid for uuid, settled_s, went in found if went or settled_s is not None]
            self.told.n_withdrawn += sum(settled_s is None for _, settled_s, _ in found)
            self.told.n_sent += sum(settled_s is not None for _, settled_s, _ in found)
        if left:  # before the outbox forgets for whom it left
            self.told.n_asked += self.on_sent(self._database, left)
        gone = f"DELETE FROM outbox WHERE {column} = ?"  # noqa: S608  # ours
        self._database.conn.executemany(gone, [(n,) for n in rows])

    def _count(self, table: str, n: int) -> None:
        if n:
            self.told.n[table] = self.told.n.get(table, 0) + n
            self._unsaid[table] = self._unsaid.get(table, 0) + n

    @contextmanager
    def _telling(self, action: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(error, action, self._path) from error


_EMPTY: Final = (
    "UPDATE ledger SET ref = '', stage = ?, by = '', at_s = 0.0, body = '', salt = NULL WHERE n = ?"
)


def nobody_to_ask(database: Database, uuids: Sequence[str]) -> int:
    """Return 0: nobody is asked yet to delete what they have."""
    del database, uuids
    return 0


@contextmanager
def unlocked(database: Database, tables: Sequence[str]) -> Iterator[None]:
    """Take the locks against edits off some tables, within a transaction, and put them on again."""
    marks = ", ".join("?" * len(tables))
    locks = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"  # noqa: S608  # ours
        " AND (sql LIKE '%BEFORE UPDATE%' OR sql LIKE '%BEFORE DELETE%')"
        f" AND tbl_name IN ({marks})",
        [*tables],
    ).fetchall()
    for name, _ in locks:
        database.execute(f'DROP TRIGGER "{name}"')
    yield  # an error ends the transaction, and so brings the locks back
    for _, sql in locks:
        database.execute(sql)


@contextmanager
def _overwriting(database: Database) -> Iterator[None]:
    (before,) = database.execute("PRAGMA secure_delete").fetchone()
    database.execute("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        database.execute(f"PRAGMA secure_delete={int(before)}")


def clean(database: Database, path: Path) -> bool:
    """Rebuild a small file, and cut the log to nothing; false: somebody reads, try again.

    Raises
    ------
    sqlite3.Error
        The disk will not have it.
    """
    try:
        if path.stat().st_size <= MAX_VACUUM_BYTES:
            _rebuild(database)
        (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    return not busy


def _rebuild(database: Database) -> None:
    (before,) = database.execute("PRAGMA temp_store").fetchone()
    database.execute("PRAGMA temp_store=MEMORY")  # no copy of it in a temporary file
    try:
        with _overwriting(database):
            database.execute("VACUUM")
    finally:
        database.execute(f"PRAGMA temp_store={int(before)}")
