"""Write what the monitor found into its tables, all of a batch in one transaction."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from sqlcipher3 import dbapi2 as sqlite3

from edge.records import Alert, AlertState
from edge.store import egress, of_people
from edge.store.backlog import Batch
from edge.store.chain import LedgerKind, grow, marks_of, next_number
from edge.store.database import (
    Database,
    store_error,
)
from edge.store.eras import next_n
from edge.store.keeping import HeadKeeper
from edge.store.records import (
    Row,
    alarm_event_row,
    alert_row,
    clock_row,
    gap_row,
    kept_alerts_row,
    link_row,
    reading_row,
    score_row,
    self_test_row,
    setting_change_row,
    summary_row,
)
from edge.store.stored import (
    Run,
)


class Inserting:
    """The part of `edge.store.Store` that writes a batch."""

    path: Path
    run: Run
    _database: Database
    _head: HeadKeeper
    _run_n: int
    _first_place: int

    def commit(self, batch: Batch) -> None:
        """Write records and their outbox entries in one transaction: all of it, or nothing.

        After an error the same connection may try the same batch again without doubling it:
        SQLite has rolled back, and the next commit overwrites what had reached the log.

        Raises
        ------
        StoreError
            Nothing of the batch is stored.
        """
        try:
            with self._database.atomic():
                marks = marks_of(self._database)
                self._insert("clock_log", [clock_row(e, self._run_n) for e in batch.clock])
                self._insert("gaps", [gap_row(gap, self._run_n) for gap in batch.gaps])
                scores = [score_row(score, self.run, self._run_n) for score in batch.scores]
                self._insert("scores", scores)
                self._insert("links", [link_row(link, self._run_n) for link in batch.links])
                events = [alarm_event_row(e, self._run_n) for e in batch.alarm_events]
                self._insert_vouched(LedgerKind.ALARM_EVENT, "alarm_events", events)
                tests = [self_test_row(test, self._run_n) for test in batch.self_tests]
                self._insert_vouched(LedgerKind.SELF_TEST, "self_tests", tests)
                changes = [setting_change_row(c, self._run_n) for c in batch.setting_changes]
                self._insert_vouched(LedgerKind.LIMIT, "setting_changes", changes)
                egress.insert(self._database, self._run_n, batch.egress)
                of_people.insert(self._database, self._run_n, batch.of_people)
                self._insert_readings(batch)
                self._insert_alerts(batch)
                self._insert_summaries(batch)
                if batch.kept is not None:
                    row = kept_alerts_row(batch.kept, self._run_n)
                    self._database.table("alert_state").upsert(row, pk="n")
                head = grow(self._database, self._run_n, batch.ledger, marks)
        except sqlite3.Error as error:
            raise store_error(error, "write", self.path) from error
        if head is not None:
            self._head.keep(head)

    def _insert_alerts(self, batch: Batch) -> None:
        if not batch.alerts:
            return
        n = next_number(self._database, LedgerKind.ALERT) - 1
        sequences: dict[str, int] = {}
        rows = []
        for alert in batch.alerts:
            if alert.id not in sequences:
                sequences[alert.id] = self._sequence(alert)
            sequences[alert.id] += 1
            n += 1
            rows.append(alert_row(alert, self._run_n, n, sequences[alert.id]))
        self._insert("alerts", rows)
        self._put_in_line("alert", rows)

    def _insert_summaries(self, batch: Batch) -> None:
        first = next_n(self._database, "summaries")
        rows = [summary_row(s, self._run_n, first + i) for i, s in enumerate(batch.summaries)]
        self._insert("summaries", rows)
        self._put_in_line("summary", rows)

    def _put_in_line(self, line: str, rows: list[Row]) -> None:
        """Put records in the outbox, with what their patient is called outside at this time."""
        called = {row["patient"]: self._called(row["patient"]) for row in rows}
        lined = [
            {"uuid": str(uuid4()), line: row["n"], "called": called[row["patient"]]} for row in rows
        ]
        self._insert("outbox", lined)

    def _called(self, patient: str) -> str | None:
        found = self._database.execute(
            "SELECT id FROM pseudonyms WHERE patient = ? ORDER BY n DESC LIMIT 1", (patient,)
        ).fetchone()
        return None if found is None else str(found[0])

    def _insert_readings(self, batch: Batch) -> None:
        # OR IGNORE: a meter that is asked again after a restart gives the same records again.
        rows = [reading_row(reading, self._run_n) for reading in batch.readings]
        self._insert("readings", rows, ignore=True)

    def _insert(self, table: str, rows: list[Row], *, ignore: bool = False) -> None:
        if rows:
            first = next_n(self._database, table)
            numbered = [{"n": first + i, **row} for i, row in enumerate(rows)]
            self._database.table(table).insert_all(numbered, ignore=ignore)

    def _insert_vouched(self, kind: LedgerKind, table: str, rows: list[Row]) -> None:
        if rows:
            first = next_number(self._database, kind)
            self._insert(table, [{"n": first + i, **row} for i, row in enumerate(rows)])

    def _sequence(self, alert: Alert) -> int:
        (row,) = self._database.query(
            "SELECT coalesce(max(sequence), 0) AS n FROM alerts WHERE id = ?", (alert.id,)
        )
        goes_on = alert.state is not AlertState.RAISED
        return int(row["n"]) or (self._first_place if goes_on else 0)
