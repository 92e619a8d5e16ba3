"""Whether the radio is switched off by the system."""

from __future__ import annotations

import pytest

from edge.bluez.rfkill import Block, blocked, cure


@pytest.fixture
def radio(tmp_path):
    def make(name="hci0", kind="bluetooth", soft="0", hard="0"):
        folder = tmp_path / f"rfkill{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for file, text in (("name", name), ("type", kind), ("soft", soft), ("hard", hard)):
            (folder / file).write_text(text + "\n")

    make.folder = tmp_path
    return make


def test_only_bluetooth_that_is_off_counts(radio):
    radio()
    radio("phy0", "wlan", soft="1")
    assert blocked(radio.folder) == ()
    radio("hci1", soft="1")
    assert blocked(radio.folder) == (Block("hci1", False),)
    assert cure(blocked(radio.folder)) == "sudo rfkill unblock bluetooth"


def test_a_hardware_switch_needs_a_hand(radio):
    radio("hci0", soft="1", hard="1")
    assert "hardware switch" in cure(blocked(radio.folder))


def test_a_box_without_rfkill_has_nothing_switched_off(tmp_path):
    assert blocked(tmp_path / "nowhere") == ()
