"""What outlives a restart: the alert engine's memory, and what people entered, as one piece.

An entry and a cuff's reading stand for hours: NEWS2 after a restart is what it was before. They
expire by time, so they are taken up only where it is known how much time has passed; across a boot
with a clock that cannot tell, what may have expired is not known any more.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge.dsp.held import Kept as HeldKept
from edge.pipeline.settings import Kept


class Remembered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that `edge.pipeline.Kept.state` holds.

    Attributes
    ----------
    alerts : bytes
        Of `edge.alerts.AlertEngine.state`.
    held : Mapping[str, list[HeldKept]]
        Patient -> what was entered or measured once, by `edge.dsp.held.HeldValues.kept`.
    """

    alerts: bytes
    held: Mapping[str, list[HeldKept]]


def pack(remembered: Remembered) -> bytes:
    """Return the piece to keep."""
    return msgspec.msgpack.encode(remembered)


def unpack(state: bytes) -> Remembered:
    """Return what was kept; bytes that are not `pack`'s are taken for the alert engine's alone."""
    try:
        return msgspec.msgpack.decode(state, type=Remembered)
    except msgspec.DecodeError:
        return Remembered(state, {})


def moved_by_s(kept: Kept, now_s: float) -> float | None:
    """Return what turns a time of the kept state into one of this boot; None: nobody knows."""
    if kept.same_boot:
        return 0.0
    if kept.away_s is None or kept.away_s < 0.0:
        return None
    return now_s - kept.away_s - kept.kept_s
