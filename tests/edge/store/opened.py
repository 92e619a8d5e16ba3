"""The encrypted store as tests open it: to write in it, and to look and meddle behind its back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from sqlcipher3 import dbapi2 as sqlite3

from edge.keys import SealedKey, open_keys
from edge.keys.sealed import SALT_BYTES
from edge.store import Backlog, Run, Store
from edge.store.cipher import PAGE_BYTES, apply_key, find_key

RUN = Run("run-1", "boot-1", 10.0, "0.1.0", "digest", "model-1")


def open_store(path: Path, run: Run = RUN, backlog: Backlog | None = None) -> Store:
    """Return a store to write in, with the keys of its folder; the first use makes them."""
    return Store.begin(path, run, backlog, keys=lambda: open_keys(path.parent))


def behind(path: Path, **named: Any) -> Any:
    """Return a connection under the store's key that is not the store's: no setting, no check."""
    connection = sqlite3.connect(path, **named)
    key = find_key(path, lambda: open_keys(path.parent, make=False))
    assert key is not None
    apply_key(connection, key)
    return connection


def every_page(path: Path) -> bytes:
    """Return what every page of the file and of its log holds, free ones too, decrypted.

    As a thief with the key would see it: what SQLite no longer shows is in there.
    """
    key = find_key(path, lambda: open_keys(path.parent, make=False))
    assert key is not None
    pages = list(_chunks(path, 0, PAGE_BYTES))
    log = path.with_name(path.name + "-wal")
    pages += [frame[24:] for frame in _chunks(log, 32, 24 + PAGE_BYTES)] if log.exists() else []
    return b"".join(_opened(page, key) for page in pages)


def pages_in(path: Path) -> list[bytes]:
    """Return what every page of a closed file holds, decrypted; the first without its beginning."""
    key = find_key(path, lambda: open_keys(path.parent, make=False))
    assert key is not None
    return [_opened(page, key) for page in _chunks(path, 0, PAGE_BYTES)]


def _chunks(path: Path, begin: int, size: int) -> list[bytes]:
    raw = path.read_bytes()[begin:]
    return [raw[at : at + size] for at in range(0, len(raw) - size + 1, size)]


def _opened(page: bytes, key: SealedKey) -> bytes:
    """Decrypt a page: at its end are 16 bytes of nonce and 64 of HMAC; page 1 begins with salt."""
    begin = SALT_BYTES if page.startswith(key.salt) else 0
    body, nonce = page[begin:-80], page[-80:-64]
    cipher = Cipher(algorithms.AES256(key.secret), modes.CBC(nonce)).decryptor()
    return cipher.update(body) + cipher.finalize()
