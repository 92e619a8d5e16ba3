"""Charge of a sensor's own battery: Bluetooth SIG Battery Service 1.1, characteristic 0x2A19.

Payload: one byte, 0 to 100 per cent; some scales send two (the second is 0). What is above 100
stands for *not known* with several makers and becomes NaN.

It has no profile: the reader reads and follows the battery of every device.
"""

from __future__ import annotations

import math

import numpy as np

from edge.decoders import Decode, Decoder, NotMineError
from edge.gatt import BATTERY_LEVEL
from edge.records import Packet, Samples

FULL_PCT = 100


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return ``battery_pct`` (1,), NaN where the sensor does not know its charge.

    Raises
    ------
    NotMineError
        The payload is empty.
    """
    if not packet.payload:
        raise NotMineError("battery level is empty, needs 1 byte")
    level = packet.payload[0]
    value = float(level) if level <= FULL_PCT else math.nan
    return (Samples("battery_pct", packet.arrived_s, 0.0, np.array([value], np.float32)),)


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="battery",
    streams=(BATTERY_LEVEL,),
    signals=("battery_pct",),
    open=_open,
)
