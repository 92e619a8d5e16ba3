"""What waits for the vault: packets in their order, and what alerts ask for; within a bound.

Over the bound the oldest packets are given up, so that what is written in the end is the time
before now. Where some are missing is handed out in its place, as a `Gap`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from edge.events import BOX, LIMIT
from edge.records import Packet

MAX_WAITING: Final = 50_000
MAX_WAITING_BYTES: Final = 1 << 24
"""Packets, and the bytes they take in memory: an hour of two sensors."""
PACKET_BYTES: Final = 200
"""What a packet takes beside its payload."""
MAX_TOLD: Final = 4096
"""Of what was given up, so much of what the box said is remembered."""


class Mark(msgspec.Struct, frozen=True):
    """An alert was raised: its minutes are kept longer; `urgent`: and on the medium at once."""

    at_s: float
    why: str
    urgent: bool


class Gap(msgspec.Struct):
    """Packets that were given up, between two arrivals, and what the box said in them."""

    from_s: float
    to_s: float
    n: int = 0
    told: list[Packet] = []


Item: TypeAlias = Packet | Mark


class Waiting:
    """The line; safe in any thread, and nobody waits in it for anything.

    Attributes
    ----------
    n_dropped : int
        Packets that were given up.
    """

    def __init__(self) -> None:
        self.n_dropped = 0
        self._items: deque[Item] = deque()
        self._n_bytes = 0
        self._gap: Gap | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Sequence[Item]) -> None:
        """Take what is new; give up the oldest where it is too much."""
        with self._lock:
            self._items.extend(items)
            self._n_bytes += sum(map(_cost, items))
            while len(self._items) > MAX_WAITING or self._n_bytes > MAX_WAITING_BYTES:
                item = self._items.popleft()
                self._n_bytes -= _cost(item)
                self._lose(item)

    def next(self) -> Item | Gap | None:
        """Hand out what is next; None: nothing waits."""
        with self._lock:
            gap, self._gap = self._gap, None
            if gap is not None:
                return gap
            item = self._items.popleft() if self._items else None
            self._n_bytes -= 0 if item is None else _cost(item)
            return item

    def put_back(self, item: Item | Gap) -> None:
        """Take back what could not be used; it is handed out again first."""
        with self._lock:
            later = self._gap
            if isinstance(item, Gap):
                self._gap = item
                if later is not None:
                    item.to_s, item.n = later.to_s, item.n + later.n
                    item.told = [*item.told, *later.told][-MAX_TOLD:]
            elif later is not None:  # younger ones were given up meanwhile
                self._lose(item)
            else:
                self._items.appendleft(item)
                self._n_bytes += _cost(item)

    def give_up(self, item: Item) -> None:
        """Count one that was handed out and can never be used."""
        with self._lock:
            self._lose(item)

    def lost(self, n: int, from_s: float, to_s: float) -> None:
        """Count those that had been taken, and were lost after all."""
        with self._lock:
            gap = self._gap = self._gap or Gap(from_s, to_s)
            gap.from_s, gap.to_s = min(gap.from_s, from_s), max(gap.to_s, to_s)
            gap.n += n
            self.n_dropped += n

    def _lose(self, item: Item) -> None:
        if isinstance(item, Mark):
            return
        at_s = item.arrived_s
        gap = self._gap = self._gap or Gap(at_s, at_s)
        gap.from_s, gap.to_s = min(gap.from_s, at_s), max(gap.to_s, at_s)
        gap.n += 1
        self.n_dropped += 1
        if item.source == BOX or item.stream == LIMIT:  # what `edge.vault.Standing` goes by
            gap.told.append(item)
            del gap.told[:-MAX_TOLD]


def _cost(item: Item) -> int:
    return PACKET_BYTES + (len(item.payload) if isinstance(item, Packet) else 0)
