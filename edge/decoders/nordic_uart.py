"""Boards with the Nordic UART service that send our own frames: ``hardware/PACKET.md``.

The service (6e400001-b5a3-f393-e0a9-e50e24dcca9e) is a serial line over Bluetooth: the board
notifies on 6e400003, and what it notifies is a piece of the byte stream and nothing more. The
frames are those of `edge.decoders.homeward_serial`, ended by a zero:

    notification   xx xx 00 | xx xx xx ...      the end of one frame, and the beginning of the next
    notification   xx xx xx xx xx xx xx ...     its middle
    notification   xx 00 xx xx 00 xx xx ...     its end, a whole one, a beginning

- Frames are put together over notifications, up to the 1,024 bytes a frame may have.
- What comes before the first zero after a pause is a frame if it passes the CRC; otherwise we
  came in its middle, and it is passed over.
- A frame that has not ended when nothing came for `HALF_LASTS_S` never will (the link was lost):
  it is passed over, and its number shows the loss.

What is counted: a decoder cannot both return samples and raise, so a notification is *broken*
only where nothing in it was good; it then counts once. Damage beside a good frame costs that
frame alone, and shows as a gap, because a samples frame that is missing leaves its number out.

Anybody may use this service for anything. Until a source has sent one frame with a good CRC, its
bytes are *not mine*; printed text never is, nor are samples before the first description.

Sources: hardware/PACKET.md; Nordic UART Service, nRF Connect SDK documentation (UUIDs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from edge.decoders import (
    Batch,
    BrokenError,
    Decode,
    DecodeBatch,
    DecodeError,
    Decoder,
    NotMineError,
)
from edge.decoders._homeward_board import Board
from edge.gatt import Profile
from edge.records import Packet, Samples

SERVICE: Final = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
WRITE: Final = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NOTIFY: Final = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"

MAX_FRAME_BYTES: Final = 1_024
"""On the line, with the zero; of what is longer, all is dropped up to the next zero."""
HALF_LASTS_S: Final = 3.0
"""A board sends at least four frames a second; after such a pause a begun frame is lost."""

_TEXT: Final = bytes([9, 10, 13, *range(32, 127)])


class _Ended(NamedTuple):
    """What one notification brought to its end."""

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
        """Return the frames that end in a notification, without their zeros."""
        half, payload = self._half, packet.payload
        if packet.arrived_s - self._last_s > HALF_LASTS_S:
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
    """One board behind a Nordic UART."""

    def __init__(self) -> None:
        self._line, self._board = _Line(), Board()
        self._known = False  # it has sent a frame with a good CRC

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return the samples of the frames that end in one notification."""
        batch = self.decode_batch((packet,))
        if batch.errors:
            raise batch.errors[0]
        return tuple(samples for samples, _ in batch.found)

    def decode_batch(self, packets: Sequence[Packet]) -> Batch:
        """Return the samples of several notifications, joined where they follow one another."""
        told = [self._line.cut(packet) for packet in packets]
        found, failed = self._board.read(
            [
                Packet(packet.source, packet.stream, packet.arrived_s, piece)
                for packet, ended in zip(packets, told, strict=True)
                for piece in ended.frames
            ]
        )
        reasons = dict(failed)
        errors, first = [], 0
        for ended in told:
            after = first + len(ended.frames)
            error = self._judge(ended, [reasons.get(at) for at in range(first, after)])
            if error is not None:
                errors.append(error)
            first = after
        return Batch(found, errors)

    def _judge(self, ended: _Ended, reasons: list[DecodeError | None]) -> DecodeError | None:
        """Return what one notification is counted as; None where something in it was good.

        `reasons` are those of its frames, None for a good one.
        """
        # Samples before the description are not mine yet, but their CRC was good.
        self._known |= any(not isinstance(reason, BrokenError) for reason in reasons)
        if None in reasons:
            return None
        if ended.late and isinstance(reasons[0], BrokenError):
            reasons = reasons[1:]
        error = next((reason for reason in (*reasons, ended.error) if reason is not None), None)
        if isinstance(error, BrokenError) and not self._known:
            return NotMineError(f"not known for a Homeward board yet: {error}")
        return error


def _too_long() -> BrokenError:
    return BrokenError(f"no frame ended within {MAX_FRAME_BYTES} bytes")


def _open() -> Decode:
    return _Uart().decode


def _open_batch() -> DecodeBatch:
    return _Uart().decode_batch


DECODER = Decoder(
    name="nordic_uart",
    streams=(NOTIFY,),
    signals=("*", "lead_off_flag", "battery_pct"),
    open=_open,
    open_batch=_open_batch,
    profiles=(
        Profile(
            name="nordic_uart",
            words="board with Nordic UART",
            service=SERVICE,
            listen=(NOTIFY,),
            # A board needs no command: it describes itself every ten seconds, and sends.
            deadline_s=5.0,
            mtu=247,
        ),
    ),
)
