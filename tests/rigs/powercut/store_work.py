"""The store under power cuts: its real schema, commits, receipts, migrations, recovery and head."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec

from edge.clock import WallEntry
from edge.records import AlarmAct, AlarmEvent, LimitAct, Outcome, Role, SettingChange
from edge.store import (
    DATABASE,
    Backlog,
    KeptAlerts,
    LedgerEntry,
    LedgerKind,
    Run,
    Store,
    StoreError,
)
from edge.store import database as database_module
from edge.store.database import connect
from edge.store.keeping import HeadKeeper
from edge.store.migrations import MIGRATIONS, STEPS
from edge.store.records import alert_row, summary_row
from edge.store.verification import verify
from tests.edge.store.test_store import GAP, LINK, READING, SCORE, SELF_TEST, alert, summary
from tests.rigs.powercut.cutting import Mark

_new = msgspec.structs.replace
MAKERS: Final[dict[str, tuple[str, Callable[[int], Any]]]] = {
    "alerts": ("at_s", lambda n: alert(n, at_s=n)),
    "summaries": ("start_s", summary),
    "gaps": ("start_s", lambda n: _new(GAP, start_s=float(n), end_s=n + 1.0)),
    "scores": ("start_s", lambda n: _new(SCORE, start_s=float(n))),
    "readings": ("arrived_s", lambda n: _new(READING, id=f"r{n}", arrived_s=float(n))),
    "links": ("at_s", lambda n: _new(LINK, at_s=float(n))),
    "self_tests": ("began_s", lambda n: _new(SELF_TEST, id=f"t{n}", began_s=float(n))),
    "alarm_events": (
        "at_s",
        lambda n: AlarmEvent(AlarmAct.AUDIO_PAUSED, "p1", float(n), "paused", "Ann", Role.CARER),
    ),
    "setting_changes": (
        "at_s",
        lambda n: SettingChange(
            *(LimitAct.SET, "p1", float(n), "k", 1.0, 2.0, "Ann", Role.CARER, "why")
        ),
    ),
}
"""By table: the column that tells its rows apart here, and what makes one."""
CLOCK: Final = WallEntry("boot-1", 12.0, 1_700_000_000.0, synchronised=True)
WAL_PAGES: Final = (10, 60, 1000)
"""After so many pages the log is folded into the file: often, that is where the danger is."""


def begin(path: Path, run_id: str, backlog: Backlog | None = None) -> Store:
    """Open the store as the monitor does."""
    return Store.begin(path, Run(run_id, "boot-1", 1.0, "0.1.0", "digest"), backlog)


class StoreWork:
    """Writes all kinds of records, settles, proves, closes and opens again."""

    name = "store"

    def prepare(self, folder: Path, chance: random.Random) -> list[str]:
        """Begin with nothing, with a store that was used, or with one of an older version."""
        path = folder / DATABASE
        match chance.randrange(3):
            case 0:
                return []
            case 1:
                marks: list[str] = []
                Writer(path, marks.append, chance, self.begun).work(6)
                return marks
            case _:
                return _older(path, chance)

    def act(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        """Write."""
        with mock.patch.object(database_module, "WAL_PAGES", chance.choice(WAL_PAGES)):
            Writer(folder / DATABASE, mark, chance, self.begun).work(chance.randint(4, 20))

    def begun(self, store: Store) -> Store:
        """Take the store that was just opened; controls break it here."""
        return store

    def check(self, folder: Path, marks: list[str], chance: random.Random) -> list[str]:
        """Open it, look for every record, for its chain and its head, and go on."""
        path = folder / DATABASE
        try:
            store = begin(path, "after")
        except StoreError as error:
            return [f"does not open: {error}"]
        with store:
            wrong = [] if store.moved_aside is None else ["taken for damaged: moved aside"]
            wrong += _missed(store, marks)
            if chance.random() < 0.1:
                (said,) = store._database.execute("PRAGMA integrity_check").fetchone()
                wrong += [] if said == "ok" else [f"not sound: {said}"]
            store.add(Outcome((alert(1, at_s=7.0),)), 7.0)
            (n,) = store._database.execute("SELECT count(*) FROM alerts WHERE at_s = 7").fetchone()
            wrong += [] if n == 1 else ["does not go on: a new alert is not kept"]
        return wrong + _flaws(path)


def _flaws(path: Path) -> list[str]:
    verdict = verify(path)
    wrong = [] if verdict.whole else [f"chain: {verdict.flaws}"]
    return wrong + ([f"head: {verdict.head_file}"] if verdict.head_file.is_break else [])


def _older(path: Path, chance: random.Random) -> list[str]:
    """Make a file as an older version left it, with an alert and a summary."""
    old = connect(path)
    n_steps = chance.randint(1, len(STEPS) - 1)
    n_before = min(n_steps, STEPS.index("005_ledger"))  # what came before the chain it takes over
    MIGRATIONS.apply(old, stop_before=STEPS[n_before])
    row = {"run_id": "older", "boot_id": "b", "started_s": 0.0, "version": "0"}
    old.table("runs").insert({**row, "config_digest": "", "model_id": ""})
    known = {column.name for column in old.table("alerts").columns}
    entire = alert_row(alert(3, at_s=3.0), 1, 1, 1)
    old.table("alerts").insert({name: entire[name] for name in entire if name in known})
    old.table("summaries").insert(summary_row(summary(3.0), 1, 1))
    if n_steps > 1:
        old.table("outbox").insert_all([{"uuid": "a", "alert": 1}, {"uuid": "s", "summary": 1}])
    if n_steps > n_before:
        HeadKeeper(path).begin(old)
        MIGRATIONS.apply(old, stop_before=STEPS[n_steps])
    old.close()
    return ['try old [["alerts", 3], ["summaries", 3]]', "ack old"]


class Writer:
    """One process that writes; its records have numbers nobody else has."""

    def __init__(
        self, path: Path, mark: Mark, chance: random.Random, begun: Callable[[Store], Store]
    ) -> None:
        self._path, self._mark, self._chance, self._begun = path, mark, chance, begun
        self._base = chance.randrange(1, 10**9) * 1000
        self._numbers = itertools.count(self._base + 1)
        self._commit = 0
        self._store = self._open()

    def work(self, n_steps: int) -> None:
        """Do so many things, and end at any point of them."""
        for _ in range(n_steps):
            does = self._chance.choices(
                (self._write, self._wait, self._keep, self._settle, self._prove, self._reopen),
                (8, 4, 2, 3, 1, 1),
            )[0]
            does()
        self._store.close()

    def _open(self) -> Store:
        self._commit += 1
        return self._begun(begin(self._path, f"run-{self._base}-{self._commit}"))

    def _write(self) -> None:
        """Write something urgent, and with it what waits."""
        tables = ("alerts", "alarm_events", "self_tests", "setting_changes")
        self._add(self._chance.choices(tables, (5, 1, 1, 1), k=self._chance.randint(1, 3)))
        self._flush()

    def _wait(self) -> None:
        """Hand over what can wait."""
        tables = ("summaries", "gaps", "scores", "readings", "links")
        self._add(self._chance.choices(tables, k=self._chance.randint(1, 6)))

    def _keep(self) -> None:
        """Keep what the alarms remember, and an entry of the ledger's own."""
        n = next(self._numbers)
        self._try([["kept", n], ["ledger", n]])
        self._store.backlog.keep(KeptAlerts(b"%d" % n, CLOCK))
        entry = LedgerEntry(LedgerKind.DELIVERY, "a", "sent", "", float(n))
        self._store.backlog.vouch(entry, 1.0)
        self._flush()

    def _add(self, tables: list[str]) -> None:
        keys = [[table, next(self._numbers)] for table in tables]
        self._try(keys)
        self._store.add(Outcome(tuple(MAKERS[table][1](n) for table, n in keys)), 1.0)
        if not self._store.backlog:
            self._ack()

    def _try(self, keys: list[list[Any]]) -> None:
        self._mark(f"try {self._base}.{self._commit} {json.dumps(keys)}")

    def _flush(self) -> None:
        if self._store.backlog:
            self._store.flush(1.0)
        self._ack()

    def _ack(self) -> None:
        self._mark(f"ack {self._base}.{self._commit}")
        self._commit += 1

    def _settle(self) -> None:
        rows = self._store._database.query(
            "SELECT uuid FROM outbox WHERE settled_s IS NULL ORDER BY n LIMIT 4"
        )
        uuids = [row["uuid"] for row in rows]
        self._store.settle(uuids, 1.0)
        self._mark(f"settled {json.dumps(uuids)}")

    def _prove(self) -> None:
        self._store.prove()

    def _reopen(self) -> None:
        self._flush()
        self._store.close()
        self._store = self._open()


