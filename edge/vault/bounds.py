"""How much the vault keeps, and how long."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

DAY_S: Final = 86_400.0
PIN_S: Final = 120.0
"""So much before and after an alert is kept longer."""
HURRY_S: Final = 120.0
"""So long after a high alarm every block goes to the medium at once."""
HURRIED_BLOCK_S: Final = 1.0


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of a vault.

    Attributes
    ----------
    block_s, block_bytes : float, int
        A block is written once its packets span this much, or hold this much.
    sync_s : float
        Every packet is on the medium after so long at the latest.
    segment_s, segment_bytes : float, int
        A segment ends once it spans this much, or holds this much.
    days, pinned_days : float
        Kept so long; around alerts so long. Known only where the clock is set.
    max_bytes, share : int, float
        All of it stays below both: bytes, and a share of the file system.
    reserve_bytes : int
        So much of the file system is left free for others.
    """

    # A little below 10 and 60 s, so that both hold with the packet that ends the block.
    block_s: Annotated[float, Meta(gt=0.0, le=10.0)] = 9.8
    block_bytes: Annotated[int, Meta(ge=1024, le=1 << 22)] = 1 << 18
    sync_s: Annotated[float, Meta(gt=0.0, le=60.0)] = 60.0
    segment_s: Annotated[float, Meta(gt=0.0, le=DAY_S)] = 3600.0
    segment_bytes: Annotated[int, Meta(ge=4096, le=1 << 28)] = 16 << 20
    days: Annotated[float, Meta(gt=0.0)] = 30.0
    pinned_days: Annotated[float, Meta(gt=0.0)] = 365.0
    max_bytes: Annotated[int, Meta(gt=0)] = 8_000_000_000
    share: Annotated[float, Meta(gt=0.0, le=0.9)] = 0.5
    reserve_bytes: Annotated[int, Meta(ge=0)] = 300_000_000
