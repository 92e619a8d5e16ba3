"""The schema, step by numbered step; a step that was released is never edited, only followed.

What is kept row by row: every state of every alert, what was done to the alarms, summaries, gaps,
scores, single measurements (a cuff's, a scale's), what became of the sensors' links, and the clock
log that turns boot time into UTC; and the ledger, which vouches for the alarms and holds how each
was delivered. Beats and features are not: at one row a beat they would be nine
tenths of all writes, and both come out of the packets again, bit for bit.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlcipher3 import dbapi2 as sqlite3

from edge.store import delivering, egress, eras
from edge.store.chain import LedgerKind, take_over
from edge.store.database import (
    Database,
    Migrations,
    StoreDamagedError,
    StoreError,
    store_error,
)

MIGRATIONS = Migrations("homeward")

_RECORDS = (
    """CREATE TABLE runs (
        n INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        boot_id TEXT NOT NULL,
        started_s REAL NOT NULL,
        version TEXT NOT NULL,
        config_digest TEXT NOT NULL,
        model_id TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE clock_log (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        boot_s REAL NOT NULL,
        wall_s REAL NOT NULL,
        synced INTEGER NOT NULL CHECK (synced IN (0, 1))
    ) STRICT""",
    """CREATE TABLE alerts (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        id TEXT NOT NULL,
        sequence INTEGER NOT NULL CHECK (sequence > 0),
        patient TEXT NOT NULL,
        episode TEXT NOT NULL,
        rule TEXT NOT NULL,
        kind TEXT NOT NULL,
        priority TEXT NOT NULL,
        state TEXT NOT NULL,
        since_s REAL NOT NULL,
        at_s REAL NOT NULL,
        reason TEXT NOT NULL,
        evidence TEXT NOT NULL,
        answered_by TEXT NOT NULL,
        UNIQUE (id, sequence)
    ) STRICT""",
    """CREATE TRIGGER alerts_are_not_edited BEFORE UPDATE ON alerts
        BEGIN SELECT raise(ABORT, 'alerts are only ever appended'); END""",
    """CREATE TRIGGER alerts_are_not_deleted BEFORE DELETE ON alerts
        BEGIN SELECT raise(ABORT, 'alerts are only ever appended'); END""",
    """CREATE TABLE summaries (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        patient TEXT NOT NULL,
        start_s REAL NOT NULL,
        length_s REAL NOT NULL,
        body TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE gaps (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        patient TEXT NOT NULL,
        source TEXT NOT NULL,
        stream TEXT NOT NULL,
        start_s REAL NOT NULL,
        end_s REAL NOT NULL,
        n_lost INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT""",
    # value: NULL where the model abstained. The model's id is its run's, or stands in `model_id`
    # where a bundle was changed while the monitor ran.
    """CREATE TABLE scores (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        patient TEXT NOT NULL,
        start_s REAL NOT NULL,
        length_s REAL NOT NULL,
        value REAL,
        threshold REAL NOT NULL,
        contributions TEXT NOT NULL,
        model_id TEXT
    ) STRICT""",
)

_OUTBOX = (
    """CREATE TABLE outbox (
        n INTEGER PRIMARY KEY,
        uuid TEXT NOT NULL UNIQUE,
        alert INTEGER REFERENCES alerts (n),
        summary INTEGER REFERENCES summaries (n),
        settled_s REAL,
        CHECK ((alert IS NULL) != (summary IS NULL))
    ) STRICT""",
    "CREATE INDEX outbox_waiting ON outbox (n) WHERE settled_s IS NULL",
)


_SENSORS = (
    # at_s: NULL where only the arrival is known; uncertainty_s: NULL where it has no bound.
    """CREATE TABLE readings (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        id TEXT NOT NULL UNIQUE,
        patient TEXT NOT NULL,
        source TEXT NOT NULL,
        signal TEXT NOT NULL,
        value REAL NOT NULL,
        at_s REAL,
        uncertainty_s REAL,
        arrived_s REAL NOT NULL,
        backfilled INTEGER NOT NULL CHECK (backfilled IN (0, 1))
    ) STRICT""",
    """CREATE TABLE links (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        patient TEXT NOT NULL,
        source TEXT NOT NULL,
        at_s REAL NOT NULL,
        state TEXT NOT NULL,
        security TEXT NOT NULL,
        name TEXT NOT NULL,
        place TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT""",
)


_ALARMS = (
    # role, meaning: empty while nobody has answered, and in rows of before.
    "ALTER TABLE alerts ADD COLUMN role TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE alerts ADD COLUMN meaning TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE alarm_events (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        act TEXT NOT NULL,
        patient TEXT NOT NULL,
        at_s REAL NOT NULL,
        reason TEXT NOT NULL,
        by TEXT NOT NULL,
        role TEXT,
        of TEXT,
        priority TEXT,
        until_s REAL,
        alert_id TEXT NOT NULL,
        step TEXT,
        "to" TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER alarm_events_are_not_edited BEFORE UPDATE ON alarm_events
        BEGIN SELECT raise(ABORT, 'alarm events are only ever appended'); END""",
    """CREATE TRIGGER alarm_events_are_not_deleted BEFORE DELETE ON alarm_events
        BEGIN SELECT raise(ABORT, 'alarm events are only ever appended'); END""",
    # One row: what the alert engine remembers, and both clocks when it was kept.
    """CREATE TABLE alert_state (
        n INTEGER PRIMARY KEY CHECK (n = 1),
        run INTEGER NOT NULL REFERENCES runs (n),
        boot_s REAL NOT NULL,
        wall_s REAL NOT NULL,
        synced INTEGER NOT NULL CHECK (synced IN (0, 1)),
        body BLOB NOT NULL
    ) STRICT""",
)


_LEDGER = (
    # row: of the table it vouches for; NULL where the row stands for itself. See edge.store.chain.
    """CREATE TABLE ledger (
        n INTEGER PRIMARY KEY CHECK (n > 0),
        run INTEGER NOT NULL REFERENCES runs (n),
        kind TEXT NOT NULL,
        ref TEXT NOT NULL,
        stage TEXT NOT NULL,
        by TEXT NOT NULL,
        at_s REAL NOT NULL,
        row INTEGER,
        body TEXT NOT NULL,
        prev BLOB NOT NULL CHECK (length(prev) = 32),
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT""",
    "CREATE INDEX ledger_stories ON ledger (ref, n)",
    "CREATE UNIQUE INDEX ledger_vouchers ON ledger (kind, row) WHERE row IS NOT NULL",
    """CREATE TRIGGER ledger_grows_at_its_end BEFORE INSERT ON ledger
        WHEN NEW.n != 1 + (SELECT coalesce(max(n), 0) FROM ledger)
          OR NEW.prev != coalesce((SELECT hash FROM ledger WHERE n = NEW.n - 1), zeroblob(32))
        BEGIN SELECT raise(ABORT, 'the ledger grows at its end only'); END""",
    *(
        f"""CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table}
            BEGIN SELECT raise(ABORT, '{table} is only ever appended to'); END"""
        for table in ("ledger", "runs", "clock_log")
        for verb, name in (("UPDATE", "is_not_edited"), ("DELETE", "is_not_deleted"))
    ),
)


_SELF_TESTS = (
    # rows: JSON, `edge.records.SelfTestRow`.
    """CREATE TABLE self_tests (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        id TEXT NOT NULL UNIQUE,
        began_s REAL NOT NULL,
        ended_s REAL NOT NULL,
        asked_by TEXT NOT NULL,
        passed INTEGER NOT NULL CHECK (passed IN (0, 1)),
        rows TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER self_tests_are_not_edited BEFORE UPDATE ON self_tests
        BEGIN SELECT raise(ABORT, 'self-tests are only ever appended'); END""",
    """CREATE TRIGGER self_tests_are_not_deleted BEFORE DELETE ON self_tests
        BEGIN SELECT raise(ABORT, 'self-tests are only ever appended'); END""",
    # One row: what the last self-test wrote, to read it back.
    """CREATE TABLE probe (
        n INTEGER PRIMARY KEY CHECK (n = 1),
        token TEXT NOT NULL
    ) STRICT""",
)


_LIMITS = (
    # What people changed in how a patient is watched. A switch is 0 or 1.
    """CREATE TABLE setting_changes (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        act TEXT NOT NULL,
        patient TEXT NOT NULL,
        at_s REAL NOT NULL,
        key TEXT NOT NULL,
        old REAL,
        new REAL,
        by TEXT NOT NULL,
        role TEXT NOT NULL,
        why TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER setting_changes_are_not_edited BEFORE UPDATE ON setting_changes
        BEGIN SELECT raise(ABORT, 'changes of settings are only ever appended'); END""",
    """CREATE TRIGGER setting_changes_are_not_deleted BEFORE DELETE ON setting_changes
        BEGIN SELECT raise(ABORT, 'changes of settings are only ever appended'); END""",
)


_FORGOTTEN = (
    # Random, in the row's hash; goes when the row is emptied. NULL: in rows of before.
    "ALTER TABLE ledger ADD COLUMN salt BLOB",
    # What patients are called in all that leaves the box; the last of a patient counts.
    """CREATE TABLE pseudonyms (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        patient TEXT NOT NULL,
        id TEXT NOT NULL UNIQUE
    ) STRICT""",
    # Who decided what stands in limits.json, and why; `ref` is all that stands there.
    """CREATE TABLE limit_words (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        ref TEXT NOT NULL UNIQUE,
        patient TEXT NOT NULL,
        by TEXT NOT NULL,
        why TEXT NOT NULL
    ) STRICT""",
)


STEPS = (
    "001_records",
    "002_outbox",
    "003_sensors",
    "004_alarms",
    "005_ledger",
    "006_limits",
    "007_self_tests",
    "008_egress",
    "009_forgotten",
    "010_room",
    "011_recovered",
    "012_sync",
)
"""Names of all steps, in order; what else a file has been through comes from a newer Homeward."""
_LATER: Final = re.compile(r"\d{3}_")


@MIGRATIONS(name=STEPS[0])
def _records(database: Database) -> None:
    for statement in _RECORDS:
        database.execute(statement)


@MIGRATIONS(name=STEPS[1])
def _outbox(database: Database) -> None:
    """Begin the outbox; what was recorded before it is put in line first."""
    for statement in _OUTBOX:
        database.execute(statement)
    for column, table in (("alert", "alerts"), ("summary", "summaries")):
        database.table("outbox").insert_all(
            {"uuid": str(uuid4()), column: row["n"]}
            for row in list(database.table(table).rows_where(select="n", order_by="n"))
        )


@MIGRATIONS(name=STEPS[2])
def _sensors(database: Database) -> None:
    for statement in _SENSORS:
        database.execute(statement)


@MIGRATIONS(name=STEPS[3])
def _alarms(database: Database) -> None:
    for statement in _ALARMS:
        database.execute(statement)


@MIGRATIONS(name=STEPS[4])
def _ledger(database: Database) -> None:
    """Begin the chain with what was recorded before it: vouched for from here on, not earlier."""
    for statement in _LEDGER:
        database.execute(statement)
    kinds = (LedgerKind.RUN, LedgerKind.CLOCK, LedgerKind.ALERT, LedgerKind.ALARM_EVENT)
    take_over(database, kinds)


@MIGRATIONS(name=STEPS[5])
def _limits(database: Database) -> None:
    for statement in _LIMITS:
        database.execute(statement)


@MIGRATIONS(name=STEPS[6])
def _self_tests(database: Database) -> None:
    for statement in _SELF_TESTS:
        database.execute(statement)


@MIGRATIONS(name=STEPS[7])
def _egress(database: Database) -> None:
    for statement in egress.SCHEMA:
        database.execute(statement)


@MIGRATIONS(name=STEPS[8])
def _forgotten(database: Database) -> None:
    for statement in _FORGOTTEN:
        database.execute(statement)


@MIGRATIONS(name=STEPS[9])
def _room(database: Database) -> None:
    """Find the entry of a summary: without that each one given up reads the outbox through."""
    database.execute("CREATE INDEX outbox_summaries ON outbox (summary) WHERE summary IS NOT NULL")


@MIGRATIONS(name=STEPS[10])
def _salvage(database: Database) -> None:
    for statement in eras.SCHEMA:
        database.execute(statement)


@MIGRATIONS(name=STEPS[11])
def _sync(database: Database) -> None:
    for statement in delivering.SCHEMA:
        database.execute(statement)


def migrate(database: Database, path: Path) -> None:
    """Bring the schema up to date, each step in its own transaction.

    Raises
    ------
    StoreError
        The file was written by a newer Homeward, or a step failed (and left no trace).
    """
    try:
        check_not_newer(database, path)
        MIGRATIONS.apply(database)
    except sqlite3.Error as error:
        raise store_error(error, "bring up to date", path) from error


def check_not_newer(database: Database, path: Path) -> None:
    """Refuse a file with steps this version does not know.

    Raises
    ------
    StoreDamagedError
        There is a step that no version has made: steps are numbered, and never renamed.
    StoreError
        The file was written by a newer Homeward.
    """
    newer = sorted({step.name for step in MIGRATIONS.applied(database)} - set(STEPS))
    broken = [name for name in newer if not _LATER.match(name) or name[:3] <= STEPS[-1][:3]]
    if broken:
        raise StoreDamagedError(f"{path} is damaged: {broken[0]!r} is no step of its schema")
    if newer:
        raise StoreError(
            f"{path} was written by a newer Homeward (it knows {', '.join(newer)}): install that "
            f"version again, or name another folder with --data-dir; nothing was changed"
        )
