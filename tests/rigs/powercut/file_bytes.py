"""The bytes of one file on a disk that loses power.

What is durable is what was there at its last fsync or fdatasync. Of what was written since: none,
all, any of the writes in any order, single sectors of 512 bytes of them, and where the file has
grown zeros or junk in their place.
"""

from __future__ import annotations

import random
from enum import Enum
from typing import NamedTuple

SECTOR_BYTES = 512


class Loss(Enum):
    """What becomes of bytes that were not synchronised."""

    NONE_KEPT = "none kept"
    ALL_KEPT = "all kept"
    SOME_WRITES = "some writes"
    SOME_SECTORS = "some sectors"
    HOLES = "zeros and junk"


class _Pending(NamedTuple):
    at: int
    payload: bytes | None
    """None: the file was made `at` bytes long."""


class File:
    """The bytes of one file: as programs see them, and as the medium may hold them.

    Attributes
    ----------
    durable, cache : bytes, bytearray
        What the last sync has put on the medium; what a program reads.
    """

    def __init__(self, content: bytes = b"") -> None:
        self.durable = bytes(content)
        self.cache = bytearray(content)
        self.pending: list[_Pending] = []

    def write(self, at: int, payload: bytes) -> None:
        """Take a write."""
        _put(self.cache, at, payload)
        self.pending.append(_Pending(at, payload))

    def resize(self, n_bytes: int) -> None:
        """Take a truncation, or a growth by zeros."""
        _resize(self.cache, n_bytes)
        self.pending.append(_Pending(n_bytes, None))

    @property
    def has_new_size(self) -> bool:
        """Whether a sync has a size to write."""
        return len(self.cache) != len(self.durable)

    def sync(self) -> None:
        """Put all on the medium."""
        if self.pending:
            self.durable = bytes(self.cache)
            self.pending = []

    def after(self, loss: Loss, chance: random.Random) -> bytes:
        """Return what it may hold after a cut."""
        if not self.pending or loss is Loss.NONE_KEPT:
            return self.durable
        if loss is Loss.ALL_KEPT:
            return bytes(self.cache)
        kept = chance.choice((0.1, 0.5, 0.9))
        held = bytearray(self.durable)
        for one in self.pending:
            if chance.random() < kept:
                _land(held, one, loss, kept, chance)
        if loss is Loss.HOLES and len(held) < len(self.cache):
            end = chance.choice((len(self.cache), chance.randint(len(held), len(self.cache))))
            held += _filling(end - len(held), chance)
        return bytes(held)


def _land(held: bytearray, one: _Pending, loss: Loss, kept: float, chance: random.Random) -> None:
    """Let one write reach the medium, whole or in part."""
    if one.payload is None:
        _resize(held, one.at)
        return
    if one.at > len(held) and loss is Loss.HOLES:
        held += _filling(one.at - len(held), chance)
    if loss is Loss.SOME_WRITES:
        _put(held, one.at, one.payload)
        return
    end = one.at + len(one.payload)
    start = one.at
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if chance.random() < kept:
            _put(held, start, one.payload[start - one.at : stop - one.at])
        start = stop


def _filling(n_bytes: int, chance: random.Random) -> bytes:
    return chance.randbytes(n_bytes) if chance.random() < 0.5 else bytes(n_bytes)


def _put(held: bytearray, at: int, payload: bytes) -> None:
    if at > len(held):
        held += bytes(at - len(held))
    held[at : at + len(payload)] = payload


def _resize(held: bytearray, n_bytes: int) -> None:
    if n_bytes < len(held):
        del held[n_bytes:]
    else:
        held += bytes(n_bytes - len(held))
