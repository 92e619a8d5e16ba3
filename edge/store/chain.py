"""One chain over all that may be asked for later: who was told what, when, and who answered.

Every row of the ledger carries the hash of the row before it, so that a row that was edited,
deleted, swapped or put in between shows (`edge.store.verification`). It vouches for rows of other
tables (`VOUCHED`: starts of the monitor, its clocks, every state of every alert, what was done to
the alarms, limits that people changed, self-tests) by a copy of what the table holds, and holds by
itself what has no table: deliveries, entries by hand, settings and decisions. It grows in the
transaction that writes what it vouches for: neither is there without the other.

    hash = SHA-256(hash of the row before | every column of the row, each with its kind and length)

One of the columns is a random salt: a row can be emptied on request (`edge.store.forgotten`), and
what it held is then not to be guessed from its hash.

What it proves: nothing was changed by accident, by a bad card, or by hand with any tool for
databases. What it does not: who is root here and knows this page can write all of it anew, and the
head beside it (`edge.store.head`) too. Against that helps only a head that is kept elsewhere.
Rows added at the end with a right hash, while no monitor runs, look like a crash and are told as
such. Scores, summaries, gaps and single measurements are not vouched for.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from edge.store.database import Database
from edge.store.eras import base_of
from edge.store.head import START, Head

MAX_TEXT: Final = 4096
"""Characters of a name in the ledger; what people and programs say is bounded where it enters."""

TAKEN_OVER: Final = "taken_over"
"""Stage of the row that ends what was there before the chain."""

_REAL: Final = struct.Struct(">d")


class LedgerKind(StrEnum):
    """What a row of the ledger tells.

    RUN, CLOCK, ALERT, ALARM_EVENT, LIMIT and SELF_TEST vouch for rows of tables; DELIVERY is one
    stage of how an alert reached somebody; ENTRY is what a person entered; SETTING and DECISION
    are what the alarms go by, and who decided it; EGRESS vouches for what left the box, and tells
    what became of it; CONSENT is what people let leave; VAULT is what was done to the raw
    packets, and by whom; CHAIN is what the chain has to say of itself.
    """

    RUN = "run"
    CLOCK = "clock"
    ALERT = "alert"
    ALARM_EVENT = "alarm_event"
    DELIVERY = "delivery"
    ENTRY = "entry"
    SETTING = "setting"
    DECISION = "decision"
    LIMIT = "limit"
    SELF_TEST = "self_test"
    EGRESS = "egress"
    CONSENT = "consent"
    VAULT = "vault"
    CHAIN = "chain"


class LedgerEntry(msgspec.Struct, frozen=True):
    """What is to be written in the ledger, and in no other table.

    Attributes
    ----------
    kind : LedgerKind
        What it tells.
    ref : str
        Of what: the alert's id, the patient, the setting.
    stage : str
        What of it: ``sounded``, ``sent``, ``in_force`` ...
    by : str
        Through what or by whom.
    at_s : float
        Boot clock.
    body : Mapping[str, Any]
        All else; plain values.
    if_news : bool
        Left out where the last row of this `ref` says the same.

    Raises
    ------
    ValueError
        It could not be stored: no time, or no text.
    """

    kind: LedgerKind
    ref: str
    stage: str
    by: str
    at_s: float
    body: Mapping[str, Any] = {}
    if_news: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.at_s):
            raise ValueError(f"a ledger entry at {self.at_s!r} s: it needs a time")
        for text in (self.ref, self.stage, self.by):
            text.encode()  # UnicodeEncodeError is a ValueError: half a character
            if len(text) > MAX_TEXT:
                raise ValueError(f"a name of {len(text)} characters in a ledger entry; shorten it")
        canonical(self.body)  # here it hurts who said it, and in the commit it would hurt us


class Vouched(msgspec.Struct, frozen=True):
    """A table the chain vouches for.

    Attributes
    ----------
    table : str
        Append only; its key is ``n``.
    told : Callable
        ``told(row)`` gives the run, ref, stage, by and time of a row.
    """

    table: str
    told: Callable[[Mapping[str, Any]], tuple[int, str, str, str, float]]


VOUCHED: Final[Mapping[LedgerKind, Vouched]] = {
    LedgerKind.RUN: Vouched(
        "runs", lambda row: (row["n"], row["run_id"], "begun", "", row["started_s"])
    ),
    LedgerKind.CLOCK: Vouched(
        "clock_log",
        lambda row: (row["run"], "", "synced" if row["synced"] else "unsynced", "", row["boot_s"]),
    ),
    LedgerKind.ALERT: Vouched(
        "alerts",
        lambda row: (row["run"], row["id"], row["state"], row["answered_by"], row["at_s"]),
    ),
    LedgerKind.ALARM_EVENT: Vouched(
        "alarm_events",
        lambda row: (row["run"], row["alert_id"], row["act"], row["by"], row["at_s"]),
    ),
    LedgerKind.LIMIT: Vouched(
        "setting_changes",
        lambda row: (row["run"], row["key"], row["act"], row["by"], row["at_s"]),
    ),
    LedgerKind.SELF_TEST: Vouched(
        "self_tests",
        lambda row: (
            row["run"],
            row["id"],
            "passed" if row["passed"] else "failed",
            row["asked_by"],
            row["ended_s"],
        ),
    ),
    LedgerKind.EGRESS: Vouched(
        "egress",
        lambda row: (row["run"], row["uuid"], "handed_over", row["process"], row["at_s"]),
    ),
}
"""By kind. To have another append-only table vouched for is one row here, and in a migration
`take_over` for what it holds already."""

Marks = Mapping[LedgerKind, int]
"""The last row of every vouched table before something is written."""

_COLUMNS: Final = ("n", "run", "kind", "ref", "stage", "by", "at_s", "row", "body")
SALT: Final = "salt"
SALT_BYTES: Final = 16


class _Line(msgspec.Struct, frozen=True):
    """A row of the ledger before it has its place."""

    run: int
    kind: str
    ref: str
    stage: str
    by: str
    at_s: float
    row: int | None
    body: str


def link_hash(prev: object, columns: Sequence[Any]) -> bytes:
    """Return the hash of a row; text may come as its bytes.

    Parameters
    ----------
    prev : object
        The hash of the row before: 32 bytes, where nobody has put something else there.
    columns : Sequence
        Of `columns_of`, without the last two. The salt is NULL in rows of before it was there, and
        then no part of the hash.
    """
    if len(columns) > len(_COLUMNS) and columns[-1] is None:
        columns = columns[: len(_COLUMNS)]
    parts = [prev if isinstance(prev, bytes) else repr(prev).encode()]
    for column in columns:
        value = column.encode() if isinstance(column, str) else column
        if isinstance(value, bytes):
            parts += (b"t%d:" % len(value), value)
        elif isinstance(value, float):
            parts += (b"f", _REAL.pack(value))
        else:
            parts.append(b"n" if value is None else b"i%d;" % value)
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(body: Mapping[str, Any]) -> str:
    """Return the one text of a body: keys sorted, nothing between."""
    plain = {name: _plain(value) for name, value in body.items()}
    return msgspec.json.encode(plain, order="sorted").decode()


def columns_of(connection: Any) -> tuple[str, ...]:  # noqa: ANN401  # of SQLite, or its like
    """Return the names of the ledger's columns in the order of their hash, ``prev, hash`` last."""
    there = {row[1] for row in connection.execute("PRAGMA table_info(ledger)")}
    salt = (SALT,) if {SALT, SALT.encode()} & there else ()
    return (*_COLUMNS, *salt, "prev", "hash")


