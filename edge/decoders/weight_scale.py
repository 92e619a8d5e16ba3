"""Scales: Bluetooth SIG Weight Scale Service 1.0.1, characteristic 0x2A9D.

Payload, little endian:

    FF WW WW [T x 7] [U] [BB BB HH HH]

- F: flags; bit 0 = imperial units, bit 1 = T, bit 2 = U, bit 3 = B and H are there
- W: weight in 0.005 kg or 0.01 lb; 0xFFFF = the measurement was not successful
- T: date and time by the scale's own clock; a field of 0 is not known
- U: which of the scale's users, 255 unknown (not used: the scale is assigned to one patient)
- B: body mass index in 0.1 kg/m2
- H: height in 0.001 m or 0.1 in

A weight of 0 is nobody's: the Detecto Apex-C sends it for a load below zero, with bit 4, which no
other scale has (owner's manual 0064-0085-0M, page 29). Only a weight that is there gives a body
mass index.
"""

from __future__ import annotations

import math

import numpy as np

from edge.bits import date_time_s, uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import Profile, uuid
from edge.records import Packet, Samples, Stamp

MEASUREMENT = uuid(0x2A9D)

IMPERIAL = 0x01
_FIELDS = ((0x02, "time", 7), (0x04, "user", 1), (0x08, "body", 4))
NOT_SUCCESSFUL = 0xFFFF
KG_PER_LB = 0.45359237
M_PER_INCH = 0.0254

PROFILE = Profile(
    name="weight_scale",
    words="scale",
    service=uuid(0x181D),
    listen=(MEASUREMENT,),
)


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return weight, body mass index and height of one measurement, all spot readings.

    Returns
    -------
    tuple[Samples, ...]
        ``weight_kg`` (1,), NaN where the measurement was not successful; ``bmi_au`` (1,) in kg/m2
        and ``height_m`` (1,) where the scale knows them, NaN for 0.

    Raises
    ------
    DecodeError
        The payload is too short for a weight, or ends inside a field its flags promise.
    """
    payload = packet.payload
    if len(payload) < 3:
        raise NotMineError(f"weight payload has {len(payload)} bytes, needs at least 3")
    flags = payload[0]
    fields, end = _places(flags)
    if end > len(payload):
        raise BrokenError(f"weight payload of {len(payload)} bytes, its flags need {end}")
    raw = uint16(payload, 1)
    weighed = raw not in {0, NOT_SUCCESSFUL}
    kg = raw * KG_PER_LB / 100 if flags & IMPERIAL else raw * 5 / 1000
    found = {"weight_kg": kg if weighed else math.nan}
    if "body" in fields:
        bmi, height = uint16(payload, fields["body"]), uint16(payload, fields["body"] + 2)
        metres = height * M_PER_INCH / 10 if flags & IMPERIAL else height / 1000
        found["bmi_au"] = bmi / 10 if bmi and weighed else math.nan
        found["height_m"] = metres if height else math.nan
    date_s = date_time_s(payload, fields["time"]) if "time" in fields else None
    stamp = Stamp(date_s, 1.0) if date_s is not None else None
    return tuple(
        Samples(
            signal, packet.arrived_s, 0.0, np.array([value], np.float32), stamp=stamp, spot=True
        )
        for signal, value in found.items()
    )


def _places(flags: int) -> tuple[dict[str, int], int]:
    """Return where each optional field begins, and where the last one ends."""
    at, places = 3, {}
    for flag, name, n_bytes in _FIELDS:
        if flags & flag:
            places[name] = at
            at += n_bytes
    return places, at


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="weight_scale",
    streams=PROFILE.streams,
    signals=("weight_kg", "bmi_au", "height_m"),
    open=_open,
    profiles=(PROFILE,),
)
