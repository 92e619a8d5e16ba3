"""The bytes of a packet log's head and blocks, packed and unpacked; no file is touched here."""

from __future__ import annotations

import struct
from itertools import accumulate, pairwise
from zlib import crc32

import msgspec

from edge.records import Packet

MAGIC = b"\x89HWL\r\n\x1a\n"
VERSION = 1
MAX_BODY_BYTES = 1 << 29
"""Bound on one block, and so on the memory a reader needs."""
MAX_PAYLOAD_BYTES = 1 << 28
MAX_PACKETS = 1 << 14
MAX_NAME_LETTERS = 1024
"""Bounds on what a writer puts into one block; with them a body cannot outgrow its bound."""

PREFIX = b"\xc5HWBLK\xa7"
MARKER = PREFIX + b"\x00"
ESCAPED = PREFIX + b"\xff"
FILE_HEAD = struct.Struct("<8sHHI")
BLOCK_HEAD = struct.Struct("<8sIIII")
PACKET_BYTES = 16  # arrival, two names, length
RECAP = "box:recap"
"""Stream of the packet that says again what stands, at the beginning of what can be read alone."""


class LogError(RuntimeError):
    """A packet log cannot be read or written; the text says what happened and what to do."""


class LogReport(msgspec.Struct):
    """What reading a packet log found, filled in while packets are taken.

    Attributes
    ----------
    n_blocks, n_packets : int
        Whole blocks, and the packets in them.
    n_bad_blocks, n_bytes_skipped : int
        Damaged blocks, and all bytes passed over to find the next whole one.
    cut_tail, n_tail_bytes : bool, int
        The file ends inside a block, as a power cut leaves it, and how much of it there is.
    messages : list[str]
        One sentence for a person on each thing that was wrong.
    """

    n_blocks: int = 0
    n_packets: int = 0
    n_bad_blocks: int = 0
    n_bytes_skipped: int = 0
    cut_tail: bool = False
    n_tail_bytes: int = 0
    messages: list[str] = []


def pack_head() -> bytes:
    """Return the head of a file."""
    plain = FILE_HEAD.pack(MAGIC, VERSION, 0, 0)[:-4]
    return plain + crc32(plain).to_bytes(4, "little")


def pack_block(packets: list[Packet]) -> bytes:
    """Return one block, head and body."""
    n = len(packets)
    ids: dict[str, int] = {}
    arrivals, sources, streams, payloads = [], [], [], []
    for packet in packets:
        arrivals.append(packet.arrived_s)
        sources.append(ids.setdefault(packet.source, len(ids)))
        streams.append(ids.setdefault(packet.stream, len(ids)))
        payloads.append(packet.payload)
    names = [len(ids).to_bytes(2, "little")]
    for name in ids:
        raw = name.encode("utf-8", "surrogatepass")
        names += [len(raw).to_bytes(2, "little"), raw]
    columns = struct.pack(f"<{n}d{n}H{n}H{n}I", *arrivals, *sources, *streams, *map(len, payloads))
    body = b"".join([*names, columns, *payloads]).replace(PREFIX, ESCAPED)
    head = BLOCK_HEAD.pack(MARKER, n, len(body), crc32(body), 0)[:-4]
    return b"".join((head, crc32(head).to_bytes(4, "little"), body))


def unpack_block(n: int, escaped: bytes) -> list[Packet]:
    """Return the packets in the body of a block.

    Raises
    ------
    ValueError
        The body is not one that `pack_block` makes.
    """
    body = escaped.replace(ESCAPED, PREFIX)
    try:
        names, at = _unpack_names(body)
        columns = struct.unpack_from(f"<{n}d{n}H{n}H{n}I", body, at)
    except (struct.error, IndexError) as error:
        raise ValueError(f"its names and columns do not fit it: {error}") from error
    at += n * PACKET_BYTES
    if at + sum(columns[3 * n :]) != len(body) or max(columns[n : 3 * n], default=0) >= len(names):
        raise ValueError("its lengths or names do not fit it")
    bounds = pairwise(accumulate(columns[3 * n :], initial=at))
    found = map(
        Packet,
        map(names.__getitem__, columns[n : 2 * n]),
        map(names.__getitem__, columns[2 * n : 3 * n]),
        columns[:n],
        (body[a:b] for a, b in bounds),
    )
    return list(found)


def _unpack_names(body: bytes) -> tuple[list[str], int]:
    names, at = [], 2
    for _ in range(body[0] | body[1] << 8):
        start = at + 2
        at = start + (body[at] | body[at + 1] << 8)
        names.append(body[start:at].decode("utf-8", "surrogatepass"))
    return names, at
