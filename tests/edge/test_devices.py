"""The list of sensors survives what a power cut, a full disk or a hand may do to it."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from edge.devices import (
    FILE,
    MAX_DEVICES,
    Device,
    DevicesError,
    find,
    load,
    put,
    save,
    written_s,
)
from edge.records import Security

ROOT = Path(__file__).parents[2]
STRAP = Device(
    address="C0:DE:00:00:00:01",
    name="Mum's strap",
    patient="p1",
    place="chest",
    words="heart rate strap",
    profiles=("heart_rate",),
    bonded=True,
    security=Security.SECURE,
    adapter="hci0",
)
OTHER = Device(address="C0:DE:00:00:00:02", name="Oximeter", consent=True)

WRITER = """
import itertools, sys
from pathlib import Path
from edge.devices import Device, save
folder = Path(sys.argv[1])
for turn in itertools.count(1):
    save(folder, [Device(address=f"C0:DE:00:00:00:{n:02X}", name=f"turn {turn} {'x' * 2000}")
                  for n in range(20)])
    print(turn, flush=True)
"""


def test_what_is_saved_is_loaded(tmp_path):
    assert load(tmp_path) == ()
    assert written_s(tmp_path) is None
    save(tmp_path, [STRAP, OTHER])
    assert load(tmp_path) == (STRAP, OTHER)
    assert written_s(tmp_path) == pytest.approx(time.time(), abs=60)  # noqa: TID251


def test_putting_replaces_by_address(tmp_path):
    put(tmp_path, STRAP)
    put(tmp_path, OTHER)
    renamed = msgspec.structs.replace(STRAP, name="New")
    put(tmp_path, renamed)
    assert load(tmp_path) == (OTHER, renamed)


def test_only_the_owner_can_read_it(tmp_path):
    folder = tmp_path / "data"
    save(folder, [STRAP])
    assert (folder / FILE).stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_writer_that_is_killed_leaves_a_whole_list(tmp_path):
    # A kill at any moment, as a power cut does it, as far as a program can be cut off.
    for wait_s in (0.0, 0.003, 0.007, 0.012):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(wait_s)
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.stdout.close()
        writer.wait()
        devices = load(tmp_path)
        assert len(devices) == 20
        turns = {int(re.match(r"turn (\d+) ", one.name)[1]) for one in devices}
        assert len(turns) == 1
        assert min(turns) >= acknowledged


def test_a_full_disk_keeps_the_old_list_and_leaves_nothing_behind(tmp_path, monkeypatch):
    save(tmp_path, [STRAP])

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), handle)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DevicesError, match=r"No space left .*as it was"):
        save(tmp_path, [STRAP, OTHER])
    assert load(tmp_path) == (STRAP,)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 1}',
        b'{"version": 1, "devices": [{"name": "no address"}]}',
        b'{"version": 1, "devices": [{"address": "a", "name": "b", "tomorrow": 1}]}',
        b'{"version": 2, "devices": []}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_list_is_told_and_left_as_it_is(text, tmp_path):
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(DevicesError, match=FILE):
        load(tmp_path)
    with pytest.raises(DevicesError):
        put(tmp_path, STRAP)
    assert (tmp_path / FILE).read_bytes() == text


def test_a_folder_that_is_none_is_told(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DevicesError):
        save(tmp_path / "data", [STRAP])


def test_there_is_a_bound_on_the_list(tmp_path):
    many = [Device(address=f"C0:DE:00:00:01:{n:02X}", name=str(n)) for n in range(MAX_DEVICES + 1)]
    save(tmp_path, many[:-1])
    with pytest.raises(DevicesError, match="devices remove"):
        save(tmp_path, many)
    assert len(load(tmp_path)) == MAX_DEVICES


@pytest.mark.parametrize("wanted", ["Mum's strap", "mum", "C0:DE:00:00:00:01", "c0:de:00:00:00:01"])
def test_a_sensor_is_found_by_name_address_or_beginning(wanted):
    assert find((STRAP, OTHER), wanted) == STRAP


def test_what_fits_several_or_none_is_told_with_what_there_is():
    with pytest.raises(DevicesError, match=r"fits 2 sensors: .*say more"):
        find((STRAP, OTHER), "C0:DE")
    with pytest.raises(DevicesError, match=r"no sensor is called 'x'; known: Mum's strap"):
        find((STRAP, OTHER), "x")
    with pytest.raises(DevicesError, match="none is paired yet"):
        find((), "x")


def test_a_whole_name_goes_before_the_beginning_of_another():
    longer = msgspec.structs.replace(OTHER, name="Mum's strap 2")
    assert find((longer, STRAP), "mum's strap") == STRAP
