"""MLX90614 infrared thermometer (Melexis), wired to the box over I2C (SMBus).

``i2c:mlx90614`` is what `edge.readers.i2c` read: the chip's address and some words, each behind the
command it was asked for with:

    AA <KK LL HH PP> ...

- A: address of the chip, 7 bits; part of what the check covers
- K: command: 07 = object, 06 = ambient (the chip itself); others are passed over
- L, H: the word, low byte first: kelvins in steps of 0.02, bit 15 = error flag (no value)
- P: SMBus packet error code: CRC-8 (polynomial 07, start 0, no reflection) over the five bytes on
  the bus: address and write, command, address and read, L, H

A word that fails its check makes the whole packet broken: where one bit was wrong, others may be.

The object is the skin it looks at, from a distance, at the emissivity the chip is set to (1.0 from
the factory, skin is 0.98), and anything else that is in its view. That is no temperature of the
body: as ``temp_degc`` a forehead of 34 °C would be hypothermia to whatever reads vital signs. It is
``skin_degc``, which no rule and no summary takes for one. The chip's own is ``ambient_degc``.

Known disagreement: the Linux driver says that the chip sends no valid PEC on reading. The data
sheet's example has one (5A, 07: D2 3A, PEC 30), and this follows the data sheet. A chip without
would give broken packets only, which are counted and seen.

Source: MLX90614 data sheet 3901090614, 8.4 (SMBus, the example of 8.4.3); application note
390119061402, table 7 (registers, error flag, 27AD = -70.01 °C). From memory only: the bytes of the
example and the section numbers; its PEC was computed and is right.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge.bits import crc8, uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.records import Packet, Samples

STREAM: Final = "i2c:mlx90614"
OBJECT: Final = 0x07
AMBIENT: Final = 0x06
SIGNALS: Final = {OBJECT: "skin_degc", AMBIENT: "ambient_degc"}
WORD_BYTES: Final = 4
MOST_WORDS: Final = 8
ERROR_FLAG: Final = 0x8000
STEP_K: Final = 0.02
ZERO_K: Final = 273.15
LOWEST: Final = 0x27AD
"""The least word there can be: -70.01 °C."""


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return the temperatures of one packet.

    Returns
    -------
    tuple[Samples, ...]
        ``skin_degc`` and ``ambient_degc``, each (1,), in the order they were read; NaN where the
        chip raises its error flag or gives a word it cannot.

    Raises
    ------
    NotMineError
        The length is not that of an address and up to eight words.
    BrokenError
        A word fails its check.
    """
    payload = packet.payload
    n_words, rest = divmod(len(payload) - 1, WORD_BYTES)
    if rest or not 1 <= n_words <= MOST_WORDS or payload[0] > 0x7F:
        raise NotMineError(f"{len(payload)} bytes are no address and words of a MLX90614")
    found = []
    for at in range(1, len(payload), WORD_BYTES):
        command = payload[at]
        if pec(payload[0], payload[at : at + 3]) != payload[at + 3]:
            raise BrokenError(f"the word of command {command:#04x} fails its check (PEC)")
        signal = SIGNALS.get(command)
        if signal is not None:
            values = np.array([_degc(uint16(payload, at + 1))], np.float32)
            found.append(Samples(signal, packet.arrived_s, 0.0, values))
    return tuple(found)


def pec(address: int, word: bytes) -> int:
    """Return the packet error code of a word read, which is ``command, low, high``.

    >>> hex(pec(0x5A, bytes([0x07, 0xD2, 0x3A])))
    '0x30'
    """
    return crc8(bytes([address << 1, word[0], address << 1 | 1, *word[1:]]))


def _degc(word: int) -> float:
    if word & ERROR_FLAG or word < LOWEST:
        return math.nan
    return word * STEP_K - ZERO_K


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="mlx90614",
    streams=(STREAM,),
    signals=tuple(SIGNALS.values()),
    open=_open,
)
