"""MAX30102 pulse sensor (Analog Devices, formerly Maxim), wired to the box over I2C.

The chip lights the skin red (660 nm) and infrared (880 nm) in turn and keeps the light that comes
back as 18-bit counts in a FIFO of 32 samples. ``i2c:max30102`` is what `edge.readers.i2c` read out
at a time, behind a head of its own; little endian:

    CC CC CC CC LL NN FF MM SS <NN x (RR RR RR II II II)>

- C: number of the first sample here, counted from when the chip was set up; samples that the chip
  says it lost are counted too, so that a loss is a gap. It goes back to 0 when counting begins anew
- L: OVF_COUNTER (register 05) as read before the samples: samples lost *after* these. 1F: that
  many or more, and the next packet counts from 0
- N: samples in the packet, 0 to 32
- F, M, S: FIFO_CONFIG, MODE_CONFIG and SPO2_CONFIG (registers 08, 09, 0A) as read back when the
  chip was set up. They give the rate: bits 4:2 of S are 50, 100, 200, 400, 800, 1000, 1600 or
  3200 Hz, divided by the 1, 2, 4, 8, 16 or 32 samples averaged on the chip (bits 7:5 of F). M is
  3, SpO2 mode: red and infrared
- R, I: FIFO_DATA as it came, *big* endian: red, then infrared; bits 23:18 are 0

The infrared light reaches deeper and changes more with the pulse, so it comes first and carries
the signal's name. Counts are light: they *fall* with every pulse. A count of 3FFFF is an ADC at its
end and no measurement (NaN): less LED current is wanted. Nothing says whether a finger is there,
and nothing protects the bytes on the bus but bits 23:18.

The data sheet names no tolerance of the sampling rate; the timeline measures it.

Source: MAX30102 data sheet 19-7740 rev 1, 10/18 (register map, tables 1, 3, 4, 6 and figure 2).
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.records import FloatArray, Packet, Samples, Stamp

STREAM: Final = "i2c:max30102"
HEAD: Final = struct.Struct("<IBBBBB")
COUNTER_WRAP: Final = 1 << 32
DEPTH: Final = 32
SAMPLE_BYTES: Final = 6
SPO2_MODE: Final = 0x03
MODE_BITS: Final = 0xC7
"""SHDN, RESET and MODE; the other bits mean nothing."""
RATES_HZ: Final = (50, 100, 200, 400, 800, 1000, 1600, 3200)
AVERAGED: Final = (1, 2, 4, 8, 16, 32, 32, 32)
FULL_SCALE: Final = 0x3FFFF


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return the samples of one packet.

    Returns
    -------
    tuple[Samples, ...]
        ``pleth_au`` twice, leads ``ir`` and ``red``, (n,) counts of light, NaN where the ADC was at
        its end; empty where the FIFO was.

    Raises
    ------
    NotMineError
        It is too short for the head, or the chip was not in SpO2 mode.
    BrokenError
        The samples are cut, more than a FIFO holds, or have bits no count has.
    """
    payload = packet.payload
    if len(payload) < HEAD.size:
        raise NotMineError(f"MAX30102 packet has {len(payload)} bytes, its head alone {HEAD.size}")
    counter, _, n, fifo_config, mode, spo2_config = HEAD.unpack_from(payload)
    if mode & MODE_BITS != SPO2_MODE:
        raise NotMineError(f"the MAX30102 was in mode {mode:#04x}, not in {SPO2_MODE:#04x} (SpO2)")
    if n > DEPTH or len(payload) != HEAD.size + n * SAMPLE_BYTES:
        raise BrokenError(f"{len(payload)} bytes, for {n} of at most {DEPTH} samples")
    if not n:
        return ()
    fs_hz = RATES_HZ[spo2_config >> 2 & 7] / AVERAGED[fifo_config >> 5]
    red, infrared = _counts(payload, n)
    stamp = Stamp(counter, 1.0 / fs_hz, COUNTER_WRAP)
    arrived_s = packet.arrived_s
    return (
        Samples("pleth_au", arrived_s, fs_hz, infrared, "ir", 0.0, stamp),
        Samples("pleth_au", arrived_s, fs_hz, red, "red", 0.0, stamp),
    )


def _counts(payload: bytes, n: int) -> tuple[FloatArray, FloatArray]:
    """Return red and infrared, each (n,)."""
    triplets = np.frombuffer(payload, np.uint8, offset=HEAD.size).reshape(n, 2, 3)
    wide = triplets.astype(np.int32)
    counts = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    if counts.max() > FULL_SCALE:
        raise BrokenError(f"a count of {counts.max():#x}, more than 18 bits: the bus is disturbed")
    values = counts.astype(np.float32)
    values[counts == FULL_SCALE] = np.nan
    return values[:, 0].copy(), values[:, 1].copy()


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="max30102",
    streams=(STREAM,),
    signals=("pleth_au",),
    open=_open,
)
