"""The serial ports of a box: a built tree of ``/sys`` and ``/dev``, real programs at real ports."""

from __future__ import annotations

import fcntl
import grp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from edge.readers._uart_holders import Holder
from edge.readers._uart_ports import SerialPort, list_ports, obstacle, taken_away
from tests.rigs.serial.tree import Tree

UNO = {"vendor": "2341", "id": "0043", "manufacturer": "Arduino", "product": "Uno", "serial": "55"}
CH340 = {"vendor": "1a86", "id": "7523", "product": "USB Serial"}
FREE = SerialPort(Path("/dev/serial/by-id/usb-1"), Path("/dev/ttyUSB0"), usb_id="1a86:7523")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.parametrize("tty", ["ttyACM0", "ttyUSB0"])
def test_a_port_at_usb_is_told_by_its_lasting_name_and_by_what_it_says(tree: Tree, tty: str):
    tree.add_port(tty, "1-1.2", **UNO)
    name = tree.add_name("serial/by-id/usb-Arduino_Uno_55-if00", tty)
    (port,) = list_ports(tree.root)
    assert (port.port, port.tty) == (name, tree.root / "dev" / tty)
    assert (port.maker, port.product, port.serial) == ("Arduino", "Uno", "55")
    assert port.words == "Arduino Uno (2341:0043)"
    assert not port.console
    assert port.holders == ()


def test_two_equal_boards_are_told_by_their_sockets(tree: Tree):
    for number in "01":
        tree.add_port(f"ttyUSB{number}", f"1-1.{number}", **CH340)
        tree.add_name(f"serial/by-path/pci-usb-0:1.{number}:1.0-port0", f"ttyUSB{number}")
    # udev gives the name by number, which both would have, to the later one.
    tree.add_name("serial/by-id/usb-1a86_USB_Serial-if00-port0", "ttyUSB1")
    names = [port.port.name for port in list_ports(tree.root)]
    assert names == ["usb-1a86_USB_Serial-if00-port0", "pci-usb-0:1.0:1.0-port0"]


def test_a_chip_that_says_nothing_is_told_by_its_number(tree: Tree):
    tree.add_port("ttyUSB0", "1-1", vendor="10c4", id="ea60")
    assert list_ports(tree.root)[0].words == "Silicon Labs CP210x (10c4:ea60)"


def test_what_is_no_port_is_left_out(tree: Tree):
    tree.add_port("ttyS1", type="0")  # the driver keeps places for ports that are not there
    (tree.root / "sys/class/tty/tty1").mkdir()  # a terminal
    (tree.root / "dev/tty1").touch()
    tree.add_port("ttyUSB3", "1-3", **UNO).unlink()  # just pulled out
    assert list_ports(tree.root) == ()
    assert list_ports(tree.root / "nowhere") == ()


def test_a_port_of_the_box_comes_last_and_may_be_the_console(tree: Tree):
    tree.add_port("ttyAMA0", type="32")
    tree.add_port("ttyUSB0", "1-1", **UNO)
    (tree.root / "sys/class/tty/console/active").write_text("tty0 ttyAMA0\n")
    board, own = list_ports(tree.root)
    assert (board.tty.name, own.tty.name, own.console) == ("ttyUSB0", "ttyAMA0", True)
    assert own.words == "serial port of the box itself"
    assert "raspi-config" in obstacle(own).cure


def test_who_has_a_port_open_is_told(tree: Tree):
    with tree.line("ttyUSB0", socket="1-1", **UNO) as cable:
        assert list_ports(tree.root)[0].holders == ()
        port = os.open(cable.name, os.O_RDWR | os.O_NOCTTY)
        try:
            (holder,) = list_ports(tree.root)[0].holders
        finally:
            os.close(port)
        assert holder.pid == os.getpid()
        assert list_ports(tree.root)[0].holders == ()


def test_a_port_that_another_program_has_locked_is_known_by_the_lock(tree: Tree):
    with tree.line("ttyUSB0", socket="1-1", **UNO) as cable:
        held = open(cable.name, "rb+", buffering=0)  # noqa: PTH123, SIM115  # as pyserial has it
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (holder,) = list_ports(tree.root)[0].holders
        assert holder.pid == os.getpid()
        held.close()


