"""The commands for sensors, run as programs against the small BlueZ; one of them on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.devices import load
from edge.records import Security
from edge.virtual._face import Face
from tests.rigs.pairing_rig import OTHER, STRAP, RigThread

ROOT = Path(__file__).parents[2]
WAIT_S = 40.0


class Command:
    """`homeward` in a data directory."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.config = folder / "box.toml"
        self.config.write_text('[[patients]]\nid = "anna"\n[[patients]]\nid = "ben"\n')
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("HOMEWARD_")
        }
        self.environment |= {"PYTHONWARNINGS": "error", "COLUMNS": "200", "TERM": "xterm"}

    def words(self, *words: str) -> list[str]:
        options = ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        return [sys.executable, "-m", "edge", words[0], *options, *words[1:]]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*words),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    def facts(self, *words: str) -> list[dict[str, object]]:
        ended = self(*words)
        assert ended.returncode in {0, 3}, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]


class Terminal:
    """A command with a person in front of it."""

    def __init__(self, command: Command, *words: str) -> None:
        self.screen = ""
        self._here, there = pty.openpty()
        self._program = subprocess.Popen(
            command.words(*words),
            cwd=ROOT,
            env=command.environment,
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
        )
        os.close(there)

    def until(self, pattern: str) -> re.Match[str]:
        """Read the screen until something stands there."""
        end_s = time.monotonic() + WAIT_S
        while time.monotonic() < end_s:
            found = re.search(pattern, self.screen, re.DOTALL)
            if found:
                self.screen = self.screen[found.end() :]
                return found
            if not self._read():
                break
        raise AssertionError(f"{pattern!r} did not come; the screen: {self.screen}")

    def type(self, line: str) -> None:
        os.write(self._here, line.encode() + b"\n")

    def end(self) -> int:
        """Return how it ended."""
        while self._read():
            pass
        os.close(self._here)
        return self._program.wait(WAIT_S)

    def _read(self) -> bool:
        if not select.select([self._here], [], [], WAIT_S)[0]:
            return False
        try:
            told = os.read(self._here, 65536).decode("utf-8", "replace")
        except OSError:  # the program has let go of the terminal
            return False
        self.screen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told)
        return True


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


@pytest.fixture
def rig(bus):
    with RigThread(bus.address) as running:
        yield running


def test_scan_prints_facts_and_a_summary(rig, command):
    strap = rig.on_air()
    strap.rssi_dbm = -48
    found, summary = command.facts("scan", "--for", "1s", "--json")
    assert found["address"] == found["identity"] == STRAP
    assert (found["readable"], found["profiles"]) == ("yes", ["heart_rate"])
    assert found["rssi_dbm"] == pytest.approx(-48)
    assert summary == {
        "record": "scan",
        "n_seen": 1,
        "n_shown": 1,
        "n_readable": 1,
        "listened_s": 1.0,
    }
    table = command("scan", "--for", "0.5s").stdout
    assert "▂▄▆█ -48 dBm" in table
    assert "heart rate strap" in table


def test_a_passkey_from_the_command_line_pairs_and_the_rest_follows(rig, command):
    strap = rig.on_air(face=Face.DISPLAY)

    async def known():
        return 123456

    strap.screen.generate_passkey = known
    words = ("pair", STRAP, "--passkey", "123456", "--name", "Strap", "--patient", "ben")
    sensor, summary = command.facts(*words, "--json")
    assert summary == {"record": "pair", "address": STRAP, "security": "authenticated"}
    assert (sensor["name"], sensor["patient"]) == ("Strap", "ben")

    listed, summary = command.facts("devices", "--json")
    assert (listed["bond"], summary["n_lost"]) == ("bonded", 0)
    assert command("devices", "name", "strap", "Chest").returncode == 0
    assert command("devices", "assign", "chest", "--patient", "anna", "--place", "back").stdout == (
        f"Chest ({STRAP}): anna, back\n"
    )
    table = command("devices", "list").stdout
    assert "encrypted and proved by a number" in table

    rig.call(
        rig.rig.adapters["hci0"].call(
            "RemoveDevice", "", ["/org/bluez/hci0/dev_" + STRAP.replace(":", "_")]
        )
    )
    lost = command("devices")
    assert lost.returncode == 3
    assert "bond lost" in lost.stdout
    assert "pair --again" in lost.stderr
    again = command("pair", "Chest", "--again", "--passkey", "123456")
    assert again.returncode == 0, again.stderr

    removed = command("devices", "remove", "Chest")
    assert removed.stdout == f"Chest ({STRAP}) is removed; its bond is forgotten\n"
    assert load(command.data_dir) == ()
    listed = command("devices")
    assert (listed.returncode, listed.stdout) == (0, "No sensor is paired yet: `homeward pair`\n")


