"""Recover what still reads of a damaged file, a little at a time, while the fresh one is written.

    eras       the numbers that are left free for it
    remnants   what still reads of a table
    closing    what is lost in one place and still there in another; the word in the chain
    asides     the damaged files

Each turn copies some rows and notes in the same transaction how far it has come: a kill costs
nothing and nothing comes twice. Rows come as they were read, with their numbers and their hashes;
nothing is mended on the way, so that what was changed by hand still shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from edge.store.asides import asides
from edge.store.chain import VOUCHED
from edge.store.cipher import Keys
from edge.store.closing import Closing, rebuild
from edge.store.database import (
    Database,
    SqliteError,
    StoreError,
    asking,
    connect,
    is_of_row,
)
from edge.store.eras import ERA, Era, begin_era, head_n, is_untouched
from edge.store.remnants import ROWS, Remnant, plan, read
from edge.store.torn import Torn

FIRST: Final = (
    "runs",
    "alert_state",
    "setting_changes",
    "pseudonyms",
    "limit_words",
    "ledger",
    "alerts",
    "alarm_events",
    "clock_log",
    "self_tests",
    "summaries",
    "outbox",
)
"""Recovered in this order, then the rest in the order in which it came to be."""

READS: Final = 50
"""Reads of one turn, where most of them fail: each that does opens the damaged file anew."""

MAX_ERAS: Final = 1000
"""A number beyond so many files was damaged."""

NOT_RECOVERED: Final = ("probe", "salvage")

_log = structlog.get_logger("salvage")


class State(msgspec.Struct):
    """How far a recovery has come.

    Attributes
    ----------
    tables : list[Remnant] | None
        None: the damaged file was not yet looked at.
    closing : Closing
        What is done at the end.
    """

    tables: list[Remnant] | None = None
    closing: Closing = msgspec.field(default_factory=Closing)


class SalvageReport(msgspec.Struct, frozen=True):
    """What was recovered of a damaged file.

    Attributes
    ----------
    aside : str
        The file.
    finished : bool
        All that could be read is there.
    n_recovered, n_lost : int
        Rows; of those lost no more than these are known.
    lost_of : dict[str, int]
        The same by table, where any were lost.
    gone : tuple[str, ...]
        Tables of which nothing could be read, nor how much there was.
    """

    aside: str
    finished: bool
    n_recovered: int
    n_lost: int
    lost_of: dict[str, int]
    gone: tuple[str, ...] = ()


class Salvage:
    """The recovery of one damaged file into the one that took its place.

    Parameters
    ----------
    database : Database
        The fresh file.
    path : Path
        Its path; the damaged one lies beside it.
    era : Era
        What the fresh file knows of the damaged one.
    state : State
        How far it has come.
    keys : Keys | None
        The device keys; None: those in the file's folder.
    """

    def __init__(
        self, database: Database, path: Path, era: Era, state: State, keys: Keys | None = None
    ) -> None:
        self.era, self.state = era, state
        self._database, self._path = database, path
        self._aside = path.with_name(era.aside)
        self._keys = keys
        self._damaged: Torn | None = None

    @classmethod
    def unfinished(cls, database: Database, path: Path, keys: Keys | None = None) -> Salvage | None:
        """Return the newest recovery that is not at its end.

        Raises
        ------
        StoreError
            That cannot be read.
        """
        with asking("read", path):
            if not database.table("salvage").exists():
                return None
            row = database.execute(
                "SELECT aside, base, head, state FROM salvage WHERE finished = 0"
                " ORDER BY base DESC LIMIT 1"
            ).fetchone()
        if row is None:
            return None
        return cls(database, path, Era(*row[:3]), msgspec.json.decode(row[3], type=State), keys)

    def report(self) -> SalvageReport:
        """Return what was recovered so far."""
        return report_of(self.era.aside, self.state, finished=False)

    def turn(self, run_n: int, at_s: float) -> SalvageReport:
        """Recover some more; the report says whether that was the last of it.

        Parameters
        ----------
        run_n, at_s : int, float
            Run and boot time of now, for the chain's word at the end.

        Raises
        ------
        StoreError
            The fresh file does not take it.
        """
        state = msgspec.json.decode(msgspec.json.encode(self.state), type=State)
        with asking("write", self._path), self._database.atomic():
            finished = self._some(state, run_n, at_s)
            self._database.execute(
                "UPDATE salvage SET state = ?, finished = ? WHERE aside = ?",
                (msgspec.json.encode(state).decode(), int(finished), self.era.aside),
            )
        self.state = state
        if finished:
            self.close()
        return report_of(self.era.aside, state, finished=finished)

    def close(self) -> None:
        """Let go of the damaged file."""
        damaged, self._damaged = self._damaged, None
        if damaged is not None:
            damaged.close()

    def _some(self, state: State, run_n: int, at_s: float) -> bool:
        damaged = self._open(state)
        if state.tables is None:
            state.tables = [] if damaged is None else self._tables(damaged)
        if damaged is not None:
            for remnant in state.tables:
                if remnant.todo is None:
                    plan(damaged, remnant, self.era.base, self._known_end(remnant.table))
                    return False
                if remnant.todo:
                    self._copy(damaged, remnant)
                    return False
        return state.closing.step(self._database, self.era, state.tables, run_n, at_s)

    def _open(self, state: State) -> Torn | None:
        """Return the damaged file; None: nothing of it reads, not even what is in it."""
        if self._damaged is None and not state.closing.is_begun:
            damaged = Torn(self._aside, self._keys)
            try:
                damaged.check()
            except (StoreError, SqliteError, UnicodeDecodeError) as error:
                _log.error("nothing of it can be read", aside=self.era.aside, error=str(error))
                state.closing.unreadable = True
            else:
                self._damaged = damaged
        return self._damaged

    def _tables(self, damaged: Torn) -> list[Remnant]:
        names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
        ours = [row[0] for row in self._database.execute(names)]
        others = (name for name in ours if name not in (*FIRST, *NOT_RECOVERED))
        ordered = [*FIRST, *(name for name in others if "sqlite_" not in name)]
        keys = {name: _key_of(self._database, name) for name in ordered if name in ours}
        _, whole = damaged.rows(names)
        found = [
            Remnant(name, key)
            if damaged.columns(name)
            else Remnant(name, key, [], end_known=False, gone=not whole)
            for name, key in keys.items()
            if key
        ]
        return [one for one in found if one.todo is None or one.gone]

    def _known_end(self, table: str) -> int | None:
        """Return the last number of a table, where something else tells it."""
        if table == "ledger":
            return head_n(self.era)
        for kind, vouched in VOUCHED.items():
            if vouched.table == table:
                asked = "SELECT max(row) FROM ledger WHERE kind = ? AND n <= ?"
                last = self._database.execute(asked, (kind.value, self.era.base)).fetchone()[0]
                return None if last is None else int(last)
        return None

    def _copy(self, damaged: Torn, remnant: Remnant) -> None:
        names = damaged.columns(remnant.table)
        n_rows = n_reads = 0
        while remnant.todo and n_rows < ROWS and n_reads < READS:
            n_reads += 1
            for row in read(damaged, remnant):
                n_rows += 1
                if not _insert(self._database, remnant, dict(zip(names, row, strict=True))):
                    remnant.n_read -= 1
                    at = int(row[names.index(remnant.key)])
                    remnant.lose((at, at + 1))
        if not remnant.todo:
            remnant.close()
            rebuild(self._database, damaged, remnant)


def leave_room(database: Database, path: Path) -> Path | None:
    """Leave numbers free in a fresh file where a damaged one was put aside; return that.

    Just now, or in a start that was cut short before it came to this.
    """
    there = asides(path) if is_untouched(database) else []
    if not there:
        return None
    begin_era(database, there[-1])
    return there[-1]


def places_of(path: Path, keys: Keys | None = None) -> list[Path]:
    """Return where what was recorded last may be found, the best place first.

    That is the database, and while it is not yet recovered the damaged file beside it. One that
    has been recovered is none: it is of long ago.
    """
    there = asides(path)[-1:]
    if not path.exists():
        return there  # a start was cut short after it had put the file aside
    try:
        database = connect(path, read_only=True, keys=keys)
        try:
            salvage = Salvage.unfinished(database, path)
        finally:
            database.close()
    except StoreError:
        return [path]
    return [path, *(one for one in there if salvage and one.name == salvage.era.aside)]


def rows_of(path: Path, table: str, keys: Keys | None = None) -> list[dict[str, Any]]:
    """Return the rows of a table of a damaged file that read, in order.

    Raises
    ------
    StoreError
        None can be read.
    """
    damaged = Torn(path, keys)
    try:
        with asking("read", path):
            damaged.check()
            remnant = Remnant(table, "n")
            plan(damaged, remnant, MAX_ERAS * ERA, None)
            rows: list[tuple[Any, ...]] = []
            while remnant.todo:
                rows += read(damaged, remnant)
    finally:
        damaged.close()
    names = damaged.columns(table)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return sorted(found, key=lambda row: int(row["n"]))


def words_of(database: Database, path: Path) -> str:
    """Return what was recovered of the last damaged file, for people; empty: there was none.

    Raises
    ------
    StoreError
        That cannot be read.
    """
    with asking("read", path):
        if not database.table("salvage").exists():
            return ""
        row = database.execute(
            "SELECT aside, state, finished FROM salvage ORDER BY base DESC LIMIT 1"
        ).fetchone()
    if row is None:
        return ""
    return text_of(
        report_of(row[0], msgspec.json.decode(row[1], type=State), finished=bool(row[2]))
    )


def text_of(report: SalvageReport) -> str:
    """Return a recovery for people.

    >>> text_of(SalvageReport("homeward.db.damaged-1", True, 90, 3, {"scores": 3}))
    'of homeward.db.damaged-1 90 rows were recovered, and 3 lost (scores 3)'
    """
    so_far = "were" if report.finished else "are"
    counts = [f"{table} {n}" for table, n in report.lost_of.items()]
    lost = ", ".join((*counts, *(f"all of {table}" for table in report.gone)))
    losses = f", and {report.n_lost} lost ({lost})" if lost else ""
    more = "" if report.finished else " so far"
    return f"of {report.aside} {report.n_recovered} rows {so_far} recovered{more}{losses}"


def report_of(aside: str, state: State, *, finished: bool) -> SalvageReport:
    """Return the state of a recovery for people."""
    tables = state.tables or []
    lost_of = {one.table: one.n_lost for one in tables if one.n_lost}
    n_recovered = sum(one.n_read for one in tables)
    gone = tuple(one.table for one in tables if one.gone)
    return SalvageReport(aside, finished, n_recovered, sum(lost_of.values()), lost_of, gone)


def _key_of(database: Database, table: str) -> str:
    """Return the integer key of a table; empty: it has none."""
    keys = [row for row in database.execute(f"PRAGMA table_info({table})") if row[5]]
    return str(keys[0][1]) if len(keys) == 1 and keys[0][2] == "INTEGER" else ""


def _columns(database: Database, table: str) -> list[str]:
    return [str(row[1]) for row in database.execute(f"PRAGMA table_info({table})")]


def _insert(database: Database, remnant: Remnant, row: dict[str, Any]) -> bool:
    """Put a row in; false: it is no row of this table, or names one that is lost."""
    ours = [name for name in _columns(database, remnant.table) if name in row]
    columns = ", ".join(f'"{name}"' for name in ours)
    marks = ", ".join("?" * len(ours))
    sql = f"INSERT OR IGNORE INTO {remnant.table} ({columns}) VALUES ({marks})"  # noqa: S608
    try:
        database.execute(sql, [row[name] for name in ours])
    except SqliteError as error:
        if not is_of_row(error):
            raise
        return False
    except (UnicodeEncodeError, OverflowError):
        return False
    return True
