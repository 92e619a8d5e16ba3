"""A stick from a box, read into a receiver's store: checked whole, stored once."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.egress.allowed import Content
from edge.receive import ReceiveError
from edge.receive.importing import boxes_in, import_box
from edge.receive.receiver import open_store
from edge.sync.sinks.folder import SINK, Settings
from tests.edge.cli.box import Box
from tests.edge.sync.sinks.far_off import BOX, erasure, items, place, uuid_of


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Return a stick with three files: four entries, and the request to delete one of them."""
    path = tmp_path / "stick"
    path.mkdir()
    sink = SINK.open(Settings(path=path, same_disk=True), place(tmp_path))

    async def write() -> None:
        await sink.send(sink.pack(Content.ALERT, items(3)))
        await sink.send(sink.pack(Content.ALERT, items(1, first=4)))
        await sink.send(sink.pack(Content.ERASE, [erasure(5, [uuid_of(77)])]))

    asyncio.run(write())
    return path


def key_on(stick: Path) -> str:
    marker = json.loads((stick / f"homeward-{BOX}" / "box.json").read_text())
    return str(marker["public_key"])


def imported(stick: Path, tmp_path: Path, **more: Any) -> tuple[list[Any], set[str]]:
    with closing(open_store(str(tmp_path / "received.db"))) as store:
        told = [
            said
            for box in boxes_in(stick)
            for said in import_box(box, store, 1e9, **({"pinned": key_on(stick)} | more))
        ]
        return told, {row[1] for row in store.entries()}


def test_what_is_on_the_stick_is_stored_once_however_often_it_is_read(
    tmp_path: Path, stick: Path
) -> None:
    first, held = imported(stick, tmp_path)
    assert {uuid_of(n) for n in (1, 2, 3, 4)} <= held
    assert sum(said["n_new"] for said in first) == 5
    again, held_then = imported(stick, tmp_path)
    assert held_then == held
    assert sum(said["n_new"] for said in again) == 0
    assert sum(said["n_copies"] for said in again) == 5


def test_the_boxs_own_folder_can_be_named_too(tmp_path: Path, stick: Path) -> None:
    assert boxes_in(stick) == boxes_in(stick / f"homeward-{BOX}")
    with pytest.raises(ReceiveError, match="mounted"):
        boxes_in(tmp_path / "nowhere")


def test_of_a_file_that_was_touched_nothing_is_stored(tmp_path: Path, stick: Path) -> None:
    file = min((stick / f"homeward-{BOX}").glob("*-alert-*.jsonl"))
    file.write_bytes(file.read_bytes().replace(b'"value":72', b'"value":99'))
    told, held = imported(stick, tmp_path)
    assert [said["record"] for said in told].count("not_imported") == 1
    assert uuid_of(4) in held
    assert not {uuid_of(1), uuid_of(2), uuid_of(3)} & held


def test_a_key_that_nobody_vouches_for_is_no_boxs(tmp_path: Path, stick: Path) -> None:
    for pinned in ("", "AAAA"):
        with pytest.raises(ReceiveError, match="key"):
            imported(stick, tmp_path, pinned=pinned)


def test_the_command_says_what_it_has_read(tmp_path: Path, stick: Path) -> None:
    box = Box(tmp_path)
    words = ("receive", "import", str(stick), "--json")
    nobody = box.call(*words)
    assert nobody.returncode == 1
    assert key_on(stick) in nobody.stderr
    told = box.call(*words, "--folder-key", key_on(stick))
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout.splitlines()[-1]) == {
        "record": "import", "n_files": 3, "n_new": 5, "n_copies": 0, "n_refused": 0,
        "n_left_out": 0,
    }  # fmt: skip
    (min((stick / f"homeward-{BOX}").glob("*.jsonl"))).write_text("{}\n")
    assert box.call(*words, "--folder-key", key_on(stick)).returncode == 3
