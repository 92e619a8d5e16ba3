"""What left the box, in the store: facts that stay, content that can be erased.

A row of ``egress`` says that a message left, when, to whom, of which kind, how long it was and
its SHA-256; it is only ever appended, and the chain vouches for it. What it said lies beside it in
``egress_content`` and can be erased: on request, after so many days, or where it takes too much
room. The hash stays, so that what a receiver still has can be told to be that message.

What became of a message stands in the ledger alone, under the message's uuid: ``sent``,
``received``, ``failed``, ``erased``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import msgspec
from sqlcipher3 import dbapi2 as sqlite3

from edge.clock import TimeQuality
from edge.egress.departure import Left, header_text
from edge.store.chain import LedgerKind, next_number
from edge.store.database import Database
from edge.store.eras import next_n
from edge.store.stored import EraseRequest, Keep, Sent

MAX_ERASED: Final = 24
"""Messages in one request to delete: as a transaction of a FHIR server it is one message still."""
NOT_RECEIVED: Final = ("ping", "question", "erase")
"""Kinds that nobody has to delete: there is nothing in them."""


SCHEMA: Final = (
    # wall_s, quality: NULL where no wall time is known.
    # until_s: of several that say nothing, the last.
    """CREATE TABLE egress (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        uuid TEXT NOT NULL UNIQUE,
        at_s REAL NOT NULL,
        until_s REAL,
        wall_s REAL,
        quality TEXT,
        process TEXT NOT NULL,
        destination TEXT NOT NULL,
        host TEXT NOT NULL,
        kind TEXT NOT NULL,
        version INTEGER NOT NULL,
        about TEXT NOT NULL,
        known_as TEXT NOT NULL,
        times INTEGER NOT NULL CHECK (times > 0),
        size INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        head_sha256 TEXT NOT NULL,
        refs TEXT NOT NULL,
        late INTEGER NOT NULL CHECK (late IN (0, 1))
    ) STRICT""",
    """CREATE TRIGGER egress_is_not_edited BEFORE UPDATE ON egress
        BEGIN SELECT raise(ABORT, 'what left is only ever appended'); END""",
    """CREATE TRIGGER egress_is_not_deleted BEFORE DELETE ON egress
        BEGIN SELECT raise(ABORT, 'what left is only ever appended'); END""",
    # What it said: not vouched for, so that it can be erased. The hash beside it stays.
    """CREATE TABLE egress_content (
        egress INTEGER PRIMARY KEY REFERENCES egress (n),
        headers TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT""",
    # What receivers are to be asked to delete; uuids: JSON, the ids under which they know it.
    """CREATE TABLE erase_requests (
        n INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (n),
        uuid TEXT NOT NULL UNIQUE,
        destination TEXT NOT NULL,
        uuids TEXT NOT NULL,
        asked_s REAL NOT NULL,
        asked_by TEXT NOT NULL,
        settled_s REAL
    ) STRICT""",
    "CREATE INDEX erase_requests_waiting ON erase_requests (n) WHERE settled_s IS NULL",
    # 1: people did not let it leave; it is settled then, and never leaves.
    "ALTER TABLE outbox ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0",
)
"""Migration 008_egress."""


LINES: Final = ("alert", "summary")
"""Columns of the outbox, and the kinds of messages that come out of it."""
WAITING: Final = {"alert": "outbox_waiting_alerts", "summary": "outbox_waiting_summaries"}
"""Their indexes of what waits: left to itself SQLite reads all through that was ever settled."""
OUTBOX: Final = {"alerts": "alert", "summaries": "summary"}
"""Switch of consent -> the column of the outbox that holds what it covers."""


def n_waiting(database: Database, column: str) -> int:
    """Return how many entries of a kind wait in the outbox."""
    (n,) = database.execute(
        f"SELECT count(*) FROM outbox INDEXED BY {WAITING[column]}"  # noqa: S608  # our own names
        f" WHERE settled_s IS NULL AND {column} IS NOT NULL"
    ).fetchone()
    return int(n)


def withdraw(database: Database, column: str, at_s: float) -> None:
    """Settle what waits of a kind, as withheld."""
    database.execute(
        f"UPDATE outbox INDEXED BY {WAITING[column]}"  # noqa: S608  # our own names
        f" SET settled_s = ?, withheld = 1"
        f" WHERE settled_s IS NULL AND {column} IS NOT NULL",
        (at_s,),
    )


def insert(database: Database, run_n: int, leaving: Sequence[Left]) -> None:
    """Write down what leaves, in the transaction that is open; the same again is left out."""
    for left in leaving:
        what = left.what
        row = {
            "n": next_number(database, LedgerKind.EGRESS),
            "run": run_n,
            "uuid": what.uuid,
            "at_s": what.at_s,
            "until_s": left.until_s,
            "wall_s": left.wall_s,
            "quality": left.quality.value if left.quality is not None else None,
            "process": what.process,
            "destination": what.destination,
            "host": what.host,
            "kind": what.kind.value,
            "version": what.version,
            "about": what.about,
            "known_as": what.known_as,
            "times": left.times,
            "size": len(what.body),
            "sha256": left.sha256,
            "head_sha256": left.head_sha256,
            "refs": msgspec.json.encode(what.refs).decode(),
            "late": int(what.late),
        }
        cursor = database.execute(
            f"INSERT OR IGNORE INTO egress ({', '.join(row)})"  # noqa: S608  # our own names
            f" VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )
        if cursor.rowcount and not what.empty:
            database.execute(
                "INSERT INTO egress_content (egress, headers, body) VALUES (?, ?, ?)",
                (cursor.lastrowid, header_text(what.headers), what.body),
            )
        if what.kind.value in LINES:
            _begin_deliveries(database, left)


def begin_delivery(database: Database, n: int, sink: str, body: bytes | None = None) -> None:
    """Note that an entry of the outbox leaves for a destination, where that is not noted yet."""
    database.execute(
        "INSERT INTO deliveries (n, outbox, sink, body) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (outbox, sink) DO NOTHING",
        (next_n(database, "deliveries"), n, sink, body),
    )


def _begin_deliveries(database: Database, left: Left) -> None:
    for uuid in left.what.known_as.split():
        found = database.execute("SELECT n FROM outbox WHERE uuid = ?", (uuid,)).fetchone()
        if found is not None:  # it may have been forgotten this moment
            begin_delivery(database, found[0], left.what.destination, left.handed.get(uuid))


def select(which: str) -> str:
    """Return the question for messages, with what they said where that is still there."""
    return (
        "SELECT egress.*, runs.run_id, runs.boot_id, headers, body,"  # noqa: S608  # our own
        " egress_content.egress IS NOT NULL AS whole FROM egress"
        " JOIN runs ON runs.n = egress.run LEFT JOIN egress_content ON egress_content.egress = "
        f"egress.n WHERE {which} ORDER BY egress.n DESC LIMIT ?"
    )


def sent_from(row: dict[str, Any]) -> Sent:
    """Return a message from its row.

    Raises
    ------
    ValueError, TypeError, msgspec.DecodeError
        What is in it makes no sense.
    """
    whole = bool(row.pop("whole"))
    headers, body = row.pop("headers"), row.pop("body")
    row.pop("run")
    quality = row.pop("quality")
    has_content = row["size"] > 0 or row["head_sha256"] != _NO_HEADERS
    return Sent(
        **{
            **row,
            "refs": msgspec.json.decode(row["refs"], type=tuple[str, ...]),
            "late": bool(row["late"]),
            "quality": None if quality is None else TimeQuality(quality),
            "erased": has_content and not whole,
            "headers": msgspec.json.decode(headers, type=dict[str, str]) if whole else {},
            "body": bytes(body) if whole else None if has_content else b"",
        }
    )


def erase_request_from(row: dict[str, Any]) -> EraseRequest:
    """Return a request to delete from its row.

    Raises
    ------
    ValueError, TypeError, msgspec.DecodeError
        What is in it makes no sense.
    """
    uuids = msgspec.json.decode(row["uuids"], type=tuple[str, ...])
    return EraseRequest(**{**row, "uuids": uuids, "rejected": row["rejected"] or ""})


def erase(database: Database, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Erase the content of messages, in the open transaction; return those that had some.

    The bytes are overwritten in the file (`overwriting`), and gone from the log of the database
    with its next checkpoint.
    """
    gone = []
    for n in numbers:
        found = database.execute("DELETE FROM egress_content WHERE egress = ?", (n,)).rowcount
        if found:
            cursor = database.execute(
                "SELECT n, uuid, destination, kind, known_as FROM egress WHERE n = ?", (n,)
            )
            names = [column[0] for column in cursor.description]
            gone.append(dict(zip(names, cursor.fetchone(), strict=True)))
    return gone


def ask_receivers(
    database: Database, run_n: int, gone: Sequence[dict[str, Any]], by: str, at_s: float
) -> int:
    """Put in line that receivers are to delete what they were sent; return how many messages.

    What of it waits to be sent there once more is not sent again.
    """
    by_name: dict[str, list[str]] = {}
    for row in gone:
        if row["kind"] not in NOT_RECEIVED and row["known_as"]:
            known = by_name.setdefault(row["destination"], [])
            known += [one for one in row["known_as"].split() if one not in known]
    for destination, uuids in by_name.items():
        for uuid in uuids:
            database.execute(
                "UPDATE deliveries SET settled_s = ?, body = NULL WHERE sink = ? AND settled_s IS"
                " NULL AND outbox = (SELECT n FROM outbox WHERE uuid = ?)",
                (at_s, destination, uuid),
            )
    return ask_to_delete(database, run_n, by_name, by, at_s)


def ask_to_delete(
    database: Database, run_n: int, by_name: Mapping[str, Sequence[str]], by: str, at_s: float
) -> int:
    """Put in line that destinations are to delete messages, by id; return how many messages."""
    for destination, uuids in by_name.items():
        for start in range(0, len(uuids), MAX_ERASED):
            part = msgspec.json.encode(uuids[start : start + MAX_ERASED]).decode()
            n = next_n(database, "erase_requests")
            database.execute(
                "INSERT INTO erase_requests (n, run, uuid, destination, uuids, asked_s, asked_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (n, run_n, str(uuid4()), destination, part, at_s, by),
            )
    return sum(map(len, by_name.values()))


def outlived(database: Database, keep: Keep, now_wall_s: float | None) -> list[int]:
    """Return the numbers of messages whose content has been kept long enough, oldest first.

    What was sent before one that is too old is too old as well, whatever its own clock showed.
    """
    last = 0
    if now_wall_s is not None:
        (old,) = database.execute(
            "SELECT coalesce(max(n), 0) FROM egress WHERE quality IN ('synced', 'holdover')"
            " AND wall_s < ?",
            (now_wall_s - keep.days * 86400.0,),
        ).fetchone()
        last = int(old)
    total = 0
    sizes = database.execute(
        "SELECT egress, length(body) + length(headers) FROM egress_content ORDER BY egress DESC"
    )
    for n, size in sizes:
        total += size
        if total > keep.n_bytes:
            last = max(last, n)
            break
    rows = database.execute(
        "SELECT egress FROM egress_content WHERE egress <= ? ORDER BY egress", (last,)
    )
    return [n for (n,) in rows]


@contextmanager
def overwriting(database: Database) -> Iterator[None]:
    """Have what is deleted overwritten with zeros, and the log emptied afterwards.

    Where somebody else reads at that moment the log is emptied a little later, by SQLite itself.
    """
    connection: sqlite3.Connection = database.conn
    (before,) = connection.execute("PRAGMA secure_delete").fetchone()
    connection.execute("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA secure_delete={int(before)}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


_NO_HEADERS: Final = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
"""SHA-256 of ``{}``."""
