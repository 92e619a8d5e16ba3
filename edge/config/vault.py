"""``[vault]``: how much is kept of the raw packets, and how long."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

RETIRED: Final = (
    "the past is kept in the vault now, encrypted and by itself: take the line out, and say in "
    "[vault] how much is kept (keep_days, max_gb, share_pct)"
)
"""What to do about ``[box] packet_log_mb``, which the vault has replaced."""


class Vault(msgspec.Struct, frozen=True, kw_only=True):
    """``[vault]``: every packet before decoding, encrypted: the past to look back on."""

    enabled: Annotated[
        bool,
        Meta(
            description="Keep every raw packet in data_dir/vault, encrypted. Without it nothing "
            "can be replayed, exported or asked with `homeward whatif` afterwards."
        ),
    ] = True
    keep_days: Annotated[
        float, Meta(gt=0.0, le=36_500.0, description="How long packets are kept.")
    ] = 30.0
    keep_pinned_days: Annotated[
        float,
        Meta(
            gt=0.0,
            le=36_500.0,
            description="How long the two minutes before and after each alert are kept.",
        ),
    ] = 365.0
    max_gb: Annotated[
        float, Meta(ge=0.05, le=100_000.0, description="The vault is never larger than this.")
    ] = 8.0
    share_pct: Annotated[
        float,
        Meta(ge=1.0, le=90.0, description="Nor than this share of the file system it lies on."),
    ] = 50.0
    reserve_mb: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1_000_000.0,
            description="Where others fill the disk, the vault gives way until so much is free, "
            "down to a quarter of its own.",
        ),
    ] = 300.0
