"""``[sync]`` and ``[[sinks]]``: what goes to records far away, when, and how much of it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Kind: TypeAlias = Literal["alerts", "summaries", "heartbeats", "numbers"]


class Sync(msgspec.Struct, frozen=True, kw_only=True):
    """``[sync]``: how the sender goes about it."""

    box: Annotated[
        str,
        Meta(
            max_length=64,
            pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$",
            description="What receivers call this box; default: a pseudonym made by chance.",
        ),
    ] = ""
    batch_s: Annotated[
        float,
        Meta(ge=1.0, le=3600.0, description="What is not urgent waits at most so long for more."),
    ] = 60.0
    heartbeat_s: Annotated[
        float, Meta(ge=10.0, le=3600.0, description="How often receivers are told how the box is.")
    ] = 300.0
    budget_mb_per_day: Annotated[
        float,
        Meta(
            ge=0.0,
            le=10_000.0,
            description="Megabytes: summaries wait when so many were sent; 0: no limit.",
        ),
    ] = 0.0
    metered: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=16)], ...],
        Meta(description="Interfaces that cost money: there summaries wait, at most a day."),
    ] = ("wwan*", "ppp*")
    epsilon_per_day: Annotated[
        float,
        Meta(
            ge=0.0,
            le=100.0,
            description="Summaries are blurred with this privacy budget a day and patient "
            "(differential privacy); 0: they are exact.",
        ),
    ] = 0.0


class Sink(msgspec.Struct, frozen=True, kw_only=True):
    """``[[sinks]]``: one destination of alerts and summaries.

    Attributes
    ----------
    settings : msgspec.Struct
        The sink's own options; in the TOML they stand in the same table.
    """

    sink: Annotated[str, Meta(description="Which file of edge/sync/sinks it goes through.")]
    name: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,31})?$",
            description="What the status and the ledger call it; default: the sink.",
        ),
    ] = ""
    content: Annotated[
        tuple[Kind, ...],
        Meta(min_length=1, description="What goes there, where consent lets it leave."),
    ] = ("alerts", "summaries", "heartbeats")
    settings: msgspec.Struct
