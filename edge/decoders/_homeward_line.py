"""The byte stream of a Homeward board, cut at its zeros: part of two decoders.

`edge.decoders.homeward_serial` reads it from a cable, `edge.decoders.nordic_uart` from Bluetooth
notifications; a packet holds bytes as they came, and a frame may begin and end anywhere in one:

    packet   xx xx 00 | xx xx xx ...      the end of one frame, and the beginning of the next
    packet   xx xx xx xx xx xx xx ...     its middle
    packet   xx 00 xx xx 00 xx xx ...     its end, a whole one, a beginning

- Frames are put together over packets, up to the 1,024 bytes a frame may have.
- What comes before the first zero after a pause is a frame if it passes the CRC; otherwise we
  came in its middle, and it is passed over.
- A frame that has not ended when nothing came for `HALF_LASTS_S` never will (the link was lost):
  it is passed over, and its number shows the loss. So it is where a cable's packet without a byte
  says that the line was opened anew.

What is counted: a packet is *broken* where nothing in it was good and something was damaged;
damage beside a good frame is counted in `edge.decoders.Batch.n_damaged`.

Anybody may use a UART for anything. Until a source has sent one frame with a good CRC, its bytes
are *not mine*; printed text never is, nor are samples before the first description.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from edge import frame
from edge.decoders import (
    Batch,
    BrokenError,
    Decode,
    DecodeBatch,
    DecodeError,
    NotMineError,
)
from edge.decoders._homeward_board import Board
from edge.decoders._homeward_start import StartWatch
from edge.records import Packet, Samples

MAX_FRAME_BYTES: Final = 1_024
"""On the line, with the zero; of what is longer, all is dropped up to the next zero."""
HALF_LASTS_S: Final = 3.0
"""A board sends at least four frames a second; after such a pause a begun frame is lost."""

N_SURE: Final = 2
"""Frames with a good CRC that make a board known."""

_TEXT: Final = bytes([9, 10, 13, *range(32, 127)])


class _Ended(NamedTuple):
    """What one packet brought to its end."""

    frames: list[bytes]
    late: bool  # the first of them may be the rest of a frame whose beginning we missed
    error: DecodeError | None  # what is wrong with bytes that no frame can have


class _Line:
    """The byte stream of one board, cut at its zeros."""

    def __init__(self) -> None:
        self._half = bytearray()
        self._in_step = False  # a zero was seen, so every frame is cut at both its ends
        self._too_long = False  # skipping to the next zero
        self._last_s = 0.0

    def cut(self, packet: Packet) -> _Ended:
        """Return the frames that end in a packet, without their zeros."""
        half, payload = self._half, packet.payload
        if _is_opened(packet) or packet.arrived_s - self._last_s > HALF_LASTS_S:
            half.clear()
            self._in_step = self._too_long = False
        self._last_s = packet.arrived_s
        if not self._in_step and not half and payload and not payload.translate(None, _TEXT):
            text = NotMineError("the UART carries printed text, not frames")
            return _Ended([], late=False, error=text)
        *ended, rest = payload.split(b"\0")
        frames: list[bytes] = []
        error: DecodeError | None = None
        late = False
        for piece in ended:
            if not self._add(piece):
                error = _too_long()
            if half and not self._too_long:
                late = late or not self._in_step
                frames.append(bytes(half))
            half.clear()
            self._in_step, self._too_long = True, False
        if not self._add(rest):
            error = _too_long()
        return _Ended(frames, late, error)

    def _add(self, piece: bytes) -> bool:
        """Take bytes of a frame; return False where they make it longer than any can be."""
        if self._too_long:
            return True
        self._half += piece
        if len(self._half) < MAX_FRAME_BYTES:
            return True
        self._half.clear()
        self._too_long = True
        return False


class _Uart:
    """One board behind a serial line."""

    def __init__(self) -> None:
        self._line, self._starts = _Line(), StartWatch()
        self._board = Board(self._starts)
        self._known = False  # it has sent a frame with a good CRC

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return the samples of the frames that end in one packet."""
        batch = self.decode_batch((packet,))
        if batch.errors:
            raise batch.errors[0]
        return tuple(samples for samples, _ in batch.found)

    def decode_batch(self, packets: Sequence[Packet]) -> Batch:
        """Return the samples of several packets, joined where they follow one another."""
        told = [self._line.cut(packet) for packet in packets]
        found, reasons = self._read(packets, told)
        errors: list[DecodeError] = []
        n_damaged = first = 0
        for ended in told:
            after = first + len(ended.frames)
            error, n_beside = self._judge(ended, reasons[first:after])
            if error is not None:
                errors.append(error)
            n_damaged += n_beside
            first = after
        return Batch(found, errors, n_damaged)

    def _read(
        self, packets: Sequence[Packet], told: Sequence[_Ended]
    ) -> tuple[list[tuple[Samples, float]], list[DecodeError | None]]:
        """Return what the frames hold, and what is wrong with each of them: None for a good one."""
        found: list[tuple[Samples, float]] = []
        reasons: list[DecodeError | None] = []
        frames: list[Packet] = []

        def read() -> None:
            samples, failed = self._board.read(frames)
            found.extend(samples)
            wrong = dict(failed)
            reasons.extend(wrong.get(at) for at in range(len(frames)))
            frames.clear()

        for packet, ended in zip(packets, told, strict=True):
            if _is_opened(packet):
                read()
                self._starts.line_was_away()
            frames += [
                Packet(packet.source, packet.stream, packet.arrived_s, piece)
                for piece in ended.frames
            ]
        read()
        return found, reasons

    def _judge(
        self, ended: _Ended, reasons: list[DecodeError | None]
    ) -> tuple[DecodeError | None, int]:
        """Return what one packet is counted as, and the damaged pieces to be counted beside it.

        `reasons` are those of its frames, None for a good one.
        """
        # Samples before the description are not mine yet, but their CRC was good.
        self._known |= any(not isinstance(reason, BrokenError) for reason in reasons)
        is_good = None in reasons
        if ended.late and isinstance(reasons[0], BrokenError):
            reasons = reasons[1:]
        wrong = [reason for reason in (*reasons, ended.error) if reason is not None]
        n_damaged = sum(isinstance(reason, BrokenError) for reason in wrong) if self._known else 0
        if is_good or not wrong:
            return None, n_damaged
        if not self._known and isinstance(wrong[0], BrokenError):
            return NotMineError(f"not known for a Homeward board yet: {wrong[0]}"), 0
        return wrong[0], n_damaged - isinstance(wrong[0], BrokenError)


def _is_opened(packet: Packet) -> bool:
    """Return whether a packet says that a cable's line was opened anew; a radio may send none."""
    return not packet.payload and packet.stream == frame.LINE


def _too_long() -> BrokenError:
    return BrokenError(f"no frame ended within {MAX_FRAME_BYTES} bytes")


def open_one() -> Decode:
    """Return what reads the packets of one board one by one."""
    return _Uart().decode


def open_batch() -> DecodeBatch:
    """Return what reads the packets of one board, several at once."""
    return _Uart().decode_batch


def recognise(line: bytes) -> bool:
    """Return whether bytes of a line, from any point on, are surely a Homeward board's.

    One frame with a good CRC could be chance, once in 65,536; two are not.
    """
    n_good = 0
    for piece in line.split(b"\0"):
        try:
            frame.unpack(piece)
        except frame.FrameError:
            continue
        n_good += 1
    return n_good >= N_SURE
