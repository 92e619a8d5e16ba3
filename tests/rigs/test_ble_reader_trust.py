"""Which sensors the Bluetooth reader uses, and how far it trusts them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from edge.gatt import uuid
from edge.records import LinkState, Security
from edge.virtual import Characteristic, Guard
from edge.virtual._bluez import Bluez
from edge.virtual.glucose_meter import WEARABLE as METER
from edge.virtual.heart_rate import WEARABLE as STRAP
from tests.rigs.fast_loop import run_fast
from tests.rigs.reader_rig import ADDRESS, Box, bond, device, night

SPEED = 8
RATE = uuid(0x2A37)
CONNECTED = LinkState.CONNECTED
REFUSED, KEY_LOST = LinkState.REFUSED, LinkState.KEY_LOST


@night()
async def test_a_sensor_without_bond_or_consent_is_refused(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    links = []
    strap.on_link = lambda up, _: links.append(up)
    box = Box(folder, device(consent=False))
    async with box.running():
        await box.until(lambda: box.states() == [REFUSED])
        await asyncio.sleep(20)
        assert (box.packets, links) == ([], [])
        assert "homeward pair" in box.links()[0].reason
        box.add(device())
        await box.packets_more(2)
    assert box.states() == [REFUSED, CONNECTED]


@night()
async def test_a_bonded_sensor_is_read_and_told_with_what_its_pairing_reached(bluez, folder):
    await bluez.put_on_air(METER, address=ADDRESS)
    await bond()
    known = device(bonded=True, consent=False, security=Security.ENCRYPTED, profiles=("glucose",))
    box = Box(folder, known)
    async with box.running():
        await box.packets_more(3)
    assert box.links()[0].security is Security.ENCRYPTED


@night()
async def test_a_sensor_whose_bond_this_box_has_lost_is_not_even_connected_to(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    links = []
    strap.on_link = lambda up, _: links.append(up)
    box = Box(folder, device(bonded=True, consent=True))
    async with box.running():
        await box.until(lambda: box.states() == [KEY_LOST])
        await asyncio.sleep(60)
    assert (links, box.packets, box.states()) == ([], [], [KEY_LOST])


@pytest.mark.parametrize("words", ["le-connection-key-missing", "le-connection-abort-by-local"])
def test_a_sensor_that_has_lost_its_key_is_never_paired_again_silently(bus, tmp_path, words):
    async def play():
        bluez = await Bluez(bus.address).start()
        bluez.faults.key_missing = words
        strap = await bluez.put_on_air(STRAP, address=ADDRESS)
        await bond()
        box = Box(tmp_path, device(bonded=True, security=Security.ENCRYPTED))
        async with box.running():
            await box.packets_more(3)
            strap.forget_bond()
            n_packets = len(box.packets)
            strap.hang_up()
            await box.until(lambda: KEY_LOST in box.states(), 600)
            await asyncio.sleep(60)
            assert len(box.packets) - n_packets <= 1
            assert not strap.bonded
            assert CONNECTED not in box.states()[1:]
        await bluez.stop()

    run_fast(play(), SPEED)


@night()
async def test_an_impostor_with_the_same_name_and_address_is_not_believed(bluez, folder):
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    await bond()
    box = Box(folder, device(bonded=True, security=Security.ENCRYPTED))
    async with box.running():
        await box.packets_more(3)
        strap.power_off()
        await box.until(lambda: box.states()[-1] is LinkState.LOST, 60)
        n_packets = len(box.packets)
        impostor = await bluez.put_on_air(STRAP, seed=2, address=ADDRESS)
        await box.until(lambda: KEY_LOST in box.states(), 600)
        await asyncio.sleep(30)
        assert not impostor.bonded
    assert len(box.packets) == n_packets
    assert CONNECTED not in box.states()[1:]


def guarded(wearable):
    """Return the same wearable, showing its measurements only to whom it is paired with."""

    def guard(one: Characteristic) -> Characteristic:
        return msgspec.structs.replace(one, guard=Guard.ENCRYPTED)

    services = tuple(
        msgspec.structs.replace(one, characteristics=tuple(map(guard, one.characteristics)))
        for one in wearable.services
    )
    return msgspec.structs.replace(wearable, services=services)


@night()
async def test_a_sensor_that_wants_to_be_paired_is_not_used_without(bluez, folder):
    await bluez.put_on_air(guarded(STRAP), address=ADDRESS)
    box = Box(folder, device())
    async with box.running():
        await box.until(lambda: REFUSED in box.states(), 60)
    assert box.of(stream=RATE) == []
    assert "homeward pair" in box.links()[-1].reason
