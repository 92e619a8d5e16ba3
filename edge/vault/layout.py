"""The bytes of a segment, packed and unpacked; no file is touched and nothing decrypted here.

Little endian. A segment ``NNNNNNNN-G.hwv`` (number and generation) begins with a head::

    89 48 57 56 0D 0A 1A 0A   magic
    version u16, flags u16, number u32, generation u32
    id 16                     random, new with each segment
    boot id 36                ASCII, padded with zeros
    boot s f64, wall s f64    when it began, by both clocks
    synchronised u8, 3 zeros, CRC-32 of all before

and goes on with blocks::

    C5 48 57 56 4C 54 A7 00   marker
    kind u8, 3 zeros
    sequence u32              0, 1, 2 ... in the segment: also the nonce
    packets u32, bytes u32    bytes: of the body
    first s f64, last s f64   arrivals, boot clock
    CRC-32 of the body, CRC-32 of the head before
    body                      AES-256-GCM, tag last

Both CRCs stand outside the cipher, so that damage is found without the key. What the cipher vouches
for besides the body is the segment's id and the block's head: a block that is moved, swapped or
told otherwise does not open. Its key lies beside it in ``NNNNNNNN-G.key``, wrapped by the
device's, twice in two pages of the file, each with the segment's head; without that file the
segment is noise.

What can be seen without any key: times, sizes, and so when there were alarms.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final
from zlib import crc32

import msgspec

from edge.keys import KeysError
from edge.packetlog.layout import LogError

MAGIC: Final = b"\x89HWV\r\n\x1a\n"
VERSION: Final = 1
MARKER: Final = b"\xc5HWVLT\xa7\x00"
MAX_BODY_BYTES: Final = 1 << 26
TAG_BYTES: Final = 16
COPY_AT: Final = 4096
"""Where the second copy of a wrapped key stands: in another page."""

_HEAD: Final = struct.Struct("<8sHHII16s36sddB3xI")
_BLOCK: Final = struct.Struct("<8sB3xIIIddII")
_KEY: Final = struct.Struct("<8s8s12s48s")
_KEY_MAGIC: Final = b"\x89HWK\r\n\x1a\n"
HEAD_BYTES: Final = _HEAD.size
BLOCK_BYTES: Final = _BLOCK.size
KEY_RECORD_BYTES: Final = _KEY.size + HEAD_BYTES + 4


class VaultError(LogError):
    """The vault cannot be read or written; the text says what happened and what to do."""


UNREADABLE: Final = (VaultError, KeysError)
"""Why a segment cannot be read: something is wrong with it, or with the key."""


class Kind(IntEnum):
    """What a block holds.

    PACKETS. BEGIN: a `Begin`, always the first. PIN: a `Pin`. HOLE: a `Hole`, what was forgotten or
    has expired lay here. END: nothing; the segment was closed in order.
    """

    PACKETS = 0
    BEGIN = 1
    PIN = 2
    HOLE = 3
    END = 4


class Head(msgspec.Struct, frozen=True):
    """Of a segment: which it is, and when it began by both clocks."""

    number: int
    generation: int
    id: bytes
    boot_id: str
    boot_s: float
    wall_s: float
    synchronised: bool

    @property
    def stem(self) -> str:
        """Name of its files, without their endings."""
        return f"{self.number:08d}-{self.generation}"


class BlockHead(msgspec.Struct, frozen=True):
    """Of a block, as it can be read without the key."""

    kind: int
    sequence: int
    n_packets: int
    n_bytes: int
    first_s: float
    last_s: float
    crc: int = 0


class Begin(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a segment's first block says, where nobody can change it.

    Attributes
    ----------
    boot_id, boot_s, wall_s, synchronised
        As in the head.
    before : str
        Id of the segment before it, in hexadecimal; empty: there was none.
    n_blocks_before : int
        Whole blocks that one had when this began: were it cut later, that is seen.
    replaces : str
        Ids, with blanks between, of the segments whose remains these are: of the one that was
        written anew, after those it had replaced itself.
    """

    boot_id: str
    boot_s: float
    wall_s: float
    synchronised: bool
    before: str = ""
    n_blocks_before: int = 0
    replaces: str = ""


class Pin(msgspec.Struct, frozen=True):
    """A span of this boot that is kept longer, and why."""

    from_s: float
    to_s: float
    why: str = ""


