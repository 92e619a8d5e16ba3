"""What the shim wrote down: every change of files below one folder, in order, and marks between."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

_LINE = struct.Struct("<IIIIQQ")


class Op(IntEnum):
    """Kinds of lines; the numbers are those of ``shim.h``."""

    OPEN = 1
    WRITE = 2
    TRUNCATE = 3
    ALLOCATE = 4
    SYNC = 5
    SYNC_FOLDER = 6
    RENAME = 7
    UNLINK = 8
    LINK = 9
    MKDIR = 10
    RMDIR = 11
    MARK = 12
    ESCAPE = 13
    CLOSE = 14


CREATED = 1
"""Flag of OPEN: the file was not there before."""
DATA_ONLY = 1
"""Flag of SYNC: fdatasync."""


class Operation(NamedTuple):
    """One line.

    Attributes
    ----------
    op, flags : Op, int
        What was done.
    inode, at : int
        To which file; the offset of a write, the new size of a truncation.
    path : str
        Absolute; of what changes names, and of OPEN.
    payload : bytes
        What was written; the new name of a RENAME or LINK; the text of a MARK.
    """

    op: Op
    flags: int
    inode: int
    at: int
    path: str
    payload: bytes

    @property
    def text(self) -> str:
        """The payload as text."""
        return self.payload.decode(errors="surrogateescape")


def read_log(path: Path) -> list[Operation]:
    """Return the lines of a log.

    Raises
    ------
    ValueError
        It ends in the midst of a line, or something was done that the shim cannot follow.
    """
    operations = list(_lines(path.read_bytes()))
    for one in operations:
        if one.op is Op.ESCAPE:
            raise ValueError(f"the log misses something: {one.text} of {one.path}")
    return operations


def _lines(raw: bytes) -> Iterator[Operation]:
    at = 0
    while at < len(raw):
        op, flags, n_path, n_payload, inode, offset = _LINE.unpack_from(raw, at)
        at += _LINE.size
        end = at + n_path + n_payload
        if end > len(raw):
            raise ValueError("the log ends in the midst of a line")
        name = raw[at : at + n_path].decode(errors="surrogateescape")
        yield Operation(Op(op), flags, inode, offset, name, raw[at + n_path : end])
        at = end
