"""The byte stream of a serial device, cut into its frames: part of several decoders.

A reader hands over what a line brought, cut anywhere. A device is described by two functions: where
a frame begins and how long it is (`edge.wire.FrameAt`), and what whole frames hold (`Read`).

- Bytes that belong to no frame are passed over up to the next one: each such stretch is one damaged
  piece, counted in `edge.decoders.Batch.n_damaged`. What comes before the first frame is not
  damage: we came in the middle.
- A packet is *broken* only where nothing in it was good and something was wrong; it is *not mine*
  until a first frame has been seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from edge.decoders import (
    Batch,
    BrokenError,
    Decode,
    DecodeBatch,
    NotMineError,
)
from edge.records import Packet, Samples
from edge.wire import FrameAt

Read: TypeAlias = Callable[[Sequence[bytes], float], tuple[Samples, ...]]
"""``read(frames, arrived_s)``: what the whole frames hold that ended in one packet."""

UNKNOWN_BYTES: Final = 1_024
"""So much without one frame is another device's line."""
HALF_LASTS_S: Final = 3.0
"""After such a pause a frame that has begun will not be ended."""


class Line:
    """One device's line.

    Parameters
    ----------
    frame_at, read : Callable
        The device; see the top of this file.
    longest : int
        Bytes of its longest frame; a begun one that is longer is none.
    """

    def __init__(self, frame_at: FrameAt, read: Read, longest: int) -> None:
        self._frame_at, self._read, self._longest = frame_at, read, longest
        self._half = b""
        self._known = False  # a whole frame has been seen
        self._n_unknown = 0
        self._skipping = False  # in a stretch that has been counted
        self._last_s = 0.0

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return what the frames hold that end in one packet."""
        batch = self.decode_batch((packet,))
        if batch.errors:
            raise batch.errors[0]
        return tuple(samples for samples, _ in batch.found)

    def decode_batch(self, packets: Sequence[Packet]) -> Batch:
        """Return what the frames hold that end in several packets."""
        batch = Batch([], [])
        n_damaged = 0
        for packet in packets:
            frames, n_stretches = self._cut(packet)
            if frames:
                found = self._read(frames, packet.arrived_s)
                batch.found.extend((samples, packet.arrived_s) for samples in found)
                n_damaged += n_stretches
            elif not self._known and self._n_unknown > UNKNOWN_BYTES:
                batch.errors.append(NotMineError("no frame of this device is on the line"))
            elif n_stretches:
                batch.errors.append(BrokenError("bytes on the line belong to no frame"))
        return Batch(batch.found, batch.errors, n_damaged)

    def _cut(self, packet: Packet) -> tuple[list[bytes], int]:
        """Return the frames that end in a packet, and how many stretches belong to none."""
        n_stretches = 0
        if self._half and packet.arrived_s - self._last_s > HALF_LASTS_S:
            self._half, n_stretches = b"", int(self._known)
        self._last_s = packet.arrived_s
        line = self._half + packet.payload
        frames: list[bytes] = []
        at, end = 0, len(line)
        while at < end:
            n_bytes = self._frame_at(line, at)
            if n_bytes == 0 and end - at < self._longest:
                break
            if n_bytes > 0:
                frames.append(line[at : at + n_bytes])
                self._known, self._skipping = True, False
                at += n_bytes
                continue
            at += 1
            self._n_unknown += not self._known
            n_stretches += self._known and not self._skipping
            self._skipping = True
        self._half = line[at:]
        return frames, n_stretches


def open_line(
    frame_at: FrameAt, reader: Callable[[], Read], longest: int
) -> tuple[Callable[[], Decode], Callable[[], DecodeBatch]]:
    """Return ``open`` and ``open_batch`` of the decoder of a serial device.

    Parameters
    ----------
    frame_at : Callable
        Where a frame begins, and its length.
    reader : Callable
        Makes what reads the frames of one source, and remembers what it must of it.
    longest : int
        Bytes of the longest frame.
    """

    def opened() -> Decode:
        return Line(frame_at, reader(), longest).decode

    def opened_batch() -> DecodeBatch:
        return Line(frame_at, reader(), longest).decode_batch

    return opened, opened_batch
