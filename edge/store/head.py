"""The end of the chain, kept in a small file beside the database.

A chain alone does not show that its last rows were cut off, nor that the whole database was put
back to last week. So its head (how many rows, and the hash of the last) is written to a file of its
own after every commit that made it grow: after, and never before, so that a crash leaves it behind
the database but nothing ever leaves it ahead. A head that is ahead means that rows are gone.

One line of text: ``homeward-head 1 COUNT HASH``. A person may write it down as ``COUNT:HASH``, or
with only the first 16 digits of the hash, and hand it to ``homeward alerts verify --expect``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec

SUFFIX: Final = ".head"
HASH_BYTES: Final = 32
MIN_DIGITS: Final = 16
"""Digits of a hash that a person has to write down at the least."""

_FORMAT: Final = "homeward-head 1"
_WRITTEN: Final = re.compile(rf"\s*(\d{{1,18}})\s*:\s*([0-9a-fA-F]{{{MIN_DIGITS},64}})\s*")
_MAX_BYTES: Final = 200


class Head(msgspec.Struct, frozen=True):
    """The end of a chain.

    Attributes
    ----------
    n : int
        Rows.
    hash : bytes
        Of the last; (of what a person wrote down: its beginning).
    """

    n: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.n}:{self.hash.hex()}"

    def is_of(self, whole: bytes) -> bool:
        """Return whether a hash is this one, or begins with it."""
        return whole.startswith(self.hash)


START: Final = Head(0, bytes(HASH_BYTES))
"""Of a chain without rows."""


def parse_head(text: str) -> Head:
    """Return the head a person wrote down.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> parse_head("17:00ff00ff00ff00ff").n
    17
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no head: write COUNT:HASH as `homeward alerts verify` prints it, with "
            f"at least {MIN_DIGITS} digits of the hash"
        )
    digits = found[2]
    return Head(int(found[1]), bytes.fromhex(digits[: len(digits) // 2 * 2]))


def head_path(database: Path) -> Path:
    """Return the file of a database's head."""
    return database.with_name(database.name + SUFFIX)


def read_head(database: Path) -> Head | None:
    """Return the head beside a database; None: there is none, or it is no head any more.

    Raises
    ------
    OSError
        It is there and cannot be read.
    """
    try:
        with head_path(database).open("rb") as file:
            words = file.read(_MAX_BYTES).decode("ascii", "replace").split()
    except (FileNotFoundError, IsADirectoryError):
        return None
    if len(words) != 4 or " ".join(words[:2]) != _FORMAT:
        return None
    try:
        head = parse_head(f"{words[2]}:{words[3]}")
    except ValueError:
        return None
    return head if len(head.hash) == HASH_BYTES else None


def write_head(database: Path, head: Head) -> None:
    """Put a head in the place of the last, whole or not at all.

    The folder is not synchronised: after a power cut the file may be the one before, which is
    behind, and that is told apart from rows that are gone.

    Raises
    ------
    OSError
        It could not be written; the last one is still there.
    """
    path = head_path(database)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(f"{_FORMAT} {head.n} {head.hash.hex()}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
