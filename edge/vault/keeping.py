"""What the vault gives up by itself, so that it stays within its bounds: the oldest first.

What is older than `Bounds.days` goes, but for the minutes around alerts, which stay for
`Bounds.pinned_days`. Where there is too much, the oldest goes in the same way, then also what was
kept of alerts. Age is told by the wall clock, so only where it is set, then and now; and no more
than `MAX_AGED` segments at a time, so that a clock that is set wrong for an hour takes no past.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edge.clock import WallEntry
from edge.keys import KeyRing
from edge.vault import scan
from edge.vault.bounds import DAY_S, Bounds
from edge.vault.folder import MAX_SEGMENTS, Segment, destroy, segments
from edge.vault.layout import COPY_AT, UNREADABLE, BlockHead, Head, Kind, VaultError
from edge.vault.remains import inside, rewrite

MAX_AGED: Final = 8
GIVEN_UP: Final = 4
MAX_REWRITTEN: Final = 4
"""At a time: what a rewriting costs is spread."""


class _Old(msgspec.Struct, frozen=True):
    """A segment, and what its clear parts say of it."""

    segment: Segment
    head: Head | None
    to_s: float | None
    pins: list[tuple[float, float]]
    is_remains: bool


def bound_bytes(folder: Path, bounds: Bounds, used: int) -> int:
    """Return how many bytes the vault may hold now.

    Where others fill the disk it gives way, but not below a quarter of what is its own: whatever
    fills the disk would fill that too, and the past would be gone for nothing.
    """
    disk = os.statvfs(folder)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    share = int(total * bounds.share)
    own = min(bounds.max_bytes, share)
    return min(own, max(used + free - bounds.reserve_bytes, own // GIVEN_UP))


def keep(folder: Path, ring: KeyRing, bounds: Bounds, now: WallEntry) -> list[str]:
    """Give up what is over the bounds, before a new segment begins; return what went wrong.

    To be called with the change lock held. A segment whose key does not open it is destroyed only
    for want of room.
    """
    there = segments(folder)
    said: list[str] = []
    sizes = {one.stem: one.n_bytes() for one in there}
    used = sum(sizes.values())
    # The new segment may outgrow its bound by one block, and has its key beside it.
    new = bounds.segment_bytes + min(bounds.block_bytes, bounds.segment_bytes) + 2 * COPY_AT
    budget = bound_bytes(folder, bounds, used) - new
    n_rewritten = n_aged = 0
    fresh = _fresh_from(there, sizes, budget)
    for number, segment in enumerate(there):
        over = used > budget and number < fresh
        over = over or len(there) - number >= MAX_SEGMENTS
        if not over and n_aged >= MAX_AGED:
            break
        old = _look(segment, there[number + 1 : number + 2])
        age_s = _age_s(old, there, now)
        aged = age_s is not None and age_s > bounds.days * DAY_S
        if not over and not aged:
            if age_s is not None:
                break  # those after it are younger
            continue
        n_aged += aged
        outlived = age_s is not None and age_s > bounds.pinned_days * DAY_S
        if old.pins and not outlived and (old.is_remains or n_rewritten >= MAX_REWRITTEN):
            continue
        try:
            if old.pins and not outlived:
                n_rewritten += 1
                rewrite(segment, ring, inside(old.pins), "expired")
            else:
                destroy(segment, "expired")
        except UNREADABLE as error:
            said.append(str(error))
        used += _size_of(folder, segment.number) - sizes[segment.stem]
    while used > budget and _drop_oldest(folder):
        used = sum(one.n_bytes() for one in segments(folder))
    return said


def _fresh_from(there: Sequence[Segment], sizes: Mapping[str, int], budget: int) -> int:
    """Return from which segment on all together take no more than half of the room.

    Those do not give way to minutes around older alerts: where alerts are so many that their
    minutes fill the room, what is being lived now would be the first to go.
    """
    taken, first = 0, len(there)
    for segment in reversed(there):
        taken += sizes[segment.stem]
        if taken > budget // 2:
            break
        first -= 1
    return first


def _drop_oldest(folder: Path) -> bool:
    """Destroy the oldest segment to make room; False: there is none."""
    for segment in segments(folder):
        destroy(segment, "expired")
        return True
    return False


def _size_of(folder: Path, number: int) -> int:
    return sum(one.n_bytes() for one in segments(folder) if one.number == number)


def _look(segment: Segment, after: Sequence[Segment]) -> _Old:
    head = segment.head()
    found = list(_heads(segment))
    to_s = max((h.last_s for h in found if h.kind == Kind.PACKETS), default=None)
    pins = [(h.first_s, h.last_s) for h in found if h.kind == Kind.PIN]
    for other in after:  # an alert soon after the end reaches back into it
        next_head = other.head()
        if head is not None and next_head is not None and next_head.boot_id == head.boot_id:
            near = [(h.first_s, h.last_s) for h in _heads(other) if h.kind == Kind.PIN]
            pins += [pin for pin in near if to_s is not None and pin[0] <= to_s]
    holes = [h for h in found if h.kind == Kind.HOLE]
    return _Old(segment, head, to_s, pins, bool(holes) and bool(pins))


def _heads(segment: Segment) -> Iterator[BlockHead]:
    try:
        yield from scan.heads(segment)
    except VaultError:
        return


def _age_s(old: _Old, there: Sequence[Segment], now: WallEntry) -> float | None:
    """Return how long ago a segment ended, None where no clock can tell."""
    head = old.head
    if head is None or not now.synchronised:
        return None
    if head.boot_id == now.boot_id:
        return now.boot_s - (head.boot_s if old.to_s is None else old.to_s)
    if not head.synchronised:
        later = (one.head() for one in there if one.number > old.segment.number)
        same = (h for h in later if h is None or h.boot_id == head.boot_id)
        head = next((h for h in same if h is not None and h.synchronised), None)
        if head is None:
            return None
    ended_s = head.boot_s if old.to_s is None else old.to_s
    return now.wall_s - (head.wall_s + ended_s - head.boot_s)
