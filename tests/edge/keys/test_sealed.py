"""A key in a file of its own: twice, whole or not at all, and only the device key opens it."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.keys import (
    DeviceKey,
    KeyRing,
    KeysError,
    Wrapped,
    make_sealed,
    new_key,
    open_keys,
    open_sealed,
    rewrap,
    sealed_files,
)
from edge.keys import medium as medium_module
from edge.keys.ring import NAME
from edge.keys.sealed import COPY_AT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db.key"


def test_what_the_vault_wrapped_before_still_opens() -> None:
    # The bytes as they have been since the first vault.
    secret, context = bytes(range(32)), b"segment key 1" + b"i" * 16 + b"00000001-0"
    wrapping = hmac.digest(secret, b"homeward vault wrapping 1", hashlib.sha256)
    sealed = AESGCM(wrapping).encrypt(b"n" * 12, b"k" * 32, context)
    device = DeviceKey(secret)
    name = hmac.digest(secret, b"homeward vault key id 1", hashlib.sha256)[:8]
    assert device.unwrap(Wrapped(name, b"n" * 12, sealed), context, "it") == b"k" * 32
    assert device.id == name


def test_a_secret_opens_under_its_own_context_only() -> None:
    device = new_key()
    wrapped = device.wrap(b"s" * 32, b"one")
    assert device.unwrap(wrapped, b"one", "it") == b"s" * 32
    with pytest.raises(KeysError, match="the key of it does not open"):
        device.unwrap(wrapped, b"other", "it")


def test_a_sealed_key_is_made_once_and_only_its_user_can_read_it(path: Path) -> None:
    ring = KeyRing((new_key(),))
    assert open_sealed(path, ring) is None
    key = make_sealed(path, ring)
    assert make_sealed(path, ring) == open_sealed(path, ring) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.secret not in path.read_bytes()
    assert key.secret.hex() not in repr(key)
    assert sealed_files(path.parent) == [path]


def test_another_device_key_does_not_open_it_and_changes_nothing(path: Path) -> None:
    make_sealed(path, KeyRing((new_key(),)))
    before = path.read_bytes()
    for attempt in (open_sealed, make_sealed, rewrap):
        with pytest.raises(KeysError, match=r"homeward\.db is encrypted under the device key"):
            attempt(path, KeyRing((new_key(),)))
    assert path.read_bytes() == before


@pytest.mark.parametrize("at", [0, 30, COPY_AT, COPY_AT + 30])
def test_damage_to_one_copy_loses_nothing_and_is_mended(path: Path, at: int) -> None:
    ring = KeyRing((new_key(),))
    key = make_sealed(path, ring)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    assert open_sealed(path, ring) == key
    assert rewrap(path, ring)
    assert not rewrap(path, ring)
    path.write_bytes(b"\0" * COPY_AT + path.read_bytes()[COPY_AT:])
    assert open_sealed(path, ring) == key


@pytest.mark.parametrize("raw", [b"", b"x" * 20, bytes(8192), b"\xff" * 5000])
def test_a_file_that_holds_no_key_is_told_and_left_alone(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    for attempt in (open_sealed, make_sealed):
        with pytest.raises(KeysError, match="bring it back from a backup"):
            attempt(path, KeyRing((new_key(),)))
    assert path.read_bytes() == raw


def test_a_key_wrapped_anew_opens_with_the_new_one_alone(path: Path) -> None:
    old, new = new_key(), new_key()
    key = make_sealed(path, KeyRing((old,)))
    assert rewrap(path, KeyRing((new, old)))
    assert open_sealed(path, KeyRing((new,))) == key
    with pytest.raises(KeysError):
        open_sealed(path, KeyRing((old,)))


def test_wrapping_anew_that_dies_at_any_step_leaves_a_key_that_opens(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    for k in range(20):
        path.unlink(missing_ok=True)
        key = make_sealed(path, KeyRing((old,)))
        left = [k]

        def failing(real, left=left):
            def call(*args):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(5, "the disk fails")
                return real(*args)

            return call

        with monkeypatch.context() as patch:
            for name in ("write", "fsync"):
                patch.setattr(os, name, failing(getattr(os, name)))
            patch.setattr(Path, "replace", failing(Path.replace))
            try:
                rewrap(path, KeyRing((new, old)))
            except KeysError:
                done = False
            else:
                done = True
        assert open_sealed(path, KeyRing((new, old))) == key
        if done:
            break
    assert k >= 4  # write, sync, rename, sync the folder


def test_all_who_are_first_at_once_get_the_same_keys(tmp_path: Path) -> None:
    found: list[tuple[bytes, bytes]] = []
    together = threading.Barrier(8)

    def begin() -> None:
        together.wait()
        ring = open_keys(tmp_path)
        key = make_sealed(tmp_path / "homeward.db.key", ring)
        found.append((ring.newest.secret, key.secret))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_no_device_key_is_made_where_records_are_encrypted_already(path: Path) -> None:
    make_sealed(path, open_keys(path.parent))
    (path.parent / NAME).unlink()
    with pytest.raises(KeysError, match="the key of this box is gone"):
        open_keys(path.parent)
    assert not (path.parent / NAME).exists()


def test_a_file_that_cannot_be_written_whole_is_not_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medium_module.os, "write", lambda _fd, raw: len(raw) - 1)
    with pytest.raises(KeysError, match="cannot be written"):
        make_sealed(path, KeyRing((new_key(),)))
    assert not path.exists()
