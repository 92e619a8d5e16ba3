"""Open the one SQLite file, safely, encrypted, or not at all.

Every open asks for the settings of `PRAGMAS` and reads them back: the built-in defaults differ
between builds, and a store that is less safe than believed is worse than none. A damaged file is
moved aside, never deleted, and a fresh one begun: an SD card that lied must not stop the monitor.
A file whose key cannot be had is not damaged, and nothing is done to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlcipher3
from sqlcipher3 import dbapi2 as sqlite3

from edge.keys import KeysError, SealedKey
from edge.store.asides import PARTS, next_aside
from edge.store.cipher import (
    PAGE_BYTES,
    Keys,
    apply_key,
    find_key,
    is_new,
    is_noise,
    is_under,
    key_path,
    keys_beside,
    make_key,
    unencrypted_because,
)

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations
else:
    # What sqlite-utils is to find in the place of what it would import:
    # - pandas, wherever that happens to be installed (it is not ours): 61 MB and 630 modules
    #   instead of 27 MB and 290, on a machine where the whole monitor has 150 MB.
    # - Python's own sqlite3: its errors are not those of our connections, which sqlite-utils would
    #   not know when it meets them; and a second SQLite in the process is 2 MB for nothing.
    _ours = {"pandas": None, "sqlite3": sqlcipher3, "sqlite3.dbapi2": sqlite3}
    _theirs = {name: sys.modules.get(name) for name in _ours}
    sys.modules.update(_ours)
    try:
        from sqlite_utils import Database, Migrations
    finally:
        for name, module in _theirs.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module

__all__ = [
    "PRAGMAS",
    "Database",
    "Migrations",
    "SqliteError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreKeyError",
    "StorePlainError",
    "asking",
    "connect",
    "connect_plain",
    "is_of_row",
    "is_unreadable",
    "move_aside",
    "store_error",
]

PRAGMAS: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "temp_store": 2,
}
"""What every open must read back: write-ahead log, FULL (an acknowledged commit is on the
medium), foreign keys enforced, what is sorted or set aside for a moment in memory (in a file it
would be in clear)."""

WAL_PAGES = 1000
"""Pages in the write-ahead log after which SQLite folds it into the file: about 1 MB."""

CACHE_KB = 2000
"""The most that pages may take in memory: SQLite's usual, where sqlcipher3 was built with 8 MB."""

BUSY_S = 5.0
"""How long to wait for another process that writes (the sender settling its receipts)."""

READ_AGAIN_S = (0.5, 2.0)
"""What the disk does not give at the start is asked for again after these: SQLite calls a file
damaged where the disk refused a read, and a fault of the moment must not put a night aside."""

_CHUNK_BYTES = 1 << 18
_NO_TEXT = "Could not decode to UTF-8"
SqliteError = sqlite3.Error
"""What the library underneath raises; for who has to go on after it."""

_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StoreError(RuntimeError):
    """The store cannot be opened or written; the text says what, and what to do."""


class StoreDamagedError(StoreError):
    """The file is not a sound database any more; opening it again moves it aside."""


class StoreKeyError(StoreError):
    """The key of the records cannot be had, or is another; nothing was touched."""


class StorePlainError(StoreError):
    """The file is not encrypted yet (`edge.store.encrypting` does it), or could not be."""


class StoreFullError(StoreError):
    """The disk has no room for it."""


def store_error(error: sqlite3.Error | UnicodeDecodeError, action: str, path: Path) -> StoreError:
    """Return what SQLite said as an error for people, damage told apart from trouble."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # A schema broken in its names gives an error text that is no text, and Python trips over it;
    # a column that should be text and is none has no code of its own.
    is_no_text = isinstance(error, UnicodeDecodeError) or str(error).startswith(_NO_TEXT)
    if code in _DAMAGE_CODES or is_no_text:
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
    kind = StoreFullError if code == sqlite3.SQLITE_FULL else StoreError
    return kind(f"cannot {action} {path} ({error}): {cure}")


def is_unreadable(error: Exception) -> bool:
    """Return whether what is in the file, or the medium under it, is why it cannot be read."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in {*_DAMAGE_CODES, sqlite3.SQLITE_IOERR}


def is_of_row(error: Exception) -> bool:
    """Return whether what was to be written is the trouble, and not the disk."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH}


@contextmanager
def asking(action: str, path: Path) -> Iterator[None]:
    """Turn what SQLite says while it is asked into an error for people.

    Raises
    ------
    StoreError
        What was asked for in the block failed.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise store_error(error, action, path) from error


def connect(
    path: Path, *, read_only: bool = False, keys: Keys | None = None, damaged: bool = False
) -> Database:
    """Return an open database whose `PRAGMAS` have been read back, and that is encrypted.

    The connection may be handed from one thread to another, used by one at a time.

    Parameters
    ----------
    read_only : bool
        Nothing is made or changed; a file from before there were keys is read as it is.
    keys : Keys | None
        The device keys; None: those in the database's folder, made there at first use.
    damaged : bool
        Open it even where not all can be read of which tables there are.

    Raises
    ------
    StoreDamagedError
        The file is no SQLite database, or broken in the pages an open reads, or a folder.
    StoreKeyError
        Its key cannot be had, or is another.
    StorePlainError
        It is not encrypted, and is to be written.
    StoreError
        It cannot be opened, or a setting does not hold.
    """
    _check_is_no_folder(path)
    keys = keys_beside(path, make=not read_only) if keys is None else keys
    try:
        if not path.parent.is_dir():  # making the first key would make it
            raise StoreError(f"cannot open {path}: check that the folder exists")
        key = find_key(path, keys)
        if key is None and not read_only and is_new(path):
            key = make_key(path, keys)
    except KeysError as error:
        raise StoreKeyError(f"{path} cannot be opened: {error}") from error
    except OSError as error:
        raise StoreError(f"cannot open {path} ({error}): check the rights of its folder") from error
    if key is None:
        return _without_key(path, keys, read_only=read_only)
    return _under(path, key, read_only=read_only, damaged=damaged)


