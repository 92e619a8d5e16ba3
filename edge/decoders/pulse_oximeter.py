"""Pulse oximeters: Bluetooth SIG Pulse Oximeter Service 1.0, characteristics 0x2A5F and 0x2A5E.

Continuous measurement (0x2A5F), little endian, S = 16-bit medical float:

    FF SSSS PPPP [ssss pppp] [ssss pppp] [MM MM] [DD DD DD] [AAAA]

- F: flags; bit 0 = fast pair, bit 1 = slow pair, bit 2 = M, bit 3 = D, bit 4 = A is there
- S, P: oxygen saturation in per cent, pulse rate in bpm; then the fast and slow pairs (not used)
- M: measurement status; bit 9 from storage, 10 demonstration, 11 testing, 13 unavailable,
  14 questionable, 15 invalid
- D: device and sensor status; bit 1 equipment malfunction, 3 inadequate signal, 7 no pulse found,
  11 not on the user, 12 unknown sensor, 13 displaced, 14 malfunctioning, 15 disconnected
- A: pulse amplitude index in per cent

Spot-check measurement (0x2A5E):

    FF SSSS PPPP [T x 7] [MM MM] [DD DD DD] [AAAA]

- F: bit 0 = T, bit 1 = M, bit 2 = D, bit 3 = A is there, bit 4 = the device's clock is not set
- T: date and time by the clip's own clock; a field of 0 is not known

Spot checks are readings of their own. Those that a clip kept and is asked for (record access
control point, 0x2A52; all of them, because they have no number) have the same format and come on
the stream of stored records: they are of the past, and so is one with bit 9 on the live stream.

A value the device does not stand by, and one outside 0..100 % or 0..300 bpm, becomes NaN: never
a normal value. So does a saturation or a pulse of 0, which clips send when they have none.
Demonstrations and tests give no samples at all, because none of them is of this patient; nor does
a continuous measurement from storage, because nothing says of when it is. *Poor signal*, *low
perfusion* and the like stay values: a patient who is shutting down has them.
"""

from __future__ import annotations

import math

import numpy as np

from edge.bits import date_time_s, sfloat, uint16, uint24
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import STORED, Profile, Records, uuid
from edge.records import Packet, Samples, Stamp

CONTINUOUS = uuid(0x2A5F)
SPOT_CHECK = uuid(0x2A5E)
KEPT = STORED + SPOT_CHECK
"""Stream of the spot checks that a clip kept."""

CLOCK_NOT_SET = 0x10
FROM_STORAGE = 1 << 9
NOT_OF_PATIENT = 1 << 10 | 1 << 11
NO_VALUE = 1 << 13 | 1 << 14 | 1 << 15
NOT_ON_PATIENT = 1 << 11 | 1 << 13 | 1 << 15
NO_MEASUREMENT = NOT_ON_PATIENT | 1 << 1 | 1 << 3 | 1 << 7 | 1 << 12 | 1 << 14

HIGHEST_PCT = 100.0
HIGHEST_BPM = 300.0

# The optional fields of each characteristic, in order: flag, name, bytes.
_CONTINUOUS_FIELDS = (
    (1, "fast", 4),
    (2, "slow", 4),
    (4, "measured", 2),
    (8, "device", 3),
    (16, "pai", 2),
)
_SPOT_FIELDS = ((1, "time", 7), (2, "measured", 2), (4, "device", 3), (8, "pai", 2))

# Two profiles of one service: a clip without 0x2A5F says nothing for hours and is well, one with
# it that says nothing is not.
PROFILES = (
    Profile(
        name="pulse_oximeter",
        words="pulse oximeter",
        service=uuid(0x1822),
        listen=(CONTINUOUS,),
        deadline_s=10.0,
    ),
    Profile(
        name="spot_oximeter",
        words="pulse oximeter for spot checks",
        service=uuid(0x1822),
        listen=(SPOT_CHECK,),
        records=Records(on=SPOT_CHECK),
    ),
)


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return saturation, pulse rate, pulse amplitude and contact of one measurement.

    Returns
    -------
    tuple[Samples, ...]
        ``spo2_pct`` (1,) and ``pulse_bpm`` (1,), NaN where the device has no value it stands by;
        ``pai_pct`` (1,) where it is sent; ``contact_flag`` (1,) where the device tells its
        status: 0.0 when the sensor is not where it belongs. Those of a spot check are spot
        readings, stamped with the clip's own time where its clock is set. Empty for
        demonstrations, tests and continuous measurements from storage.

    Raises
    ------
    DecodeError
        The payload is too short for a measurement, or ends inside a field its flags promise.
    """
    payload = packet.payload
    if len(payload) < 5:
        raise NotMineError(f"pulse oximeter payload has {len(payload)} bytes, needs at least 5")
    continuous = packet.stream == CONTINUOUS
    fields, end = _places(payload[0], _CONTINUOUS_FIELDS if continuous else _SPOT_FIELDS)
    if end > len(payload):
        raise BrokenError(f"pulse oximeter payload of {len(payload)} bytes, its flags need {end}")
    measured = uint16(payload, fields["measured"]) if "measured" in fields else 0
    device = uint24(payload, fields["device"]) if "device" in fields else 0
    if measured & NOT_OF_PATIENT or (continuous and measured & FROM_STORAGE):
        return ()
    trusted = not (measured & NO_VALUE or device & NO_MEASUREMENT)
    found = {
        "spo2_pct": _bounded(sfloat(payload, 1), HIGHEST_PCT, trusted=trusted),
        "pulse_bpm": _bounded(sfloat(payload, 3), HIGHEST_BPM, trusted=trusted),
    }
    if "pai" in fields:
        amplitude = sfloat(payload, fields["pai"])
        found["pai_pct"] = _bounded(amplitude, HIGHEST_PCT, trusted=trusted)
    if "device" in fields:
        found["contact_flag"] = 0.0 if device & NOT_ON_PATIENT else 1.0
    stamp = _stamp(payload, fields)
    past = packet.stream == KEPT or bool(measured & FROM_STORAGE)
    return tuple(
        Samples(
            signal,
            packet.arrived_s,
            0.0,
            np.array([value], np.float32),
            stamp=stamp,
            spot=not continuous,
            backfilled=past,
        )
        for signal, value in found.items()
    )


def _stamp(payload: bytes, fields: dict[str, int]) -> Stamp | None:
    if "time" not in fields or payload[0] & CLOCK_NOT_SET:
        return None
    date_s = date_time_s(payload, fields["time"])
    return Stamp(date_s, 1.0) if date_s is not None else None


def _places(flags: int, optional: tuple[tuple[int, str, int], ...]) -> tuple[dict[str, int], int]:
    """Return where each optional field begins, and where the last one ends."""
    at = 5
    places = {}
    for flag, name, n_bytes in optional:
        if flags & flag:
            places[name] = at
            at += n_bytes
    return places, at


def _bounded(value: float, highest: float, *, trusted: bool) -> float:
    # The comparison is false for NaN too.
    return value if trusted and 0.0 < value <= highest else math.nan


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="pulse_oximeter",
    streams=(CONTINUOUS, SPOT_CHECK, KEPT),
    signals=("spo2_pct", "pulse_bpm", "pai_pct", "contact_flag"),
    open=_open,
    profiles=PROFILES,
)
