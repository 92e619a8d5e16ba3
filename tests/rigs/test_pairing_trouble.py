"""What goes wrong while pairing is told, and leaves nothing behind; what a scan says."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from dbus_fast.aio import MessageBus

from edge.bluez import Bluez, BluezError
from edge.devices import MAX_DEVICES, Device, DevicesError, load, save
from edge.pairing import PairingError, Readable, Scan, Wish, pair, ready_adapter, scan
from edge.virtual._face import Face
from edge.virtual.weight_scale import WEARABLE as SCALE
from tests.rigs.pairing_rig import HEART, OTHER, STRAP, WEIGHT, Keeper, on_air, run_at_home


@pytest.fixture
def at_home(bus, tmp_path):
    return lambda scenario: run_at_home(bus.address, tmp_path, scenario)


# What goes wrong on the way


def test_a_sensor_that_is_not_there_is_told_with_what_to_do(at_home, monkeypatch):
    monkeypatch.setattr("edge.pairing.finding.find.__defaults__", (0.5,))

    async def scenario(home):
        with pytest.raises(PairingError, match=r"not heard within .* wake it"):
            await home.pair(address=OTHER)

    at_home(scenario)


def test_a_sensor_that_goes_out_of_range_leaves_no_bond(at_home):
    async def scenario(home):
        strap = await on_air(home, face=Face.DISPLAY)

        async def walk_off():
            await strap.screen.shown.wait()
            strap.fade(0.1)
            await asyncio.sleep(0.5)
            return 1

        keeper = Keeper()
        keeper.given_passkey = walk_off
        with pytest.raises(PairingError):
            await home.pair(keeper)
        assert load(home.folder) == ()
        assert not await home.pairable()
        state = await home.state()
        assert state is None or not state.bonded

    at_home(scenario)


def test_a_device_we_cannot_read_is_not_kept(at_home):
    async def scenario(home):
        strap = await on_air(home)
        with pytest.raises(PairingError, match=r"nothing that Homeward reads .*180D"):
            await pair(
                home.bluez, Wish(address=STRAP), Keeper(), home.folder, (WEIGHT,), keys=home.keys
            )
        state = await home.state()
        assert state is None or not state.bonded
        assert load(home.folder) == ()
        del strap

    at_home(scenario)


def test_a_list_that_cannot_be_written_leaves_no_bond(at_home, monkeypatch):
    def full(folder, device):
        raise DevicesError(f"{folder} has no room for {device.name}")

    monkeypatch.setattr("edge.pairing.bonding.put", full)

    async def scenario(home):
        await on_air(home)
        with pytest.raises(DevicesError, match="no room"):
            await home.pair()
        state = await home.state()
        assert state is None or not state.bonded

    at_home(scenario)


def test_calling_it_off_closes_the_window(at_home):
    async def scenario(home):
        await on_air(home, face=Face.DISPLAY)
        keeper = Keeper()
        keeper.given_passkey = lambda: asyncio.sleep(60, 1)
        pairing = asyncio.ensure_future(home.pair(keeper))
        await asyncio.wait_for(keeper.question.wait(), 5)
        pairing.cancel()
        with suppress(asyncio.CancelledError):
            await pairing
        assert not await home.pairable()
        assert not home.rig.agents._known

    at_home(scenario)


def test_a_full_list_takes_nobody_before_anything_is_bonded(at_home):
    async def scenario(home):
        strap = await on_air(home)
        save(
            home.folder,
            [Device(address=f"C0:00:00:00:00:{n:02X}", name=f"s{n}") for n in range(MAX_DEVICES)],
        )
        with pytest.raises(DevicesError, match="homeward devices remove"):
            await home.pair()
        assert not strap.bonded

    at_home(scenario)


def test_a_name_that_is_taken_is_told_before_anything_is_bonded(at_home):
    async def scenario(home):
        strap = await on_air(home)
        save(home.folder, [Device(address=OTHER, name="Strap")])
        with pytest.raises(DevicesError, match="choose another"):
            await home.pair(name="strap")
        assert not strap.bonded
        # Its own name is made different by itself.
        strap_name = strap.name
        save(home.folder, [Device(address=OTHER, name=strap_name)])
        assert (await home.pair()).name == f"{strap_name} 2"

    at_home(scenario)


def test_a_hostile_name_is_made_harmless(at_home):
    async def scenario(home):
        await on_air(home, name="Strap\x1b[2J\n\u202e")
        made = await home.pair()
        assert made.name.isprintable()
        assert made.name.startswith("Strap")

    at_home(scenario)


def test_a_bus_without_bluez_and_no_bus_are_told_apart(bus):
    async def scenario():
        async with Bluez.connect(bus.address) as bluez:
            with pytest.raises(PairingError, match=r"BlueZ is not running.*systemctl"):
                await ready_adapter(bluez)
        with pytest.raises(BluezError) as told:
            async with Bluez.connect(f"unix:path={bus.address}-nowhere"):
                pass
        assert told.value.name == "homeward.Error.NoBus"

    asyncio.run(scenario())


def test_a_radio_that_is_off_is_switched_on(at_home):
    async def scenario(home):
        await home.bluez.set_powered("hci0", False)
        assert (await ready_adapter(home.bluez)).name == "hci0"
        assert (await home.bluez.adapters())[0].powered
        await home.bluez.set_powered("hci0", False)
        with pytest.raises(PairingError, match="there is no radio 'hci7'"):
            await ready_adapter(home.bluez, "hci7")

    at_home(scenario)


# Scanning


def test_a_scan_says_what_is_there_strongest_first(at_home):
    async def scenario(home):
        far = await on_air(home, name="Far strap")
        far.rssi_dbm = -85
        near = await home.rig.put_on_air(SCALE, seed=1, address=OTHER)
        near.rssi_dbm = -50
        known = [Device(address=STRAP, name="Mum's strap")]
        scale, strap = await scan(home.bluez, 1.0, (HEART,), known)
        assert (strap.name, strap.readable, strap.words) == (
            "Far strap",
            Readable.YES,
            "heart rate strap",
        )
        assert (strap.registered, strap.bonded) == ("Mum's strap", False)
        assert strap.identity == strap.address == STRAP
        assert strap.rssi_dbm == pytest.approx(-85)
        assert (scale.address, scale.readable, scale.registered) == (OTHER, Readable.NO, "")
        assert not (await home.bluez.adapters())[0].discovering

    at_home(scenario)


def test_signal_strength_is_smoothed(at_home):
    async def scenario(home):
        strap = await on_air(home)
        adapter = await ready_adapter(home.bluez)
        async with Scan(home.bluez, adapter) as running:
            strap.rssi_dbm = -60
            await asyncio.sleep(0.5)
            strap.rssi_dbm = -90
            values = []
            for _ in range(10):
                await asyncio.sleep(0.05)
                values.append(running.seen()[0].rssi_dbm)
        assert values[0] > -85
        assert values == sorted(values, reverse=True)
        assert values[-1] < -70

    at_home(scenario)


def test_a_scan_that_was_left_on_is_begun_anew(at_home):
    async def scenario(home):
        await on_air(home)
        await home.bluez.start_discovery("hci0")
        assert [one.address for one in await scan(home.bluez, 0.5)] == [STRAP]

    at_home(scenario)


def test_a_sensor_that_does_not_keep_its_key_is_refused(at_home):
    async def scenario(home):
        await on_air(home)
        # bumble keeps the keys whatever the other side says; BlueZ does not.
        home.rig.adapters["hci0"].has_keys = lambda _: asyncio.sleep(0, result=False)
        with pytest.raises(PairingError, match="without keeping the key"):
            await home.pair()
        assert load(home.folder) == ()

    at_home(scenario)


def test_a_bus_that_dies_while_a_person_is_asked_ends_the_pairing(at_home, bus):
    async def scenario(home):
        strap = await on_air(home, face=Face.DISPLAY)

        async def die():
            await strap.screen.shown.wait()
            bus.die()
            await asyncio.sleep(5)

        keeper = Keeper()
        keeper.given_passkey = die
        with pytest.raises(PairingError, match="connection to BlueZ was lost"):
            await home.pair(keeper)
        assert load(home.folder) == ()
        bus.rise()

    at_home(scenario)


def test_a_bluez_that_hangs_is_given_up(bus, monkeypatch):
    async def scenario():
        silent = await MessageBus(bus_address=bus.address).connect()
        silent.add_message_handler(lambda message: message.destination == "org.bluez")
        await silent.request_name("org.bluez")
        monkeypatch.setitem(Bluez.call.__kwdefaults__, "timeout_s", 0.3)
        async with Bluez.connect(bus.address) as bluez:
            with pytest.raises(PairingError, match=r"BlueZ does not answer.*restart bluetooth"):
                await ready_adapter(bluez)
        silent.disconnect()

    asyncio.run(scenario())


def test_a_pairing_that_hangs_ends_with_the_window(at_home):
    async def scenario(home):
        await on_air(home)
        home.rig.faults.hang_connects = 1
        with pytest.raises(PairingError, match="window is closed"):
            await home.pair(window_s=0.5)
        assert not await home.pairable()
        assert (await home.pair()).bonded

    at_home(scenario)
