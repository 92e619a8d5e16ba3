"""Is the alarm record whole? Read the chain through, and all that it vouches for.

What is found is told row by row and in words; what cannot be found is said in `edge.store.chain`
and `edge.store.head`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlcipher3 import dbapi2 as sqlite3

from edge.store import chain
from edge.store.chain import VOUCHED, LedgerKind, Vouched, canonical, columns_of
from edge.store.cipher import Keys
from edge.store.closing import RECOVERED
from edge.store.database import StoreDamagedError, StoreError, connect, store_error
from edge.store.flaw import Flaw
from edge.store.forgotten import KEEPING, STAGE, Emptied
from edge.store.head import START, Head, read_head
from edge.store.keeping import HeadState, judge
from edge.store.migrations import check_not_newer
from edge.store.verdict import Findings, Verdict

BREAKS: Final = frozenset(
    {"begun_anew", *(f"head_{state.value}" for state in HeadState if state.is_break)}
)
"""Stages of rows in which the monitor itself has written down that rows were gone."""


def verify(path: Path, expect: Head | None = None, keys: Keys | None = None) -> Verdict:
    """Read the ledger of a database through; it may be in use, and is only read.

    Parameters
    ----------
    expect : Head | None
        A head somebody has written down: its row must be there, with its hash.
    keys : Keys | None
        The device keys; None: those in the file's folder, nobody being asked.

    Raises
    ------
    StoreError
        There is nothing to verify, or it cannot be read. A database that is damaged is no error
        but a flaw.
    """
    if not path.exists():
        raise StoreError(f"nothing has been recorded yet: {path} does not exist")
    try:
        head = read_head(path)  # before the rows: a monitor may write, and the head comes last
    except OSError as error:
        raise StoreError(
            f"cannot read the head beside {path} ({error}): mend its rights"
        ) from error
    found = Findings()
    state, vouched = HeadState.MISSING, dict[str, int]()
    try:
        database = connect(path, read_only=True, keys=keys)
        try:
            check_not_newer(database, path)
            if not database.table("ledger").exists():
                if head is not None and head.n > 0:
                    raise StoreDamagedError(f"{path} has no ledger, and had one of {head.n} rows")
                raise StoreError(
                    f"{path} has no ledger yet: an older Homeward wrote it. Start this one once "
                    f"with `homeward run`, and it takes over what is there"
                )
            database.conn.text_factory = bytes  # what is no text any more must be read too
            database.execute("BEGIN")  # one moment, whatever is written meanwhile
            found.recovered.look(database)
            _walk(database.conn, found, expect)
            _see_locks(database.conn, found)
            vouched = {
                v.table: _compare(database.conn, kind, v, found) for kind, v in VOUCHED.items()
            }
            state = judge(head, database)
        finally:
            database.close()
    except StoreDamagedError as error:
        found.tell(None, path.name, None, "damaged", str(error))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        told = store_error(error, "read", path)
        if not isinstance(told, StoreDamagedError) and not _is_content(error):
            raise told from error
        found.tell(None, path.name, None, "damaged", str(told))
    return _verdict(found, head, state, vouched, expect)


def _is_content(error: Exception) -> bool:
    """Return whether what is in the file is the trouble, and not the disk or the rights."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)


def _walk(connection: sqlite3.Connection, found: Findings, expect: Head | None) -> None:
    """Read the chain from its first row to its last."""
    due = 1
    prev: Any = START.hash
    names = columns_of(connection)
    quoted = ", ".join(f'"{name}"' for name in names)
    for row in connection.execute(f"SELECT {quoted} FROM ledger ORDER BY n"):  # noqa: S608
        n, own = row[0], row[-1]
        whole = chain.link_hash(row[-2], row[:-2]) == own
        # An emptied row is as whole as can be seen here; the rest is judged at the end.
        whole = whole or found.forgotten.saw(n, dict(zip(names, row, strict=True)))
        if not whole:
            found.tell(n, "ledger", n, "edited", f"row {n} was edited: its hash is another")
        if n != due:
            found.recovered.skip(due, n)
        elif row[-2] != prev and whole:
            found.tell(
                *(n, "ledger", n, "replaced"),
                f"row {n} does not follow row {n - 1}: one of them was put in or written anew",
            )
        if row[2] == b"chain" and whole:
            _hear_chain(found, row)
        if expect is not None and n == expect.n:
            found.expected = "found" if isinstance(own, bytes) and expect.is_of(own) else "other"
        due, prev = n + 1, own
        found.n_rows += 1
    _judge_rows(found)
    found.last = Head(due - 1, prev if isinstance(prev, bytes) else b"")
    if expect is not None and expect.n == 0:
        found.expected = "found" if expect.is_of(START.hash) else "other"


