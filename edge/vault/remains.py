"""A segment written anew with less in it; the rest is gone with its key.

The remains are a segment of their own, with a key of their own, one generation later. They are
complete and on the medium before they get their name, and only then the old key is destroyed: a
process that is killed at any point leaves one of the two whole, and `edge.vault.folder.tidy`
finishes what was broken off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from edge.keys import KeyRing
from edge.packetlog import RECAP
from edge.records import Packet
from edge.vault.folder import Segment, destroy
from edge.vault.layout import UNREADABLE, Begin, Hole, Pin, VaultError
from edge.vault.reading import Entry, entries, open_segment
from edge.vault.scan import VaultReport
from edge.vault.segment import NewSegment
from edge.vault.shaping import Shaper
from edge.vault.standing import Standing

MAX_NAMES: Final = 100
"""Of what one segment was before, each time it was written anew."""

Keeps: TypeAlias = Callable[[float], bool]
"""Whether the packets that arrived at this boot time are kept."""


def inside(spans: Sequence[tuple[float, float]]) -> Keeps:
    """Return what keeps these spans, half open, and nothing else."""
    return lambda at_s: any(a <= at_s < b for a, b in spans)


def outside(from_s: float, to_s: float) -> Keeps:
    """Return what keeps everything but one span, half open."""
    return lambda at_s: not from_s <= at_s < to_s


def rewrite(segment: Segment, ring: KeyRing, keeps: Keeps, why: str) -> int:
    """Keep only some of a segment; return how many packets are gone.

    Raises
    ------
    VaultError, KeysError
        Its key does not open it, or the disk refuses; then it stands as it was.
    """
    open_segment(segment, ring)  # a wrong key destroys nothing
    remains = _Remains(segment, ring, keeps, why)
    try:
        for entry in entries(segment, ring, VaultReport()):
            remains.take(entry)
        remains.end()
    except OSError as error:
        remains.give_up()
        raise VaultError(
            f"{segment.path} cannot be written anew: {error.strerror}; it stands as it was, make "
            f"room and do this again"
        ) from error
    except UNREADABLE:
        remains.give_up()
        raise
    destroy(segment)
    return remains.n_gone


class _Remains:
    """What is kept, on its way into the new segment; made with the first packet that is kept."""

    def __init__(self, segment: Segment, ring: KeyRing, keeps: Keeps, why: str) -> None:
        self._old, self._ring, self._keeps, self._why = segment, ring, keeps, why
        self._new: NewSegment | None = None
        self._standing = Standing()
        self._gone: tuple[float, float] | None = None
        self._holes: list[Hole] = []
        self._begin = Begin("", math.nan, math.nan, synchronised=False)
        self.n_gone = 0

    def take(self, entry: Entry) -> None:
        held = entry.held
        if isinstance(held, Begin):
            self._begin = held
        elif isinstance(held, Pin):
            if self._keeps((held.from_s + held.to_s) / 2):
                self._opened().add_pin(held)
        elif isinstance(held, Hole):
            self._end_gap()
            self._holes.append(held)
        elif held is not None:
            self._take_packets(held)

    def end(self) -> None:
        self._end_gap()
        if self._new is None:
            return
        self._put_holes()
        self._new.close()
        self._new.publish()

    def give_up(self) -> None:
        if self._new is not None:
            self._new.discard()

    def _take_packets(self, packets: Sequence[Packet]) -> None:
        kept: list[Packet] = []
        for packet in packets:
            if self._keeps(packet.arrived_s) or packet.stream == RECAP:
                self._end_gap()
                if self._holes:
                    self._put(kept)
                    kept = self._after_holes(packet)
                kept.append(packet)
            else:
                first_s = packet.arrived_s if self._gone is None else self._gone[0]
                self._gone = (first_s, packet.arrived_s)
                self.n_gone += 1
            self._standing.note(packet)
        self._put(kept)

    def _after_holes(self, packet: Packet) -> list[Packet]:
        """Note the holes, and say again what stood after them."""
        self._put_holes()
        return [] if packet.stream == RECAP else [self._standing.recap(packet.arrived_s)]

    def _end_gap(self) -> None:
        if self._gone is not None:
            self._holes.append(Hole(*self._gone, self._why))
            self._gone = None

    def _put(self, kept: Sequence[Packet]) -> None:
        if any(packet.stream != RECAP for packet in kept):
            new = self._opened()
            new.add_packets(kept)
            new.write()

    def _put_holes(self) -> None:
        if self._holes:
            new = self._opened()
            for hole in self._holes:
                new.add_hole(hole)
            self._holes.clear()

    def _opened(self) -> NewSegment:
        if self._new is None:
            old = self._old.key()
            if old is None:
                raise VaultError(f"the key of {self._old.path} went away")
            head = msgspec.structs.replace(
                old.head, generation=old.head.generation + 1, id=os.urandom(16)
            )
            # All it was before, too: the segment after it may know it by any of these names.
            names = [*self._begin.replaces.split(), old.head.id.hex()][-MAX_NAMES:]
            begin = msgspec.structs.replace(self._begin, replaces=" ".join(names))
            folder = self._old.path.parent
            self._new = NewSegment(folder, head, self._ring, begin, Shaper(), part=True)
        return self._new
