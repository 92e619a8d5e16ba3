"""``[store]``: what the records do when the disk is small or full."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """``[store]``: room kept for alarms, and when the rest gives way."""

    ballast_mb: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1_000.0,
            description="A file of so much lies beside the records and is given up when the disk "
            "is full, so that alarms can be recorded then; 0: none. It is made where twice as much "
            "is free.",
        ),
    ] = 16.0
    low_mb: Annotated[
        float,
        Meta(
            ge=0.0,
            le=100_000.0,
            description="With less free than this the oldest of what has been sent, and scores, "
            "give way to what is new; alarms never do.",
        ),
    ] = 64.0
    low_pct: Annotated[
        float,
        Meta(ge=0.0, le=50.0, description="The same on a small disk: the lesser of both counts."),
    ] = 2.0
