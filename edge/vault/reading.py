"""The vault as it can be read: what a segment holds, and the packets of a span."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from edge.keys import KeyRing
from edge.packetlog import RECAP
from edge.records import Packet
from edge.vault import scan
from edge.vault.body import unpack
from edge.vault.folder import Segment, segments
from edge.vault.layout import UNREADABLE, Begin, Hole, Kind, Pin, VaultError
from edge.vault.scan import Block, VaultReport
from edge.vault.sealing import SegmentKey, unwrap

HOLE: Final = "box:hole"
"""Stream of the packet that stands for what was forgotten: what stood after it, as in a recap."""

Held: TypeAlias = list[Packet] | Begin | Pin | Hole | None


class Entry(msgspec.Struct, frozen=True):
    """One block, opened; `held` is None for the end of a segment."""

    block: Block
    held: Held


class Row(msgspec.Struct, frozen=True):
    """A segment as it can be seen without the key.

    Attributes
    ----------
    from_s, to_s : float | None
        First and last arrival, boot clock; None: it holds no packets.
    closed : bool
        It was ended in order; False: it is being written, or was broken off.
    sane : bool
        Its key is there.
    """

    segment: str
    boot_id: str
    wall_s: float
    synchronised: bool
    boot_s: float
    from_s: float | None
    to_s: float | None
    n_packets: int
    n_bytes: int
    closed: bool
    has_key: bool
    device_key: str


def rows(folder: Path) -> Iterator[Row]:
    """Give the segments, the oldest first, as they can be seen without the key."""
    for segment in segments(folder):
        head, key = segment.head(), segment.key()
        found = []
        with suppress(VaultError):  # it is told by `verify`; the others are listed
            found = list(scan.heads(segment)) if head is not None else []
        spans = [h for h in found if h.kind == Kind.PACKETS]
        yield Row(
            segment.stem,
            head.boot_id if head else "",
            head.wall_s if head else math.nan,
            head.synchronised if head else False,
            head.boot_s if head else math.nan,
            min((h.first_s for h in spans), default=None),
            max((h.last_s for h in spans), default=None),
            sum(h.n_packets for h in spans),
            segment.n_bytes(),
            bool(found) and found[-1].kind == Kind.END,
            key is not None,
            "" if key is None else key.device_id.hex(),
        )


def open_segment(segment: Segment, ring: KeyRing) -> SegmentKey:
    """Return what opens a segment's blocks.

    Raises
    ------
    VaultError, KeysError
        Its key is gone, damaged, changed or another device's.
    """
    key = segment.key()
    if key is None:
        raise VaultError(
            f"{segment.path} cannot be read any more: its key {segment.key_path.name} is gone or "
            f"damaged in both copies; bring that file back from a backup"
        )
    if key.head.stem != segment.stem:
        raise VaultError(f"{segment.key_path} is the key of segment {key.head.stem}: it was moved")
    return SegmentKey(key.head.id, unwrap(ring, key))


def entries(segment: Segment, ring: KeyRing, report: VaultReport) -> Iterator[Entry]:
    """Give what a segment holds, block by block; what cannot be read is told and passed over."""
    try:
        key = open_segment(segment, ring)
    except UNREADABLE as error:
        report.n_unreadable += 1
        report.say(str(error))
        return
    for block in scan.blocks(segment, report):
        try:
            yield Entry(block, _held(block, key))
        except VaultError as error:
            report.n_changed += 1
            report.say(f"{segment.path}: {error}")
        except ValueError as error:
            report.n_damaged += 1
            report.say(f"{segment.path}: block {block.head.sequence} is left out: {error}")


def _held(block: Block, key: SegmentKey) -> Held:
    body = key.open(block.head, block.body)
    kind = block.head.kind
    if kind == Kind.PACKETS:
        return unpack(body)
    if kind == Kind.BEGIN:
        return msgspec.json.decode(body, type=Begin)
    if kind == Kind.PIN:
        return msgspec.json.decode(body, type=Pin)
    if kind == Kind.HOLE:
        return msgspec.json.decode(body, type=Hole)
    return None


def packets(
    folder: Path,
    ring: KeyRing,
    report: VaultReport | None = None,
    wanted: Sequence[Segment] | None = None,
) -> Iterator[Packet]:
    """Give all packets of the vault as they were written, with the recaps between segments.

    A span that was forgotten is a packet of stream `HOLE`. What is damaged is told and passed over.

    Parameters
    ----------
    wanted : Sequence[Segment] | None
        Only these; None: all.
    """
    report = VaultReport() if report is None else report
    holes = _Holes()
    for segment in segments(folder) if wanted is None else wanted:
        holes.enter(segment)
        try:
            for entry in entries(segment, ring, report):
                yield from holes.taken(entry, report)
        except UNREADABLE as error:  # it went away while we read: the oldest are removed
            report.n_unreadable += 1
            report.say(str(error))


def latest(folder: Path, length_s: float | None) -> list[Segment]:
    """Return the last segments that together watched for so long; None: all there are."""
    there = segments(folder)
    if length_s is None:
        return there
    left_s, first = length_s, len(there)
    while first > 0 and left_s > 0.0:
        first -= 1
        try:
            found = [h for h in scan.heads(there[first]) if h.kind == Kind.PACKETS]
        except VaultError:
            continue
        if found:
            left_s -= max(h.last_s for h in found) - min(h.first_s for h in found)
    return there[first:]


class _Holes:
    """Tells where a run does not simply go on: what stood is then said again, as `HOLE`."""

    def __init__(self) -> None:
        self._number = 0
        self._last: int | None = None
        self._open = False

    def enter(self, segment: Segment) -> None:
        """Take note of the next segment; where one before it is gone or gave nothing is a hole."""
        self._number = segment.number
        if self._last is not None and segment.number != self._last + 1:
            self._open = True

    def taken(self, entry: Entry, report: VaultReport) -> Iterator[Packet]:
        """Give the packets of a block."""
        if isinstance(entry.held, Hole):
            self._open = True
        elif isinstance(entry.held, list):
            self._last = self._number
            report.n_packets += entry.block.head.n_packets
            for packet in entry.held:
                is_hole = self._open and packet.stream == RECAP
                self._open = False
                yield msgspec.structs.replace(packet, stream=HOLE) if is_hole else packet
