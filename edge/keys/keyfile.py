"""The file of a device key: plain, under a passphrase, or one half with the other on a USB stick.

One line of JSON, mode 0600, written whole or not at all; twice, in two pages, each with a CRC, for
to lose it is to lose all that is kept::

    {"homeward_key": 1, "id": "...", "kind": "plain", "key": "..."}
    {"homeward_key": 1, "id": "...", "kind": "passphrase", "salt": "...", "n": 32768, ...}
    {"homeward_key": 1, "id": "...", "kind": "share", "half": "...", "stick": "..."}

A passphrase goes through scrypt (RFC 7914) and wraps the key with AES-256-GCM. A share is one of
two random halves whose XOR is the key: either alone says nothing about it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias
from zlib import crc32

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.keys.device import KEY_BYTES, DeviceKey, KeysError
from edge.keys.medium import put_file

Passphrase: TypeAlias = Callable[[], str]

SCRYPT_N: Final = 1 << 15
SCRYPT_R: Final = 8
"""N r 128 bytes = 32 MB and about a second on a Pi: what a guess costs."""
LEAST_LETTERS: Final = 8
_MAX_N: Final = 1 << 20
COPY_AT: Final = 4096
"""Where the second copy stands: in another page."""
MAX_FILE_BYTES: Final = 16 * 1024
STICK_FILE: Final = "homeward-share.key"


class KeyFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What such a file says; bytes in hexadecimal."""

    homeward_key: Literal[1]
    id: str
    kind: Literal["plain", "passphrase", "share", "stick"]
    key: str = ""
    salt: str = ""
    nonce: str = ""
    n: int = 0
    r: int = 0
    half: str = ""
    stick: str = ""
    check: str = ""
    """CRC-32 of the line without it; empty in files of before."""


def plain(key: DeviceKey) -> KeyFile:
    """Return a file that holds the key as it is."""
    return KeyFile(1, key.id.hex(), "plain", key.secret.hex())


def under_passphrase(key: DeviceKey, passphrase: str) -> KeyFile:
    """Return a file that opens with a passphrase.

    Raises
    ------
    KeysError
        The passphrase is too short.
    """
    if len(passphrase) < LEAST_LETTERS:
        raise KeysError(f"this passphrase is too short: give {LEAST_LETTERS} letters or more")
    salt, nonce = os.urandom(16), os.urandom(12)
    told = KeyFile(1, key.id.hex(), "passphrase", "", salt.hex(), nonce.hex(), SCRYPT_N, SCRYPT_R)
    wrapped = AESGCM(_stretched(passphrase, told)).encrypt(nonce, key.secret, key.id)
    return msgspec.structs.replace(told, key=wrapped.hex())


def shared(key: DeviceKey, stick: Path) -> tuple[KeyFile, KeyFile]:
    """Return the file for the box and the one for the stick, a folder."""
    half = os.urandom(KEY_BYTES)
    other = bytes(a ^ b for a, b in zip(key.secret, half, strict=True))
    name = key.id.hex()
    return (
        KeyFile(1, name, "share", half=half.hex(), stick=str(stick)),
        KeyFile(1, name, "stick", half=other.hex()),
    )


def opened(told: KeyFile, path: Path, passphrase: Passphrase | None) -> DeviceKey:
    """Return the key in a file.

    Raises
    ------
    KeysError
        The passphrase is wrong, the stick is not there, or the file is damaged.
    """
    try:
        secret = _secret(told, path, passphrase)
        key = DeviceKey(secret)
    except (ValueError, MemoryError) as error:
        raise KeysError(f"{path} is damaged ({error}): bring it back from a backup") from error
    if key.id.hex() != told.id:
        raise KeysError(
            f"{path} holds another key than the one it names ({told.id}): one half, or the file, "
            f"was changed; bring it back from a backup"
        )
    return key


