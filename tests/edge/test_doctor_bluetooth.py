"""The doctor looks at BlueZ, its radio, its settings and every bond."""

from __future__ import annotations

import pytest

from edge.bluez import Adapter, BluezDevice
from edge.bluez.rfkill import Block
from edge.config import PluginDefaults, load
from edge.devices import FILE, Device
from edge.doctor.bluetooth import (
    Seen,
    check_bluetooth,
    check_bluez,
    check_sensors,
    check_settings,
)
from edge.doctor.findings import Health
from edge.records import Security

STRAP = Device(
    address="C0:DE:00:00:00:01",
    name="Strap",
    bonded=True,
    security=Security.SECURE,
    adapter="hci0",
)


def radio(name="hci0", *, powered=True):
    return Adapter(f"/org/bluez/{name}", name, "B8:27:EB:00:00:01", powered, False)


def bonded(adapter="hci0"):
    return BluezDevice(
        path="/x",
        adapter=adapter,
        address=STRAP.address,
        address_type="random",
        name="",
        alias="",
        paired=True,
        bonded=True,
        trusted=True,
        connected=False,
        blocked=False,
        services_resolved=False,
        rssi=None,
        uuids=(),
    )


@pytest.mark.parametrize(
    ("seen", "blocks", "word", "cure"),
    [
        (Seen(trouble="NoBus"), (), "cannot be asked", "apt install bluez"),
        (Seen(), (), "there is none", "dmesg"),
        (Seen((radio(powered=False),)), (), "off", "bluetoothctl power on"),
        (Seen((radio(powered=False),)), (Block("hci0", False),), "rfkill", "rfkill unblock"),
        (Seen(), (Block("hci0", True),), "rfkill", "switch"),
    ],
)
def test_what_is_wrong_fails_only_where_a_sensor_needs_it(seen, blocks, word, cure):
    *_, needed = check_bluez(seen, blocks, needed=True)
    assert needed.health is Health.FAIL
    assert word in needed.found
    assert cure in needed.cure
    *_, idle = check_bluez(seen, blocks, needed=False)
    assert idle.health is Health.OK
    assert word in idle.found


def test_a_radio_that_is_on_is_well():
    assert [one.health for one in check_bluez(Seen((radio(),)), (), needed=True)] == [Health.OK] * 2


def test_every_bond_is_looked_at():
    (well,) = check_sensors([STRAP], Seen((radio(),), (bonded(),)))
    assert (well.health, well.found) == (Health.OK, "bonded, secure")
    (lost,) = check_sensors([STRAP], Seen((radio(),)))
    assert lost.health is Health.FAIL
    assert f"pair --again {STRAP.address}" in lost.cure
    (moved,) = check_sensors([STRAP], Seen((radio(),), (bonded("hci1"),)))
    assert "hci1" in moved.found
    unpaired = Device(address="C0:DE:00:00:00:02", name="Clip", consent=True)
    (told,) = check_sensors([unpaired], Seen((radio(),)))
    assert told.health is Health.WARN
    assert "anybody near" in told.found


def test_the_settings_of_bluez_are_compared_with_what_health_data_need(tmp_path):
    conf = tmp_path / "main.conf"
    (default,) = check_settings(conf)
    assert default.health is Health.WARN
    assert "KeySize=16 under [GATT]" in default.cure
    assert "JustWorksRepairing" not in default.cure
    conf.write_text(
        "[General]\nControllerMode = le\nJustWorksRepairing=always\n[GATT]\nKeySize=16\n"
    )
    (silent,) = check_settings(conf)
    assert "JustWorksRepairing=never" in silent.cure
    conf.write_text("[General]\nControllerMode = le\n#x\n[GATT]\nKeySize = 16\n")
    (well,) = check_settings(conf)
    assert well.health is Health.OK
    conf.write_text("nonsense")
    (unread,) = check_settings(conf)
    assert "cannot be read" in unread.found


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    return load(None, PluginDefaults(), overrides={"box.data_dir": str(tmp_path)})


def test_a_box_without_bluetooth_sensors_is_not_told_off(config):
    (found,) = check_bluetooth(config)
    assert found.health is Health.OK
    assert "no sensor needs it" in found.found


def test_a_damaged_list_of_sensors_fails(config, tmp_path):
    (tmp_path / FILE).write_text("{")
    (found,) = check_bluetooth(config)
    assert found.health is Health.FAIL
