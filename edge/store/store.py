"""The store of one run: opened, written, given room, closed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from sqlcipher3 import dbapi2 as sqlite3

from edge.records import Outcome
from edge.store.backlog import Backlog
from edge.store.chain import LedgerEntry, grow, head_of, marks_of
from edge.store.cipher import Keys
from edge.store.database import (
    READ_AGAIN_S,
    Database,
    StoreDamagedError,
    StoreError,
    asking,
    gives_all,
    move_aside,
    quick_check,
    store_error,
)
from edge.store.delivering import Delivering
from edge.store.encrypting import open_encrypted
from edge.store.eras import base_of, first_place, next_n
from edge.store.erasing import Erasing
from edge.store.erasure import Erasure
from edge.store.floors import Floor
from edge.store.history import History
from edge.store.inserting import Inserting
from edge.store.keeping import HeadKeeper, begun_anew
from edge.store.lines import Lines
from edge.store.migrations import migrate
from edge.store.salvage import Salvage, SalvageReport, leave_room
from edge.store.sparing import Spared, spare
from edge.store.stored import (
    Run,
)


class Store(Inserting, Lines, Delivering, Erasing, Erasure, History):
    """The store of one run of the monitor; one per data directory.

    Used by one thread at a time. Make it with `Store.begin`.

    Attributes
    ----------
    backlog : Backlog
        What is made and not yet written; outlives the store when the file has to be reopened.
    moved_aside : Path | None
        Where the damaged file went that lay in the way; None when there was none.
    salvage : Salvage | None
        The recovery of a damaged file that is under way.
    """

    def __init__(
        self,
        database: Database,
        path: Path,
        run: Run,
        backlog: Backlog,
        aside: Path | None = None,
        keys: Keys | None = None,
    ) -> None:
        super().__init__(database, path)
        self.run = run
        self.backlog = backlog
        self.moved_aside = aside
        self._head = HeadKeeper(path)
        self._floors = {}
        self._first_place = first_place(database)
        self._run_n = backlog.run_n = self._enter_run()
        self.salvage = Salvage.unfinished(database, path, keys)

    @property
    def head_trouble(self) -> str:
        """Why the head of the ledger could not be kept beside the database; empty: it was."""
        return self._head.trouble

    @classmethod
    def begin(
        cls, path: Path, run: Run, backlog: Backlog | None = None, *, keys: Keys | None = None
    ) -> Store:
        """Open a store to write in it, check the file, and bring its schema up to date.

        A file from before there were keys is encrypted first. A damaged file is moved aside and a
        fresh one begun; `moved_aside` says so.

        Parameters
        ----------
        keys : Keys | None
            The device keys; None: those in the file's folder, made there at first use.

        Raises
        ------
        StoreKeyError
            The key cannot be had now; nothing was touched, try again.
        StoreError
            The disk will not have it, or a newer Homeward wrote it.
        """
        kept = Backlog() if backlog is None else backlog
        try:
            return cls._begin(path, run, kept, keys=keys)
        except StoreDamagedError:
            sound = cls._begin_again(path, run, kept, keys)
            if sound is not None:
                return sound
            try:
                move_aside(path)
            except OSError as error:
                raise StoreError(
                    f"{path} is damaged and cannot be moved aside ({error}): check the rights of "
                    f"{path.parent}, and that its disk is not read-only"
                ) from error
            return cls._begin(path, run, kept, keys=keys)

    @classmethod
    def _begin_again(
        cls, path: Path, run: Run, backlog: Backlog, keys: Keys | None
    ) -> Store | None:
        """Return the store where what looked like damage was a fault of the moment."""
        for wait_s in (0.0, *READ_AGAIN_S):
            time.sleep(wait_s)
            given = gives_all(path)
            with suppress(StoreDamagedError):
                return cls._begin(path, run, backlog, keys=keys)
            if given:
                return None
        return None

    @classmethod
    def _begin(cls, path: Path, run: Run, backlog: Backlog, *, keys: Keys | None) -> Store:
        database = open_encrypted(path, keys)
        try:
            quick_check(database, path)
            HeadKeeper(path).begin(database)
            migrate(database, path)
            database.execute("PRAGMA secure_delete=ON")  # what is replaced is overwritten
            aside = leave_room(database, path)
            return cls(database, path, run, backlog, aside, keys)
        except (sqlite3.Error, OSError) as error:
            database.close()
            if isinstance(error, sqlite3.Error):
                raise store_error(error, "open", path) from error
            raise StoreError(
                f"cannot write the head beside {path} ({error}): check the disk"
            ) from error
        except StoreError:
            database.close()
            raise

    def add(self, outcome: Outcome, now_s: float) -> None:
        """Take an outcome, and write what is due: an alert at once, the rest in batches.

        Raises
        ------
        StoreError
            It was due and could not be written. Nothing is lost: it stays in the backlog.
        """
        self.backlog.add(outcome, now_s)
        if self.backlog.due(now_s):
            self.flush(now_s)

    def flush(self, now_s: float) -> int:
        """Write all that waits, in one transaction, and return how many records that were.

        Raises
        ------
        StoreError
            It could not be written; it waits on in the backlog.
        """
        batch = self.backlog.take()
        if not batch:
            return 0
        try:
            self.commit(batch)
        except StoreError:
            self.backlog.give_back(batch, now_s)
            raise
        self.withdraw(self.backlog.withheld, now_s)
        return batch.n_records

    def prove(self) -> None:
        """Commit a transaction of the self-test's, and read it back.

        Raises
        ------
        StoreError
            It could not be written, or something else was read.
        """
        token = str(uuid4())
        try:
            with self._database.atomic():
                self._database.table("probe").upsert({"n": 1, "token": token}, pk="n")
            (found,) = self._database.execute("SELECT token FROM probe").fetchone()
        except sqlite3.Error as error:
            raise store_error(error, "write", self.path) from error
        if found != token:
            raise StoreError(
                f"{self.path} gives back {found!r} where {token!r} was written: replace the card"
            )

    def recover(self, at_s: float) -> SalvageReport | None:
        """Recover some more of a damaged file; None: there is nothing to recover.

        Raises
        ------
        StoreError
            It could not be written.
        """
        if self.salvage is None:
            return None
        report = self.salvage.turn(self._run_n, at_s)
        self._floors.clear()  # what comes back waits, and has smaller numbers
        if report.finished:
            self.salvage = None
            self._head.keep(head_of(self._database))
        return report

    def close(self) -> None:
        """Close the file, and the damaged one beside it."""
        if self.salvage is not None:
            self.salvage.close()
        super().close()

    def spare(self, floor: Floor, wanted_bytes: int) -> Spared:
        """Give up some of the oldest that can be spared; see `edge.store.sparing`.

        Raises
        ------
        StoreError
            Nothing was given up.
        """
        with asking("make room in", self.path):
            return spare(self._database, floor, wanted_bytes)

    def settle(self, uuids: Iterable[str], at_s: float) -> int:
        """Note that the receiver has stored these entries; return how many were still waiting.

        Raises
        ------
        StoreError
            Nothing was noted; the entries will be sent again, under the same ids.
        """
        try:
            with self._database.atomic():
                return sum(
                    self._database.execute(
                        "UPDATE outbox SET settled_s = ? WHERE uuid = ? AND settled_s IS NULL",
                        (at_s, uuid),
                    ).rowcount
                    for uuid in uuids
                )
        except sqlite3.Error as error:
            raise store_error(error, "write", self.path) from error

    def _enter_run(self) -> int:
        columns = self.run.__struct_fields__
        # A run in whose midst the file was begun anew keeps its number: its rows of before have it.
        kept_n = self.backlog.run_n if self.moved_aside is not None else None
        try:
            with self._database.atomic():
                marks = marks_of(self._database)
                # OR IGNORE: the same run enters again when the file was reopened in its midst.
                self._database.execute(
                    f"INSERT OR IGNORE INTO runs (n, {', '.join(columns)})"  # noqa: S608
                    f" VALUES (?, {', '.join('?' * len(columns))})",
                    [
                        kept_n or next_n(self._database, "runs"),
                        *(getattr(self.run, name) for name in columns),
                    ],
                )
                (found,) = self._rows("SELECT n FROM runs WHERE run_id = ?", (self.run.run_id,))
                run_n = int(found["n"])
                head = grow(self._database, run_n, self._beginnings(), marks)
        except sqlite3.Error as error:
            raise store_error(error, "write", self.path) from error
        if head is not None:
            self._head.keep(head)
        return run_n

    def _beginnings(self) -> list[LedgerEntry]:
        """Return what the chain has to say of how the file was found."""
        run = self.run
        if self.moved_aside is not None:
            return [
                begun_anew(self.moved_aside, base_of(self._database), run.run_id, run.started_s)
            ]
        found = self._head.found(self._database, run.run_id, run.started_s)
        return [] if found is None else [found]
