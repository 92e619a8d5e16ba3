"""The udev rules of serial devices: read strictly, and followed for devices as the kernel tells.

udev itself is asked too where it is there and can (`udevadm verify`, systemd 254 or later).
"""

import fnmatch
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "systemd/60-homeward-serial.rules"

PAIR = re.compile(r'([A-Z]+)(?:\{([^}"]+)\})?(==|!=|\+=|-=|:=|=)"([^"]*)"')
MATCHES = {"ACTION", "KERNEL", "SUBSYSTEM", "SUBSYSTEMS", "KERNELS", "ATTRS", "TEST"}
ASSIGNS = {"SYMLINK", "GROUP", "MODE", "TAG", "GOTO", "LABEL", "IMPORT"}
BOTH = {"ENV", "ATTR"}
NEEDS_NAME = {"ENV", "ATTR", "ATTRS", "IMPORT"}
LISTS = {"SYMLINK", "TAG"}
BUILTINS = {"usb_id", "path_id"}


@dataclass
class Pair:
    """One KEY{name} operator "value"."""

    key: str
    name: str
    operator: str
    value: str


_ASK = (
    'mkdir -p /run/udev/rules.d && mount --bind "$1" /run/udev/rules.d && '
    "udevadm test --action=add /sys/devices/virtual/mem/null"
)


def rules(text):
    """Return the rules of a file, each a list of pairs; raise ValueError where one is wrong."""
    found = []
    lines = text.replace("\\\n", "").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        rest, pairs = line.strip(), []
        while rest:
            one = PAIR.match(rest)
            if one is None:
                raise ValueError(f'rule {number}: not KEY{{name}}op"value": {rest}')
            pairs.append(Pair(one[1], one[2] or "", one[3], one[4]))
            comma = re.match(r"\s*,\s*(?=\S)|\s*$", rest[one.end() :])
            if comma is None:
                raise ValueError(f"rule {number}: no comma: {rest}")
            rest = rest[one.end() + comma.end() :]
        found.append(pairs)
        for pair in pairs:
            check(pair, number)
    check_jumps(found)
    return found


def check(pair, number):
    compares = pair.operator in {"==", "!="}
    if pair.key not in MATCHES | ASSIGNS | BOTH:
        raise ValueError(f"rule {number}: no such key: {pair.key}")
    if (pair.key in MATCHES and not compares) or (pair.key in ASSIGNS and compares):
        raise ValueError(f"rule {number}: {pair.key} cannot stand before {pair.operator}")
    if (pair.key in NEEDS_NAME) != bool(pair.name):
        raise ValueError(f"rule {number}: {pair.key} and its {{name}}")
    if pair.operator == "+=" and pair.key not in LISTS:
        raise ValueError(f"rule {number}: {pair.key} is no list")
    if pair.key == "IMPORT" and (pair.name != "builtin" or pair.value not in BUILTINS):
        raise ValueError(f"rule {number}: no such builtin: {pair.value}")
    if pair.key == "MODE" and not re.fullmatch("0[0-7]{3}", pair.value):
        raise ValueError(f"rule {number}: no such mode: {pair.value}")


def check_jumps(found):
    labels = {p.value: i for i, rule in enumerate(found) for p in rule if p.key == "LABEL"}
    for i, rule in enumerate(found):
        for pair in rule:
            if pair.key == "GOTO" and labels.get(pair.value, -1) <= i:
                raise ValueError(f"GOTO without a LABEL after it: {pair.value}")


