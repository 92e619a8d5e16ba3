"""Packets to few bytes and back, exactly: the inside of a block before it is encrypted.

Packets are sorted by stream; arrivals, lengths and payloads become columns (`edge.vault.fields`),
each compressed with zstandard. Of our own serial frames only what their CRC and stuffing protect
is kept, where that gives back the same bytes. Whatever was packed is unpacked once and compared
before it counts; what does not come back alike, which no test ever saw, is kept as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from edge import frame
from edge.bits import cobs_decode
from edge.packetlog import layout
from edge.records import Packet
from edge.vault import fields
from edge.vault.body import (
    FORMAT,
    FRAMES,
    LINE,
    PLAIN,
    PLAIN_BODY,
    WHOLE,
    Head,
    Lane,
    Stream,
    outside,
    unpack,
)
from edge.vault.fields import Shape

LEVEL: Final = 1
MAX_SHAPES: Final = 256
"""Kinds of packets whose structure is remembered."""
LEARNED_AGAIN: Final = 360
"""After so many blocks a structure is looked for anew: an hour."""


class Shaper:
    """Packs blocks; remembers how the packets of each kind are built, so that it costs once."""

    def __init__(self, level: int = LEVEL) -> None:
        params = zstandard.ZstdCompressionParameters.from_level(
            level, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False
        )
        self._zstd = zstandard.ZstdCompressor(compression_params=params)
        self._shapes: dict[tuple[str, str, int], tuple[int, Shape]] = {}
        self._n_blocks = 0

    def pack(self, packets: Sequence[Packet]) -> bytes:
        """Return the packets as bytes that `unpack` gives back exactly."""
        self._n_blocks += 1
        body = self._pack(packets)
        try:
            same = unpack(body) == list(packets)
        except ValueError:
            same = False
        return body if same else self._plain(packets)

    def _plain(self, packets: Sequence[Packet]) -> bytes:
        """Return the packets as a packet log has them: by other code, which proves it."""
        body = layout.pack_block(list(packets))[layout.BLOCK_HEAD.size :]
        packed: bytes = self._zstd.compress(body)
        return PLAIN_BODY + len(packets).to_bytes(4, "little") + packed

    def _pack(self, packets: Sequence[Packet]) -> bytes:
        ids: dict[str, int] = {}
        of: dict[tuple[str, str], int] = {}
        parts: list[list[Packet]] = []
        order = []
        for packet in packets:
            number = of.setdefault((packet.source, packet.stream), len(of))
            if number == len(parts):
                parts.append([])
            parts[number].append(packet)
            order.append(number)
        sections = [np.array(order, "<u2").tobytes()]
        arrived = np.array([p.arrived_s for part in parts for p in part], np.float64)
        whole_ns = _whole_ns(arrived)
        columns = arrived.view(np.int64) if whole_ns is None else whole_ns
        streams = []
        at = 0
        for (source, name), part in zip(of, parts, strict=True):
            times = columns[at : at + len(part)]
            step = _step(times)
            sections += fields.split_numbers(times, step)
            at += len(part)
            numbers = [ids.setdefault(word, len(ids)) for word in (source, name)]
            told, found = self._stream(numbers, part, step)
            streams.append(told)
            sections += found
        packed = [self._shrunk(section) for section in sections]
        head = Head(
            FORMAT,
            whole_ns is not None,
            [name.encode("utf-8", "surrogatepass") for name in ids],
            streams,
            [len(section) for section in sections],
            [len(section) for section in packed],
        )
        told_head = self._zstd.compress(msgspec.msgpack.encode(head))
        return b"".join([len(told_head).to_bytes(4, "little"), told_head, *packed])

    def _stream(self, ids: list[int], part: list[Packet], step: int) -> tuple[Stream, list[bytes]]:
        source, name = part[0].source, part[0].stream
        payloads = [packet.payload for packet in part]
        sections: list[bytes] = []
        coded = PLAIN
        if name in (frame.STREAM, frame.LINE):
            coded = FRAMES if name == frame.STREAM else LINE
        if coded == LINE:
            sections.append(_lengths(payloads))
            payloads = b"".join(payloads).split(b"\0")
        items = [_inside(item) if coded else (0, item) for item in payloads]
        kinds = [2 * len(item) + whole for whole, item in items]
        by_kind: dict[int, list[bytes]] = {}
        for kind, (_, item) in zip(kinds, items, strict=True):
            by_kind.setdefault(kind, []).append(item)
        lanes = [
            kind for kind, found in by_kind.items() if len(found) >= fields.LEAST_ROWS and kind > 1
        ]
        sections.append(np.array(kinds, "<u4").view(np.uint8).reshape(-1, 4).T.tobytes())
        told = []
        for kind in lanes:
            rows = np.frombuffer(b"".join(by_kind[kind]), np.uint8).reshape(-1, kind // 2)
            shape = self._shape((source, name, kind), rows)
            told.append(Lane(kind, len(rows), shape))
            sections += fields.split(rows, shape)
        rest = [i for k, (_, i) in zip(kinds, items, strict=True) if k not in lanes]
        sections.append(b"".join(rest))
        stream = Stream(ids[0], ids[1], len(part), coded, len(items), step, told, len(rest))
        return stream, sections

    def _shape(self, key: tuple[str, str, int], rows: fields.Rows) -> Shape:
        known = self._shapes.get(key)
        if known is not None and self._n_blocks - known[0] < LEARNED_AGAIN:
            return known[1]
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()
        shape = fields.best_shape(rows)
        self._shapes[key] = (self._n_blocks, shape)
        return shape

    def _shrunk(self, section: bytes) -> bytes:
        if section.count(section[1:2], 1) == len(section) - 1:
            return section[:2]  # a counter's steps, the high bytes of small numbers: all the same
        packed: bytes = self._zstd.compress(section)
        return packed if len(packed) < len(section) else section


def _lengths(payloads: Sequence[bytes]) -> bytes:
    return np.array([len(payload) for payload in payloads], "<u4").tobytes()


def _inside(item: bytes) -> tuple[int, bytes]:
    """Return what a frame protects, where that alone gives back the same bytes."""
    try:
        plain = cobs_decode(item)
    except ValueError:
        return 0, item
    inside = plain[:-2]
    return (WHOLE, inside) if inside and outside(inside) == item else (0, item)


def _whole_ns(arrived_s: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return arrivals as whole nanoseconds, None where they are not all such."""
    if not len(arrived_s) or not np.all(np.abs(arrived_s) < 1e9):
        return None
    whole = np.rint(arrived_s * 1e9).astype(np.int64)
    back = whole / 1e9
    # The bits are compared, not the values: -0.0 is not 0.0.
    same = np.array_equal(back.view(np.int64), arrived_s.view(np.int64))
    return whole if same else None


def _step(times: NDArray[np.int64]) -> int:
    """Return by how much a column grows from number to number, about."""
    if len(times) < 2:
        return 0
    steps = np.sort(np.diff(times))
    return int(steps[len(steps) // 2])
