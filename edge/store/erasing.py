"""How a store forgets what messages said: on request, or because it was kept long enough."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec
from sqlcipher3 import dbapi2 as sqlite3

from edge.store import egress
from edge.store.chain import LedgerEntry, LedgerKind, grow, marks_of
from edge.store.database import Database, store_error
from edge.store.head import Head
from edge.store.keeping import HeadKeeper
from edge.store.stored import Erased, Keep
from edge.store.wanted import Wanted

WITH_RECORDS: Final = "forgotten with the records"
"""Why what was sent is erased, in the ledger."""


class Erasing:
    """The part of `edge.store.Store` that erases the content of messages that left."""

    path: Path
    _database: Database
    _head: HeadKeeper
    _run_n: int

    def erase_sent(self, numbers: Sequence[int], by: str, why: str, at_s: float) -> Erased:
        """Erase what messages said; that they left, and their hash, stay.

        Who asked for it and why is chained. Where somebody did (`by`), receivers are put in line
        to be asked to delete them too; nobody is asked by this yet.

        Raises
        ------
        StoreError
            Nothing is erased.
        """
        try:
            erased, head = self._erased(numbers, by, why, at_s)
        except sqlite3.Error as error:
            raise store_error(error, "write", self.path) from error
        if head is not None:
            self._head.keep(head)
        return erased

    def sent_of(self, wanted: Wanted) -> list[int]:
        """Return the numbers of messages that left in a span, or were of a patient's records.

        What has no wall time is only meant where everything is.

        Raises
        ------
        StoreError
            They cannot be read.
        """
        sql = "SELECT n, wall_s, refs, known_as FROM egress JOIN egress_content ON egress = n"
        try:
            rows = self._database.execute(sql).fetchall()
            ids = {
                row[0]
                for row in self._database.execute(
                    "SELECT DISTINCT id FROM alerts WHERE patient = ? UNION ALL"
                    " SELECT uuid FROM summaries JOIN outbox ON summary = summaries.n"
                    " WHERE patient = ?",
                    (wanted.patient, wanted.patient),
                )
            }
        except sqlite3.Error as error:
            raise store_error(error, "read", self.path) from error
        return [
            n
            for n, wall_s, refs, known_as in rows
            if (wanted.of == "all" or _within(wall_s, wanted))
            and (
                not wanted.patient
                or not ids.isdisjoint([*msgspec.json.decode(refs), *known_as.split()])
            )
        ]

    def keep_sent(self, keep: Keep, wall_s: float | None, at_s: float) -> int:
        """Erase what messages said that were kept long enough; return how many.

        Parameters
        ----------
        wall_s : float | None
            What the clock on the wall shows; None: it is not to be trusted.

        Raises
        ------
        StoreError
            Nothing is erased.
        """
        try:
            old = egress.outlived(self._database, keep, wall_s)
        except sqlite3.Error as error:
            raise store_error(error, "read", self.path) from error
        return self.erase_sent(old, "", "kept long enough", at_s).n if old else 0

    def withdraw(self, kinds: Collection[str], at_s: float) -> int:
        """Take out of the outbox what people do not let leave (any more); return how many.

        Those entries never leave, not even where it is let leave again.

        Raises
        ------
        StoreError
            Nothing is taken out.
        """
        columns = [column for kind, column in egress.OUTBOX.items() if kind in kinds]
        try:
            waiting = sum(egress.n_waiting(self._database, column) for column in columns)
            if not waiting:
                return 0
            with self._database.atomic():
                for column in columns:
                    egress.withdraw(self._database, column, at_s)
        except sqlite3.Error as error:
            raise store_error(error, "write", self.path) from error
        return waiting

    def _erased(
        self, numbers: Sequence[int], by: str, why: str, at_s: float
    ) -> tuple[Erased, Head | None]:
        database, kind, said = self._database, LedgerKind.EGRESS, {"why": why}
        with egress.overwriting(database), database.atomic():
            marks = marks_of(database)
            gone = egress.erase(database, numbers)
            if not gone:
                return Erased(0, 0), None
            told = [LedgerEntry(kind, row["uuid"], "erased", by, at_s, said) for row in gone if by]
            # What came out of the outbox is asked for record by record, as these are forgotten.
            to_ask = [r for r in gone if why != WITH_RECORDS or r["kind"] not in egress.LINES]
            asked = egress.ask_receivers(database, self._run_n, to_ask, by, at_s) if by else 0
            body = {**said, "n": len(gone), "ask_receivers": asked}
            told.append(LedgerEntry(kind, "", "erased", by, at_s, body))
            return Erased(len(gone), asked), grow(database, self._run_n, told, marks)


def _within(wall_s: float | None, wanted: Wanted) -> bool:
    if wall_s is None:
        return (wanted.from_s, wanted.to_s) == (-math.inf, math.inf)
    return wanted.from_s <= wall_s < wanted.to_s
