"""Open the one SQLite file, safely or not at all.

Every open asks for the settings of `PRAGMAS` and reads them back: the built-in defaults differ
between builds, and a store that is less safe than believed is worse than none. A damaged file is
moved aside, never deleted, and a fresh one begun: an SD card that lied must not stop the monitor.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge.store.head import SUFFIX

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations
else:
    # sqlite-utils imports pandas wherever it happens to be installed (it is not ours): 61 MB and
    # 630 modules instead of 27 MB and 290, on a machine where the whole monitor has 150 MB.
    _pandas = sys.modules.get("pandas")
    sys.modules["pandas"] = None
    try:
        from sqlite_utils import Database, Migrations
    finally:
        if _pandas is None:
            del sys.modules["pandas"]
        else:
            sys.modules["pandas"] = _pandas

__all__ = [
    "PRAGMAS",
    "Database",
    "Migrations",
    "StoreDamagedError",
    "StoreError",
    "connect",
    "move_aside",
    "store_error",
]

PRAGMAS: dict[str, str | int] = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
"""What every open must read back: write-ahead log, FULL (an acknowledged commit is on the
medium), foreign keys enforced."""

PAGE_BYTES = 1024
"""A commit rewrites whole pages: a day of one patient (a score every 10 s, a summary a minute)
writes 13 MB with pages of 1 kB and 27 MB with SQLite's usual 4 kB (measured)."""

WAL_PAGES = 1000
"""Pages in the write-ahead log after which SQLite folds it into the file: about 1 MB."""

BUSY_S = 5.0
"""How long to wait for another process that writes (the sender settling its receipts)."""

_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StoreError(RuntimeError):
    """The store cannot be opened or written; the text says what, and what to do."""


class StoreDamagedError(StoreError):
    """The file is not a sound database any more; opening it again moves it aside."""


def store_error(error: sqlite3.Error | UnicodeDecodeError, action: str, path: Path) -> StoreError:
    """Return what SQLite said as an error for people, damage told apart from trouble."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # A schema broken in its names gives an error text that is no text, and Python trips over it.
    if code in _DAMAGE_CODES or isinstance(error, UnicodeDecodeError):
        return StoreDamagedError(
            f"{path} is damaged ({error}): opening it again moves it aside and begins a new one"
        )
    cure = {
        sqlite3.SQLITE_FULL: "the disk is full: free space on it; what is not yet stored is kept",
        sqlite3.SQLITE_CANTOPEN: "check that the folder exists and belongs to this user",
        sqlite3.SQLITE_READONLY: "the file or its disk is read-only: remount it or mend its rights",
        sqlite3.SQLITE_IOERR: "the disk fails: look at `dmesg`, and replace the card if it repeats",
        sqlite3.SQLITE_BUSY: "another program holds it: close that program",
    }.get(code, "run `homeward doctor`")
    return StoreError(f"cannot {action} {path} ({error}): {cure}")


def connect(path: Path, *, read_only: bool = False) -> Database:
    """Return an open database whose `PRAGMAS` have been read back.

    The connection may be handed from one thread to another, used by one at a time.

    Raises
    ------
    StoreDamagedError
        The file is no SQLite database, or broken in the pages an open reads.
    StoreError
        It cannot be opened, or a setting does not hold.
    """
    mode = "ro" if read_only else "rwc"
    try:
        # A path may hold ? or #; as a URI they must be quoted.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise store_error(error, "open", path) from error
    try:
        if not read_only:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=wal")
            connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _check_pragmas(connection, path)
        return Database(connection, execute_plugins=False)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        connection.close()
        raise store_error(error, "open", path) from error
    except StoreError:
        connection.close()
        raise


def _check_pragmas(connection: sqlite3.Connection, path: Path) -> None:
    for name, wanted in PRAGMAS.items():
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if found != wanted:
            raise StoreError(
                f"{path}: SQLite says {name} is {found!r}, but only {wanted!r} keeps what was "
                f"acknowledged; keep the data directory on a local disk (ext4), not on a share"
            )


def quick_check(database: Database, path: Path) -> None:
    """Read the file's structure through.

    Raises
    ------
    StoreDamagedError
        Something in it is broken.
    """
    try:
        verdict = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise store_error(error, "read", path) from error
    if verdict != ["ok"]:
        raise StoreDamagedError(f"{path} is damaged: {'; '.join(verdict)}")


def move_aside(path: Path) -> Path:
    """Rename a damaged database, its log and its head with it, and return its new name.

    The log goes first: left beside a fresh file after a power cut it would be taken for the
    fresh one's own.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in (SUFFIX, "-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    return aside