def shown(strap, within_s=10.0):
    """Return the digits a sensor shows; it may take longer than the box takes to ask for them."""
    end_s = time.monotonic() + within_s
    while strap.passkey is None:
        assert time.monotonic() < end_s, "the sensor shows no passkey"
        time.sleep(0.05)
    return strap.passkey


def test_a_person_is_led_through_on_a_terminal(rig, command):
    strap = rig.on_air(face=Face.DISPLAY)
    terminal = Terminal(command, "pair", "--for", "2s")
    terminal.until("listening for another")
    terminal.until(r"no +signal.*1 +\S+ -60 dBm.*heart rate strap.*Which number\?")
    terminal.type("1")
    terminal.until("What to call it")
    terminal.type("Night strap")
    terminal.until("Whose is it")
    terminal.type("ben")
    terminal.until("Where on the body")
    terminal.type("chest")
    terminal.until("Which six digits does")
    terminal.type("nonsense")
    terminal.until("six digits, please")
    terminal.type(f"{shown(strap):06d}")
    terminal.until("Night strap .* is a sensor of this box")
    terminal.until("encrypted and proved by a number")
    assert terminal.end() == 0
    (made,) = load(command.data_dir)
    assert (made.name, made.patient, made.place) == ("Night strap", "ben", "chest")
    assert made.security is Security.AUTHENTICATED


def test_a_person_compares_numbers_and_may_say_no(rig, command):
    rig.on_air(face=Face.YES_NO)
    terminal = Terminal(command, "pair", STRAP, "--yes")
    terminal.until(r"show \d{6}\? \[y/N\]")
    terminal.type("")
    terminal.until("the person said no")
    assert terminal.end() == 1
    assert load(command.data_dir) == ()


def test_ctrl_c_closes_the_window(rig, command):
    rig.on_air(face=Face.DISPLAY)
    terminal = Terminal(command, "pair", STRAP, "--yes")
    terminal.until("Which six digits")
    terminal._program.send_signal(2)
    assert terminal.end() == 130
    adapter = rig.rig.tree.objects["/org/bluez/hci0"]["org.bluez.Adapter1"]
    assert adapter["Pairable"] is False
    assert load(command.data_dir) == ()


def test_without_a_terminal_numbers_are_not_confirmed_and_passkeys_not_guessed(rig, command):
    rig.on_air(face=Face.YES_NO)
    rig.on_air(OTHER, face=Face.DISPLAY)
    compared = command("pair", STRAP, "--yes")
    assert compared.returncode == 1
    assert "wants a person to compare" in compared.stderr
    typed = command("pair", OTHER)
    assert typed.returncode == 1
    assert "give it with --passkey" in typed.stderr
    wrong = command("pair", OTHER, "--passkey", "1")
    assert wrong.returncode == 1
    assert "the passkey was not the one it shows" in wrong.stderr
    assert load(command.data_dir) == ()


def test_without_a_bond_a_plain_warning_is_given(rig, command):
    rig.on_air()
    ended = command("pair", STRAP, "--unpaired")
    assert ended.returncode == 0, ended.stderr
    assert "Anybody near can" in ended.stderr
    assert "open: anybody can pretend to be it" in ended.stdout
    (made,) = load(command.data_dir)
    assert (made.consent, made.security) == (True, Security.OPEN)


def test_two_that_call_themselves_the_same_are_not_chosen_between(rig, command):
    rig.on_air(name="Twin")
    rig.on_air(OTHER, name="Twin")
    ended = command("pair", "twin", "--for", "1s")
    assert ended.returncode == 1
    assert STRAP in ended.stderr
    assert OTHER in ended.stderr