def _missed(store: Store, marks: list[str]) -> list[str]:
    """Return what of the marks does not hold."""
    commits: dict[str, set[tuple[str, float]]] = {}
    acked, settled = set[str](), set[str]()
    for word, _, rest in (mark.partition(" ") for mark in marks):
        if word == "settled":
            settled |= set(json.loads(rest))
        elif word == "ack":
            acked.add(rest)
        else:
            name, _, keys = rest.partition(" ")
            commits.setdefault(name, set()).update((t, float(n)) for t, n in json.loads(keys))
    found, wrong = _found(store)
    for name, keys in commits.items():
        here = {key for key in keys if key in found or key[0] == "kept"}
        if name in acked and here != keys:
            wrong.append(f"lost: {sorted(keys - here)} of commit {name}")
        elif {key for key in here if key[0] != "kept"} and here != keys:
            wrong.append(f"half a commit: {sorted(keys - here)} of {name} are not there")
    tried = {key for keys in commits.values() for key in keys}
    wrong += [f"unknown: {key}" for key in found if key not in tried]
    kept_acked = [n for name in acked for t, n in commits.get(name, ()) if t == "kept"]
    return wrong + _missed_state(store, kept_acked, settled, {n for t, n in tried if t == "kept"})


def _found(store: Store) -> tuple[set[tuple[str, float]], list[str]]:
    """Return all records there are, and what is there twice."""
    found: Counter[tuple[str, float]] = Counter()
    for table, (column, _) in MAKERS.items():
        rows = store._database.execute(f"SELECT {column} FROM {table}")  # noqa: S608
        found.update((table, float(value)) for (value,) in rows)
    rows = store._database.execute("SELECT at_s FROM ledger WHERE kind = 'delivery'")
    found.update(("ledger", value) for (value,) in rows)
    return set(found), [f"twice: {key}" for key, n in found.items() if n > 1]


def _missed_state(
    store: Store, kept_acked: list[float], settled: set[str], kept_tried: set[float]
) -> list[str]:
    wrong = []
    kept = store.kept_alerts()
    number = 0.0 if kept is None else float(kept.state)
    if kept_acked and number not in kept_tried:
        wrong.append(f"lost: what the alarms remembered ({number})")
    run = int(number) // 1000
    if any(int(n) // 1000 == run and n > number for n in kept_acked):
        wrong.append(f"lost: what the alarms remembered goes back to {number}")
    rows = list(store._database.query("SELECT uuid, alert, summary, settled_s FROM outbox"))
    noted = {row["uuid"] for row in rows if row["settled_s"] is not None}
    if settled - noted:
        wrong.append(f"lost: receipts of {sorted(settled - noted)}")
    (n,) = store._database.execute(
        "SELECT (SELECT count(*) FROM alerts) + (SELECT count(*) FROM summaries)"
    ).fetchone()
    in_line = {(row["alert"], row["summary"]) for row in rows}
    if not len(rows) == len(in_line) == n:
        wrong.append(f"outbox: {len(rows)} entries for {n} records")
    return wrong
