"""Packets to few bytes and back, exactly: the inside of a block before it is encrypted.

Packets are sorted by stream; arrivals, lengths and payloads become columns (`edge.vault.fields`),
each compressed with zstandard. Of our own serial frames only what their CRC and stuffing protect
is kept, where that gives back the same bytes. Whatever was packed is unpacked once and compared
before it counts; what does not come back alike, which no test ever saw, is kept as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice, pairwise
from typing import Final, TypeAlias

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from edge import frame
from edge.bits import cobs_decode, cobs_encode, crc16
from edge.packetlog import layout
from edge.records import Packet
from edge.vault import fields
from edge.vault.fields import Shape

LEVEL: Final = 1
MAX_RAW_BYTES: Final = 1 << 26
"""Bound on what a block unpacks to, and so on the memory a reader needs."""
MAX_SHAPES: Final = 256
"""Kinds of packets whose structure is remembered."""
LEARNED_AGAIN: Final = 360
"""After so many blocks a structure is looked for anew: an hour."""
_FORMAT: Final = 1
_PLAIN, _FRAMES, _LINE = 0, 1, 2
_PLAIN_BODY: Final = b"\xff\xff\xff\xff"
"""Where the length of the head stands: there is none, the packets are as in a packet log."""
_ALIKE: Final = 2
"""A section of so many bytes, where it should be longer: the first, and all others."""
_WHOLE: Final = 1
"""Added to the doubled length of an item that is a frame's inside."""


class _Lane(msgspec.Struct, frozen=True, array_like=True):
    """Items of one kind (doubled length, and `_WHOLE`): how many, and how they are told apart."""

    kind: int
    n: int
    shape: Shape


