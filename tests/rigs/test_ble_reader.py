"""The Bluetooth reader, over unmodified bleak, a small BlueZ and simulated air.

Time passes `SPEED` times as fast for the reader, bleak, BlueZ and the sensors alike.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter

import pytest

from edge.bits import date_time_s
from edge.bluez import Bluez as BlueZ
from edge.devices import FILE
from edge.events import ASSIGN, EXPECT, LINK, ClockBasis
from edge.gatt import BATTERY_LEVEL, STORED, uuid
from edge.readers import ReadError
from edge.records import LinkState, Security
from edge.virtual._bluez import Bluez
from edge.virtual.glucose_meter import WEARABLE as METER
from edge.virtual.heart_rate import WEARABLE as STRAP
from edge.virtual.polar import WEARABLE as POLAR
from edge.virtual.thermometer import WEARABLE as THERMOMETER
from tests.rigs.fast_loop import run_fast
from tests.rigs.reader_rig import ADDRESS, Box, bond, device, n_descriptors, night

SPEED = 8
OTHER = "C0:DE:00:00:00:02"
RATE = uuid(0x2A37)
CONNECTED, LOST = LinkState.CONNECTED, LinkState.LOST
REMOVED = LinkState.REMOVED


# Streams and what is told


@night()
async def test_what_a_strap_sends_is_delivered_once_and_in_order(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device())
    async with box.running():
        await box.packets_more(8)
    sent = [one.payload for one in strap.delivered if one.uuid == RATE]
    assert [one.payload for one in box.of(ADDRESS, RATE)] == sent[: len(box.of(stream=RATE))]
    assert len(sent) - len(box.of(stream=RATE)) <= 1  # one may be on its way when we leave
    assert {one.source for one in box.packets} == {ADDRESS}


@night()
async def test_people_are_told_before_the_first_packet(bluez, folder):
    await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device())
    async with box.running():
        await box.packets_more(3)
    assert [one.stream for one in box.all[:3]] == [EXPECT, LINK, ASSIGN]
    assert box.told(EXPECT) == [{"link": ADDRESS, "patient": "p1", "withdrawn": False}]
    assert box.told(ASSIGN) == [{"source": ADDRESS, "patient": "p1", "link": ADDRESS}]
    (told,) = box.links()
    assert (told.state, told.security, told.name, told.place) == (
        CONNECTED,
        Security.OPEN,
        "Strap",
        "chest",
    )


@night()
async def test_the_battery_is_read_and_followed(bluez, folder):
    await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device())
    async with box.running():
        await box.packets_more(3)
    assert box.of(ADDRESS, BATTERY_LEVEL)[0].payload == bytes([87])


@night()
async def test_a_sensor_that_must_be_told_to_start_is_started_and_stopped(bluez, folder):
    polar = await bluez.put_on_air(POLAR, address=ADDRESS)
    box = Box(folder, device(profiles=("polar",)))
    async with box.running():
        await box.until(lambda: any("fb005c82" in one.stream for one in box.packets))
        await box.packets_more(10)
    n_sent = len(polar.delivered)
    await asyncio.sleep(3)
    assert len(polar.delivered) == n_sent
    assert not polar.connected
    assert not any("fb005c81" in one.stream for one in box.packets)  # answers are no data


@night()
async def test_two_sensors_of_two_patients_are_read_side_by_side(bluez, folder):
    for n, address in enumerate((ADDRESS, OTHER)):
        await bluez.put_on_air(STRAP, seed=n, address=address)
    box = Box(folder, device(), device(OTHER, name="Other", patient="p2"))
    async with box.running():
        await box.until(lambda: len(box.of(ADDRESS)) > 5 and len(box.of(OTHER)) > 5)
    assert {(one["source"], one["patient"]) for one in box.told(ASSIGN)} == {
        (ADDRESS, "p1"),
        (OTHER, "p2"),
    }


@night()
async def test_no_more_links_are_made_than_a_radio_may_hold(bluez, folder):
    for n, address in enumerate((ADDRESS, OTHER)):
        await bluez.put_on_air(STRAP, seed=n, address=address)
    box = Box(folder, device(), device(OTHER), max_links=1)
    async with box.running():
        await box.packets_more(15)
        assert len({one.source for one in box.packets}) == 1
        first = next(one for one in bluez.on_air if one.connected)
        first.power_off()
        await box.until(lambda: len({one.source for one in box.packets}) == 2, 40)


def test_a_radio_that_is_full_leaves_sensors_to_the_other(bus, tmp_path):
    async def play():
        bluez = await Bluez(bus.address, n_adapters=2).start()
        for n, address in enumerate((ADDRESS, OTHER)):
            await bluez.put_on_air(STRAP, seed=n, address=address)
        box = Box(tmp_path, device(), device(OTHER), max_links=1)
        async with box.running():
            # One link a radio: only with both are both sensors read.
            await box.until(lambda: len(box.of(ADDRESS)) > 3 and len(box.of(OTHER)) > 3, 40)
            assert {one.n_links for one in bluez.adapters.values()} == {1}
        await bluez.stop()

    run_fast(play(), SPEED)


@night()
async def test_only_the_radios_that_are_named_are_used(bluez, folder):
    await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device(), adapters=("hci7",))
    async with box.running():
        await asyncio.sleep(20)
        assert box.packets == []
        async with BlueZ.connect() as looking:
            assert not any(one.discovering for one in await looking.adapters())


@night()
async def test_a_bonded_sensor_that_is_not_heard_is_tried_all_the_same(bluez, folder):
    await bluez.put_on_air(STRAP, address=ADDRESS)
    await bond()
    bluez.faults.fail_discovery("Failed", name="Failed", times=1000)
    box = Box(folder, device(bonded=True, security=Security.ENCRYPTED))
    async with box.running():
        took_s = await box.packets_more(2, 60)
    assert took_s < 30


@night()
async def test_the_scan_rests_when_every_sensor_is_connected(bluez, folder):
    await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device())
    async with box.running(), BlueZ.connect() as looking:
        await box.packets_more(3)
        assert not any(one.discovering for one in await looking.adapters())
        box.add(device(OTHER))
        await asyncio.sleep(4)
        assert all(one.discovering for one in await looking.adapters())


# The list of sensors


def test_nothing_is_touched_while_no_sensor_is_registered(tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-such-bus")

    async def wait():
        box = Box(tmp_path)
        async with box.running():
            await asyncio.sleep(30)
            assert not box.task.done()
        assert box.all == []

    run_fast(wait(), 60)


def test_a_box_without_bluetooth_says_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("bleak")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-such-bus")

    async def read():
        box = Box(tmp_path, device())
        async with box.running():
            await asyncio.wait_for(box.task, 60)

    with pytest.raises(ReadError, match="sudo apt install bluez"):
        run_fast(read(), SPEED)


def test_the_reader_is_found_without_the_packages_for_bluetooth():
    script = (
        "import sys, edge.readers.ble;"
        "print([one for one in sys.modules if one in ('bleak', 'dbus_fast')])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@night()
async def test_a_sensor_that_is_added_while_running_is_read(bluez, folder):
    await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder)
    async with box.running():
        await asyncio.sleep(4)
        assert box.all == []
        box.add(device())
        await box.packets_more(3)


@night()
async def test_a_sensor_that_is_removed_is_let_go_and_people_are_told(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device(), device(OTHER))
    async with box.running():
        await box.packets_more(3)
        box.remove(ADDRESS)
        await box.until(lambda: REMOVED in box.states())
        n_packets = len(box.packets)
        await box.until(lambda: not strap.connected)
        await asyncio.sleep(5)
        assert len(box.packets) == n_packets
    assert {"link": ADDRESS, "patient": "p1", "withdrawn": True} in box.told(EXPECT)
    assert box.states() == [CONNECTED, REMOVED]


@night()
async def test_a_new_name_or_patient_is_told_without_a_new_link(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    links = []
    strap.on_link = lambda up, reason: links.append((up, reason))
    box = Box(folder, device())
    async with box.running():
        await box.packets_more(3)
        n_links = len(links)
        box.add(device(name="New", patient="p2"))
        await box.until(lambda: len(box.links()) == 2)
        await box.packets_more(2)
        assert len(links) == n_links
    assert [one.name for one in box.links()] == ["Strap", "New"]
    assert [one["patient"] for one in box.told(ASSIGN)] == ["p1", "p2"]
    assert [(one["patient"], one["withdrawn"]) for one in box.told(EXPECT)] == [
        ("p1", False),
        ("p1", True),
        ("p2", False),
    ]


@night()
async def test_a_list_that_cannot_be_read_leaves_the_sensors_as_they_were(bluez, folder):
    await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device())
    async with box.running():
        await box.packets_more(2)
        (folder / FILE).write_text("{ broken")
        await asyncio.sleep(5)
        await box.packets_more(2)
    assert box.states() == [CONNECTED]


# Clocks


@night()
async def test_a_clock_that_can_be_set_is_set_and_read(bluez, folder):
    scale = await bluez.put_on_air(THERMOMETER, address=ADDRESS)
    box = Box(folder, device(profiles=("thermometer",)), write_time=False)
    async with box.running():
        await box.until(box.clocks)
        (told,) = box.clocks()
        shown_s = date_time_s(scale.peripheral.value(uuid(0x2A2B), box.now_s()), 0)
    assert told.basis is ClockBasis.READ
    assert told.source == ADDRESS
    assert shown_s - told.device_s == pytest.approx(box.all[-1].arrived_s - told.boot_s, abs=30)
    assert 0 < told.uncertainty_s < 5


# Stored records


@night()
async def test_stored_records_come_once_and_only_new_ones_are_asked_for_again(bluez, folder):
    meter = await bluez.put_on_air(METER, address=ADDRESS)
    await bond()
    box = Box(folder, device(bonded=True, profiles=("glucose",)))
    stored = STORED + uuid(0x2A18)
    async with box.running():
        await box.until(lambda: len(box.of(stream=stored)) >= 112, 60)
        await asyncio.sleep(10)
        first = Counter(one.payload for one in box.of(stream=stored))
        n_delivered = sum(one.uuid == uuid(0x2A18) for one in meter.delivered)
        for _ in range(3):
            meter.hang_up()
            await box.until(lambda: box.states()[-1] is LOST)
            await box.until(lambda: box.states()[-1] is CONNECTED)
            await asyncio.sleep(10)
    assert set(first.values()) == {1}
    assert Counter(one.payload for one in box.of(stream=stored)) == first
    assert box.of(stream=uuid(0x2A18)) == []
    # What was there before was not even sent again, but for the last one each time.
    assert sum(one.uuid == uuid(0x2A18) for one in meter.delivered) == n_delivered + 3


@night()
async def test_a_fetch_that_breaks_off_goes_on_after_the_last_record(bluez, folder):
    meter = await bluez.put_on_air(METER, address=ADDRESS)
    await bond()
    box = Box(folder, device(bonded=True, profiles=("glucose",)))
    stored = STORED + uuid(0x2A18)
    async with box.running():
        await box.until(lambda: len(box.of(stream=stored)) >= 20, 60)
        meter.hang_up()
        await box.until(lambda: len(box.of(stream=stored)) >= 112, 60)
        await asyncio.sleep(5)
    assert set(Counter(one.payload for one in box.of(stream=stored)).values()) == {1}


# The end


@night()
async def test_a_clean_end_leaves_nothing_behind(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    before, n_files = asyncio.all_tasks(), n_descriptors()
    for _ in range(3):
        box = Box(folder, device())
        async with box.running():
            await box.packets_more(2)
        await asyncio.sleep(1)
        assert not strap.connected
    assert asyncio.all_tasks() - before == set()
    assert n_descriptors() == n_files
    async with BlueZ.connect() as looking:
        assert not any(one.discovering for one in await looking.adapters())


@night(speed=20)
async def test_nothing_grows_over_reconnects(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device())
    seen = []
    async with box.running():
        for _ in range(30):
            await box.packets_more(1)
            seen.append((len(asyncio.all_tasks()), n_descriptors()))
            n_links = len(box.links())
            strap.drop()
            await box.until(lambda n=n_links: len(box.links()) >= n + 2, 40)
    assert max(seen[10:]) <= max(seen[:10])


@night()
async def test_what_a_crash_left_is_cleared_away(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    # A process that was killed: its link is open, and BlueZ would refuse to connect again.
    async with BlueZ.connect() as crashed:
        await crashed.start_discovery("hci0")
        while not (found := await crashed.devices()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await crashed.connect_device(found[0].path)
    assert strap.connected
    bluez.faults.stuck_devices.add(ADDRESS)
    box = Box(folder, device())
    async with box.running():
        took_s = await box.packets_more(3)
    assert took_s < 10
