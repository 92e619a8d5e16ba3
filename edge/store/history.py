"""Read what was stored: for `homeward status` and `alerts`, in any process of the same user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from sqlcipher3 import dbapi2 as sqlite3

from edge.clock import WallEntry
from edge.config.words import Words
from edge.pseudonyms import Pseudonym
from edge.store import egress
from edge.store.cipher import Keys
from edge.store.database import Database, StoreError, connect, store_error
from edge.store.migrations import check_not_newer
from edge.store.of_people import pseudonym_from, words_from
from edge.store.records import (
    Row,
    alarm_event_from,
    alert_from,
    clock_from,
    kept_alerts_from,
    ledger_row_from,
    link_from,
    reading_from,
    self_test_from,
    setting_change_from,
    summary_from,
)
from edge.store.stored import (
    EraseRequest,
    KeptAlerts,
    LedgerRow,
    Run,
    Sent,
    StoredAlarmEvent,
    StoredAlert,
    StoredLink,
    StoredReading,
    StoredSelfTest,
    StoredSettingChange,
    StoredSummary,
    Waiting,
)

_R = TypeVar("_R")

MAX_ROWS = 10_000
"""The most rows one question is answered with."""


class History:
    """Questions to the store. Records come oldest first.

    Parameters
    ----------
    database : Database
        From `edge.store.database.connect`; closed with the history.
    path : Path
        Its file, for error texts.
    """

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self.path = path
        self.n_unreadable = 0
        """Rows left out of answers because what is in them makes no sense: bits have flipped."""

    @classmethod
    def open(cls, path: Path, keys: Keys | None = None) -> History:
        """Return the history in a file, which is only read.

        Parameters
        ----------
        keys : Keys | None
            The device keys; None: those in the file's folder, nobody being asked.

        Raises
        ------
        StoreError
            There is no such file, its key cannot be had, it is damaged, or a newer Homeward wrote
            it.
        """
        if not path.exists():
            raise StoreError(f"nothing has been recorded yet: {path} does not exist")
        database = connect(path, read_only=True, keys=keys)
        try:
            check_not_newer(database, path)
        except sqlite3.Error as error:
            database.close()
            raise store_error(error, "read", path) from error
        except StoreError:
            database.close()
            raise
        return cls(database, path)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def runs(self, limit: int = MAX_ROWS) -> list[Run]:
        """Return the latest starts of the monitor."""
        rows = self._rows(
            "SELECT run_id, boot_id, started_s, version, config_digest, model_id"
            " FROM runs ORDER BY n DESC LIMIT ?",
            (limit,),
        )
        return [Run(**row) for row in reversed(rows)]

    def alerts(self, limit: int = MAX_ROWS) -> list[StoredAlert]:
        """Return the latest states of alerts, in the order in which they were stored."""
        rows = self._rows(
            "SELECT alerts.*, runs.run_id, runs.boot_id FROM alerts JOIN runs ON runs.n = run"
            " ORDER BY alerts.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, alert_from)

    def alarm_events(self, limit: int = MAX_ROWS) -> list[StoredAlarmEvent]:
        """Return the latest of what was done to the alarms: pauses, steps, watches."""
        rows = self._rows(
            "SELECT alarm_events.*, runs.run_id, runs.boot_id FROM alarm_events"
            " JOIN runs ON runs.n = run ORDER BY alarm_events.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, alarm_event_from)

    def ledger_of(self, ref: str, limit: int = MAX_ROWS) -> list[LedgerRow]:
        """Return the first rows of the ledger about one alert (patient, setting), in order."""
        return self._ledger("ledger.ref = ?", (ref, limit))

    def ledger_of_acts(self, after: int, until: int, limit: int = MAX_ROWS) -> list[LedgerRow]:
        """Return acts on the alarms, of no alert alone, between two rows of the ledger."""
        acts = (
            "ledger.kind = 'alarm_event' AND ledger.ref = '' AND ledger.stage != 'forgotten'"
            " AND ledger.n BETWEEN ? AND ?"
        )
        return self._ledger(acts, (after, until, limit))

    def alert_ids(self, beginning: str) -> list[str]:
        """Return ids of stored alerts that begin so; at most two, which is one too many."""
        rows = self._rows(
            "SELECT DISTINCT id FROM alerts WHERE id >= ? AND substr(id, 1, length(?)) = ?"
            " ORDER BY id LIMIT 2",
            (beginning, beginning, beginning),
        )
        return [row["id"] for row in rows]

    def _ledger(self, which: str, parameters: Sequence[Any]) -> list[LedgerRow]:
        rows = self._rows(
            "SELECT ledger.n, run_id, boot_id, kind, ref, stage, by, at_s, body FROM ledger"  # noqa: S608
            f" JOIN runs ON runs.n = ledger.run WHERE {which} ORDER BY ledger.n LIMIT ?",
            parameters,
        )
        return self._read(rows[::-1], ledger_row_from)

    def self_tests(self, limit: int = MAX_ROWS) -> list[StoredSelfTest]:
        """Return the latest self-tests of the alarm path."""
        rows = self._rows(
            "SELECT self_tests.*, runs.run_id, runs.boot_id FROM self_tests"
            " JOIN runs ON runs.n = run ORDER BY self_tests.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, self_test_from)

    def setting_changes(self, limit: int = MAX_ROWS) -> list[StoredSettingChange]:
        """Return the latest of what people changed in how patients are watched."""
        rows = self._rows(
            "SELECT setting_changes.*, runs.run_id, runs.boot_id FROM setting_changes"
            " JOIN runs ON runs.n = run ORDER BY setting_changes.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, setting_change_from)

    def sent(self, limit: int = MAX_ROWS, after: int = 0) -> list[Sent]:
        """Return the latest messages that left, of those after number `after`."""
        rows = self._rows(egress.select("egress.n > ?"), (after, limit))
        return self._read(rows, egress.sent_from)

    def sent_message(self, n: int) -> Sent | None:
        """Return the message of a number; None: there is none."""
        rows = self._rows(egress.select("egress.n = ?"), (n, 1))
        return next(iter(self._read(rows, egress.sent_from)), None)

    def became(self, uuids: Sequence[str]) -> dict[str, list[LedgerRow]]:
        """Return what became of messages, by uuid: rows of the ledger, in order."""
        found: dict[str, list[LedgerRow]] = {}
        for uuid in uuids:
            rows = self._ledger("ledger.ref = ? AND ledger.row IS NULL", (uuid, MAX_ROWS))
            found[uuid] = rows
        return found

    def erase_requests(self, limit: int = MAX_ROWS) -> list[EraseRequest]:
        """Return what receivers are to be asked to delete, and have not said they did."""
        rows = self._rows(
            "SELECT uuid, destination, uuids, asked_s, asked_by AS by, settled_s, rejected,"
            " runs.boot_id"
            " FROM erase_requests JOIN runs ON runs.n = run WHERE settled_s IS NULL"
            " ORDER BY erase_requests.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, egress.erase_request_from)

    def withheld(self) -> dict[str, int]:
        """Return how many entries of the outbox people did not let leave, by switch."""
        (row,) = self._rows(
            "SELECT count(alert) AS alerts, count(summary) AS summaries FROM outbox"
            " WHERE withheld = 1"
        )
        return {name: int(n) for name, n in row.items()}

    def consents(self) -> list[LedgerRow]:
        """Return the latest of what people let leave, or not."""
        return self._ledger("ledger.kind = 'consent'", (MAX_ROWS,))

    def kept_alerts(self) -> KeptAlerts | None:
        """Return what the alert engine remembered last; None: nothing was ever kept."""
        rows = self._rows(
            "SELECT body, boot_id, boot_s, wall_s, synced FROM alert_state"
            " JOIN runs ON runs.n = run"
        )
        found = self._read(rows, kept_alerts_from)
        return found[0] if found else None

    def summaries(self, limit: int = MAX_ROWS) -> list[StoredSummary]:
        """Return the latest summaries."""
        rows = self._rows(
            "SELECT summaries.n, body, runs.run_id, runs.boot_id FROM summaries"
            " JOIN runs ON runs.n = run ORDER BY summaries.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, summary_from)

    def readings(self, limit: int = MAX_ROWS) -> list[StoredReading]:
        """Return the latest measurements of their own, in the order in which they arrived."""
        rows = self._rows(
            "SELECT readings.*, runs.run_id, runs.boot_id FROM readings JOIN runs ON runs.n = run"
            " ORDER BY readings.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, reading_from)

    def links(self, limit: int = MAX_ROWS) -> list[StoredLink]:
        """Return the latest changes of sensors' links."""
        rows = self._rows(
            "SELECT links.*, runs.run_id, runs.boot_id FROM links JOIN runs ON runs.n = run"
            " ORDER BY links.n DESC LIMIT ?",
            (limit,),
        )
        return self._read(rows, link_from)

    def clock_log(self) -> list[WallEntry]:
        """Return what the clocks showed in every boot, for `edge.clock.WallLog`."""
        rows = self._rows(
            "SELECT boot_id, boot_s, wall_s, synced FROM clock_log JOIN runs ON runs.n = run"
            " ORDER BY clock_log.n DESC LIMIT ?",
            (MAX_ROWS,),
        )
        return self._read(rows, clock_from)

    def pseudonyms(self) -> list[Pseudonym]:
        """Return what patients are or were called outside; of a patient the last counts."""
        rows = self._rows("SELECT patient, id FROM pseudonyms ORDER BY n DESC LIMIT ?", (MAX_ROWS,))
        return self._read(rows, pseudonym_from)

    def limit_words(self) -> list[Words]:
        """Return who decided on limits that people changed, and why."""
        rows = self._rows(
            'SELECT ref, patient, "by", why FROM limit_words ORDER BY n DESC LIMIT ?', (MAX_ROWS,)
        )
        return self._read(rows, words_from)

    def counts(self) -> dict[str, int]:
        """Return how many rows each table holds."""
        records = ("runs", "alerts", "alarm_events", "summaries", "gaps", "scores")
        tables = (*records, "readings", "links", "self_tests", "setting_changes")
        with self._asking():
            return {table: self._database.table(table).count for table in tables}

    def outbox_count(self) -> int:
        """Return how many alerts and summaries have no receipt yet."""
        (row,) = self._rows("SELECT count(*) AS n FROM outbox WHERE settled_s IS NULL")
        return int(row["n"])

    def outbox(self, limit: int = 100) -> list[Waiting]:
        """Return the first entries without a receipt, in the order in which they came to be.

        One whose record is gone or makes no sense is left out.
        """
        waiting = self._rows(
            "SELECT uuid, alert, summary FROM outbox WHERE settled_s IS NULL ORDER BY n LIMIT ?",
            (limit,),
        )
        return self._read(waiting[::-1], self._waiting)

    def _waiting(self, row: Row) -> Waiting:
        if row["alert"] is not None:
            (found,) = self._rows(
                "SELECT alerts.*, runs.run_id, runs.boot_id FROM alerts"
                " JOIN runs ON runs.n = run WHERE alerts.n = ?",
                (row["alert"],),
            )
            return Waiting(row["uuid"], alert_from(found))
        (found,) = self._rows(
            "SELECT summaries.n, body, runs.run_id, runs.boot_id FROM summaries"
            " JOIN runs ON runs.n = run WHERE summaries.n = ?",
            (row["summary"],),
        )
        return Waiting(row["uuid"], summary_from(found))

    def _read(self, newest_first: list[Row], record_from: Callable[[Row], _R]) -> list[_R]:
        """Return the records of rows, oldest first; one that makes no sense is left out."""
        found = []
        for row in reversed(newest_first):
            try:
                found.append(record_from(row))
            except (ValueError, TypeError, KeyError, msgspec.DecodeError):
                self.n_unreadable += 1
        return found

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        with self._asking():
            try:
                return list(self._database.query(sql, parameters))
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
                # Bits have flipped in a text: what can be read of it is better than nothing at all.
                self._database.conn.text_factory = _legible
                return list(self._database.query(sql, parameters))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(error, "read", self.path) from error


def _legible(text: bytes) -> str:
    return text.decode("utf-8", "replace")
