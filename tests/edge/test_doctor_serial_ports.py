"""The doctor looks at the ports of configured serial devices, and listens at free ones."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from edge.config import PluginDefaults, ReaderDefaults, load
from edge.control.server import ControlServer
from edge.doctor.findings import Finding, Health
from edge.doctor.serial_ports import check_serial_ports
from edge.readers import uart
from tests.rigs.serial.tree import Tree

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

UNO = {"vendor": "2341", "id": "0043", "manufacturer": "Arduino", "product": "Uno"}
PLUGINS = PluginDefaults(
    rules={}, readers={"uart": ReaderDefaults(settings=uart.Settings, where="edge/readers/uart.py")}
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "box").mkdir()
    return Tree(tmp_path / "box")


def check(tree: Tree, port: Path | str, device: str = "healthypi_v4") -> list[Finding]:
    path = tree.root.parent / "homeward.toml"
    source = f'[[sources]]\nreader = "uart"\nname = "board"\nport = "{port}"\ndevice = "{device}"\n'
    path.write_text(source if port else "")
    config = load(path, PLUGINS, overrides={"box.data_dir": str(tree.root.parent / "data")})
    return list(check_serial_ports(config, tree.root))


def test_a_box_without_serial_devices_hears_nothing_of_ports(tree):
    tree.add_port("ttyUSB0", "1-1", **UNO)
    assert check(tree, "") == []


def test_a_port_that_is_not_there_fails_with_what_to_do(tree):
    (row,) = check(tree, tree.root / "dev/serial/by-id/usb-Uno")
    assert (row.name, row.health) == ("serial port of board", Health.FAIL)
    assert "is not there" in row.found
    assert "homeward scan --serial" in row.cure


def test_an_adapter_that_lost_its_port_says_why_it_is_not_there(tree):
    tree.add_usb("1-2", vendor="1a86", id="7523")
    rows = check(tree, tree.root / "dev/ttyUSB0")
    assert [row.health for row in rows] == [Health.FAIL, Health.WARN]
    assert "brltty" in rows[1].found


def test_a_file_is_no_port(tree):
    (row,) = check(tree, "/etc/hostname")
    assert row.health is Health.FAIL
    assert "no serial port" in row.found


def test_a_name_of_today_is_a_warning_with_the_lasting_one(tree):
    node = tree.add_port("ttyUSB0", "1-1", **UNO)
    name = tree.add_name("serial/by-id/usb-Arduino_Uno-if00", "ttyUSB0")
    (row,) = check(tree, node)
    assert row.health is Health.WARN
    assert f'port = "{name}"' in row.cure


def test_a_port_that_another_program_has_fails_and_names_it(tmp_path):
    (tmp_path / "box").mkdir()
    tree = Tree(tmp_path / "box", real_proc=False)
    node = tree.add_port("ttyUSB0", "1-1", **UNO)
    tree.add_program(812, "ModemManager")
    (tree.root / "proc/812/fd/7").symlink_to(node)
    (row,) = check(tree, node)
    assert row.health is Health.FAIL
    assert "ModemManager (process 812)" in row.found
    assert "ModemManager" in row.cure
    tree.add_program(5, "python3", "python3", "/usr/bin/homeward", "run")
    (tree.root / "proc/812/fd/7").unlink()
    (tree.root / "proc/5/fd/7").symlink_to(node)
    (row,) = check(tree, node)
    assert (row.health, row.found) == (Health.OK, f"{node}: read by the monitor")


def test_a_device_that_sends_is_well(tree):
    with tree.line("ttyUSB0", "healthypi_v4", socket="1-1", **UNO) as cable:
        (row,) = check(tree, cable.name)
    assert (row.health, row.found) == (Health.OK, f"{cable.name}: HealthyPi v4 sends")


def test_a_device_that_says_nothing_fails(tree):
    with tree.line("ttyUSB0", socket="1-1", **UNO) as cable:
        (row,) = check(tree, cable.name)
        (other,) = check(tree, cable.name, "theremin")
    assert row.health is Health.FAIL
    assert "nothing comes" in row.found
    assert "cable" in row.cure
    assert "theremin" in other.found


def test_a_port_of_a_running_monitor_is_not_opened(tree):
    folder = tree.root.parent / "data"
    folder.mkdir(mode=0o700)
    with tree.line("ttyUSB0", socket="1-1", **UNO) as cable, Monitor(folder / "control.sock"):
        (row,) = check(tree, cable.name)
    assert row.health is Health.OK
    assert "left to the running monitor" in row.found


class Monitor:
    """The socket of a monitor that has nothing to say."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._server = ControlServer(path, self._answer)
        self._thread = threading.Thread(target=self._loop.run_forever)

    async def _answer(self, _request: object) -> dict[str, int]:
        return {"pid": os.getpid()}

    def __enter__(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(5.0)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()
