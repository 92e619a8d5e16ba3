"""A key in a file of its own, wrapped by the device key: what the records are encrypted under.

``homeward.db.key`` beside ``homeward.db``. To lose it is to lose all that it opens, so the file
holds it twice, in two pages, each with a CRC; it is written whole or not at all::

    89 48 57 53 0D 0A 1A 0A   magic
    device id 8               which device key opens it
    nonce 12, sealed 48       AES-256-GCM, vouches for the salt
    salt 16                   random, no secret: tells whether a file is encrypted under this key
    CRC-32 of all before
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from edge.keys.device import ID_BYTES, KEY_BYTES, NONCE_BYTES, WRAPPED_BYTES, KeysError, Wrapped
from edge.keys.medium import holding, put_file
from edge.keys.ring import KeyRing

SUFFIX: Final = ".key"
SALT_BYTES: Final = 16
COPY_AT: Final = 4096
"""Where the second copy stands: in another page."""

_MAGIC: Final = b"\x89HWS\r\n\x1a\n"
_RECORD: Final = struct.Struct(f"<8s{ID_BYTES}s{NONCE_BYTES}s{WRAPPED_BYTES}s{SALT_BYTES}sI")


class SealedKey(msgspec.Struct, frozen=True):
    """What such a file opens to.

    Attributes
    ----------
    secret : bytes
        32 random bytes.
    salt : bytes
        16 bytes that may be known.
    """

    secret: bytes
    salt: bytes

    def __repr__(self) -> str:
        return f"SealedKey({self.salt.hex()})"


class _Copy(msgspec.Struct, frozen=True):
    wrapped: Wrapped
    salt: bytes


def sealed_path(path: Path) -> Path:
    """Return where the key of a file lies."""
    return path.with_name(path.name + SUFFIX)


def sealed_files(data_dir: Path) -> list[Path]:
    """Return the files of sealed keys there are in a data directory."""
    return sorted(data_dir.glob("*.db" + SUFFIX))


def make_sealed(path: Path, ring: KeyRing) -> SealedKey:
    """Return a new key, in a file that was not there; where another was quicker, its key.

    Raises
    ------
    KeysError
        It cannot be written, or does not open.
    """
    try:
        with holding(path.parent):
            if not path.exists():
                key = SealedKey(os.urandom(KEY_BYTES), os.urandom(SALT_BYTES))
                _write(path, ring, key)
                return key
    except OSError as error:
        raise _unwritten(path, error) from error
    there = open_sealed(path, ring)
    if there is None:
        raise KeysError(f"the key {path} went away while it was read: do this again")
    return there


def open_sealed(path: Path, ring: KeyRing) -> SealedKey | None:
    """Return the key in a file; None: there is none.

    Raises
    ------
    KeysError
        It cannot be read, is damaged in both copies, or does not open with these device keys.
    """
    copy = _read(path)
    return None if copy is None else _opened(copy, path, ring)


def rewrap(path: Path, ring: KeyRing) -> bool:
    """Wrap a key by the newest of the ring; both copies are whole again afterwards.

    Returns
    -------
    bool
        False: it was so already, or there is none.

    Raises
    ------
    KeysError
        It does not open, or cannot be written; then the file is as it was.
    """
    try:
        with holding(path.parent):
            copy = _read(path)
            if copy is None:
                return False
            key = _opened(copy, path, ring)
            if copy.wrapped.device_id == ring.newest.id and None not in _copies(path.read_bytes()):
                return False
            _write(path, ring, key)
    except OSError as error:
        raise _unwritten(path, error) from error
    return True


def _context(salt: bytes) -> bytes:
    return b"sealed key 1" + salt


def _opened(copy: _Copy, path: Path, ring: KeyRing) -> SealedKey:
    what = path.name.removesuffix(SUFFIX)
    return SealedKey(ring.unwrap(copy.wrapped, _context(copy.salt), what), copy.salt)


def _write(path: Path, ring: KeyRing, key: SealedKey) -> None:
    wrapped = ring.wrap(key.secret, _context(key.salt))
    plain = _RECORD.pack(_MAGIC, wrapped.device_id, wrapped.nonce, wrapped.sealed, key.salt, 0)[:-4]
    record = plain + crc32(plain).to_bytes(4, "little")
    put_file(path, record.ljust(COPY_AT, b"\0") + record)


def _read(path: Path) -> _Copy | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysError(
            f"the key {path} cannot be read ({error.strerror}): run this as the user of the monitor"
        ) from error
    copy = next((one for one in _copies(raw) if one is not None), None)
    if copy is None:
        raise KeysError(
            f"the key {path} is damaged in both copies, and nothing else opens "
            f"{path.name.removesuffix(SUFFIX)}: bring it back from a backup; nothing was touched"
        )
    return copy


def _copies(raw: bytes) -> list[_Copy | None]:
    return [_unpacked(raw[at : at + _RECORD.size]) for at in (0, COPY_AT)]


def _unpacked(record: bytes) -> _Copy | None:
    if len(record) < _RECORD.size:
        return None
    magic, device_id, nonce, sealed, salt, crc = _RECORD.unpack(record)
    if magic != _MAGIC or crc != crc32(record[:-4]):
        return None
    return _Copy(Wrapped(device_id, nonce, sealed), salt)


def _unwritten(path: Path, error: OSError) -> KeysError:
    return KeysError(f"the key {path} cannot be written: {error.strerror}; check it")