def test_locks_of_programs_whose_files_we_may_not_see_are_enough(tmp_path: Path):
    tree = Tree(tmp_path, real_proc=False)
    seen = tree.add_port("ttyUSB0", "1-1", **UNO).stat()
    key = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
    (tmp_path / "proc/locks").write_text(
        f"1: POSIX  ADVISORY  READ 7 {key} 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE 812 {key} 0 EOF\n"
        f"2: -> FLOCK  ADVISORY  WRITE 900 {key} 0 EOF\n"
        "nonsense\n"
    )
    tree.add_program(812, "ModemManager", "/usr/sbin/ModemManager")
    tree.add_program(900, "other")
    (port,) = list_ports(tmp_path)
    assert port.holders == (Holder(812, "ModemManager"),)
    found = obstacle(port)
    assert found.found == "in use by ModemManager (process 812)"
    assert "systemctl disable --now ModemManager" in found.cure


def test_lock_files_of_terminal_programs_count_while_the_program_lives(tmp_path: Path):
    tree = Tree(tmp_path, real_proc=False)
    tree.add_port("ttyUSB0", "1-1", **UNO)
    lock = tmp_path / "run/lock/LCK..ttyUSB0"
    lock.write_text("      4711 minicom\n")
    assert list_ports(tmp_path)[0].holders == ()
    tree.add_program(4711, "minicom")
    assert list_ports(tmp_path)[0].holders == (Holder(4711, "minicom"),)
    lock.write_text("\x00\xff")
    assert list_ports(tmp_path)[0].holders == ()


@pytest.mark.parametrize(
    "words",
    [
        ("/usr/bin/python3", "/usr/bin/homeward", "run"),
        ("python3", "-m", "edge", "run"),
        ("homeward", "scan"),
    ],
)
def test_our_own_commands_are_no_obstacle(tmp_path: Path, words: tuple[str, ...]):
    tree = Tree(tmp_path, real_proc=False)
    node = tree.add_port("ttyUSB0", "1-1", **UNO)
    tree.add_program(5, "python3", *words)
    (tmp_path / "proc/5/fd/9").symlink_to(node)
    (tmp_path / "proc/5/fd/10").symlink_to("socket:[1]")
    (port,) = list_ports(tmp_path)
    assert port.holders == (Holder(5, "homeward"),)
    assert obstacle(port) is None


@pytest.mark.parametrize(
    ("changes", "found", "cure"),
    [
        ({"allowed": False, "group": "dialout"}, "only group dialout", "usermod -aG dialout $USER"),
        ({"allowed": False, "group": "dialout", "joined": True}, "older than", "log out and in"),
        ({"allowed": False}, "only root", "chmod 660 /dev/ttyUSB0"),
        ({"holders": (Holder(3, "brltty"),)}, "brltty (process 3)", "apt remove brltty"),
        ({"holders": (Holder(3, "agetty"),), "console": True}, "agetty", "no login shell"),
        ({"holders": (Holder(3, "picocom"),)}, "picocom", "end picocom (process 3)"),
    ],
)
def test_every_obstacle_is_told_with_what_mends_it(changes: dict, found: str, cure: str):
    block = obstacle(msgspec.structs.replace(FREE, **changes))
    assert found in block.found
    assert cure in block.cure


def test_a_free_port_has_no_obstacle():
    assert obstacle(FREE) is None


def test_the_group_that_may_open_a_port_is_told_and_only_that(tree: Tree):
    node = tree.add_port("ttyUSB0", "1-1", **UNO)
    node.chmod(0o660)
    assert list_ports(tree.root)[0].group == grp.getgrgid(node.stat().st_gid).gr_name
    node.chmod(0o640)
    assert list_ports(tree.root)[0].group == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_may_not_open_a_port_is_told_so():
    code = (
        "import os, sys; from pathlib import Path\n"
        "from edge.readers._uart_ports import list_ports, obstacle\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "(port,) = list_ports(Path(sys.argv[1]))\n"
        "print(port.allowed, obstacle(port).cure)\n"
    )
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        tree = Tree(Path(folder))
        node = tree.add_port("ttyUSB0", "1-1", **UNO)
        node.chmod(0o660)
        command = [sys.executable, "-c", code, folder]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        group = grp.getgrgid(node.stat().st_gid).gr_name
    assert ended.stdout.startswith(f"False sudo usermod -aG {group} $USER"), ended.stderr


def test_an_adapter_that_lost_its_port_is_told(tree: Tree):
    tree.add_port("ttyUSB0", "1-1", **CH340)
    tree.add_usb("1-3", vendor="046d", id="c52b", product="a mouse")
    assert taken_away(tree.root) == ()
    tree.add_usb("1-2", **CH340)
    (found,) = taken_away(tree.root)
    assert "WCH CH340" in found.found
    assert "brltty" in found.cure
    assert taken_away(tree.root / "nowhere") == ()