def _judge_rows(found: Findings) -> None:
    """Tell rows that are missing, or empty, and nobody has said why."""
    for first, end in found.recovered.judge(found.notes, found.breaks):
        _tell_gap(found, first, end)
    for n, text in found.forgotten.judge(found.recovered.lost):
        found.tell(n, "ledger", n, "edited", text)


def _tell_gap(found: Findings, due: int, n: int) -> None:
    which = f"row {due} is" if n == due + 1 else f"rows {due} to {n - 1} are"
    found.tell(due, "ledger", due, "deleted", f"{which} gone")


def _hear_chain(found: Findings, row: tuple[Any, ...]) -> None:
    """Take what the monitor wrote down about the chain itself."""
    n, stage, body = row[0], row[4].decode(), msgspec.json.decode(row[8])
    if stage == STAGE:
        try:
            found.forgotten.hear(n, row[5].decode(), msgspec.convert(body, Emptied))
        except msgspec.ValidationError as error:
            found.tell(n, "ledger", n, "edited", f"row {n} names no rows: {error}")
    elif stage == chain.TAKEN_OVER:
        found.taken_over = {**body, "row": n}
    elif stage == "begun_anew":
        found.recovered.begin(n, body)
    elif stage == RECOVERED:
        found.recovered.end(body)
    elif stage in BREAKS:
        text = (
            f"row {n}: at a start the head beside the file was {body['head'] or 'missing'} and did "
            f"not fit its {body['n']} rows: rows were gone, or not the ones of before"
        )
        found.breaks.append(Flaw(n, "ledger", n, "break", text))
    elif stage == f"head_{HeadState.UNREAD.value}":
        found.notes.append(
            f"row {n}: at a start the disk did not give the head beside the file: whether rows "
            f"were cut off after row {body['n']} is not known"
        )
    else:
        found.notes.append(
            f"row {n}: at a start there were {body['n']} rows and the head knew of "
            f"{str(body['head']).partition(':')[0]}: a crash, or rows added by hand"
        )


def _see_locks(connection: sqlite3.Connection, found: Findings) -> None:
    """Note where the triggers are gone that refuse edits: somebody meant to make some."""
    held = connection.execute(
        "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%BEFORE UPDATE%'"
    )
    locked = {name.decode() for (name,) in held}
    kept = {"ledger", *(vouched.table for vouched in VOUCHED.values())} & _tables(connection)
    open_ = sorted(kept - locked)
    if open_:
        found.notes.append(f"the lock against edits was taken off {', '.join(open_)}")


def _compare(
    connection: sqlite3.Connection, kind: LedgerKind, vouched: Vouched, found: Findings
) -> int:
    """Compare a table with what the chain says it holds; return how many rows that are."""
    table = vouched.table
    told = connection.execute(
        "SELECT row, n, body FROM ledger WHERE kind = ? AND row IS NOT NULL ORDER BY row",
        (kind.value,),
    )
    held = _held(connection, table)
    n_told = 0
    at, row = next(held, (None, {}))
    for key, n, body in told:
        n_told += 1
        while at is not None and at < key:
            _tell_unknown(found, table, at)
            at, row = next(held, (None, {}))
        if n in found.forgotten.covered:
            if at == key:
                text = f"{table} row {key} was forgotten (row {n} of the ledger), and is there"
                found.tell(n, table, key, "inserted", text)
                at, row = next(held, (None, {}))
            continue
        if at != key:
            text = f"{table} row {key}, recorded in row {n} of the ledger, is gone"
            found.tell(n, table, key, "deleted", text)
            continue
        if not _is_same(row, body):
            text = f"{table} row {key} is not what row {n} of the ledger says it was"
            found.tell(n, table, key, "edited", text)
        at, row = next(held, (None, {}))
    while at is not None:
        _tell_unknown(found, table, at)
        at, row = next(held, (None, {}))
    return n_told


