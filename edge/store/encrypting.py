"""A database from before there were keys, made an encrypted one: at its first open to be written.

In steps, so that a process killed at any point leaves one sound file in place, the old or the new,
and the next open goes on:

1. the write-ahead log is folded into the old file, and the old file locked
2. all of it is copied into ``homeward.db.encrypting``, under the key in ``homeward.db.key``
3. the copy is read back: its structure, and row for row what the old file holds; it is synchronised
4. the old file gets a second name, ``homeward.db.plain``, and the copy takes the first
5. the old file's bytes are overwritten and it is removed, as were those of its log

The head file stays: the chain is the same. A flash card may keep old cells for a while all the
same; nothing that a program does reaches those.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import structlog
from sqlcipher3 import dbapi2 as sqlite3

from edge.keys import KeysError, SealedKey
from edge.keys.medium import holding, overwrite, shred, sync_folder
from edge.store.cipher import PAGE_BYTES, Keys, apply_key, key_literal, keys_beside, make_key
from edge.store.database import (
    CACHE_KB,
    Database,
    StoreDamagedError,
    StoreKeyError,
    StorePlainError,
    connect,
    connect_plain,
    quick_check,
    store_error,
)
from edge.store.migrations import check_not_newer

COPY: Final = ".encrypting"
OLD: Final = ".plain"
ROOM: Final = 1.5
"""How many times its size there must be free: each page grows by 80 bytes, and then some."""
ROOM_BYTES: Final = 4 << 20

_log = structlog.get_logger("store")


def open_encrypted(path: Path, keys: Keys | None = None) -> Database:
    """Return an open database to be written, encrypted now where it was not.

    Raises
    ------
    StoreError
        As `edge.store.database.connect`; or it could not be encrypted, and is as it was.
    """
    try:
        database = connect(path, keys=keys)
    except StorePlainError:
        encrypt(path, keys_beside(path, make=True) if keys is None else keys)
        database = connect(path, keys=keys)
    try:
        _tidy(path)
    except OSError as error:
        _log.warning("what was in clear is not all destroyed", error=str(error))
    return database


def encrypt(path: Path, keys: Keys) -> None:
    """Encrypt a plain database where it lies.

    Raises
    ------
    StoreDamagedError
        It is damaged, and was left as it is.
    StoreKeyError
        Its key cannot be had.
    StorePlainError
        It could not be done; it is as it was, or done but for its end, which the next open does.
    """
    try:
        key = make_key(path, keys)
        with holding(path.parent):
            if _is_plain(path):
                _check_room(path)
                _encrypt(path, key)
                _log.info("records are encrypted from now on", path=str(path))
    except KeysError as error:
        raise StoreKeyError(f"{path} cannot be encrypted: {error}") from error
    except OSError as error:
        raise StorePlainError(
            f"{path} could not be encrypted ({error}): it is as it was; check its disk"
        ) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        told = store_error(error, "encrypt", path)
        raise told if isinstance(told, StoreDamagedError) else StorePlainError(str(told)) from error


def _is_plain(path: Path) -> bool:
    try:
        connect_plain(path).close()
    except StoreDamagedError:
        return False  # another process has done it while we waited
    return True


def _check_room(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    size = path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    told = os.statvfs(path.parent)
    if told.f_bavail * told.f_frsize < ROOM * size + ROOM_BYTES:
        raise StorePlainError(
            f"{path} is not encrypted yet, and there is no room to do it: free "
            f"{(ROOM * size + ROOM_BYTES) / 1e6:.0f} MB on its disk; nothing is recorded until then"
        )


def _encrypt(path: Path, key: SealedKey) -> None:
    copy = path.with_name(path.name + COPY)
    _remove(copy)
    with _log_destroyed(path), closing(connect_plain(path, read_only=False)) as plain:
        whole = Database(plain, execute_plugins=False)
        quick_check(whole, path)
        check_not_newer(whole, path)
        _lock(plain, path)
        _copy(plain, copy, key)
        _compare(plain, copy, key)
        _synchronise(copy, like=path)
        _put_in_place(path, copy)
    _tidy(path)


def _lock(plain: Any, path: Path) -> None:  # noqa: ANN401
    """Fold the log into the file, and keep all others from it.

    Without a log the file is locked under its own name alone: nothing of the copy that takes this
    name is touched when the old file is closed.
    """
    plain.isolation_level = None
    (mode,) = plain.execute("PRAGMA journal_mode=DELETE").fetchone()
    if mode != "delete":
        raise StorePlainError(f"{path} is to be encrypted, but another program holds it: end it")
    plain.execute("PRAGMA locking_mode=EXCLUSIVE")
    plain.execute("BEGIN EXCLUSIVE")
    plain.execute("COMMIT")  # the lock stays


def _copy(plain: Any, copy: Path, key: SealedKey) -> None:  # noqa: ANN401
    where = str(copy).replace("'", "''")
    plain.execute(f"ATTACH DATABASE '{where}' AS sealed KEY \"{key_literal(key)}\"")
    settings = {"cipher_page_size": PAGE_BYTES, "cache_size": -CACHE_KB}
    for name, value in {**settings, "journal_mode": "OFF", "synchronous": "OFF"}.items():
        plain.execute(f"PRAGMA sealed.{name}={value}").fetchall()
    plain.execute("SELECT sqlcipher_export('sealed')").fetchall()
    for name in ("user_version", "application_id"):
        (value,) = plain.execute(f"PRAGMA main.{name}").fetchone()
        plain.execute(f"PRAGMA sealed.{name}={value}")
    plain.execute("DETACH DATABASE sealed")
    with closing(sqlite3.connect(copy, isolation_level=None)) as sealed:
        apply_key(sealed, key)
        sealed.execute("PRAGMA journal_mode=wal").fetchall()


def _compare(plain: Any, copy: Path, key: SealedKey) -> None:  # noqa: ANN401
    """Read the copy through: it must be sound, and hold row for row what the old file does."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as sealed:
        apply_key(sealed, key)
        sealed.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        quick_check(Database(sealed, execute_plugins=False), copy)
        schema = (  # the statistics of ANALYZE are not copied
            "SELECT type, name, tbl_name, sql FROM sqlite_master"
            " WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name"
        )
        made = plain.execute(schema).fetchall()
        if made != sealed.execute(schema).fetchall():
            raise StorePlainError(f"{copy} has another schema than it should: left as it was")
        for name in (row[1] for row in made if row[0] == "table"):
            if not _same(_rows(plain, name), _rows(sealed, name)):
                raise StorePlainError(
                    f"{copy} holds another {name} than it should: nothing was changed"
                )


