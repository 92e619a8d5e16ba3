"""Small files on the medium: put there whole or not at all, and destroyed as far as that goes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 1 << 20


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Be the only one, of all threads and processes, that makes or changes keys in a folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def put_file(path: Path, raw: bytes) -> None:
    """Write a small file, 0600, whole or not at all, on the medium when this returns.

    Whatever stops it, what was there before is there still; an OSError passes on.
    """
    new = path.with_name(path.name + ".part")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, raw) != len(raw):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put what was made, renamed or removed in a folder on the medium."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Put a file that somebody else has written on the medium."""
    _sync(path)


def _sync(path: Path, flags: int = 0) -> None:
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def shred(path: Path) -> None:
    """Overwrite a file in place, then remove it; an OSError passes on.

    A flash card may keep the old cells for a while all the same; that is told where it matters.
    """
    try:
        fd = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        overwrite(fd)
    finally:
        os.close(fd)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def overwrite(fd: int) -> None:
    """Overwrite an open file with zeros, on the medium when this returns."""
    size, zeros = os.fstat(fd).st_size, bytes(min(os.fstat(fd).st_size, _CHUNK_BYTES))
    at = 0
    while at < size:
        at += os.pwrite(fd, zeros[: size - at], at)
    os.fsync(fd)
