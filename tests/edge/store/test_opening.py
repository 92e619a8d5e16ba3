"""Opening: settings read back, schema brought up to date, damage put aside."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlite3

from edge.records import Outcome
from edge.store import History, Run, Store, StoreDamagedError, StoreError
from edge.store.database import PRAGMAS, _check_pragmas, connect
from edge.store.migrations import MIGRATIONS, STEPS, migrate
from edge.store.records import alert_row, summary_row
from tests.edge.store.test_store import RUN, alert, summary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def test_the_settings_that_keep_a_commit_are_read_back_at_every_open(path: Path) -> None:
    for _ in range(2):
        with Store.begin(path, RUN) as store:
            for name, wanted in PRAGMAS.items():
                assert store._database.execute(f"PRAGMA {name}").fetchone() == (wanted,)


def test_a_disk_that_cannot_keep_the_settings_is_refused(path: Path) -> None:
    # A database in memory has no write-ahead log: SQLite answers "memory" instead of "wal", as
    # it answers "delete" on file systems without shared memory.
    memory = sqlite3.connect(":memory:")
    memory.execute("PRAGMA journal_mode=wal")
    with pytest.raises(StoreError, match=r"journal_mode is 'memory'.*local disk"):
        _check_pragmas(memory, path)
    memory.close()


def test_a_new_file_gets_every_step_and_the_second_open_none(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        applied = [step.name for step in MIGRATIONS.applied(store._database)]
        assert applied == list(STEPS)
    with Store.begin(path, RUN) as store:
        assert [step.name for step in MIGRATIONS.applied(store._database)] == applied
        assert store.moved_aside is None


@pytest.mark.parametrize("n_steps", range(len(STEPS)))
def test_a_file_of_every_earlier_version_is_brought_up_to_date(path: Path, n_steps: int) -> None:
    old = connect(path)
    MIGRATIONS.apply(old, stop_before=STEPS[n_steps])
    if n_steps > 0:
        row = {name: getattr(RUN, name) for name in RUN.__struct_fields__}
        old.table("runs").insert({**row, "run_id": "older"})
        known = {column.name for column in old.table("alerts").columns}
        entire = alert_row(alert(), 1, 1, 1)
        old.table("alerts").insert({name: entire[name] for name in entire if name in known})
        old.table("summaries").insert(summary_row(summary(), 1, 1))
    if n_steps > 1:
        old.table("outbox").insert_all([{"uuid": "a", "alert": 1}, {"uuid": "s", "summary": 1}])
    old.close()
    with Store.begin(path, RUN) as store:
        kept = [a.alert for a in store.alerts()]
        assert [a.id for a in kept] == (["alert-1"] if n_steps else [])
        assert store.outbox_count() == (2 if n_steps else 0)
        store.add(Outcome((alert(2),)), now_s=30.0)
        assert len(store.alerts()) == len(kept) + 1


def test_a_step_that_fails_leaves_no_trace(path: Path) -> None:
    database = connect(path)
    MIGRATIONS.apply(database, stop_before=STEPS[1])
    database.execute("CREATE TABLE outbox_waiting (in_the_way TEXT)")  # the index's name
    with pytest.raises(StoreError, match="cannot bring up to date"):
        migrate(database, path)
    assert not database.table("outbox").exists()
    assert [step.name for step in MIGRATIONS.applied(database)] == list(STEPS[:1])
    database.close()


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store._database.table("_sqlite_migrations").insert(
            {"migration_set": "homeward", "name": "999_later", "applied_at": "2099"}
        )
    before = path.read_bytes()
    for attempt in (lambda: Store.begin(path, RUN), lambda: History.open(path)):
        with pytest.raises(StoreError, match=r"newer Homeward.*999_later.*--data-dir"):
            attempt()
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*damaged*"))


@pytest.mark.parametrize("first", [b"", b"this is not a database" * 100], ids=["empty", "garbage"])
def test_a_file_that_is_no_database_does_not_stop_the_monitor(path: Path, first: bytes) -> None:
    path.write_bytes(first)
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
        assert len(store.alerts()) == 1
        assert store.moved_aside == (path.with_name("homeward.db.damaged-1") if first else None)
    if first:
        assert path.with_name("homeward.db.damaged-1").read_bytes() == first


def test_damaged_files_are_kept_side_by_side(path: Path) -> None:
    for number in (1, 2):
        path.write_bytes(b"garbage %d" % number * 100)
        with Store.begin(path, RUN) as store:
            assert store.moved_aside is not None
            assert store.moved_aside.name == f"homeward.db.damaged-{number}"


def test_random_damage_never_stops_the_store_and_the_bad_file_is_kept(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        for number in range(40):
            store.add(Outcome((alert(number), summary(60.0 * number))), now_s=60.0 * number)
    sound = path.read_bytes()
    chance = random.Random(7)  # noqa: S311
    n_aside = 0
    for _ in range(40):
        damaged = bytearray(sound)
        match chance.randrange(3):
            case 0:
                del damaged[chance.randrange(1, len(damaged)) :]
            case 1:
                page = chance.randrange(len(damaged) // 1024) * 1024
                damaged[page : page + 1024] = bytes(1024)
            case _:
                for _ in range(20):
                    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with Store.begin(path, RUN) as store:
            if store.moved_aside is not None:
                n_aside += 1
                assert store.moved_aside.read_bytes() == bytes(damaged)
            store.add(Outcome((alert(1000),)), now_s=9000.0)
            assert store.alerts()[-1].alert.id == "alert-1000"
        for leftover in path.parent.glob("homeward.db*"):
            if leftover.suffix != ".key":
                leftover.unlink()
    assert n_aside >= 38  # every page vouches for itself; only the salt in front does not


def test_damage_that_shows_while_writing_is_told_apart_from_trouble(path: Path) -> None:
    store = Store.begin(path, RUN)
    store.add(Outcome(tuple(alert(number) for number in range(40))), now_s=1.0)
    store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    with path.open("r+b") as file:
        file.seek(1024)
        file.write(b"\xff" * (path.stat().st_size - 1024))
    store._database.execute("PRAGMA cache_size=0")
    store._database.execute("PRAGMA shrink_memory")
    with pytest.raises(StoreDamagedError, match="opening it again moves it aside"):
        store.add(Outcome((alert(100),)), now_s=2.0)
    store.close()
    again = Store.begin(path, RUN, store.backlog)
    assert again.moved_aside is not None
    assert again.flush(3.0) == 1
    assert [a.alert.id for a in again.alerts()] == ["alert-100"]
    again.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*check that the folder exists"):
        Store.begin(tmp_path / "nowhere" / "homeward.db", RUN)


def test_a_path_with_signs_a_uri_gives_meaning_to_is_taken_as_it_is(tmp_path: Path) -> None:
    odd = tmp_path / "a?b#c%20"
    odd.mkdir()
    Store.begin(odd / "homeward.db", RUN).close()
    assert (odd / "homeward.db").exists()


def test_reading_while_nobody_writes_works_and_changes_nothing(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    before = path.read_bytes()
    with History.open(path) as history:
        assert len(history.alerts()) == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            history._database.execute("DELETE FROM runs")
    assert path.read_bytes() == before


def test_pandas_stays_out_of_the_monitor() -> None:
    script = (
        "import sys, edge.store\n"
        "assert not any(name.split('.')[0] == 'pandas' for name in sys.modules), 'pandas'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])


def test_sqlite_utils_knows_the_errors_of_our_connections() -> None:
    script = (
        "import edge.store\n"
        "from sqlcipher3 import dbapi2\n"
        "import sqlite_utils\n"
        "assert sqlite_utils.utils.OperationalError is dbapi2.OperationalError\n"
        "table = sqlite_utils.Database(dbapi2.connect(':memory:')).table('none')\n"
        "table.drop(ignore=True)  # it catches what our connection raises"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])


def test_the_monitor_has_one_sqlite() -> None:
    script = "import sys, edge.store; assert '_sqlite3' not in sys.modules, 'two'"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])


def test_a_run_entered_twice_is_one_run(path: Path) -> None:
    Store.begin(path, RUN).close()
    with Store.begin(path, RUN) as store:
        assert store.runs() == [RUN]
    with Store.begin(path, Run("run-2", "boot-1", 20.0, "0.1.0", "d")) as store:
        assert [run.run_id for run in store.runs()] == ["run-1", "run-2"]