def _rows(connection: Any, table: str) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    # What is no text any more must be compared too.
    connection.text_factory = bytes
    quoted = table.replace('"', '""')
    yield from connection.execute(f'SELECT rowid, * FROM "{quoted}" ORDER BY rowid')  # noqa: S608


def _same(first: Iterator[tuple[Any, ...]], second: Iterator[tuple[Any, ...]]) -> bool:
    end = ()
    while True:
        one, other = next(first, end), next(second, end)
        if one != other:
            return False
        if one == end:
            return True


def _synchronise(copy: Path, like: Path) -> None:
    about = like.stat()
    fd = os.open(copy, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fchmod(fd, about.st_mode & 0o777)
        if about.st_uid != os.geteuid():
            os.fchown(fd, about.st_uid, about.st_gid)
        os.fsync(fd)
    finally:
        os.close(fd)


def _put_in_place(path: Path, copy: Path) -> None:
    old = path.with_name(path.name + OLD)
    old.unlink(missing_ok=True)
    old.hardlink_to(path)
    sync_folder(path.parent)
    copy.replace(path)
    sync_folder(path.parent)


@contextmanager
def _log_destroyed(path: Path) -> Iterator[None]:
    """Overwrite the old write-ahead log once SQLite has removed it, which leaves its bytes."""
    try:
        fd = os.open(path.with_name(path.name + "-wal"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        yield
        if os.fstat(fd).st_nlink == 0:
            overwrite(fd)
    finally:
        os.close(fd)


def _tidy(path: Path) -> None:
    """Finish what was broken off, now that the file in place is an encrypted one."""
    _remove(path.with_name(path.name + COPY))
    shred(path.with_name(path.name + OLD))


def _remove(copy: Path) -> None:
    for suffix in ("-journal", "-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            copy.with_name(copy.name + suffix).unlink()
