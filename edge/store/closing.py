"""The end of a recovery: what is lost in one place and there in another, and the chain's word.

- A row that the chain vouches for and whose page is lost is made again of its copy in the ledger.
- A row that is there and whose place in the ledger is lost is vouched for from now on. Only where
  so many places are lost: one that somebody put in shows as before.
- An alert whose entry in the outbox is lost is put in line again: better twice than never.
- The chain says what was recovered and which rows are missing, so that these can be told apart
  from rows that somebody took out.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import msgspec

from edge.store.chain import VOUCHED, LedgerEntry, LedgerKind, grow, marks_of, vouch_for
from edge.store.database import Database, SqliteError, is_of_row
from edge.store.eras import Era, head_n, next_n
from edge.store.remnants import ROWS, Remnant, Span, joined
from edge.store.torn import Torn

RECOVERED: Final = "recovered"
"""Stage of the row that ends a recovery."""
MAX_AGAIN: Final = 100
"""Alerts that are sent again because nobody knows whether they were, the newest."""
FORGOTTEN: Final = ""
"""What the ledger says of a row that was emptied on request: it is not lost, and stays away."""
MAX_REBUILT: Final = 10_000
"""Lost rows of one table that are looked for in the ledger."""


class Recovered(msgspec.Struct, frozen=True):
    """What the chain says at the end of a recovery.

    Attributes
    ----------
    aside, base, head : str, int, str | None
        As in `edge.store.eras.Era`.
    n_recovered, n_lost : dict[str, int]
        Rows by table.
    missing : list[Span]
        Rows of the old ledger that are lost, from the first to before the second.
    n_vouched : int
        Rows whose place in the old ledger is lost, vouched for from now on.
    n_again : int
        Alerts put in line again.
    unreadable : bool
        Nothing of the file could be read.
    """

    aside: str
    base: int
    head: str | None
    n_recovered: dict[str, int]
    n_lost: dict[str, int]
    missing: list[Span]
    n_vouched: int
    n_again: int
    unreadable: bool


class Closing(msgspec.Struct):
    """How far the end has come.

    Attributes
    ----------
    unreadable : bool
        Nothing of the file could be read.
    is_begun : bool
        The damaged file is not needed any more.
    n_vouched : int
        Rows vouched for again.
    kind, after : int, int
        How far those have come: the place of the table in `VOUCHED`, and its last row.
    """

    unreadable: bool = False
    is_begun: bool = False
    n_vouched: int = 0
    kind: int = -1
    after: int = 0

    def step(
        self, database: Database, era: Era, tables: list[Remnant], run_n: int, at_s: float
    ) -> bool:
        """Do a piece of the end; return whether that was all."""
        if not self.is_begun:
            self.is_begun = True
            return False
        missing = _missing(database, era, tables)
        if self.kind < 0:
            # Where more have no place than were lost somebody has put some in: all of them show.
            n_lost = sum(end - at for at, end in missing)
            self.kind = 0 if _n_placeless(database, era) <= n_lost else len(VOUCHED)
        if self.kind < len(VOUCHED):
            self._vouch_again(database, era)
            return False
        marks = marks_of(database)
        told = Recovered(
            era.aside,
            era.base,
            era.head,
            {one.table: one.n_read for one in tables if one.n_read},
            {one.table: one.n_lost for one in tables if one.n_lost},
            missing,
            self.n_vouched,
            _put_in_line_again(database, era, tables),
            self.unreadable,
        )
        body = msgspec.to_builtins(told)
        entry = LedgerEntry(LedgerKind.CHAIN, era.aside, RECOVERED, "", at_s, body)
        grow(database, run_n, [entry], marks)
        return True

    def _vouch_again(self, database: Database, era: Era) -> None:
        kind = list(VOUCHED)[self.kind]
        cursor = database.execute(
            f"SELECT * {_placeless(kind)} AND n > ? ORDER BY n LIMIT ?",
            (era.base, kind.value, self.after, ROWS),
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        if not rows:
            self.kind, self.after = self.kind + 1, 0
            return
        vouch_for(database, kind, rows)
        self.n_vouched += len(rows)
        self.after = rows[-1]["n"]


def _placeless(kind: LedgerKind) -> str:
    """Return which rows of a vouched table have no place in the ledger."""
    return (
        f"FROM {VOUCHED[kind].table} AS it WHERE n <= ? AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM ledger WHERE kind = ? AND row = it.n)"
    )


def _n_placeless(database: Database, era: Era) -> int:
    asked = ((f"SELECT count(*) {_placeless(kind)}", kind) for kind in VOUCHED)
    return sum(database.execute(sql, (era.base, kind.value)).fetchone()[0] for sql, kind in asked)


def rebuild(database: Database, damaged: Torn, remnant: Remnant) -> None:
    """Make lost rows again of their copies in the ledger, where it vouched for them."""
    kinds = [kind for kind, vouched in VOUCHED.items() if vouched.table == remnant.table]
    if not kinds:
        return
    lost, remnant.lost, remnant.n_lost = remnant.lost, [], 0
    for first, end in lost:
        for n in range(first, min(end, first + MAX_REBUILT)):
            copy = _copy_of(database, damaged, kinds[0], n)
            if copy == FORGOTTEN:
                continue
            if copy is not None and _rebuilt(database, remnant.table, copy, n):
                remnant.n_read += 1
            else:
                remnant.lose((n, n + 1))
        if end > first + MAX_REBUILT:
            remnant.lose((first + MAX_REBUILT, end))


def _copy_of(database: Database, damaged: Torn, kind: LedgerKind, n: int) -> object:
    """Return what the ledger says that a row was; None: nobody knows."""
    asked, of = "SELECT body FROM ledger WHERE kind = ? AND row = ?", (kind.value, n)
    here = database.execute(asked, of).fetchone()  # what is recovered first, for it reads
    if here is not None:
        return here[0]
    there, _ = damaged.rows(asked, of)
    return there[0][0] if there else None


def _rebuilt(database: Database, table: str, copy: object, n: int) -> bool:
    try:
        row = msgspec.json.decode(str(copy), type=dict[str, Any])
        if row.get("n") != n:
            return False  # of something else
        columns = ", ".join(f'"{name}"' for name in row)
        database.execute(
            f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608
            [*row.values()],
        )
    except SqliteError as error:
        if not is_of_row(error):
            raise
        return False
    except ValueError:
        return False
    return True


def _missing(database: Database, era: Era, tables: list[Remnant]) -> list[Span]:
    """Return which rows of the old ledger are missing."""
    ledger = next((one for one in tables if one.table == "ledger"), None)
    lost = [] if ledger is None else ledger.lost
    (last,) = database.execute(
        "SELECT coalesce(max(n), 0) FROM ledger WHERE n <= ?", (era.base,)
    ).fetchone()
    end = head_n(era)
    if end is None:  # nobody knows how many there were
        end = last if ledger is not None and ledger.end_known else era.base
    return joined(sorted([*lost, *([(last + 1, end + 1)] if end > last else [])]))


def _put_in_line_again(database: Database, era: Era, tables: list[Remnant]) -> int:
    """Put alerts in the outbox whose entry there is lost; return how many."""
    outbox = next((one for one in tables if one.table == "outbox"), None)
    if outbox is not None and not outbox.n_lost and outbox.end_known:
        return 0
    found = database.execute(
        "SELECT n FROM alerts WHERE n <= ? AND n NOT IN"
        " (SELECT alert FROM outbox WHERE alert IS NOT NULL) ORDER BY n DESC LIMIT ?",
        (era.base, MAX_AGAIN),
    ).fetchall()
    first = next_n(database, "outbox")
    database.conn.executemany(
        "INSERT INTO outbox (n, uuid, alert) VALUES (?, ?, ?)",
        [(first + i, str(uuid4()), n) for i, (n,) in enumerate(reversed(found))],
    )
    return len(found)
