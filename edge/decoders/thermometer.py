"""Thermometers: Bluetooth SIG Health Thermometer Service 1.0, characteristics 0x2A1C to 0x2A1E.

Measurement (0x2A1C, one that is finished) and intermediate temperature (0x2A1E, while the probe
warms up), little endian:

    FF VV VV VV VV [T x 7] [P]

- F: flags; bit 0 = V is in degrees Fahrenheit, bit 1 = T, bit 2 = P is there
- V: temperature, 32-bit medical float; NaN where the measurement failed
- T: date and time by the thermometer's own clock; a field of 0 is not known
- P: where on the body: 1 armpit, 2 body, 3 ear, 4 finger, 5 gut, 6 mouth, 7 rectum, 8 toe,
  9 eardrum

Temperature type (0x2A1D): P alone, for thermometers that are always used at one place.

A finished measurement is a spot reading, ``temp_degc``. What comes before it is the temperature
of the probe and not of the patient, so it has a name of its own, ``probe_degc``: as ``temp_degc``
it would be a low temperature to every rule, and missed as a lost signal once it is over.
"""

from __future__ import annotations

import math

import numpy as np

from edge.bits import date_time_s, medfloat
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import Profile, uuid
from edge.records import Packet, Samples, Stamp

MEASUREMENT = uuid(0x2A1C)
PLACE = uuid(0x2A1D)
INTERMEDIATE = uuid(0x2A1E)

FAHRENHEIT = 0x01
HAS_TIME = 0x02
HAS_PLACE = 0x04
PLACES = ("", "armpit", "body", "ear", "finger", "gut", "mouth", "rectum", "toe", "eardrum")

LOWEST_DEGC = 0.0
HIGHEST_DEGC = 60.0
"""What a probe can meet in a room; outside lies damage, not fever."""

PROFILE = Profile(
    name="thermometer",
    words="thermometer",
    service=uuid(0x1809),
    listen=(MEASUREMENT, INTERMEDIATE),
    read=(PLACE,),
)


class _Thermometer:
    """One thermometer; remembers where on the body it is always used."""

    def __init__(self) -> None:
        self._place = ""

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return the temperature of one payload.

        Returns
        -------
        tuple[Samples, ...]
            ``temp_degc`` (1,), a spot reading, or ``probe_degc`` (1,), which is none; NaN where
            the thermometer has no value or an impossible one. The lead is the place on the body.
            Empty for the place alone.

        Raises
        ------
        DecodeError
            The payload is too short for a temperature, or ends inside a field its flags promise.
        """
        payload = packet.payload
        if packet.stream == PLACE:
            if len(payload) != 1:
                raise NotMineError(f"temperature type has {len(payload)} bytes, needs 1")
            self._place = _place(payload[0])
            return ()
        if len(payload) < 5:
            raise NotMineError(f"temperature payload has {len(payload)} bytes, needs at least 5")
        flags = payload[0]
        at_place = 12 if flags & HAS_TIME else 5
        end = at_place + 1 if flags & HAS_PLACE else at_place
        if end > len(payload):
            raise BrokenError(f"temperature payload of {len(payload)} bytes, its flags need {end}")
        value = medfloat(payload, 1)
        degc = (value - 32.0) * 5.0 / 9.0 if flags & FAHRENHEIT else value
        # The comparison is false for NaN too.
        values = np.array([degc if LOWEST_DEGC < degc <= HIGHEST_DEGC else math.nan], np.float32)
        lead = _place(payload[at_place]) if flags & HAS_PLACE else self._place
        if packet.stream == INTERMEDIATE:
            return (Samples("probe_degc", packet.arrived_s, 0.0, values, lead),)
        date_s = date_time_s(payload, 5) if flags & HAS_TIME else None
        stamp = Stamp(date_s, 1.0) if date_s is not None else None
        return (Samples("temp_degc", packet.arrived_s, 0.0, values, lead, stamp=stamp, spot=True),)


def _place(number: int) -> str:
    return PLACES[number] if number < len(PLACES) else ""


def _open() -> Decode:
    return _Thermometer().decode


DECODER = Decoder(
    name="thermometer",
    streams=PROFILE.streams,
    signals=("temp_degc", "probe_degc"),
    open=_open,
    profiles=(PROFILE,),
)
