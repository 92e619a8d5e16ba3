"""A plain database of before is encrypted at its first open, and no kill or failure loses it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3 as plain_sqlite
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.keys import open_keys
from edge.records import Outcome
from edge.store import History, StoreDamagedError, StoreError, StoreKeyError, encrypting
from edge.store import database as database_module
from edge.store.cipher import is_noise, keys_beside, make_key
from edge.store.database import connect, connect_plain
from edge.store.encrypting import COPY, OLD
from edge.store.head import read_head
from edge.store.verification import verify
from tests.edge.store.opened import behind, open_store
from tests.edge.store.test_encryption import MARKER, files_with, marked
from tests.edge.store.test_store import alert, summary

N_ALERTS = 30


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def make_plain(path: Path, *, with_log: bool = False) -> None:
    """Write a database as the versions before had them: SQLite as it is, with a head."""
    with open_store(path) as store:
        for number in range(N_ALERTS):
            store.add(Outcome((marked(number), summary())), now_s=20.0 + number)
    plain = path.with_name("plain.db")
    with closing(behind(path, isolation_level=None)) as connection:
        connection.execute(f"ATTACH DATABASE '{plain}' AS plain KEY ''")
        connection.execute("SELECT sqlcipher_export('plain')").fetchall()
    for end in ("", ".key"):
        path.with_name(path.name + end).unlink()
    (path.parent / "homeward.key").unlink()
    plain.rename(path)
    with closing(plain_sqlite.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("INSERT INTO probe VALUES (1, 'in the log')")
        connection.commit()
        if with_log:  # as after kill -9: the last rows are in the log alone
            for end in ("", "-wal"):
                shutil.copy(path.with_name(path.name + end), path.with_name(f"kept{end}"))
    for end in ("", "-wal"):
        if with_log:
            path.with_name(f"kept{end}").rename(path.with_name(path.name + end))
    path.chmod(0o600)


def assert_moved_in(path: Path) -> None:
    with open_store(path) as store:
        assert store.moved_aside is None
        kept = [one.alert.id for one in store.alerts()]
        assert kept == [f"alert-{number}" for number in range(N_ALERTS)]
        assert store.outbox_count() == 2 * N_ALERTS
        assert store._database.execute("SELECT token FROM probe").fetchone() == ("in the log",)
        store.add(Outcome((alert(1000),)), now_s=90.0)
    verdict = verify(path)
    assert verdict.whole, verdict.flaws
    assert str(read_head(path)) == verdict.head
    assert is_noise(path)
    assert files_with(path.parent, MARKER, "SQLite format 3") == []
    # A reader leaves a log and its index behind; the log is empty.
    names = {file.name for file in path.parent.iterdir() if file.name[-4:] not in ("-wal", "-shm")}
    assert names == {"homeward.key", *(f"homeward.db{end}" for end in ("", ".head", ".key"))}


@pytest.mark.parametrize("with_log", [False, True], ids=["closed", "killed"])
def test_a_plain_database_is_encrypted_at_its_first_open(path: Path, with_log: bool) -> None:
    make_plain(path, with_log=with_log)
    head = read_head(path)
    assert files_with(path.parent, MARKER) != []
    with History.open(path) as history:  # until then it can be read as it is
        assert len(history.alerts()) == N_ALERTS
    assert verify(path).whole
    assert not (path.parent / "homeward.key").exists()
    assert_moved_in(path)
    assert head is not None
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_schema_is_the_same_afterwards(path: Path) -> None:
    make_plain(path)
    schema = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    with closing(connect_plain(path)) as connection:
        before = connection.execute(schema).fetchall()
    open_store(path).close()
    with closing(behind(path)) as connection:
        assert connection.execute(schema).fetchall() == before
        with pytest.raises(Exception, match="only ever appended"):
            connection.execute("DELETE FROM alerts")


SYSTEM_CALLS = ("link", "rename", "replace", "unlink", "fsync", "write", "pwrite", "fchmod")


def test_a_kill_at_any_step_loses_nothing_and_the_next_open_goes_on(path: Path) -> None:
    # A child is killed before its k-th step or system call that changes a file, for every k.
    make_plain(path, with_log=True)
    first = path.parent
    for k in range(100):
        box = first.with_name(f"{first.name}-{k}")
        shutil.copytree(first, box)
        pid = os.fork()
        if not pid:
            _encrypt_and_die_at(box / path.name, k)
        done = os.waitpid(pid, 0)[1] == 0
        with History.open(box / path.name) as history:
            assert len(history.alerts()) == N_ALERTS, k
        assert_moved_in(box / path.name)
        shutil.rmtree(box)
        if done:
            break
    else:
        pytest.fail("it never ended")
    assert k >= 20


def _encrypt_and_die_at(path: Path, k: int) -> None:
    left = [k]

    def dying(real):
        def call(*args, **named):
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return real(*args, **named)

        return call

    for name in SYSTEM_CALLS:
        setattr(os, name, dying(getattr(os, name)))
    for name in ("_lock", "_copy", "_compare", "_synchronise", "_put_in_place", "_tidy"):
        setattr(encrypting, name, dying(getattr(encrypting, name)))
    encrypting.open_encrypted(path).close()
    os._exit(0)


def test_a_failure_at_any_step_leaves_it_as_it_was_or_done(path: Path) -> None:
    make_plain(path, with_log=True)
    first = path.parent
    for k in range(100):
        box = first.with_name(f"{first.name}-{k}")
        shutil.copytree(first, box)
        with pytest.MonkeyPatch.context() as patch:
            done = _fails_at(patch, box / path.name, k)
        assert_moved_in(box / path.name)
        shutil.rmtree(box)
        if done:
            break
    else:
        pytest.fail("it never ended")
    assert k >= 12


def _fails_at(patch: pytest.MonkeyPatch, path: Path, k: int) -> bool:
    left = [k]

    def failing(real):
        def call(*args, **named):
            left[0] -= 1
            if left[0] == -1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*args, **named)

        return call

    for name in SYSTEM_CALLS:
        patch.setattr(os, name, failing(getattr(os, name)))
    try:
        encrypting.open_encrypted(path).close()
    except StoreDamagedError:
        raise  # no failure is taken for damage
    except StoreError:
        pass
    return left[0] >= 0


def test_without_room_it_is_left_as_it_is_and_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plain(path)
    before = path.read_bytes()
    full = os.statvfs_result((4096, 4096, 1000, 10, 10, 100, 30, 30, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(StoreError, match="no room to do it: free 5 MB"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_copy_that_is_not_the_same_takes_nobodys_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plain(path)
    real = encrypting._copy

    def lossy(plain, copy, key):
        real(plain, copy, key)
        with closing(encrypting.sqlite3.connect(copy, isolation_level=None)) as sealed:
            encrypting.apply_key(sealed, key)
            sealed.execute("DROP TRIGGER ledger_is_not_deleted")
            sealed.execute("DELETE FROM summaries WHERE n = 7")

    with monkeypatch.context() as patch:
        patch.setattr(encrypting, "_copy", lossy)
        with pytest.raises(StoreError, match="left as it was"):
            open_store(path)
    assert_moved_in(path)


def test_a_row_that_is_missing_in_the_copy_is_found(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plain(path)
    real = encrypting._copy

    def lossy(plain, copy, key):
        real(plain, copy, key)
        with closing(encrypting.sqlite3.connect(copy, isolation_level=None)) as sealed:
            encrypting.apply_key(sealed, key)
            sealed.execute("UPDATE outbox SET settled_s = 1.0 WHERE n = 7")

    monkeypatch.setattr(encrypting, "_copy", lossy)
    with pytest.raises(StoreError, match="holds another outbox than it should"):
        open_store(path)


def test_a_plain_database_in_use_is_not_taken_from_its_user(path: Path) -> None:
    make_plain(path)
    # Another process: two builds of SQLite in one do not see each other's locks.
    program = (
        "import sqlite3, sys\n"
        "other = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "other.execute('SELECT n FROM alerts').fetchone()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "other.close()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(StoreError, match=r"another program holds it"):
            open_store(path)
        assert path.read_bytes()[:16] == b"SQLite format 3\0"
        other.communicate("")
    assert_moved_in(path)


@pytest.mark.parametrize("has_key", [False, True])
def test_a_file_that_is_encrypted_between_two_looks_is_not_taken_for_damaged(
    path: Path, monkeypatch: pytest.MonkeyPatch, has_key: bool
) -> None:
    make_plain(path)
    keys = keys_beside(path, make=True)
    if has_key:
        make_key(path, keys)
    real = database_module.connect_plain

    def too_late(place: Path, *, read_only: bool = True) -> Any:
        monkeypatch.setattr(database_module, "connect_plain", real)
        encrypting.encrypt(place, keys)  # as another process may, in this very moment
        return real(place, read_only=read_only)

    monkeypatch.setattr(database_module, "connect_plain", too_late)
    assert_moved_in(path)


def test_processes_that_open_it_at_once_encrypt_it_once(path: Path) -> None:
    make_plain(path, with_log=True)
    program = (
        "import sys, time; from pathlib import Path\n"
        "from edge.store import Run, Store, StoreError\n"
        "sys.stdin.read()\n"
        "for _ in range(300):\n"
        "    try:\n"
        "        Store.begin(Path(sys.argv[1]), Run(sys.argv[2], 'b', 1.0, '1', 'd')).close()\n"
        "        break\n"
        "    except StoreError as error:\n"
        "        time.sleep(0.1)\n"
    )
    root = Path(__file__).parents[3]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), f"run-{number}-at-once"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
        )
        for number in range(4)
    ]
    for one in started:
        assert one.stdin is not None
        one.stdin.close()
        one.stdin = None
    for one in started:
        _, said = one.communicate(timeout=60.0)
        assert (one.returncode, b"Traceback" in said) == (0, False), said
    assert not list(path.parent.glob("*damaged*"))
    with History.open(path) as history:
        assert len(history.runs()) == 1 + 4
    assert_moved_in(path)


def test_a_plain_database_that_is_damaged_is_put_aside(path: Path) -> None:
    make_plain(path)
    raw = bytearray(path.read_bytes())
    raw[8192:] = b"\xff" * (len(raw) - 8192)
    path.write_bytes(raw)
    with open_store(path) as store:
        assert store.moved_aside is not None
        assert store.moved_aside.read_bytes() == bytes(raw)
    assert is_noise(path)


def test_a_plain_database_waits_for_its_key(path: Path) -> None:
    make_plain(path)
    open_keys(path.parent)
    (path.parent / "homeward.key").chmod(0o640)
    before = path.read_bytes()
    with pytest.raises(StoreKeyError, match="open to other users"):
        open_store(path)
    assert path.read_bytes() == before
    (path.parent / "homeward.key").chmod(0o600)
    assert_moved_in(path)


def test_what_a_broken_off_copy_left_is_removed(path: Path) -> None:
    make_plain(path)
    path.with_name(path.name + COPY).write_bytes(b"half")
    os.link(path, path.with_name(path.name + OLD))
    assert_moved_in(path)
    path.with_name(path.name + OLD).write_bytes(MARKER.encode())
    connect(path).close()
    assert path.with_name(path.name + OLD).exists()  # only who writes the records cleans up
    open_store(path).close()
    assert not path.with_name(path.name + OLD).exists()
