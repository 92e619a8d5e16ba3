"""Which arrivals of a segment lie in a span of wall time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.vault.folder import Segment
from edge.vault.layout import Head


class WallSpan(msgspec.Struct, frozen=True):
    """A span of wall time, seconds since 1970 UTC, half open."""

    from_s: float
    to_s: float


class Clocks:
    """What the heads of the segments say about wall time.

    A boot's wall time is told by its synchronised segments, before them too: the boot clock is
    never set. Where a boot has none, its own unsynchronised clock is all there is.

    Parameters
    ----------
    there : Sequence[Segment]
        All of the vault.
    """

    def __init__(self, there: Sequence[Segment]) -> None:
        self._heads = {one.stem: one.head() for one in there}
        self._synced: dict[str, list[Head]] = {}
        for head in self._heads.values():
            if head is not None and head.synchronised:
                self._synced.setdefault(head.boot_id, []).append(head)

    def offset_s(self, segment: Segment) -> float | None:
        """Return wall time less boot time in a segment; None: its head is lost."""
        head = self._heads.get(segment.stem)
        if head is None:
            return None
        known = self._synced.get(head.boot_id, [head])
        nearest = min(known, key=lambda one: abs(one.boot_s - head.boot_s))
        return nearest.wall_s - nearest.boot_s

    def boot_span(self, segment: Segment, span: WallSpan) -> tuple[float, float] | None:
        """Return the span on the segment's boot clock; None: its head is lost."""
        offset_s = self.offset_s(segment)
        return None if offset_s is None else (span.from_s - offset_s, span.to_s - offset_s)