class Hole(msgspec.Struct, frozen=True):
    """A span whose packets are gone, and why: ``forgotten``, ``expired``, ``dropped``."""

    from_s: float
    to_s: float
    why: str


class WrappedKey(msgspec.Struct, frozen=True):
    """A segment's key as it lies on the medium.

    Attributes
    ----------
    device_id : bytes
        Which device key opens it.
    nonce, wrapped : bytes
        AES-256-GCM of the segment key; vouches for the segment's id, number and generation.
    head : Head
        Copy of the segment's.
    """

    device_id: bytes
    nonce: bytes
    wrapped: bytes
    head: Head


def pack_head(head: Head) -> bytes:
    """Return the head of a segment."""
    plain = _HEAD.pack(
        MAGIC,
        VERSION,
        0,
        head.number,
        head.generation,
        head.id,
        head.boot_id.encode("ascii", "replace")[:36],
        head.boot_s,
        head.wall_s,
        head.synchronised,
        0,
    )[:-4]
    return plain + crc32(plain).to_bytes(4, "little")


def unpack_head(raw: bytes) -> Head | None:
    """Return the head, None where it is damaged or none.

    Raises
    ------
    VaultError
        It is whole, and of another version.
    """
    if len(raw) < HEAD_BYTES or not raw.startswith(MAGIC):
        return None
    _, version, _, number, generation, name, boot, boot_s, wall_s, synced, crc = _HEAD.unpack(
        raw[:HEAD_BYTES]
    )
    if crc != crc32(raw[: HEAD_BYTES - 4]):
        return None
    if version != VERSION:
        raise VaultError(
            f"segment {number} of the vault is of version {version}, this program reads "
            f"{VERSION}; read it with the homeward that wrote it, or a newer one"
        )
    boot_id = boot.rstrip(b"\0").decode("ascii", "replace")
    return Head(number, generation, name, boot_id, boot_s, wall_s, bool(synced))


def vouched(segment_id: bytes, head: BlockHead) -> bytes:
    """Return what the cipher vouches for besides the body."""
    told = (head.kind, head.sequence, head.n_packets, head.n_bytes, head.first_s, head.last_s)
    return segment_id + _BLOCK.pack(MARKER, *told, 0, 0)


def pack_block(head: BlockHead, body: bytes) -> bytes:
    """Return one block of an encrypted body."""
    plain = _BLOCK.pack(
        MARKER,
        head.kind,
        head.sequence,
        head.n_packets,
        len(body),
        head.first_s,
        head.last_s,
        crc32(body),
        0,
    )[:-4]
    return b"".join((plain, crc32(plain).to_bytes(4, "little"), body))


def unpack_block_head(raw: bytes) -> BlockHead | None:
    """Return the head of a block, None where it is damaged or none."""
    if len(raw) < BLOCK_BYTES or not raw.startswith(MARKER):
        return None
    _, kind, sequence, n, n_bytes, first_s, last_s, crc, own = _BLOCK.unpack(raw[:BLOCK_BYTES])
    if own != crc32(raw[: BLOCK_BYTES - 4]) or n_bytes > MAX_BODY_BYTES:
        return None
    return BlockHead(kind, sequence, n, n_bytes, first_s, last_s, crc)


def pack_key(key: WrappedKey) -> bytes:
    """Return what a key's file holds: the same twice."""
    plain = _KEY.pack(_KEY_MAGIC, key.device_id, key.nonce, key.wrapped) + pack_head(key.head)
    record = plain + crc32(plain).to_bytes(4, "little")
    return record.ljust(COPY_AT, b"\0") + record


def unpack_key(raw: bytes) -> WrappedKey | None:
    """Return the first whole copy; None: both are damaged, or it is none."""
    return next((key for key in key_copies(raw) if key is not None), None)


def key_copies(raw: bytes) -> list[WrappedKey | None]:
    """Return both copies in a key's file, None for each that is damaged."""
    return [_unpack_copy(raw[at : at + KEY_RECORD_BYTES]) for at in (0, COPY_AT)]


def _unpack_copy(record: bytes) -> WrappedKey | None:
    crc = crc32(record[:-4]).to_bytes(4, "little")
    if len(record) < KEY_RECORD_BYTES or crc != record[-4:]:
        return None
    magic, device_id, nonce, wrapped = _KEY.unpack_from(record)
    head = unpack_head(record[_KEY.size : -4])
    if magic != _KEY_MAGIC or head is None:
        return None
    return WrappedKey(device_id, nonce, wrapped, head)