def _secret(told: KeyFile, path: Path, passphrase: Passphrase | None) -> bytes:
    if told.kind == "plain":
        return bytes.fromhex(told.key)
    if told.kind == "passphrase":
        if passphrase is None:
            raise KeysError(
                f"{path} is protected by a passphrase, and there is nobody to ask for it: call "
                f"this at a terminal, or give it in HOMEWARD_PASSPHRASE_FILE"
            )
        wrapping = _stretched(passphrase(), told)
        try:
            return AESGCM(wrapping).decrypt(
                bytes.fromhex(told.nonce), bytes.fromhex(told.key), bytes.fromhex(told.id)
            )
        except InvalidTag:
            raise KeysError(f"this is not the passphrase of {path}; nothing was changed") from None
    if told.kind == "stick":
        raise KeysError(f"{path} is the half that belongs on a USB stick; the box needs its own")
    other_path = Path(told.stick) / STICK_FILE
    other = read_key_file(other_path, private=False)
    if other is None:
        raise KeysError(
            f"half of the device's key is on a USB stick, and {other_path} is not there: plug it in"
        )
    if other.kind != "stick" or other.id != told.id:
        raise KeysError(f"{other_path} is the half of another key ({other.id}, not {told.id})")
    mine, theirs = bytes.fromhex(told.half), bytes.fromhex(other.half)
    return bytes(a ^ b for a, b in zip(mine, theirs, strict=True))


def _stretched(passphrase: str, told: KeyFile) -> bytes:
    if not 1 < told.n <= _MAX_N or not 0 < told.r <= 32:
        raise ValueError("its scrypt parameters are impossible")
    salt = bytes.fromhex(told.salt)
    bound = 2 * 128 * told.n * told.r
    return hashlib.scrypt(
        passphrase.encode(), salt=salt, n=told.n, r=told.r, p=1, maxmem=bound, dklen=KEY_BYTES
    )


def read_key_file(path: Path, *, private: bool = True) -> KeyFile | None:
    """Return what a key's file says; None: there is none, or it was overwritten by `shred`.

    Parameters
    ----------
    private : bool
        It must belong to this user and be closed to all others.

    Raises
    ------
    KeysError
        It cannot be read, is damaged, or others may read it.
    """
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysError(
            f"the key {path} cannot be read ({error.strerror}): run this as the user of the monitor"
        ) from error
    if private:
        _check_rights(path, about)
    if raw and not raw.strip(b"\0"):
        return None  # destroyed, and the power went before its name was gone
    try:
        return _whole_copy(raw)
    except msgspec.DecodeError as error:
        if len(bare := raw.strip()) in (KEY_BYTES * 2, KEY_BYTES):
            return _bare(bare)
        raise KeysError(f"{path} is no key of homeward ({error}); nothing was changed") from error


def _whole_copy(raw: bytes) -> KeyFile:
    """Return the first copy that is as it was written."""
    broken: msgspec.DecodeError | None = None
    for at in (0, COPY_AT):
        try:
            told = msgspec.json.decode(raw[at : at + COPY_AT], type=KeyFile)
            if not told.check or told.check == _check_of(told):
                return told
            raise msgspec.DecodeError("its check sum is another")  # noqa: TRY301
        except msgspec.DecodeError as error:
            broken = broken or error
    raise broken or msgspec.DecodeError("it is empty")


def _check_of(told: KeyFile) -> str:
    line = msgspec.json.encode(msgspec.structs.replace(told, check=""))
    return f"{crc32(line):08x}"


def _bare(raw: bytes) -> KeyFile:
    """Return a credential that is nothing but 32 bytes, or 64 hexadecimal digits."""
    with suppress(ValueError):
        return plain(DeviceKey(bytes.fromhex(raw.decode("ascii", "replace"))))
    return plain(DeviceKey(raw[:KEY_BYTES]))


def _check_rights(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        raise KeysError(
            f"{path} is not a file of this user (owner {about.st_uid}, we are {os.geteuid()}): "
            f"run this as the user of the monitor, or give the file to it with chown"
        )
    if about.st_mode & 0o077:
        raise KeysError(
            f"{path} is open to other users (mode {about.st_mode & 0o777:03o}), and it opens "
            f"all that is kept: run `chmod 600 {path}`, then `homeward vault rotate-key`"
        )


def write_key_file(path: Path, told: KeyFile) -> None:
    """Write a key's file, 0600, whole or not at all, on the medium when this returns.

    Raises
    ------
    KeysError
        It cannot be written.
    """
    try:
        line = msgspec.json.encode(msgspec.structs.replace(told, check=_check_of(told))) + b"\n"
        put_file(path, line.ljust(COPY_AT, b" ") + line)
    except OSError as error:
        raise KeysError(f"the key {path} cannot be written: {error.strerror}; check it") from error
