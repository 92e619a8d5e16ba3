"""What is done to the vault's keys never takes the records': they open before, during and after."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.keys import (
    DeviceKey,
    KeyRing,
    KeysError,
    Protection,
    find_keys,
    new_key,
    open_keys,
    open_sealed,
)
from edge.keys import keyfile as keyfile_module
from edge.keys.keyfile import plain, under_passphrase, write_key_file
from edge.keys.ring import NAME, NEW
from edge.keys.sealed import COPY_AT, sealed_files
from edge.store import StoreKeyError, open_history
from edge.vault import forget_all, rotate
from edge.vault.folder import device_ids, segments
from edge.vault.rotating import renew
from tests.edge.store.opened import open_store
from tests.edge.vault.kit import SMALL, read, start, wave, write

SECRET = "correct horse battery"  # noqa: S105
PACKETS = [start(), *wave(60)]
CALLS = ("write", "pwrite", "fsync", "rename", "replace", "unlink", "ftruncate")


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return filled(tmp_path / "box")


def filled(box: Path) -> Path:
    """Return a box with a vault and records."""
    box.mkdir()
    write(box, PACKETS, bounds=SMALL)
    open_store(box / "homeward.db").close()
    return box


def assert_records_open(box: Path, *words: object) -> None:
    with open_history(box) as history:
        assert len(history.runs()) == 1, words


def opens_with(box: Path, key: DeviceKey) -> bool:
    try:
        return open_sealed(sealed_files(box)[0], KeyRing((key,))) is not None
    except KeysError:
        return False


def test_a_rotation_wraps_the_records_key_too(box: Path) -> None:
    old = open_keys(box).newest
    before = (box / "homeward.db").read_bytes()
    rotate(box, box / "vault", open_keys(box), plain)
    assert not opens_with(box, old)
    assert opens_with(box, open_keys(box).newest)
    assert_records_open(box)
    assert (box / "homeward.db").read_bytes() == before
    assert read(box) == PACKETS


def test_nothing_is_rotated_where_the_records_key_does_not_open(box: Path) -> None:
    place = sealed_files(box)[0]
    other = box.with_name("other")
    filled(other)
    shutil.copy(sealed_files(other)[0], place)
    before = {p.name: p.read_bytes() for p in box.rglob("*") if p.is_file()}
    with pytest.raises(KeysError, match="bring that key back"):
        rotate(box, box / "vault", open_keys(box), plain)
    with pytest.raises(KeysError):
        renew(box, open_keys(box), plain)
    assert {p.name: p.read_bytes() for p in box.rglob("*") if p.is_file()} == before


def test_a_rotation_killed_at_any_step_leaves_records_that_open(box: Path) -> None:
    def change(folder: Path) -> None:
        rotate(folder, folder / "vault", open_keys(folder), plain)

    old = open_keys(box).newest

    def afterwards(folder: Path, k: int) -> None:
        assert read(folder) == PACKETS, k
        change(folder)
        assert_records_open(folder, k)
        assert not opens_with(folder, old)
        assert len(open_keys(folder).keys) == 1

    assert killed_at_every_step(box, change, afterwards) > 15


def test_to_forget_all_changes_the_device_key_and_keeps_the_records(box: Path) -> None:
    old = open_keys(box).newest
    told = forget_all(box, box / "vault", ring=open_keys(box))
    assert (told.left, segments(box / "vault")) == ([], [])
    assert open_keys(box).newest.id != old.id
    assert not opens_with(box, old)
    assert_records_open(box)
    write(box, PACKETS)
    assert read(box) == PACKETS
    for file in box.rglob("*"):
        assert not file.is_file() or old.secret.hex().encode() not in file.read_bytes()


def test_to_forget_all_after_a_rotation_that_was_broken_off_keeps_neither_of_its_keys(
    box: Path,
) -> None:
    second = new_key()
    write_key_file(box / NEW, plain(second))  # it has wrapped segments, perhaps
    first = open_keys(box).keys[1]
    forget_all(box, box / "vault", ring=open_keys(box))
    (third,) = open_keys(box).keys
    assert third.id not in {first.id, second.id}
    assert opens_with(box, third)
    assert_records_open(box)
    assert not (box / NEW).exists()


def test_to_forget_all_killed_at_any_step_leaves_records_that_open(box: Path) -> None:
    def change(folder: Path) -> None:
        forget_all(folder, folder / "vault", ring=open_keys(folder))

    old = open_keys(box).newest

    def afterwards(folder: Path, k: int) -> None:
        change(folder)
        assert_records_open(folder, k)
        assert segments(folder / "vault") == []
        assert not opens_with(folder, old)

    assert killed_at_every_step(box, change, afterwards) > 15


def killed_at_every_step(
    box: Path, change: Callable[[Path], None], afterwards: Callable[[Path, int], None]
) -> int:
    """Kill a child before its k-th system call that changes a file, for every k; return the last.

    After each the records open as they are; then `afterwards` looks, and does it once more.
    """
    for k in range(400):
        folder = box.with_name(f"{box.name}-{k}")
        shutil.copytree(box, folder)
        pid = os.fork()
        if not pid:
            _die_at(k)
            change(folder)
            os._exit(0)
        done = os.waitpid(pid, 0)[1] == 0
        assert_records_open(folder, k)
        afterwards(folder, k)
        shutil.rmtree(folder)
        if done:
            return k
    pytest.fail("it never ended")


def _die_at(k: int) -> None:
    left = [k]

    def dying(real):
        def call(*args, **named):
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return real(*args, **named)

        return call

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))


def test_to_forget_all_without_the_key_destroys_the_vault_and_keeps_the_key(
    box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile_module, "SCRYPT_N", 1 << 10)
    key = open_keys(box).newest
    write_key_file(box / NAME, under_passphrase(key, SECRET))
    told = forget_all(box, box / "vault")
    assert "homeward vault rotate-key" in told.left[0]
    assert segments(box / "vault") == []
    with pytest.raises(StoreKeyError, match="passphrase"):
        open_history(box)
    with open_history(box, lambda: open_keys(box, passphrase=lambda: SECRET)) as history:
        assert len(history.runs()) == 1


def test_to_forget_all_keeps_the_kind_of_protection(
    box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile_module, "SCRYPT_N", 1 << 10)
    key = open_keys(box).newest
    write_key_file(box / NAME, under_passphrase(key, SECRET))
    ring = open_keys(box, passphrase=lambda: SECRET)
    forget_all(box, box / "vault", ring=ring, protect=lambda fresh: under_passphrase(fresh, SECRET))
    (found,) = find_keys(box)
    assert found.protection is Protection.PASSPHRASE
    assert open_keys(box, passphrase=lambda: SECRET).newest.id != key.id
    with open_history(box, lambda: open_keys(box, passphrase=lambda: SECRET)) as history:
        assert len(history.runs()) == 1


def test_without_records_the_device_key_is_destroyed_as_ever(tmp_path: Path) -> None:
    write(tmp_path, PACKETS)
    forget_all(tmp_path, tmp_path / "vault", ring=open_keys(tmp_path))
    assert find_keys(tmp_path) == []
    assert device_ids(tmp_path / "vault") == set()


def test_a_damaged_copy_of_the_records_key_is_mended_by_a_rotation(box: Path) -> None:
    place = sealed_files(box)[0]
    place.write_bytes(bytes(COPY_AT) + place.read_bytes()[COPY_AT:])
    assert_records_open(box)
    rotate(box, box / "vault", open_keys(box), plain)
    place.write_bytes(place.read_bytes()[:COPY_AT])
    assert_records_open(box)
