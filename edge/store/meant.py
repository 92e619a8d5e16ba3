"""Which rows a request to forget means.

Rows carry boot time; the clock log turns a span of wall time into one of each boot. A boot that
never had a clock log has no date: it is taken where everything before and after it is taken, and
counted otherwise.

An alert is forgotten as a whole story: all its states, who answered, how it was delivered. One
that stands now is never forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from edge.clock import WallEntry, WallLog
from edge.store.chain import LedgerKind
from edge.store.database import Database
from edge.store.wanted import (
    ALERTS,
    ENTRIES,
    NO_PATIENT,
    OWN_KINDS,
    PLAIN,
    SPANS,
    TOLD,
    Wanted,
)


class BootSpan(msgspec.Struct, frozen=True):
    """A run, and the span on its boot clock."""

    run: int
    from_s: float
    to_s: float


class Story(msgspec.Struct, frozen=True):
    """Rows that go together: of vouched tables, and of the ledger."""

    tables: Mapping[str, tuple[int, ...]]
    ledger: tuple[int, ...]

    @property
    def n(self) -> int:
        """Rows of the ledger."""
        return len(self.ledger)


class Found(msgspec.Struct):
    """What a request means, as the store is now.

    Attributes
    ----------
    spans : list[BootSpan]
        On the boot clock of each run.
    stories : list[Story]
        Of vouched tables, and of the ledger.
    n : dict[str, int]
        Rows by table.
    n_standing : int
        Alerts that are meant and stand: they stay.
    n_undated : int
        Runs whose date is not known, and which were left alone.
    """

    spans: list[BootSpan]
    stories: list[Story]
    n: dict[str, int]
    n_standing: int = 0
    n_undated: int = 0


def find(database: Database, wanted: Wanted, standing: Collection[str] = ()) -> Found:
    """Return what is meant.

    Parameters
    ----------
    standing : Collection[str]
        Ids of alerts that have not ended.
    """
    spans, n_undated = boot_spans(database, wanted)
    found = Found(spans, [], {}, n_undated=n_undated)
    for table in wanted.tables:
        if table in PLAIN:
            n = sum(count for _, _, count in counted(database, table, wanted, spans))
            _add(found, table, n)
    seen: set[int] = set()
    if ALERTS in wanted.tables:
        found.n_standing = _alert_stories(database, wanted, spans, standing, found, seen)
    for table, kind in TOLD.items():
        if table in wanted.tables and not (wanted.patient and table in NO_PATIENT):
            _vouched_rows(database, table, kind, wanted, found, seen)
    if ENTRIES in wanted.tables:
        _entries(database, wanted, standing, found, seen)
    return found


def boot_spans(database: Database, wanted: Wanted) -> tuple[list[BootSpan], int]:
    """Return the wanted span on the boot clock of every run, and how many have no date."""
    rows = database.execute(
        "SELECT boot_id, boot_s, wall_s, synced FROM clock_log JOIN runs ON runs.n = run"
        " ORDER BY clock_log.n"
    )
    log = WallLog(WallEntry(b, s, w, bool(y)) for b, s, w, y in rows)
    runs = database.execute("SELECT n, boot_id, started_s FROM runs ORDER BY n").fetchall()
    everything = (wanted.from_s, wanted.to_s) == (-math.inf, math.inf)
    found: list[BootSpan] = []
    n_undated, later_s = 0, math.inf
    for n, boot_id, started_s in reversed(runs):
        try:
            offset_s = _wall_s(log.utc_of(started_s, boot_id)[0]) - started_s
        except LookupError:
            # Before a run that is meant as a whole, and with nothing wanted to stay before it.
            if everything or (wanted.from_s == -math.inf and later_s <= wanted.to_s):
                found.append(BootSpan(n, -math.inf, math.inf))
            else:
                n_undated += 1
            continue
        later_s = min(later_s, started_s + offset_s)
        found.append(BootSpan(n, wanted.from_s - offset_s, wanted.to_s - offset_s))
    return found[::-1], n_undated


def counted(
    database: Database, table: str, wanted: Wanted, spans: list[BootSpan]
) -> Iterator[tuple[str, list[Any], int]]:
    """Give the conditions that select rows of a table, their parameters, and how many there are."""
    for span in spans:
        where, parameters = condition(table, wanted, span)
        sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608  # ours
        (n,) = database.execute(sql, parameters).fetchone()
        if n:
            yield where, parameters, n


def condition(table: str, wanted: Wanted, span: BootSpan) -> tuple[str, list[Any]]:
    """Return what selects rows of a table in a span of a run."""
    begin, end = SPANS[table]
    if wanted.whole:
        where = f"run = ? AND {end} < ?"
        parameters: list[Any] = [span.run, span.to_s]
    else:
        where = f"run = ? AND {begin} < ? AND {end} >= ?"
        parameters = [span.run, span.to_s, span.from_s]
    if wanted.patient:
        where, parameters = f"{where} AND patient = ?", [*parameters, wanted.patient]
    return where, parameters


def _alert_stories(
    database: Database,
    wanted: Wanted,
    spans: list[BootSpan],
    standing: Collection[str],
    found: Found,
    seen: set[int],
) -> int:
    """Add whole alerts; return how many of the meant ones stand."""
    newest = _kept_from(database, ALERTS, wanted)
    in_span = {span.run: span for span in spans}
    stories: dict[str, list[tuple[int, bool]]] = {}
    rows = database.execute("SELECT n, run, id, patient, since_s, at_s FROM alerts ORDER BY n")
    for n, run, alert_id, patient, since_s, at_s in rows:
        span = in_span.get(run)
        of_whom = not wanted.patient or patient == wanted.patient
        meant = span is not None and of_whom and n < newest
        if meant and span is not None:
            late = at_s if wanted.whole else since_s
            meant = late < span.to_s and at_s >= span.from_s
        stories.setdefault(alert_id, []).append((n, meant))
    n_standing = 0
    for alert_id, story in stories.items():
        meant = (all if wanted.whole else any)(one for _, one in story)
        if not meant:
            continue
        if alert_id in standing:
            n_standing += 1
            continue
        numbers = tuple(n for n, _ in story)
        _add_story(database, found, seen, ALERTS, LedgerKind.ALERT, numbers, alert_id)
    return n_standing


def _vouched_rows(
    database: Database,
    table: str,
    kind: LedgerKind,
    wanted: Wanted,
    found: Found,
    seen: set[int],
) -> None:
    newest = _kept_from(database, table, wanted)
    for span in found.spans:
        where, parameters = condition(table, wanted, span)
        rows = database.execute(
            f"SELECT n FROM {table} WHERE {where} AND n < ? ORDER BY n",  # noqa: S608  # ours
            [*parameters, newest],
        ).fetchall()
        for (n,) in rows:
            _add_story(database, found, seen, table, kind, (n,))


def _add_story(
    database: Database,
    found: Found,
    seen: set[int],
    table: str,
    kind: LedgerKind,
    numbers: tuple[int, ...],
    ref: str = "",
) -> None:
    marks = ", ".join("?" * len(numbers))
    ledger = {
        n
        for (n,) in database.execute(
            f"SELECT n FROM ledger WHERE kind = ? AND row IN ({marks})",  # noqa: S608
            [kind.value, *numbers],
        )
    }
    if ref:
        ledger |= {n for (n,) in database.execute(_ABOUT, [ref])}
    seen |= ledger
    found.stories.append(Story({table: numbers}, tuple(sorted(ledger))))
    _add(found, table, len(numbers))


_KINDS: Final = ", ".join(f"'{kind.value}'" for kind in OWN_KINDS)
_ABOUT: Final = f"SELECT n FROM ledger WHERE ref = ? AND row IS NULL AND kind IN ({_KINDS})"  # noqa: S608


def _entries(
    database: Database,
    wanted: Wanted,
    standing: Collection[str],
    found: Found,
    seen: set[int],
) -> None:
    """Add what stands in the ledger alone: by time, or by the patient it is about."""
    newest = _kept_from(database, ENTRIES, wanted)
    chosen: list[int] = []
    for span in found.spans:
        rows = database.execute(
            "SELECT n, ref FROM ledger WHERE run = ? AND at_s < ? AND at_s >= ? AND row IS NULL"  # noqa: S608
            f" AND stage != 'forgotten' AND kind IN ({_KINDS}) AND n < ? ORDER BY n",
            [span.run, span.to_s, span.from_s, newest],
        )
        chosen += [
            n
            for n, ref in rows
            if n not in seen and ref not in standing and _is_of(ref, wanted.patient)
        ]
    found.stories += [Story({}, (n,)) for n in chosen]
    _add(found, ENTRIES, len(chosen))


def _is_of(ref: str, patient: str) -> bool:
    return not patient or ref in (patient, f"facts:{patient}")


def _kept_from(database: Database, table: str, wanted: Wanted) -> float:
    """Return the first number that stays whatever its age."""
    if not wanted.keep_last:
        return math.inf
    row = database.execute(
        f"SELECT n FROM {table} ORDER BY n DESC LIMIT 1 OFFSET ?",  # noqa: S608  # ours
        [wanted.keep_last - 1],
    ).fetchone()
    return float(row[0]) if row is not None else 0.0


def _add(found: Found, table: str, n: int) -> None:
    if n:
        found.n[table] = found.n.get(table, 0) + n


def _wall_s(utc: datetime) -> float:
    return utc.astimezone(UTC).timestamp()