def head_of(database: Database) -> Head:
    """Return the end of the chain."""
    row = database.execute("SELECT n, hash FROM ledger ORDER BY n DESC LIMIT 1").fetchone()
    return START if row is None else Head(row[0], row[1])


def marks_of(database: Database) -> Marks:
    """Return how far the vouched tables go; to be asked before a transaction writes in them."""
    return {kind: _last(database, vouched.table) for kind, vouched in VOUCHED.items()}


def grow(
    database: Database, run_n: int, entries: Iterable[LedgerEntry], marks: Marks
) -> Head | None:
    """Chain what this transaction has written in vouched tables, and entries of the ledger's own.

    What stood in a table before, unchained, stays so and shows: the chain takes in only what was
    written under its eyes.

    Parameters
    ----------
    run_n : int
        The run, for the entries.
    marks : Marks
        From `marks_of`, at the beginning of the transaction.

    Returns
    -------
    Head | None
        The new end of the chain; None: it has not grown.
    """
    lines = [_line_of(entry, run_n) for entry in _news(database, entries)]
    for kind, after in marks.items():
        lines += _vouch(database, kind, after)
    return _append(database, lines)


def take_over(database: Database, kinds: Iterable[LedgerKind]) -> Head | None:
    """Chain all that tables hold that were not vouched for before; for migrations."""
    lines = [line for kind in kinds for line in _vouch(database, kind, 0)]
    if not lines:
        return None
    (at_utc,) = database.execute("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now')").fetchone()
    last = max(lines, key=lambda line: (line.run, line.at_s))
    body = canonical({"n_rows": len(lines), "at_utc": at_utc})
    lines.append(_Line(last.run, LedgerKind.CHAIN, "", TAKEN_OVER, "", last.at_s, None, body))
    return _append(database, lines)


