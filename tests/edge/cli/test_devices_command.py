"""The list of sensors on the command line, where BlueZ cannot be asked."""

from __future__ import annotations

import json

import pytest

from edge.__main__ import main
from edge.devices import FILE, Device, load, save
from edge.records import Security

STRAP = Device(
    address="C0:DE:00:00:00:01", name="Strap", bonded=True, security=Security.AUTHENTICATED
)
OTHER = Device(address="C0:DE:00:00:00:02", name="Oximeter", consent=True, security=Security.OPEN)


@pytest.fixture
def devices(tmp_path, monkeypatch):
    """Return a function that runs the command on two sensors, without a system bus."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    monkeypatch.delenv("HOMEWARD_CONFIG", raising=False)
    config = tmp_path / "box.toml"
    config.write_text('[[patients]]\nid = "anna"\n[[patients]]\nid = "ben"\n')
    save(tmp_path / "data", [STRAP, OTHER])

    def run(*words):
        options = ["--config", str(config), "--data-dir", str(tmp_path / "data")]
        return main(["devices", *options, *words])

    run.folder = tmp_path / "data"
    return run


def test_the_list_needs_no_bluez(devices, capsys):
    assert devices() == 0
    told = capsys.readouterr()
    assert "Strap" in told.out
    assert "not known" in told.out
    assert "open: anybody can pretend to be it" in told.out
    assert "anna" in told.out
    assert "no D-Bus system bus" in told.err


def test_the_list_as_facts(devices, capsys):
    assert devices("--json") == 0
    strap, other, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (strap["name"], strap["bond"], strap["security"]) == (
        "Strap",
        "not known",
        "authenticated",
    )
    assert (other["bond"], other["consent"]) == ("no bond", True)
    assert (summary["n_devices"], summary["n_lost"]) == (2, 0)
    assert "system bus" in summary["trouble"]


def test_a_sensor_is_named(devices):
    assert devices("name", "strap", "Night strap") == 0
    assert [one.name for one in load(devices.folder)] == ["Night strap", "Oximeter"]
    assert devices("name", "night", "oximeter") == 1
    assert devices("name", "night") == 2
    assert devices("name") == 2
    assert devices("name", "nobody", "x") == 1


def test_a_sensor_is_assigned_to_a_patient_that_there_is(devices, capsys):
    assert devices("assign", "strap", "--patient", "ben", "--place", "chest") == 0
    strap, _ = load(devices.folder)
    assert (strap.patient, strap.place) == ("ben", "chest")
    assert devices("assign", "strap", "--place", "") == 0
    assert load(devices.folder)[0].place == ""
    assert devices("assign", "strap", "--patient", "zoe") == 2
    assert "anna, ben" in capsys.readouterr().err
    assert devices("assign", "strap") == 2
    assert load(devices.folder)[0].patient == "ben"


def test_a_removed_sensor_is_off_the_list_even_if_its_bond_cannot_be_forgotten(devices, capsys):
    assert devices("remove", "strap") == 3
    assert "bluetoothctl remove C0:DE:00:00:00:01" in capsys.readouterr().err
    assert load(devices.folder) == (OTHER,)
    assert devices("remove", "oximeter") == 0
    assert load(devices.folder) == ()


def test_a_bond_can_be_kept(devices, capsys):
    assert devices("remove", "strap", "--keep-bond", "--json") == 0
    fact = json.loads(capsys.readouterr().out)
    assert fact["removed"] == STRAP.address
    assert fact["n_bonds_forgotten"] == 0


def test_wrong_words_end_with_2(devices):
    assert devices("list", "strap") == 2
    assert devices("polish", "strap") == 2


def test_a_damaged_list_is_told_without_a_traceback(devices, capsys):
    (devices.folder / FILE).write_text("{")
    assert devices() == 1
    assert "cannot be read" in capsys.readouterr().err