def _under(path: Path, key: SealedKey, *, read_only: bool, damaged: bool) -> Database:
    """Open a file that has a key; one that is not under it yet is read as it is."""
    try:
        try:
            connection = _opened(path, key, read_only=read_only, damaged=damaged)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_NOTADB:
                raise
            if (plain := _if_plain(path)) is not None:
                return _plain(path, plain, read_only=read_only)
            # Once more: another process may have encrypted it between the two looks.
            connection = _opened(path, key, read_only=read_only, damaged=damaged)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        _check_whose(path, key, error)
        raise store_error(error, "open", path) from error
    return Database(connection, execute_plugins=False)


def _opened(path: Path, key: SealedKey, *, read_only: bool, damaged: bool) -> Any:  # noqa: ANN401
    """Return a connection that has read the first page; an error of sqlite3's passes on."""
    connection = _bare(path, "ro" if read_only else "rwc")
    try:
        apply_key(connection, key)
        if damaged:
            connection.execute("PRAGMA writable_schema=ON")
        if not read_only:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            # To its end: the step after the answer is the one that writes it into the file.
            connection.execute("PRAGMA journal_mode=wal").fetchall()
            connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if why := unencrypted_because(connection):
            raise StoreError(f"{path} would not be encrypted: {why}")  # noqa: TRY301
        _check_pragmas(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _bare(path: Path, mode: str) -> Any:  # noqa: ANN401
    # A path may hold ? or #; as a URI they must be quoted.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        check_same_thread=False,
    )


def connect_plain(path: Path, *, read_only: bool = True) -> Any:  # noqa: ANN401
    """Return a connection to a database from before there were keys, as it is.

    Raises
    ------
    StoreDamagedError
        It is none.
    StoreError
        It cannot be opened.
    """
    try:
        connection = _bare(path, "ro" if read_only else "rw")
        try:
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise store_error(error, "open", path) from error
    return connection


def _without_key(path: Path, keys: Keys, *, read_only: bool) -> Database:
    """Open what has no key: a file of before, or one whose key is lost."""
    try:
        plain = connect_plain(path)
    except StoreDamagedError as error:
        if is_noise(path):
            if key_path(path).exists():  # another process has encrypted it in this moment
                return connect(path, read_only=read_only, keys=keys)
            raise StoreKeyError(
                f"{path} is encrypted, and its key {key_path(path)} is not there: bring that file "
                f"back from a backup, or move both away to begin anew; nothing was touched"
            ) from error
        raise
    return _plain(path, plain, read_only=read_only)


def _if_plain(path: Path) -> Any:  # noqa: ANN401
    try:
        return connect_plain(path)
    except StoreDamagedError:
        return None


def _check_whose(path: Path, key: SealedKey, error: Exception) -> None:
    """Raise where a file is no database under its key because the key is another's."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_NOTADB:
        return
    if is_noise(path) and not is_under(path, key):
        raise StoreKeyError(
            f"{path} is not encrypted under the key in {key_path(path)}: bring back the two that "
            f"belong together from one backup, or move both away to begin anew; nothing was touched"
        ) from error


def _plain(path: Path, connection: Any, *, read_only: bool) -> Database:  # noqa: ANN401
    if read_only:
        return Database(connection, execute_plugins=False)
    connection.close()
    raise StorePlainError(f"{path} is not encrypted yet")


def _check_is_no_folder(path: Path) -> None:
    """Tell a folder in a file's place as damage: SQLite only says that it cannot be opened."""
    for part in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        if part.is_dir():
            raise StoreDamagedError(
                f"{part} is a folder where a file of the database should be: opening it again "
                f"moves it aside and begins a new one"
            )


def _check_pragmas(connection: Any, path: Path) -> None:  # noqa: ANN401
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


def gives_all(path: Path) -> bool:
    """Return whether the disk gives every byte of a database; it must not be open in this process.

    (Closing a file gives up all locks that the process has on it.)
    """
    try:
        for part in (path, path.with_name(path.name + "-wal")):
            with suppress(FileNotFoundError), part.open("rb", buffering=0) as file:
                while file.read(_CHUNK_BYTES):
                    pass
    except OSError:
        return False
    return True


def move_aside(path: Path) -> Path:
    """Rename a damaged database, its log and its head with it, and return its new name.

    The log goes first: left beside a fresh file after a power cut it would be taken for the
    fresh one's own.
    """
    aside = next_aside(path)
    for part in PARTS:
        found = path.with_name(path.name + part)
        if found.exists():
            found.replace(aside.with_name(aside.name + part))
    return aside
