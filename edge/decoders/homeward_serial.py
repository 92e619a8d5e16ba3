"""Our own serial boards, and recordings turned into packets: ``hardware/PACKET.md``.

A frame is ``COBS(body || CRC-16/CCITT-FALSE)``; body, little endian:

    TT SS SS CC CC CC CC ...

- T: 1 description, 2 samples, 3 status; commands, answers and later types are passed over
- S: sequence number of the frame, wraps at 65536
- C: the board's clock in us at the first sample, wraps at 2**32

A samples frame holds rows of one number for each channel; the description frame before it says
what they are. Samples that come before the first description are counted as not mine.

Two streams: ``uart:homeward`` has one whole frame a packet (recordings, simulated boards), and
``uart:homeward_line`` the bytes of a cable as they came (`edge.decoders._homeward_line`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge import frame
from edge.decoders import Batch, Decode, DecodeBatch, Decoder
from edge.decoders._homeward_board import Board
from edge.decoders._homeward_line import open_batch, open_one, recognise
from edge.records import Packet, Samples
from edge.wire import Wire


def _open() -> Decode:
    whole, cut = Board().decode, open_one()

    def decode(packet: Packet) -> tuple[Samples, ...]:
        return (cut if packet.stream == frame.LINE else whole)(packet)

    return decode


def _open_batch() -> DecodeBatch:
    whole: Callable[[Sequence[Packet]], Batch] = Board().decode_batch
    cut = open_batch()

    def decode_batch(packets: Sequence[Packet]) -> Batch:
        # All packets of a call are of one stream.
        return (cut if packets and packets[0].stream == frame.LINE else whole)(packets)

    return decode_batch


def _rate(fs_hz: float) -> bytes:
    return frame.command(frame.Code.RATE, fs_hz=fs_hz)


DECODER = Decoder(
    name="homeward_serial",
    streams=(frame.STREAM, frame.LINE),
    signals=("*", "lead_off_flag", "contact_flag", "battery_pct"),
    open=_open,
    open_batch=_open_batch,
    wires=(
        Wire(
            name="homeward",
            words="Homeward board",
            stream=frame.LINE,
            recognise=recognise,
            # Where it sends already, this makes it describe itself again.
            start=(frame.command(frame.Code.START),),
            # The boot loader of an Arduino that is opened waits two seconds before it starts.
            listen_s=4.0,
            # A frame of 70 bytes takes 6 ms on a UART: its end is to be seen when it comes.
            gather_s=0.004,
            rate=_rate,
        ),
    ),
)
