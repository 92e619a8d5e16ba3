"""Our own serial boards, and recordings turned into packets: ``hardware/PACKET.md``.

A frame is ``COBS(body || CRC-16/CCITT-FALSE)``; body, little endian:

    TT SS SS CC CC CC CC ...

- T: 1 description, 2 samples, 3 status; others are for later versions and are passed over
- S: sequence number of the frame, wraps at 65536
- C: the board's clock in us at the first sample, wraps at 2**32

A samples frame holds rows of one number for each channel; the description frame before it says
what they are. Samples that come before the first description are counted as not mine.
"""

from __future__ import annotations

from edge import frame
from edge.decoders import Decode, DecodeBatch, Decoder
from edge.decoders._homeward_board import Board


def _open() -> Decode:
    return Board().decode


def _open_batch() -> DecodeBatch:
    return Board().decode_batch


DECODER = Decoder(
    name="homeward_serial",
    streams=(frame.STREAM,),
    signals=("*", "lead_off_flag", "battery_pct"),
    open=_open,
    open_batch=_open_batch,
)