def _append(database: Database, lines: list[_Line]) -> Head | None:
    if not lines:
        return None
    n, prev = (head := head_of(database)).n, head.hash
    n = n or base_of(database)  # the chain of a file begun anew begins there
    columns = columns_of(database)
    rows = []
    # What is told of the past in the same breath is put in the order in which it came to be.
    for line in sorted(lines, key=lambda line: (line.run, line.at_s)):
        n += 1
        salt = (os.urandom(SALT_BYTES),) if SALT in columns else ()
        values = (n, *msgspec.structs.astuple(line), *salt)
        hashed = link_hash(prev, values)
        rows.append((*values, prev, hashed))
        prev = hashed
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" * len(columns))
    database.conn.executemany(f"INSERT INTO ledger ({names}) VALUES ({marks})", rows)  # noqa: S608
    return Head(n, prev)


def _vouch(database: Database, kind: LedgerKind, after: int) -> list[_Line]:
    """Return lines for the rows of a table as it holds them now."""
    vouched = VOUCHED[kind]
    # Read back, not taken from what was written: the copy must be what a reader will find.
    cursor = database.execute(
        f"SELECT * FROM {vouched.table} WHERE n > ? ORDER BY n",  # noqa: S608  # ours
        (after,),
    )
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, values, strict=True)) for values in cursor]
    # Somebody took the last rows out, and their numbers come again: the chain vouches for what
    # is gone, which shows, and it must not keep from being written what happens now. The same of a
    # number of before the damage, whose own place in the chain may yet be recovered.
    last = max(_last_vouched(database, kind), base_of(database)) if rows else 0
    return [_line_for(kind, row, row["n"] if row["n"] > last else None) for row in rows]


def vouch_for(database: Database, kind: LedgerKind, rows: Iterable[Mapping[str, Any]]) -> Head:
    """Chain rows of a vouched table that have no place in the chain; return its new end."""
    lines = [_line_for(kind, row, row["n"]) for row in rows]
    return _append(database, lines) or head_of(database)


def _line_for(kind: LedgerKind, row: Mapping[str, Any], n: int | None) -> _Line:
    run, ref, stage, by, at_s = VOUCHED[kind].told(row)
    return _Line(run, kind.value, ref, stage, by, float(at_s), n, canonical(row))


def next_number(database: Database, kind: LedgerKind) -> int:
    """Return the number of a vouched table's next row: one that was forgotten is not used again."""
    last = max(_last(database, VOUCHED[kind].table), _last_vouched(database, kind))
    return 1 + max(last, base_of(database))


def _last_vouched(database: Database, kind: LedgerKind) -> int:
    (n,) = database.execute(
        "SELECT coalesce(max(row), 0) FROM ledger WHERE kind = ? AND row IS NOT NULL", (kind.value,)
    ).fetchone()
    return int(n)


def _line_of(entry: LedgerEntry, run_n: int) -> _Line:
    # + 0.0: SQLite keeps no minus zero.
    at_s = float(entry.at_s) + 0.0
    body = canonical(entry.body)
    kind = str(entry.kind.value)
    return _Line(run_n, kind, entry.ref, entry.stage, entry.by, at_s, None, body)


def _news(database: Database, entries: Iterable[LedgerEntry]) -> Iterator[LedgerEntry]:
    """Give out what says something that was not said of it last."""
    said: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        saying = (entry.kind.value, entry.stage, entry.by, canonical(entry.body))
        if entry.if_news and saying == (said.get(entry.ref) or _last_said(database, entry.ref)):
            continue
        said[entry.ref] = saying
        yield entry


def _last_said(database: Database, ref: str) -> tuple[str, ...] | None:
    last: tuple[str, ...] | None = database.execute(
        "SELECT kind, stage, by, body FROM ledger WHERE ref = ? ORDER BY n DESC LIMIT 1", (ref,)
    ).fetchone()
    return last


def _last(database: Database, table: str) -> int:
    (n,) = database.execute(f"SELECT coalesce(max(n), 0) FROM {table}").fetchone()  # noqa: S608
    return int(n)


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever a column holds
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has none, and null is another thing
    return value.hex() if isinstance(value, bytes) else value