def _tell_unknown(found: Findings, table: str, n: int) -> None:
    text = f"{table} row {n} is not in the ledger: no monitor of this box has written it"
    found.tell(None, table, n, "inserted", text)


def _held(
    connection: sqlite3.Connection, table: str
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    if table not in _tables(connection):
        return  # this version will make it; what the chain knows of it is gone
    cursor = connection.execute(f"SELECT * FROM {table} ORDER BY n")  # noqa: S608  # ours
    names = [str(column[0]) for column in cursor.description]
    for values in cursor:
        row = dict(zip(names, values, strict=True))
        yield row["n"], row


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name.decode() for (name,) in rows}


def _is_same(row: dict[str, Any], body: bytes) -> bool:
    """Return whether a row is its copy; a column that came later has no voucher in old copies."""
    try:
        names = msgspec.json.decode(body, type=dict[str, Any])
        plain = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in row.items()
            if name in names
        }
        return canonical(plain).encode() == body
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError):
        return False


def _verdict(
    found: Findings,
    head: Head | None,
    state: HeadState,
    vouched: dict[str, int],
    expect: Head | None,
) -> Verdict:
    _judge_head(found, head, state)
    if expect is not None and found.expected != "found":
        found.expected = found.expected or "missing"
        text = f"row {expect.n} is {found.expected}, not the one that was written down ({expect})"
        found.tell(min(expect.n, found.last.n + 1), "ledger", expect.n, "cut off", text)
    seen = expect.n if expect is not None and found.expected == "found" else 0
    known = [flaw for flaw in found.breaks if flaw.row is not None and flaw.row <= seen]
    for flaw in found.breaks:
        if flaw not in known:
            found.tell(flaw.row, flaw.table, flaw.n, flaw.what, flaw.text)
    return Verdict(
        whole=found.n == 0,
        n_rows=found.n_rows,
        n_vouched=vouched,
        head=str(found.last),
        head_file=state,
        behind_by=found.last.n - head.n if head is not None and state is HeadState.BEHIND else 0,
        first_broken=found.first,
        n_flaws=found.n,
        flaws=tuple(found.flaws),
        known_breaks=len(known),
        taken_over=found.taken_over,
        notes=(*found.notes, *_forgotten(found), *(flaw.text for flaw in known)),
        expected=found.expected,
        n_forgotten=sum(found.forgotten.n_by.values()),
    )


def _forgotten(found: Findings) -> Iterator[str]:
    if found.forgotten.n_unsaid:
        yield (
            f"{found.forgotten.n_unsaid} rows were emptied, and who wanted it was lost with the "
            f"damage, or was never said"
        )
    for by, n in found.forgotten.n_by.items():
        if by == KEEPING:
            yield f"{n} rows were kept as long as [retention] says, and forgotten"
        else:
            yield f"{n} rows were forgotten on request of {by}"


def _judge_head(found: Findings, head: Head | None, state: HeadState) -> None:
    last = found.last.n
    if head is None:
        text = (
            "the head beside the database is gone or is none: whether rows are cut off is unknown"
        )
        found.tell(None, "head", None, "deleted", text)
    elif state is HeadState.AHEAD:
        text = (
            f"the head knows {head.n} rows and there are {last}: the last {head.n - last} are gone"
        )
        found.tell(last + 1, "ledger", last + 1, "cut off", text)
    elif state is HeadState.OTHER:
        text = f"row {head.n} is not the one the head was written for: the chain was written anew"
        found.tell(head.n or None, "ledger", head.n, "replaced", text)
