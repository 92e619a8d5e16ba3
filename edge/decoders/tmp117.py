"""TMP117 thermometer (Texas Instruments), wired to the box over I2C.

``i2c:tmp117`` is what `edge.readers.i2c` read, with the place it was told; big endian, as the chip
sends:

    CC CC TT TT <place>

- C: configuration (register 01), read before the temperature. Bit 13 = Data_Ready: a conversion
  has ended since the last read. Without it the temperature is one that was read before: no value
- T: temperature (register 00), signed, 7.8125 m°C a step. 8000 = -256 °C until the first
  conversion has ended: no value
- place: where on the body the probe is, as configured, up to 32 characters; may be empty

A probe on the skin measures the skin, which at rest is 28 to 36 °C and says little of the body. As
``temp_degc`` it would be hypothermia to whatever reads vital signs (NEWS2 gives three points for
35.0 °C), so it is ``skin_degc``, which no rule and no summary takes for a body's temperature.
Only where a person has said that the probe lies at a place that follows the body (`BODY`) it is
``temp_degc``. Such a probe takes about ten minutes to warm up, and reads too low for so long and
whenever it slips: nothing in the bytes tells that.

Source: TMP117 data sheet SNOSD82D, 7.6 (registers, table 7-1). From memory only: that reading
either register clears Data_Ready.
"""

from __future__ import annotations

import math
import struct
from typing import Final

import numpy as np

from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.records import Packet, Samples

STREAM: Final = "i2c:tmp117"
HEAD: Final = struct.Struct(">Hh")
DATA_READY: Final = 1 << 13
STEP_DEGC: Final = 0.0078125
NO_VALUE: Final = -0x8000
LONGEST_PLACE: Final = 32
BODY: Final = frozenset({"armpit", "axilla", "mouth", "rectum"})
"""Places that follow the temperature of the body."""

LOWEST_DEGC: Final = -55.0
HIGHEST_DEGC: Final = 150.0
"""What the chip can measure."""


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return the temperature of one packet.

    Returns
    -------
    tuple[Samples, ...]
        ``skin_degc``, or ``temp_degc`` at a place of `BODY`, (1,), the lead is the place; NaN where
        the chip has no value. Empty where no conversion has ended since the last packet.

    Raises
    ------
    NotMineError
        It is too short for both registers, or too long for a place.
    BrokenError
        The place is no text.
    """
    payload = packet.payload
    if not HEAD.size <= len(payload) <= HEAD.size + 4 * LONGEST_PLACE:
        raise NotMineError(f"TMP117 packet of {len(payload)} bytes; 4 and a short place are right")
    configuration, steps = HEAD.unpack_from(payload)
    place = _place(payload[HEAD.size :])
    if not configuration & DATA_READY:
        return ()
    degc = steps * STEP_DEGC
    known = steps != NO_VALUE and LOWEST_DEGC <= degc <= HIGHEST_DEGC
    signal = "temp_degc" if place.lower() in BODY else "skin_degc"
    values = np.array([degc if known else math.nan], np.float32)
    return (Samples(signal, packet.arrived_s, 0.0, values, place),)


def _place(raw: bytes) -> str:
    try:
        place = raw.decode()
    except UnicodeDecodeError as error:
        raise BrokenError(f"the place of the TMP117 is no text: {error.reason}") from error
    if len(place) > LONGEST_PLACE:
        raise BrokenError(f"a place of {len(place)} characters, at most {LONGEST_PLACE} can be")
    return place


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="tmp117",
    streams=(STREAM,),
    signals=("skin_degc", "temp_degc"),
    open=_open,
)
