"""What so many boxes come to, from what one does and what was measured of a broker."""

from __future__ import annotations

import math
from typing import Final

import msgspec

DAY_S: Final = 86_400.0


class One(msgspec.Struct, frozen=True, kw_only=True):
    """What one box does, and what one connection or message costs; the measured of README.md."""

    summaries_per_day: float = 288.0
    alert_states_per_day: float = 40.0
    heartbeats_per_day: float = 288.0
    connections_per_day: float = 5.0
    entry_bytes: float = 1000.0
    per_message: float = 1.0
    plain_kb: float = 0.7
    tls_kb: float = 25.4
    handshakes_per_core_s: float = 300.0
    messages_per_core_s: float = 10_000.0
    receipts_per_receiver_s: float = 500.0


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """What it comes to."""

    n: int
    entries_per_s: float
    messages_per_s: float
    handshakes_per_s: float
    broker_gb: float
    storm_over_s: float
    broker_cores: float
    receivers: int
    gb_per_year: float


def fleet(n: int, one: One, *, cores: int = 2, share: float = 0.5) -> Fleet:
    """Return what `n` boxes come to.

    Parameters
    ----------
    cores : int
        Of all brokers together, while the whole fleet comes back at once.
    share : float
        Of these cores that a storm may have; the rest goes on working.

    >>> fleet(10_000, One()).entries_per_s
    38.0
    >>> fleet(1_000_000, One()).broker_gb
    24.2
    """
    entries = one.summaries_per_day + one.alert_states_per_day
    up = entries / one.per_message + one.heartbeats_per_day
    down = entries / one.per_message
    return Fleet(
        n=n,
        entries_per_s=round(n * entries / DAY_S, 1),
        messages_per_s=round(n * (up + down) / DAY_S, 1),
        handshakes_per_s=round(n * one.connections_per_day / DAY_S, 2),
        broker_gb=round(n * one.tls_kb / 1024 / 1024, 2 if n < 100_000 else 1),
        storm_over_s=math.ceil(n / (one.handshakes_per_core_s * cores * share)),
        # Every message goes into a broker and out of it again.
        broker_cores=round(2 * n * (up + down) / DAY_S / one.messages_per_core_s, 3),
        receivers=max(1, math.ceil(n * entries / DAY_S / one.receipts_per_receiver_s / share)),
        gb_per_year=round(n * entries * 365 * one.entry_bytes / 1e9, 1),
    )