@dataclass
class Event:
    """What the kernel and udev's two builtins say of a device, and what the rules make of it."""

    subsystem: str
    kernel: str
    attributes: list[dict[str, str]]  # of the device, then of each parent
    usb_id: dict[str, str] = field(default_factory=dict)
    path_id: dict[str, str] = field(default_factory=dict)
    action: str = "add"
    env: dict[str, str] = field(default_factory=dict)
    done: dict[str, list[str]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def follow(self, found):
        """Go through the rules as udev does."""
        skip_to = ""
        for rule in found:
            if skip_to and not any(p.key == "LABEL" and p.value == skip_to for p in rule):
                continue
            skip_to = ""
            if not self.fits(rule):
                continue
            for pair in rule:
                skip_to = self.assign(pair) or skip_to
        return self

    def fits(self, rule):
        compared = [pair for pair in rule if pair.operator in {"==", "!="}]
        own = [pair for pair in compared if pair.key != "ATTRS"]
        # All ATTRS of a rule must fit one and the same device, this one or a parent.
        attrs = [pair for pair in compared if pair.key == "ATTRS"]
        return all(self.own(pair) for pair in own) and any(
            all(fits(pair, where.get(pair.name)) for pair in attrs) for where in self.attributes
        )

    def own(self, pair):
        if pair.key == "TEST":
            return pair.value in self.attributes[0]
        values = {
            "ACTION": self.action,
            "KERNEL": self.kernel,
            "SUBSYSTEM": self.subsystem,
            "ENV": self.env.get(pair.name, ""),
            "ATTR": self.attributes[0].get(pair.name),
        }
        return fits(pair, values[pair.key])

    def assign(self, pair):
        if pair.operator in {"==", "!="} or pair.key == "LABEL":
            return ""
        value = re.sub(r"\$env\{(\w+)\}", lambda m: self.env.get(m[1], ""), pair.value)
        assert "$" not in value, f"a substitution this test does not know: {value}"
        if pair.key == "GOTO":
            return value
        if pair.key == "IMPORT":
            self.env |= self.usb_id if value == "usb_id" else self.path_id
        elif pair.key == "ENV":
            self.env[pair.name] = value
        elif pair.key == "ATTR":
            self.written[pair.name] = value
        elif pair.operator == "+=":
            self.done.setdefault(pair.key, []).append(value)
        else:
            self.done[pair.key] = [value]
        return ""


def fits(pair, value):
    if value is None:
        return False
    hit = any(fnmatch.fnmatchcase(value, one) for one in pair.value.split("|"))
    return hit == (pair.operator == "==")


def tty(vendor, product, *, serial="", socket="1_2", kernel="ttyUSB0", interface="00"):
    """Return a tty at a USB chip, as the kernel tells it."""
    device = {"idVendor": vendor, "idProduct": product}
    usb_id = {"ID_USB_INTERFACE_NUM": interface, "ID_VENDOR_ID": vendor}
    if serial:
        device["serial"] = usb_id["ID_SERIAL_SHORT"] = serial
    hub = {"idVendor": "1d6b", "idProduct": "0002", "serial": "0000:01:00.0"}
    return Event(
        "tty",
        kernel,
        [{}, {"port_number": "0"}, {"bInterfaceNumber": interface}, device, hub],
        usb_id,
        {"ID_PATH_TAG": f"platform-fd500000_pcie-usb-0_{socket}_1_0"},
    )


@pytest.fixture(scope="module")
def found():
    return rules(RULES.read_text(encoding="utf-8"))


def links(event, found):
    return event.follow(found).done.get("SYMLINK", [])


def test_a_chip_with_a_serial_number_is_named_by_it_in_whatever_socket(found):
    here = tty("2341", "0043", serial="75735323", socket="1_2", kernel="ttyACM0")
    there = tty("2341", "0043", serial="75735323", socket="1_4", kernel="ttyACM3")
    assert links(here, found) == links(there, found) == ["homeward/arduino-75735323-if00"]


def test_two_equal_boards_without_serial_numbers_are_named_by_their_sockets(found):
    first, second = tty("1a86", "7523", socket="1_2"), tty("1a86", "7523", socket="1_3")
    names = [*links(first, found), *links(second, found)]
    assert names == [
        "homeward/ch340-platform-fd500000_pcie-usb-0_1_2_1_0",
        "homeward/ch340-platform-fd500000_pcie-usb-0_1_3_1_0",
    ]
    # In the other order, as other ttys: the names stay.
    again = tty("1a86", "7523", socket="1_3", kernel="ttyUSB0")
    assert links(again, found) == names[1:]


@pytest.mark.parametrize(
    ("vendor", "product", "serial"),
    [("10c4", "ea60", "0001"), ("0403", "6001", "A50285BI"), ("0403", "6001", "00000000")],
)
def test_a_serial_number_that_thousands_share_names_nothing(found, vendor, product, serial):
    first = tty(vendor, product, serial=serial, socket="1_2")
    second = tty(vendor, product, serial=serial, socket="1_3")
    names = links(first, found) + links(second, found)
    assert len(set(names)) == 2
    assert not any(serial in name for name in names)


def test_two_ports_of_one_chip_have_two_names(found):
    ports = [tty("1366", "1015", serial="683", kernel="ttyACM0", interface=i) for i in ("00", "02")]
    assert [links(port, found) for port in ports] == [
        ["homeward/jlink-683-if00"],
        ["homeward/jlink-683-if02"],
    ]


@pytest.mark.parametrize(
    ("vendor", "product", "chip"),
    [
        ("2a03", "0043", "arduino"),
        ("239a", "8029", "adafruit"),
        ("2e8a", "000a", "pico"),
        ("1915", "520f", "nordic"),
        ("1a86", "55d4", "ch343"),
        ("10c4", "ea60", "cp210x"),
        ("0403", "6015", "ftdi"),
        ("067b", "2303", "pl2303"),
        ("303a", "1001", "esp32"),
    ],
)
def test_every_usual_chip_is_known(found, vendor, product, chip):
    assert links(tty(vendor, product, serial="X1"), found) == [f"homeward/{chip}-X1-if00"]


def test_the_port_belongs_to_the_group_that_may_open_it_and_no_modem_is_looked_for(found):
    event = tty("1a86", "7523").follow(found)
    assert event.done["GROUP"] == ["dialout"]
    assert event.done["MODE"] == ["0660"]
    assert event.done["TAG"] == ["systemd"]
    assert event.env["ID_MM_DEVICE_IGNORE"] == "1"


def test_the_usb_device_is_never_put_to_sleep(found):
    event = Event(
        "usb", "1-1.2", [{"idVendor": "1a86", "idProduct": "7523", "power/control": "auto"}]
    )
    event.env["DEVTYPE"] = "usb_device"
    event.follow(found)
    assert event.written == {"power/control": "on"}
    assert event.done == {}
    assert event.env["ID_MM_DEVICE_IGNORE"] == "1"


@pytest.mark.parametrize(
    "other",
    [
        tty("0bda", "8153", serial="X1"),  # a network adapter
        tty("1a86", "7523", kernel="ttyS0"),
        Event("input", "mouse0", [{}, {"idVendor": "2341", "idProduct": "8036"}]),
    ],
)
def test_what_is_not_meant_is_left_alone(found, other):
    other.follow(found)
    assert (other.done, other.written, other.env.get("ID_MM_DEVICE_IGNORE")) == ({}, {}, None)


def test_unplugging_changes_nothing(found):
    event = tty("1a86", "7523")
    event.action = "remove"
    assert links(event, found) == []


@pytest.mark.parametrize(
    "wrong",
    [
        'KERNEL="tty*" SYMLINK+="a"',
        'KERNEL=="tty*", SYMLINK+="a',
        'KERNEL="tty*"',
        'SYMLINK=="a"',
        'GOTO="nowhere"',
        'LABEL="back"\nGOTO="back"',
        'ENV=="1"',
        'NAMES+="a"',
        'MODE="666"',
        'IMPORT{builtin}="usb"',
        "KERNEL=='tty*'",
    ],
)
def test_the_reading_is_strict(wrong):
    with pytest.raises(ValueError, match=r"rule|GOTO"):
        rules(wrong + "\n")


@pytest.mark.parametrize(("more", "complaint"), [("", ""), ('NAMES+="a"', "Invalid key 'NAMES'")])
def test_udev_itself_finds_no_fault_and_would_find_one(tmp_path, more, complaint):
    """udevadm reads the rules in a mount namespace of its own: nothing here is touched."""
    for command, package in (("udevadm", "udev"), ("unshare", "util-linux")):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: install the package {package}")
    if os.geteuid() != 0:
        pytest.skip("only root may show udev a folder of rules; nothing to install")
    (tmp_path / RULES.name).write_text(RULES.read_text() + more + "\n")
    asked = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _ASK, "sh", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    lines = [line for line in (asked.stdout + asked.stderr).splitlines() if RULES.name in line]
    assert any("Reading rules file" in line for line in lines), asked.stderr
    told = [line for line in lines if "Reading rules file" not in line]
    assert bool(told) == bool(complaint), told
    assert complaint in "".join(told)
