"""``homeward simulate wearable``: what it tells, and what others can do with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.rigs.running import run, until

needs_rig = pytest.mark.skipif(
    shutil.which("dbus-daemon") is None or find_spec("bumble") is None,
    reason="the fast rig needs dbus-daemon (apt install dbus) and bumble "
    "(pip install 'homeward[dev]')",
)
SIMULATE = (sys.executable, "-m", "edge", "simulate", "wearable")


def called(*more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SIMULATE, *more],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_list_names_every_kind_there_is() -> None:
    lines = [json.loads(line) for line in called("--list", "--json").stdout.splitlines()]
    assert lines[-1] == {"record": "kinds", "n_kinds": len(lines) - 1}
    files = Path("edge/virtual").glob("[!_]*.py")
    assert [line["name"] for line in lines[:-1]] == sorted(file.stem for file in files)


def test_an_unknown_kind_is_told_with_those_there_are() -> None:
    ended = called("toaster")
    assert ended.returncode == 2
    assert "heart_rate" in ended.stderr


@pytest.mark.skipif(find_spec("bumble") is None, reason="bumble is missing")
def test_without_dbus_daemon_it_says_what_to_install() -> None:
    ended = called(PATH="")
    assert ended.returncode == 1
    assert "sudo apt install dbus" in ended.stderr


@needs_rig
def test_what_it_puts_on_the_air_can_be_heard_and_its_packets_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bleak import BleakClient, BleakScanner  # noqa: PLC0415  # may be missing

    from edge.gatt import uuid  # noqa: PLC0415

    process = subprocess.Popen(
        [*SIMULATE, "heart_rate", "--for", "30s", "--json"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", ready["bus"])

    async def whole() -> list[bytes]:
        got: list[bytes] = []
        device = await BleakScanner.find_device_by_address(ready["address"], timeout=5.0)
        assert device is not None
        async with BleakClient(device) as client:
            await client.start_notify(uuid(0x2A37), lambda _, value: got.append(bytes(value)))
            await until(lambda: len(got) >= 2)
        return got

    got = run(whole())
    process.send_signal(signal.SIGINT)
    told = [json.loads(line) for line in process.communicate(timeout=10)[0].splitlines()]
    assert process.returncode == 130
    assert [one["what"] for one in told] == ["connected", "disconnected", "ended"]
    assert told[-1]["n_sent"] == len(got)
    assert not Path(ready["bus"].removeprefix("unix:path=")).exists()
