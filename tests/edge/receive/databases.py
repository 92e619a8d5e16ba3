"""Both databases a receiver may store into: SQLite, and a real PostgreSQL of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.receive.postgresql import Postgresql
from edge.receive.sqlite import Sqlite
from edge.receive.store import Database

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
_ON_PATH = shutil.which("initdb")
INITDB = _FOUND[-1] if _FOUND else Path(_ON_PATH).resolve() if _ON_PATH else None


class Cluster:
    """A throw-away PostgreSQL that listens on a socket in its folder; it does not run as root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = None
        if os.geteuid() == 0:
            self._user = pwd.getpwnam("postgres" if _has_user("postgres") else "nobody")
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)

    @property
    def url(self) -> str:
        return f"postgresql:///postgres?host={self._folder}&user=tester"

    def start(self) -> None:
        data = self._folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(data), "-w", "-t", "60", "-o", options, "-l", log, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        assert INITDB is not None
        user = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid}
        done = subprocess.run(
            [str(INITDB.with_name(name)), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            cwd="/",
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            timeout=120,
            **user,
        )
        assert done.returncode == 0, done.stderr.decode()


def _has_user(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())


def cluster() -> Iterator[Cluster]:
    if INITDB is None:
        pytest.skip("needs PostgreSQL (apt: postgresql)")
    # Not among pytest's folders: its user could not get there.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        made = Cluster(Path(folder))
        made.start()
        yield made
        made.stop()


def emptied(url: str) -> Postgresql:
    database = Postgresql(url)
    for table in ("entries", "boxes", "silences"):
        database.run(f"DROP TABLE IF EXISTS {table}")
    return database


def sqlite(tmp_path: Path) -> Database:
    return Sqlite(tmp_path / "received.db")
