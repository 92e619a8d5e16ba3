"""Frames of Nonin's data formats 2 and 7 put together to packets: part of `edge.decoders.nonin`.

25 frames are a packet, and a value's meaning is its frame's place in it. A packet is read only
where it is whole. Where frames are missing, the next packet's first frame tells how many, so that
the pleth keeps its time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.decoders._line import Repeated, one
from edge.records import FloatArray, Samples
from edge.wire import FrameAt

FS_HZ: Final = 75.0
PACKET_FRAMES: Final = 25
PACKETS_A_SECOND: Final = 3
FRAME_BYTES: Final = 5

FIRST: Final = 0x01
NO_CONTACT: Final = 0x40 | 0x08
OUT_OF_TRACK: Final = 0x10

NO_PULSE: Final = 511
NO_SPO2: Final = 127
HIGHEST_BPM: Final = 321
HIGHEST_PCT: Final = 100

MOST_MISSING: Final = 10 * PACKETS_A_SECOND * PACKET_FRAMES
"""More samples are not counted: when the next ones come tells better."""


def df2_at(line: bytes, at: int) -> int:
    """Return the length of the frame of format 2 that begins here; see `edge.wire.FrameAt`."""
    if line[at] != 1:
        return -1
    if len(line) - at < FRAME_BYTES:
        return 0
    status = line[at + 1]
    if status < 0x80:
        return -1
    total = 1 + status + line[at + 2] + line[at + 3]
    return FRAME_BYTES if total & 0xFF == line[at + 4] else -1


def df7_at(line: bytes, at: int) -> int:
    """Return the length of the frame of format 7 that begins here; see `edge.wire.FrameAt`."""
    status = line[at]
    if status < 0x80:
        return -1
    if len(line) - at < FRAME_BYTES:
        return 0
    total = status + line[at + 1] + line[at + 2] + line[at + 3]
    return FRAME_BYTES if total & 0xFF == line[at + 4] else -1


class Form(NamedTuple):
    """What tells formats 2 and 7 apart."""

    frame_at: FrameAt
    status_at: int
    row: np.dtype[Any]
    packet: re.Pattern[bytes]
    """A packet's 25 frames and the next one's first, without their sums; at every place."""

    def recognise(self, line: bytes) -> bool:
        """Return whether there is a whole packet in these bytes and the next one begins."""
        return any(
            all(self.frame_at(found[1], at) > 0 for at in range(0, len(found[1]), FRAME_BYTES))
            for found in self.packet.finditer(line)
        )


def _row(pleth: str, status_at: int, told_at: int) -> np.dtype[Any]:
    return np.dtype(
        {
            "names": ["status", "pleth", "told"],
            "formats": ["u1", pleth, "u1"],
            "offsets": [status_at, status_at + 1, told_at],
            "itemsize": FRAME_BYTES,
        }
    )


def _packet(before: bytes, pleth: bytes) -> re.Pattern[bytes]:
    odd = re.escape(bytes(range(0x81, 0x100, 2)))
    even = re.escape(bytes(range(0x80, 0x100, 2)))
    rest = pleth + b".."
    first = before + b"[" + odd + b"]" + rest
    other = before + b"[" + even + b"]" + rest
    return re.compile(b"(?=(" + first + b"(?:" + other + b"){24}" + first + b"))", re.DOTALL)


FORM_2: Final = Form(df2_at, 1, _row("u1", 1, 3), _packet(b"\x01", b"."))
FORM_7: Final = Form(df7_at, 0, _row(">u2", 0, 3), _packet(b"", b".."))


class Packets:
    """The frames of formats 2 or 7 of one device, put together to packets.

    As long as no frame is missing, `_front` grows to a packet. After a hole the place of a frame is
    only known from the next packet's first one: they wait in `_back`.
    """

    def __init__(self, form: Form) -> None:
        self._row, self._status_at = form.row, form.status_at
        self._in_step = False
        self._front: list[bytes] = []
        self._back: list[bytes] = []
        self._n_between = 0  # frames between two holes
        self._n_hole_bytes = 0
        self._repeated = Repeated(1, PACKETS_A_SECOND)

    def read(self, frames: Sequence[bytes | int], arrived_s: float) -> tuple[Samples, ...]:
        """Return what the packets hold that end in these frames.

        Returns
        -------
        tuple[Samples, ...]
            ``pleth_au`` (25,) or more, NaN where frames are missing; ``pulse_bpm`` (1,) and
            ``spo2_pct`` (1,), NaN where the device has none it stands by; ``contact_flag`` (1,).
        """
        found: list[Samples] = []
        for frame in frames:
            if isinstance(frame, int):
                self._add_hole(frame)
            elif frame[self._status_at] & FIRST:
                found += self._begin(frame, arrived_s)
            elif self._in_step:
                found += self._add(frame, arrived_s)
        return tuple(found)

    def _add_hole(self, n_bytes: int) -> None:
        self._n_hole_bytes += n_bytes
        self._n_between += len(self._back)
        self._back = []

    def _begin(self, frame: bytes, arrived_s: float) -> list[Samples]:
        """Take the first frame of a packet; return what is left of the one before."""
        found: list[Samples] = []
        if self._in_step and (self._n_hole_bytes or self._front):
            n = self._count_missing()
            if self._n_hole_bytes and n <= MOST_MISSING:
                found = self._waveform(n, arrived_s)
            elif not self._n_hole_bytes:
                # Frames were lost without a trace; where, nobody knows.
                missing = np.full(PACKET_FRAMES, np.nan, np.float32)
                found = [Samples("pleth_au", arrived_s, FS_HZ, missing)]
        self._start([frame])
        return found

    def _start(self, front: list[bytes]) -> None:
        self._in_step = True
        self._front, self._back = front, []
        self._n_between = self._n_hole_bytes = 0

    def _count_missing(self) -> int:
        """Return the samples missing in the hole, and those between two of them."""
        n_known = len(self._front) + len(self._back)
        n_seen = n_known + self._n_between
        n_likely = n_seen + self._n_hole_bytes / FRAME_BYTES
        # Whole packets lie between two first frames, and the bytes tell how many.
        n_packets = max(math.ceil(n_seen / PACKET_FRAMES), round(n_likely / PACKET_FRAMES))
        return n_packets * PACKET_FRAMES - n_known

    def _waveform(self, n_missing: int, arrived_s: float) -> list[Samples]:
        front, back = self._pleth(self._front), self._pleth(self._back)
        hole = np.full(n_missing, np.nan, np.float32)
        values = np.concatenate((front, hole, back))
        return [Samples("pleth_au", arrived_s, FS_HZ, values)] if len(values) else []

    def _pleth(self, frames: list[bytes]) -> FloatArray:
        pleth: NDArray[Any] = np.frombuffer(b"".join(frames), self._row)["pleth"]
        return pleth.astype(np.float32)

    def _add(self, frame: bytes, arrived_s: float) -> list[Samples]:
        if self._n_hole_bytes:
            self._back.append(frame)
            self._in_step = len(self._back) < PACKET_FRAMES
            return []
        self._front.append(frame)
        if len(self._front) < PACKET_FRAMES:
            # A packet whose first frame never came ends the step.
            self._in_step = bool(self._front[0][self._status_at] & FIRST)
            return []
        whole, self._front = self._front, []
        return self._read_whole(whole, arrived_s)

    def _read_whole(self, frames: list[bytes], arrived_s: float) -> list[Samples]:
        rows = np.frombuffer(b"".join(frames), self._row)
        pleth: NDArray[Any] = rows["pleth"]
        found = [Samples("pleth_au", arrived_s, FS_HZ, pleth.astype(np.float32))]
        status = int(np.bitwise_or.reduce(rows["status"]))
        high, low, spo2 = rows["told"][:3].tolist()
        contact = not status & NO_CONTACT
        trusted = contact and not status & OUT_OF_TRACK
        said = (pulse_of(high, low) if trusted else NO_PULSE, spo2 if trusted else NO_SPO2, contact)
        if self._repeated.is_due(said):
            found += values_of(*said, arrived_s)
        return found


def pulse_of(first: int, second: int) -> int:
    """Return the pulse rate of its two bytes.

    >>> [pulse_of(1, 0), pulse_of(2, 0x41), pulse_of(0xFF, 0xFF)]
    [128, 321, 511]
    """
    return (first & 3) << 7 | second & 0x7F


def values_of(pulse: int, spo2: int, contact: bool, arrived_s: float) -> tuple[Samples, ...]:  # noqa: FBT001
    """Return ``pulse_bpm`` and ``spo2_pct``, NaN where there is none, and ``contact_flag``."""
    return (
        one("pulse_bpm", pulse if 0 < pulse <= HIGHEST_BPM else math.nan, arrived_s),
        one("spo2_pct", spo2 if 0 < spo2 <= HIGHEST_PCT else math.nan, arrived_s),
        one("contact_flag", float(contact), arrived_s),
    )
