"""How the records are encrypted: SQLCipher, under a key of their own that the device key wraps.

AES-256 page by page, each page with a nonce and an HMAC-SHA-512 of its own, also in the write-ahead
log; the index of that log (``-shm``) holds page numbers only. The key is random and given as it is,
so an open stretches nothing. It lies in ``homeward.db.key`` (`edge.keys.sealed`), and serves the
damaged files that were put aside as well.

A wrong key and a damaged file look alike to SQLite ("file is not a database"), and one is nothing
to put a file aside for. They are told apart here: the file's first bytes are the salt that the
key's file names, and each page's HMAC says whether it was written under this key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.keys import KeyRing, KeysError, SealedKey, make_sealed, open_keys, open_sealed
from edge.keys.sealed import SALT_BYTES, sealed_path

Keys: TypeAlias = Callable[[], KeyRing]
"""Gives the device keys; raises `KeysError` while they cannot be had."""

PAGE_BYTES: Final = 1024
"""A commit rewrites whole pages: a day of one patient (a score every 10 s, a summary a minute, a
commit a minute) writes 15 MB with pages of 1 kB, 22 MB with 2 kB, 39 MB with SQLite's usual 4 kB
(`tests.bench.encryption`). Of the 1 kB, 80 bytes are the nonce and the HMAC."""

_HMAC_BYTES: Final = 64
_LOOKS: Final = 64
_NOISE_BYTES: Final = 1 << 16
_NOISE_SHARE: Final = 0.02
_PLAIN: Final = b"SQLite format 3\0"
_ASIDE: Final = re.compile(r"\.damaged-\d+")


def key_path(path: Path) -> Path:
    """Return where the key of a database lies; one that was put aside has that of before."""
    return sealed_path(path.with_name(_ASIDE.sub("", path.name)))


def keys_beside(path: Path, *, make: bool) -> Keys:
    """Return what opens the device keys in a database's own folder, nobody being asked."""
    return lambda: open_keys(path.parent, make=make)


def find_key(path: Path, keys: Keys) -> SealedKey | None:
    """Return a database's key; None: it has none yet.

    Raises
    ------
    KeysError
        The device key cannot be had, or is another.
    """
    place = key_path(path)
    return open_sealed(place, keys()) if _is_there(place) else None


def make_key(path: Path, keys: Keys) -> SealedKey:
    """Return a database's key, made now where there is none.

    Raises
    ------
    KeysError
        The device key cannot be had, or it cannot be written.
    """
    return make_sealed(key_path(path), keys())


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError as error:
        raise KeysError(
            f"the key {place} cannot be read ({error.strerror}): run this as the user of the "
            f"monitor"
        ) from error


def key_literal(key: SealedKey) -> str:
    """Return a key as SQLCipher takes it: nothing is derived, and the salt is given."""
    return f"x'{key.secret.hex()}{key.salt.hex()}'"


def apply_key(connection: Any, key: SealedKey) -> None:  # noqa: ANN401  # sqlcipher3 has no types
    """Make a connection read and write under a key; must be the first that is said to it."""
    connection.execute("PRAGMA cipher_log_level=NONE")  # it would write to standard error
    # To lock and wipe all memory of SQLite would make a commit two and a half times as dear
    # (measured); the keys themselves are wiped all the same.
    connection.execute("PRAGMA cipher_memory_security=OFF")
    connection.execute(f'PRAGMA key="{key_literal(key)}"')
    connection.execute(f"PRAGMA cipher_page_size={PAGE_BYTES}")


def unencrypted_because(connection: Any) -> str:  # noqa: ANN401
    """Return why what a connection writes would not be encrypted; empty: it is.

    A file that was read through a connection that passes is encrypted: in one that is not, the
    first page would have had no HMAC.
    """
    wanted = {"cipher_status": "1", "cipher_page_size": str(PAGE_BYTES), "cipher_use_hmac": "1"}
    if not _told(connection, "cipher_version"):
        return "this SQLite cannot encrypt: install sqlcipher3 again"
    for name, value in wanted.items():
        if (found := _told(connection, name)) != value:
            return f"{name} is {found!r}, not {value!r}"
    return ""


def _told(connection: Any, pragma: str) -> str:  # noqa: ANN401
    row = connection.execute(f"PRAGMA {pragma}").fetchone()
    return "" if row is None else str(row[0])


def is_under(path: Path, key: SealedKey) -> bool:
    """Say whether anything in a file was written under a key.

    To be asked only where SQLite could not read the file: that it is opened and closed here costs
    this process the locks it may hold on it.
    """
    n_pages = path.stat().st_size // PAGE_BYTES
    # A few at the beginning and a few all over: this may be asked again every two seconds.
    numbers = {*range(_LOOKS), *range(0, n_pages, max(1, n_pages // _LOOKS))}
    stretched = bytes(byte ^ 0x3A for byte in key.salt)
    inner = hashlib.pbkdf2_hmac("sha512", key.secret, stretched, 2, len(key.secret))
    with path.open("rb") as file:
        if file.read(SALT_BYTES) == key.salt:
            return True
        for number in sorted(numbers):
            file.seek(number * PAGE_BYTES)
            page = file.read(PAGE_BYTES)
            body = page[SALT_BYTES if number == 0 else 0 : -_HMAC_BYTES]
            vouched = hmac.digest(inner, body + (number + 1).to_bytes(4, "little"), "sha512")
            if vouched == page[-_HMAC_BYTES:]:
                return True
    return False


def is_noise(path: Path) -> bool:
    """Say whether a file's beginning could be encrypted under some key: no byte stands out."""
    with path.open("rb") as file:
        raw = file.read(_NOISE_BYTES)
    if len(raw) < PAGE_BYTES:
        return False
    (_, most), *_ = Counter(raw).most_common(1)
    return most < _NOISE_SHARE * len(raw)


def is_plain(path: Path) -> bool:
    """Say whether a file that nobody has open begins as a database that is not encrypted."""
    with path.open("rb") as file:
        return file.read(len(_PLAIN)) == _PLAIN


def is_new(path: Path) -> bool:
    """Say whether there is no database yet, or a file without a byte in it."""
    try:
        return os.stat(path).st_size == 0  # noqa: PTH116
    except FileNotFoundError:
        return True
