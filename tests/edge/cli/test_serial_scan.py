"""``homeward scan --serial``: real pseudo terminals with made-up devices at their ends."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from edge.__main__ import main
from edge.cli import DONE, FOUND
from edge.cli._serial import scan_serial
from edge.config import PluginDefaults, ReaderDefaults, load
from edge.readers import uart
from tests.rigs.serial.tree import Tree

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

LISTEN_S = 0.4
UNO = {"vendor": "2341", "id": "0043", "manufacturer": "Arduino", "product": "Uno"}
BRIDGE = {"vendor": "10c4", "id": "ea60", "product": "CP2104 USB to UART Bridge"}
PLUGINS = PluginDefaults(
    rules={}, readers={"uart": ReaderDefaults(settings=uart.Settings, where="edge/readers/uart.py")}
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "box").mkdir()
    return Tree(tmp_path / "box")


def scan(tree: Tree, *, toml: str = "", listens: bool = True, as_json: bool = True) -> int:
    path = tree.root.parent / "homeward.toml"
    path.write_text(toml)
    config = load(path, PLUGINS)
    return scan_serial(config, LISTEN_S, listens=listens, json=as_json, root=tree.root)


def facts(capsys: pytest.CaptureFixture[str]) -> tuple[dict, dict]:
    """Return the ports by tty, and the summary."""
    *ports, summary = map(json.loads, capsys.readouterr().out.splitlines())
    return {Path(port["tty"]).name: port for port in ports}, summary


def test_each_free_port_is_listened_to_and_its_device_named(tree, capsys):
    with (
        tree.line("ttyUSB0", "healthypi_v4", socket="1-1", **BRIDGE),
        tree.line("ttyUSB1", "masimo", socket="1-2", **BRIDGE),
        tree.line("ttyACM0", socket="1-3", **UNO),
    ):
        assert scan(tree) == DONE
    ports, summary = facts(capsys)
    assert [ports[tty]["device"] for tty in ("ttyUSB0", "ttyUSB1", "ttyACM0")] == [
        "healthypi_v4",
        "masimo",
        "",
    ]
    assert ports["ttyUSB1"]["words"] == "Masimo Rad or Radical oximeter"
    assert "nothing comes" in ports["ttyACM0"]["heard"]
    assert summary == {
        "record": "serial_scan",
        "n_ports": 3,
        "n_free": 3,
        "n_known": 2,
        "n_obstacles": 0,
        "without_port": [],
    }


def test_the_lines_it_prints_are_a_configuration_that_reads_the_device(tree, capsys):
    with tree.line("ttyUSB0", "healthypi_v4", socket="1-1", **BRIDGE):
        assert scan(tree, as_json=False) == DONE
        told = capsys.readouterr().out
        lines = told[told.index("[[sources]]") :]
        (source,) = tomllib.loads(lines)["sources"]
        assert source["device"] == "healthypi_v4"
        assert "# HealthyPi v4" in told
        # It is one that Homeward takes, and then it is no news any more.
        assert scan(tree, toml=lines, as_json=False) == DONE
        again = capsys.readouterr().out
        assert "[[sources]]" not in again
        assert " uart " in again


def test_a_port_in_use_is_left_alone_and_is_a_warning(tree, capsys):
    with tree.line("ttyUSB0", "healthypi_v4", socket="1-1", **BRIDGE) as cable:
        held = os.open(cable.name, os.O_RDWR | os.O_NOCTTY)
        try:
            assert scan(tree) == FOUND
            ports, summary = facts(capsys)
            assert scan(tree, as_json=False) == FOUND
        finally:
            os.close(held)
    assert (ports["ttyUSB0"]["state"], ports["ttyUSB0"]["device"]) == ("obstacle", "")
    assert f"process {os.getpid()}" in ports["ttyUSB0"]["why"]
    assert (summary["n_free"], summary["n_obstacles"]) == (0, 1)
    told = capsys.readouterr().out
    assert "Mend: end " in told
    assert "listening" not in told


def test_without_listening_no_port_is_opened(tree, capsys):
    with tree.line("ttyUSB0", "healthypi_v4", socket="1-1", **BRIDGE):
        assert scan(tree, listens=False) == DONE
    ports, summary = facts(capsys)
    assert (ports["ttyUSB0"]["state"], summary["n_known"]) == ("free", 0)
    assert (ports["ttyUSB0"]["device"], ports["ttyUSB0"]["heard"]) == ("", "")


def test_an_adapter_that_brltty_has_taken_is_a_warning(tree, capsys):
    tree.add_usb("1-2", vendor="1a86", id="7523")
    assert scan(tree, as_json=False) == FOUND
    assert "sudo apt remove brltty" in capsys.readouterr().out


def test_a_box_without_ports_says_so(tree, capsys):
    assert scan(tree, as_json=False) == DONE
    told = capsys.readouterr().out
    assert "0 serial ports" in told
    assert "dmesg" in told


@pytest.mark.parametrize(
    "words",
    [["--no-listen"], ["--serial", "--adapter", "hci0"], ["--serial", "--all"], ["--for", "never"]],
)
def test_options_of_the_other_scan_are_wrong_use(words, capsys):
    assert main(["scan", *words]) == 2
    assert "Error" in capsys.readouterr().err


def test_the_command_lists_the_ports_of_this_machine(tmp_path, capsys):
    # None is opened: nobody knows what is plugged into it.
    options = ["--serial", "--no-listen", "--json", "--data-dir", str(tmp_path)]
    assert main(["scan", *options]) in {DONE, FOUND}
    *ports, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert summary["n_ports"] == len(ports)
