"""The byte stream of a serial device, cut into its frames: part of several decoders.

A reader hands over what a line brought, cut anywhere. A device is described by two functions: where
a frame begins and how long it is (`edge.wire.FrameAt`), and what whole frames hold (`Read`).

- Bytes that belong to no frame are passed over up to the next one: each such stretch is one damaged
  piece, counted in `edge.decoders.Batch.n_damaged`. What comes before the first frame is not
  damage: we came in the middle.
- A packet is *broken* only where nothing in it was good and something was wrong; it is *not mine*
  until a first frame has been seen.
- A packet without a byte says that the line was opened anew: everything begins anew, for nobody
  knows what was missed, and whose line it is now.
- Who counts samples must know where some are missing: `open_line_with_holes` tells.
- Where the check of a frame is weak, bytes may look like one at a wrong place. Out of step, a frame
  is believed then when another one follows it.
- Devices say the same dozens of times a second, and many have no checksum: see `Repeated`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeAlias

import numpy as np

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
ReadHoles: TypeAlias = Callable[[Sequence[bytes | int], float], tuple[Samples, ...]]
"""The same, with a number among the frames where bytes were passed over: how many."""

UNKNOWN_BYTES: Final = 1_024
"""So much without one frame is another device's line."""
HALF_LASTS_S: Final = 3.0
"""After such a pause a frame that has begun will not be ended."""


class Line:
    """One device's line.

    Parameters
    ----------
    frame_at : Callable
        The device's frames; see the top of this file.
    reader : Callable
        Makes what reads them, and remembers what it must.
    longest : int
        Bytes that `frame_at` needs at most to tell; a begun frame that is longer is none.
    weak : bool
        A checksum of a few bits: see the top of this file.
    """

    def __init__(
        self,
        frame_at: FrameAt,
        reader: Callable[[], ReadHoles],
        longest: int,
        *,
        weak: bool = False,
    ) -> None:
        self._frame_at, self._reader = frame_at, reader
        self._weak, self._most = weak, longest * 2 if weak else longest
        self._last_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self._read = self._reader()
        self._in_step = False  # the last byte that was looked at ended a frame
        self._half = b""
        self._known = False  # a whole frame has been seen
        self._n_unknown = 0
        self._n_skipped = 0  # bytes passed over since the last frame
        self._is_counted = False  # a packet was broken by them

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
            if not packet.payload:
                self._begin()
            n_before = self._forget_half(packet.arrived_s)
            frames, n_holes = self._cut(packet.payload)
            if frames:
                found = self._read(frames, packet.arrived_s)
                batch.found.extend([(samples, packet.arrived_s) for samples in found])
                n_damaged += n_holes
            elif self._known:
                if self._n_skipped > n_before:
                    self._is_counted = True
                    batch.errors.append(BrokenError("bytes on the line belong to no frame"))
            elif self._n_unknown > UNKNOWN_BYTES:
                batch.errors.append(NotMineError("no frame of this device is on the line"))
        return Batch(batch.found, batch.errors, n_damaged)

    def _forget_half(self, arrived_s: float) -> int:
        """Drop a begun frame after a pause; return how many bytes had been passed over before."""
        n_before = self._n_skipped
        if self._half and arrived_s - self._last_s > HALF_LASTS_S:
            if self._known:
                self._n_skipped += len(self._half)
            self._half, self._in_step = b"", False
        self._last_s = arrived_s
        return n_before

    def _cut(self, payload: bytes) -> tuple[list[bytes | int], int]:
        """Return the frames that end here with the holes before them, and the holes to count."""
        frame_at, line = self._frame_at, self._half + payload
        frames: list[bytes | int] = []
        n_holes = at = 0
        end, n_skipped = len(line), self._n_skipped
        while at < end:
            n_bytes = frame_at(line, at)
            if n_bytes > 0 and self._weak and not self._in_step:
                n_bytes = self._sure(line, at, n_bytes)
            if n_bytes > 0:
                if n_skipped:
                    frames.append(n_skipped)
                    n_holes += not self._is_counted
                    n_skipped, self._is_counted = 0, False
                frames.append(line[at : at + n_bytes])
                self._known = self._in_step = True
                at += n_bytes
                continue
            if n_bytes == 0 and end - at < self._most:
                break
            at += 1
            self._in_step = False
            if self._known:
                n_skipped += 1
            else:
                self._n_unknown += 1
        self._half, self._n_skipped = line[at:], n_skipped
        return frames, n_holes

    def _sure(self, line: bytes, at: int, n_bytes: int) -> int:
        """Return the length of a frame that another one follows, 0 where none has come yet."""
        after = at + n_bytes
        follows = self._frame_at(line, after) if after < len(line) else 0
        return n_bytes if follows > 0 else follows


def open_line_with_holes(
    frame_at: FrameAt, reader: Callable[[], ReadHoles], longest: int, *, weak: bool = False
) -> tuple[Callable[[], Decode], Callable[[], DecodeBatch]]:
    """Return ``open`` and ``open_batch`` of the decoder of a serial device that counts samples.

    Parameters
    ----------
    frame_at : Callable
        Where a frame begins, and its length.
    reader : Callable
        Makes what reads the frames of one source, and remembers what it must of it.
    longest : int
        Bytes that `frame_at` needs at most to tell.
    weak : bool
        A checksum of a few bits: out of step, two frames in a row are asked for.
    """

    def opened() -> Decode:
        return Line(frame_at, reader, longest, weak=weak).decode

    def opened_batch() -> DecodeBatch:
        return Line(frame_at, reader, longest, weak=weak).decode_batch

    return opened, opened_batch


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
        Bytes that `frame_at` needs at most to tell.
    """

    def deaf() -> ReadHoles:
        read = reader()

        def read_frames(frames: Sequence[bytes | int], arrived_s: float) -> tuple[Samples, ...]:
            return read([frame for frame in frames if isinstance(frame, bytes)], arrived_s)

        return read_frames

    return open_line_with_holes(frame_at, deaf, longest)


class Repeated:
    """What a device says again in every frame, and when it is to be told.

    It is told when it has stayed the same for `steady` frames, and again after every `every` of
    them. Where nothing checks the bytes, a flipped bit changes what one frame says, and is never
    told.

    Parameters
    ----------
    steady : int
        Frames that must say the same; 1: every change is told at once.
    every : int
        Frames in a second.
    """

    def __init__(self, steady: int, every: int) -> None:
        self._steady, self._every = steady, every
        self._said: Hashable = None
        self._due = steady

    def is_due(self, said: Hashable) -> bool:
        """Take what a frame says, and return whether it is to be told now.

        >>> heart = Repeated(steady=2, every=3)
        >>> [heart.is_due(rate) for rate in (60, 60, 60, 60, 60, 61, 60, 60)]
        [False, True, False, False, True, False, False, True]
        """
        if said != self._said:
            self._said, self._due = said, self._steady
        self._due -= 1
        if self._due:
            return False
        self._due = self._every
        return True


def one(signal: str, value: float, arrived_s: float) -> Samples:
    """Return one value that came by itself."""
    return Samples(signal, arrived_s, 0.0, np.array([value], np.float32))
