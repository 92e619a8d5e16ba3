"""Heart rate straps and watches: Bluetooth SIG Heart Rate Service 1.0, characteristic 0x2A37.

Payload, little endian:

    FF HH [HH] [EE EE] [RR RR]*

- F: flags; bit 0 = H is 16 bit, bits 1-2 = skin contact (2 lost, 3 made, else not supported),
  bit 3 = E is there, bit 4 = R may be there
- H: heart rate in bpm; 0 means that there is none
- E: energy expended in kJ (not used)
- R: RR interval in 1/1024 s, oldest first; 0 means that it is not known

There is no clock in it: `edge.dsp.timeline` places the intervals by their sum. Without skin
contact the numbers are noise: the rate becomes NaN and the intervals are left out.
"""

from __future__ import annotations

import math

import numpy as np

from edge.bits import uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import Profile, uuid
from edge.records import Packet, Samples

RATE_IS_16_BIT = 0x01
CONTACT_MADE = 0x02
CONTACT_KNOWN = 0x04
HAS_ENERGY = 0x08
HAS_RR = 0x10
HIGHEST_BPM = 300
"""No heart beats faster; a higher number is damage, not a rate."""

PROFILE = Profile(
    name="heart_rate",
    words="heart rate strap",
    service=uuid(0x180D),
    listen=(uuid(0x2A37),),
    # Straps and watches send every second, with a rate or without one.
    deadline_s=5.0,
)


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return the heart rate, the RR intervals and the skin contact of one notification.

    Returns
    -------
    tuple[Samples, ...]
        ``hr_bpm`` (1,), NaN where the strap has no rate; ``rr_ms`` (n,) where intervals came,
        oldest first; ``contact_flag`` (1,), 1.0 or 0.0, where the strap can tell.

    Raises
    ------
    DecodeError
        The payload is too short to be a heart rate, or ends inside a field.
    """
    payload = packet.payload
    if len(payload) < 2:
        raise NotMineError(f"heart rate payload has {len(payload)} bytes, needs at least 2")
    flags = payload[0]
    at = 3 if flags & RATE_IS_16_BIT else 2
    at_rr = at + 2 if flags & HAS_ENERGY else at
    if len(payload) < at_rr or (flags & HAS_RR and (len(payload) - at_rr) % 2):
        raise BrokenError(f"heart rate payload of {len(payload)} bytes ends inside a field")
    lost = bool(flags & CONTACT_KNOWN) and not flags & CONTACT_MADE
    rate_bpm = float(uint16(payload, 1) if flags & RATE_IS_16_BIT else payload[1])
    if lost or not 0 < rate_bpm <= HIGHEST_BPM:
        rate_bpm = math.nan
    found = [_run("hr_bpm", packet, [rate_bpm])]
    if flags & HAS_RR and not lost and at_rr < len(payload):
        raws = [uint16(payload, i) for i in range(at_rr, len(payload), 2)]
        found.append(_run("rr_ms", packet, [raw * 1000 / 1024 or math.nan for raw in raws]))
    if flags & CONTACT_KNOWN:
        found.append(_run("contact_flag", packet, [0.0 if lost else 1.0]))
    return tuple(found)


def _run(signal: str, packet: Packet, values: list[float]) -> Samples:
    return Samples(signal, packet.arrived_s, 0.0, np.array(values, np.float32))


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="heart_rate",
    streams=PROFILE.streams,
    signals=("hr_bpm", "rr_ms", "contact_flag"),
    open=_open,
    profiles=(PROFILE,),
)
