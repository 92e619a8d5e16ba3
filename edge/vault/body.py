"""What the inside of a block looks like, and back from it to the packets; see `edge.vault.shaping`.

Four bytes: the length of the head; the head, msgpack under zstandard; then the sections, one after
the other: the order of the streams, and of each stream its arrivals, the kinds of its items, its
lanes and what lies in none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, islice, pairwise
from typing import Final, TypeAlias

import msgspec
import numpy as np
import zstandard

from edge.bits import cobs_encode, crc16
from edge.packetlog import layout
from edge.records import Packet
from edge.vault import fields
from edge.vault.fields import Shape

MAX_RAW_BYTES: Final = 1 << 26
"""Bound on what a block unpacks to, and so on the memory a reader needs."""
FORMAT: Final = 1
PLAIN, FRAMES, LINE = 0, 1, 2
PLAIN_BODY: Final = b"\xff\xff\xff\xff"
"""Where the length of the head stands: there is none, the packets are as in a packet log."""
ALIKE: Final = 2
"""A section of so many bytes, where it should be longer: the first, and all others."""
WHOLE: Final = 1
"""Added to the doubled length of an item that is a frame's inside."""


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """Items of one kind (doubled length, and `WHOLE`): how many, and how they are told apart."""

    kind: int
    n: int
    shape: Shape


class Stream(msgspec.Struct, frozen=True, array_like=True):
    """What one source sent on one stream."""

    source: int
    name: int
    n: int
    coded: int
    n_items: int
    step: int
    lanes: list[Lane]
    n_ragged: int


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What a body begins with; `plain` and `packed` are the lengths of its sections."""

    format: int
    exact_ns: bool
    names: list[bytes]
    streams: list[Stream]
    plain: list[int]
    packed: list[int]


_Sections: TypeAlias = Iterator[bytes]


def unpack(body: bytes) -> list[Packet]:
    """Return the packets of a body.

    Raises
    ------
    ValueError
        It is not one that `Shaper.pack` makes.
    """
    zstd = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    try:
        if body.startswith(PLAIN_BODY):
            plain = zstd.decompress(body[8:], max_output_size=MAX_RAW_BYTES)
            return layout.unpack_block(int.from_bytes(body[4:8], "little"), plain)
        start = 4 + int.from_bytes(body[:4], "little")
        told = zstd.decompress(body[4:start], max_output_size=MAX_RAW_BYTES)
        head = msgspec.msgpack.decode(told, type=Head)
        return _unpack(head, _sections(zstd, head, body, start))
    except (
        zstandard.ZstdError,
        msgspec.MsgspecError,
        IndexError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ValueError(f"it does not unpack: {error}") from error


def _sections(zstd: zstandard.ZstdDecompressor, head: Head, body: bytes, at: int) -> list[bytes]:
    if head.format != FORMAT or sum(head.plain) > MAX_RAW_BYTES:
        raise ValueError(f"it is of format {head.format}, this program reads {FORMAT}")
    sections = []
    for plain, packed in zip(head.plain, head.packed, strict=True):
        section = body[at : at + packed]
        if packed == ALIKE < plain:
            section = section[:1] + section[1:] * (plain - 1)
        elif packed < plain:
            section = zstd.decompress(section, max_output_size=plain)
        if len(section) != plain:
            raise ValueError("a section is cut")
        sections.append(section)
        at += packed
    return sections


def _unpack(head: Head, sections: list[bytes]) -> list[Packet]:
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


def _payloads(stream: Stream, left: _Sections) -> list[bytes]:
    lengths = _next(left) if stream.coded == LINE else b""
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
        items.append(outside(item) if kind & WHOLE else item)
    if stream.coded == LINE:
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


def outside(inside: bytes) -> bytes:
    """Return the frame that protects these bytes."""
    return cobs_encode(inside + crc16(inside).to_bytes(2, "little"))
