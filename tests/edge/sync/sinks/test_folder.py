"""A stick or a share: written whole, read back, known again, and never the box's own disk."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.egress.allowed import Content
from edge.sync import SyncError, medium, wire
from edge.sync.network import Routes
from edge.sync.parcel import MAX_PARCEL_BYTES, Item, Receipt
from edge.sync.signed_lines import Marker, SignatureError, key_of, verified
from edge.sync.sinks import SinkError, folder
from edge.sync.sinks.folder import SINK, Settings
from tests.edge.notices.far_away import authority
from tests.edge.sync.sinks.far_off import BOX, erasure, heartbeat, items, place, uuid_of


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    path = tmp_path / "stick"
    path.mkdir()
    return path


def opened(tmp_path: Path, stick: Path, **more: Any) -> Any:
    return SINK.open(Settings(path=stick, same_disk=True, **more), place(tmp_path))


def write(sink: Any, what: list[Item], kind: Content = Content.ALERT) -> Receipt:
    async def once() -> Receipt:
        await sink.send(sink.pack(kind, what))
        return sink.receipts.get_nowait()

    return asyncio.run(once())


def files(stick: Path) -> list[Path]:
    return sorted((stick / f"homeward-{BOX}").glob("*.jsonl"))


def marker(stick: Path) -> Marker:
    return msgspec.json.decode((stick / f"homeward-{BOX}" / "box.json").read_bytes(), type=Marker)


def entries(stick: Path) -> list[str]:
    own = marker(stick)
    key = key_of(own, pinned=own.public_key)
    lines = [line for file in files(stick) for line in verified(file.read_bytes(), key)]
    return [entry.uuid for line in lines for entry in wire.opened(line, BOX).entries]


def test_what_is_written_is_signed_and_sorts_as_the_record_goes(
    tmp_path: Path, stick: Path
) -> None:
    sink = opened(tmp_path, stick)
    for first in (1, 4, 1000):
        receipt = write(sink, items(3, first=first))
        assert set(receipt.stored) == {uuid_of(n) for n in range(first, first + 3)}
    assert entries(stick) == [uuid_of(n) for n in (1, 2, 3, 4, 5, 6, 1000, 1001, 1002)]
    assert not list((stick / f"homeward-{BOX}").glob(".*"))


def test_the_same_written_again_is_one_file(tmp_path: Path, stick: Path) -> None:
    for _ in range(3):
        write(opened(tmp_path, stick), items(3))
    assert len(files(stick)) == 1


@pytest.mark.parametrize("spoil", ["cut", "altered", "line", "signature"])
def test_a_file_that_was_touched_is_known(tmp_path: Path, stick: Path, spoil: str) -> None:
    write(opened(tmp_path, stick), items(3))
    (file,) = files(stick)
    body = file.read_bytes()
    lines = body.splitlines(keepends=True)
    file.write_bytes(
        {
            "cut": body[:-30],
            "altered": body.replace(b'"value":71', b'"value":72'),
            "line": b"".join(lines[1:]),
            "signature": b"".join(lines[:-1]),
        }[spoil]
    )
    assert file.read_bytes() != body
    with pytest.raises(SignatureError):
        entries(stick)


def test_a_folder_on_the_boxs_own_disk_is_no_stick(tmp_path: Path, stick: Path) -> None:
    sink = SINK.open(Settings(path=stick), place(tmp_path))
    with pytest.raises(SinkError, match="is the stick plugged in"):
        write(sink, items(1))
    assert list(stick.iterdir()) == []


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="/dev/shm is missing")  # noqa: S108
def test_a_medium_of_its_own_is_written(tmp_path: Path) -> None:
    if Path("/dev/shm").stat().st_dev in {tmp_path.stat().st_dev, Path("/").stat().st_dev}:  # noqa: S108
        pytest.skip("the shared memory is no file system of its own here")
    path = Path(f"/dev/shm/homeward-test-{os.getpid()}")  # noqa: S108
    path.mkdir()
    try:
        write(SINK.open(Settings(path=path), place(tmp_path)), items(1))
        assert len(files(path)) == 1
    finally:
        for file in sorted(path.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        path.rmdir()


def test_where_the_stick_is_pulled_out_nothing_is_written_beneath(
    tmp_path: Path, stick: Path
) -> None:
    sink = opened(tmp_path, stick)
    write(sink, items(1))
    stick.rename(tmp_path / "pocket")
    with pytest.raises(SinkError, match="plugged in"):
        write(sink, items(1, first=2))
    stick.mkdir()  # the mount point beneath
    with pytest.raises(SinkError, match="is the right one plugged in"):
        write(sink, items(1, first=2))
    assert list(stick.iterdir()) == []
    stick.rmdir()
    (tmp_path / "pocket").rename(stick)
    write(sink, items(1, first=2))
    assert entries(stick) == [uuid_of(1), uuid_of(2)]


def test_another_stick_is_taken_once_the_first_is_forgotten(tmp_path: Path, stick: Path) -> None:
    write(opened(tmp_path, stick), items(1))
    other = tmp_path / "other"
    other.mkdir()
    sink = opened(tmp_path, other)
    with pytest.raises(SinkError, match=r"remove .*folder-far.json"):
        write(sink, items(1, first=2))
    (tmp_path / "sync" / "folder-far.json").unlink()
    write(sink, items(1, first=2))
    assert entries(other) == [uuid_of(2)]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "full"),
        (errno.EROFS, "only be read"),
        (errno.EIO, "fault"),
        (errno.ESTALE, "is not there"),
        (errno.EACCES, "user"),
        (errno.ELOOP, "cannot be written"),
    ],
)
@pytest.mark.parametrize("at", ["fsync", "rename"])
def test_a_fault_of_the_medium_is_told_and_tried_again(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, at: str
) -> None:
    sink = opened(tmp_path, stick)
    write(sink, items(1))

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(medium.os, at, fail)
        with pytest.raises(SinkError, match=words) as told:
            write(sink, items(1, first=2))
        assert not told.value.refused
    write(sink, items(1, first=2))
    assert entries(stick) == [uuid_of(1), uuid_of(2)]


def test_some_room_is_left(tmp_path: Path, stick: Path) -> None:
    sink = opened(tmp_path, stick, keep_free_mb=1e6)
    with pytest.raises(SinkError, match="full"):
        write(sink, items(1))
    assert files(stick) == []


def test_what_does_not_come_back_is_not_stored(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(tmp_path, stick)
    write(sink, items(1))
    real = os.fsync

    def rot(handle: int) -> None:
        real(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.suffix == ".part":
            path.write_bytes(b"\0" * path.stat().st_size)

    monkeypatch.setattr(medium.os, "fsync", rot)
    with pytest.raises(SinkError, match="does not come back") as told:
        write(sink, items(1, first=2))
    assert told.value.arrived
    assert sink.receipts.empty()


def test_a_share_that_hangs_holds_one_thread_and_nobody_up(
    tmp_path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(tmp_path, stick)
    write(sink, items(1))
    monkeypatch.setattr(folder, "_PATIENCE_S", 0.3)
    free = threading.Event()
    real = os.fsync
    monkeypatch.setattr(medium.os, "fsync", lambda handle: (free.wait(20), real(handle)))
    began_s = time.monotonic()
    for words in ("hangs", "still hangs", "still hangs"):
        with pytest.raises(SinkError, match=words):
            write(sink, items(1, first=2))
    assert time.monotonic() - began_s < 3.0
    assert [thread.name for thread in threading.enumerate()].count("folder") == 1
    free.set()
    assert sink._idle.wait(10)
    assert write(sink, items(1, first=2)).stored
    assert entries(stick) == [uuid_of(1), uuid_of(2)]


def test_a_link_is_not_followed(tmp_path: Path, stick: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (stick / f"homeward-{BOX}").symlink_to(elsewhere)
    with pytest.raises(SinkError):
        write(opened(tmp_path, stick), items(1))
    assert list(elsewhere.iterdir()) == []


def test_a_request_to_delete_is_carried_out(tmp_path: Path, stick: Path) -> None:
    sink = opened(tmp_path, stick)
    write(sink, items(3))
    write(sink, items(1, first=4))
    write(sink, items(1, first=5))
    receipt = write(sink, [erasure(6, [uuid_of(2), uuid_of(4), uuid_of(77)])], Content.ERASE)
    assert set(receipt.stored) == {uuid_of(6)}
    assert entries(stick) == [uuid_of(1), uuid_of(3), uuid_of(5), uuid_of(6)]
    held = [line for file in files(stick) for line in file.read_text().splitlines()]
    naming = [line for line in held if uuid_of(2) in line or uuid_of(4) in line]
    assert [json.loads(line)["kind"] for line in naming] == ["erase"]


def test_only_the_box_may_write_and_read_its_key(tmp_path: Path, stick: Path) -> None:
    write(opened(tmp_path, stick), items(1))
    assert (tmp_path / "sync" / "folder.key").stat().st_mode & 0o077 == 0


def test_a_certificate_vouches_for_the_folders_key(tmp_path: Path, stick: Path) -> None:
    ca, other = (authority(tmp_path, name, host=BOX) for name in ("ca", "other"))
    sink = opened(tmp_path, stick)
    write(sink, items(1))
    with pytest.raises(SignatureError):
        key_of(marker(stick), ca.read_bytes())
    both = (tmp_path / "ca.server.pem").read_bytes()
    for name in ("box.crt", "box.key"):  # the box is enrolled later on
        (tmp_path / "sync" / name).write_bytes(both)
    write(sink, items(1, first=2))
    own = marker(stick)
    key = key_of(own, ca.read_bytes())
    assert len([verified(file.read_bytes(), key) for file in files(stick)]) == 2
    for wrong in (
        (own, other.read_bytes(), ""),
        (own, None, ""),
        (own, None, "AAAA"),
        (msgspec.structs.replace(own, box="box-other"), ca.read_bytes(), ""),
        (msgspec.structs.replace(own, public_key="AAAA"), ca.read_bytes(), ""),
        (msgspec.structs.replace(own, vouched="AAAA"), ca.read_bytes(), ""),
        (msgspec.structs.replace(own, certificate="x"), ca.read_bytes(), ""),
    ):
        with pytest.raises(SignatureError):
            key_of(*wrong)


def test_a_key_that_is_none_is_told_at_the_start(tmp_path: Path, stick: Path) -> None:
    """Not when it is packed: what cannot be packed is set aside."""
    opened(tmp_path, stick)
    (tmp_path / "sync" / "folder.key").write_bytes(b"junk")
    with pytest.raises(SyncError, match="unsigned"):
        opened(tmp_path, stick)


def test_a_stick_waits_for_no_network(tmp_path: Path, stick: Path) -> None:
    sink = opened(tmp_path, stick)
    assert Routes(()).interface_to(sink.host) == ""
    assert Routes(()).interface_to("clinic.example") is None
    assert not sink.uses_tls


def test_as_many_as_fit_are_in_a_file(tmp_path: Path, stick: Path) -> None:
    parcel = opened(tmp_path, stick).pack(Content.ALERT, items(64, filler="x" * 900))
    assert len(parcel.body) <= MAX_PARCEL_BYTES
    assert 10 < len(parcel.items) < 64


def test_it_needs_a_path_and_is_not_told_how_the_box_is(tmp_path: Path, stick: Path) -> None:
    with pytest.raises(SyncError, match="path"):
        SINK.open(Settings(), place(tmp_path))
    assert opened(tmp_path, stick).state_message(heartbeat()) is None