class _Stream(msgspec.Struct, frozen=True, array_like=True):
    """What one source sent on one stream."""

    source: int
    name: int
    n: int
    coded: int
    n_items: int
    step: int
    lanes: list[_Lane]
    n_ragged: int


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What a body begins with; `plain` and `packed` are the lengths of its sections."""

    format: int
    exact_ns: bool
    names: list[bytes]
    streams: list[_Stream]
    plain: list[int]
    packed: list[int]


_Sections: TypeAlias = Iterator[bytes]


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
        return _PLAIN_BODY + len(packets).to_bytes(4, "little") + packed

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
        head = _Head(
            _FORMAT,
            whole_ns is not None,
            [name.encode("utf-8", "surrogatepass") for name in ids],
            streams,
            [len(section) for section in sections],
            [len(section) for section in packed],
        )
        told_head = self._zstd.compress(msgspec.msgpack.encode(head))
        return b"".join([len(told_head).to_bytes(4, "little"), told_head, *packed])

    def _stream(self, ids: list[int], part: list[Packet], step: int) -> tuple[_Stream, list[bytes]]:
        source, name = part[0].source, part[0].stream
        payloads = [packet.payload for packet in part]
        sections: list[bytes] = []
        coded = _PLAIN
        if name in (frame.STREAM, frame.LINE):
            coded = _FRAMES if name == frame.STREAM else _LINE
        if coded == _LINE:
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
            told.append(_Lane(kind, len(rows), shape))
            sections += fields.split(rows, shape)
        rest = [i for k, (_, i) in zip(kinds, items, strict=True) if k not in lanes]
        sections.append(b"".join(rest))
        stream = _Stream(ids[0], ids[1], len(part), coded, len(items), step, told, len(rest))
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


def unpack(body: bytes) -> list[Packet]:
    """Return the packets of a body.

    Raises
    ------
    ValueError
        It is not one that `Shaper.pack` makes.
    """
    zstd = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    try:
        if body.startswith(_PLAIN_BODY):
            plain = zstd.decompress(body[8:], max_output_size=MAX_RAW_BYTES)
            return layout.unpack_block(int.from_bytes(body[4:8], "little"), plain)
        start = 4 + int.from_bytes(body[:4], "little")
        told = zstd.decompress(body[4:start], max_output_size=MAX_RAW_BYTES)
        head = msgspec.msgpack.decode(told, type=_Head)
        return _unpack(head, _sections(zstd, head, body, start))
    except (
        zstandard.ZstdError,
        msgspec.MsgspecError,
        IndexError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ValueError(f"it does not unpack: {error}") from error


def _sections(zstd: zstandard.ZstdDecompressor, head: _Head, body: bytes, at: int) -> list[bytes]:
    if head.format != _FORMAT or sum(head.plain) > MAX_RAW_BYTES:
        raise ValueError(f"it is of format {head.format}, this program reads {_FORMAT}")
    sections = []
    for plain, packed in zip(head.plain, head.packed, strict=True):
        section = body[at : at + packed]
        if packed == _ALIKE < plain:
            section = section[:1] + section[1:] * (plain - 1)
        elif packed < plain:
            section = zstd.decompress(section, max_output_size=plain)
        if len(section) != plain:
            raise ValueError("a section is cut")
        sections.append(section)
        at += packed
    return sections


def _unpack(head: _Head, sections: list[bytes]) -> list[Packet]:
    left = iter(sections)
    order = np.frombuffer(_next(left), "<u2").tolist()
    n = len(order)
    names = [name.decode("utf-8", "surrogatepass") for name in head.names]
    parts = []
    for stream in head.streams:
        column = fields.join_numbers(_take(left, 8), stream.step, stream.n)
        times = (column / 1e9 if head.exact_ns else column.view(np.float64)).tolist()
        payloads = _payloads(stream, left)
        if not len(payloads) == len(times) == stream.n:
            raise ValueError("a stream is shorter or longer than told")
        source, name = names[stream.source], names[stream.name]
        parts.append(
            iter([Packet(source, name, *told) for told in zip(times, payloads, strict=True)])
        )
    packets = [packet for number in order if (packet := next(parts[number], None)) is not None]
    if len(packets) != n or any(True for part in parts for _ in part):
        raise ValueError("the order of its packets does not fit them")
    return packets


def _payloads(stream: _Stream, left: _Sections) -> list[bytes]:
    lengths = _next(left) if stream.coded == _LINE else b""
    raw_kinds = np.frombuffer(_next(left), np.uint8).reshape(4, -1)
    kinds = np.ascontiguousarray(raw_kinds.T).view("<u4").reshape(-1).tolist()
    lanes = {}
    for lane in stream.lanes:
        sections = _take(left, fields.n_sections(lane.shape))
        rows = fields.join(sections, lane.shape, lane.n, lane.kind // 2).tobytes()
        lanes[lane.kind] = _pieces(rows, [lane.kind // 2] * lane.n)
    rest = _next(left)
    ragged = _pieces(rest, [kind // 2 for kind in kinds if kind not in lanes])
    items = []
    for kind in kinds:
        item = next(lanes.get(kind, ragged))
        items.append(_outside(item) if kind & _WHOLE else item)
    if stream.coded == _LINE:
        return list(_pieces(b"\0".join(items), np.frombuffer(lengths, "<u4").tolist()))
    return items


def _take(left: _Sections, n: int) -> list[bytes]:
    return list(islice(left, n))


def _next(left: _Sections) -> bytes:
    section = next(left, None)
    if section is None:
        raise ValueError("a section is missing")
    return section


def _pieces(whole: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    return (whole[a:b] for a, b in pairwise(accumulate(lengths, initial=0)))


def _lengths(payloads: Sequence[bytes]) -> bytes:
    return np.array([len(payload) for payload in payloads], "<u4").tobytes()


def _inside(item: bytes) -> tuple[int, bytes]:
    """Return what a frame protects, where that alone gives back the same bytes."""
    try:
        plain = cobs_decode(item)
    except ValueError:
        return 0, item
    inside = plain[:-2]
    return (_WHOLE, inside) if inside and _outside(inside) == item else (0, item)


def _outside(inside: bytes) -> bytes:
    return cobs_encode(inside + crc16(inside).to_bytes(2, "little"))


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
