"""What a radio with BlueZ does, held to by every rig: tier (a) here, tier (b) with the real BlueZ.

Unmodified bleak, straight. Nothing here may know which rig it runs on; `Rig.patience` stretches
the time limits of slow ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("bleak", reason="bleak is missing: pip install 'homeward[pi]'")
pytest.importorskip("bumble", reason="bumble is missing: pip install 'homeward[dev]'")

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from edge.gatt import BATTERY_LEVEL, uuid
from edge.virtual._face import Face
from tests.rigs.agent import Agent
from tests.rigs.rig import (
    BIG,
    CONFIRMED_SECRET,
    COUNTER,
    GADGET,
    INBOX,
    LONG,
    MEASUREMENT,
    SECRET,
    InHand,
    Rig,
)
from tests.rigs.running import raised, run, until

REFUSED = (BleakError, TimeoutError)


def contract(scenario: Callable[[Rig], Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a scenario on a rig."""

    def test(make_rig) -> None:
        async def whole() -> None:
            async with make_rig() as rig:
                await scenario(rig)

        run(whole())

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


async def find(rig: Rig, held: InHand) -> BLEDevice:
    found = await BleakScanner.find_device_by_name(held.name, timeout=5.0 * rig.patience)
    assert found is not None
    return found


async def listen(client: BleakClient, characteristic: str = MEASUREMENT) -> list[bytes]:
    got: list[bytes] = []
    await client.start_notify(characteristic, lambda _, value: got.append(bytes(value)))
    return got


@contract
async def test_a_scan_tells_name_address_services_and_strength(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with BleakScanner() as scanner:
        async with asyncio.timeout(5.0 * rig.patience):
            found = scanner.advertisement_data()
            told = await anext(
                told async for device, told in found if device.address == held.address
            )
    assert told.local_name == held.name
    assert uuid(0x180D) in told.service_uuids
    assert -128 < told.rssi < 20


@contract
async def test_what_is_out_of_range_is_not_found(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    held.fade()
    assert await BleakScanner.find_device_by_name(held.name, timeout=0.5 * rig.patience) is None
    held.back()
    await find(rig, held)


@contract
async def test_notifications_come_in_order_and_none_is_missing(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with BleakClient(await find(rig, held)) as client:
        got = await listen(client)
        await until(lambda: len(got) >= 10, 10 * rig.patience)
    numbers = [int.from_bytes(one, "little") for one in got]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@contract
async def test_indications_are_confirmed_so_that_the_next_comes(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with BleakClient(await find(rig, held)) as client:
        got = await listen(client, COUNTER)
        await until(lambda: len(got) >= 5, 10 * rig.patience)
    assert len(set(got)) == len(got)


@contract
async def test_what_is_written_arrives_and_is_answered(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with BleakClient(await find(rig, held)) as client:
        got = await listen(client, INBOX)
        await client.write_gatt_char(INBOX, b"abc", response=True)
        await client.write_gatt_char(INBOX, b"def", response=False)
        await until(lambda: len(got) == 2, 10 * rig.patience)
    assert got == [b"cba", b"fed"]


@contract
async def test_what_cannot_be_read_says_so(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with BleakClient(await find(rig, held)) as client:
        error = await raised(client.read_gatt_char(MEASUREMENT), BleakError)
    assert "READ_NOT_PERMITTED" in str(error)


@contract
async def test_battery_and_device_information_are_there(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with BleakClient(await find(rig, held)) as client:
        assert 0 < (await client.read_gatt_char(BATTERY_LEVEL))[0] <= 100
        assert bytes(await client.read_gatt_char(uuid(0x2A29))) == b"Homeward"


@contract
async def test_a_big_mtu_carries_a_long_notification_whole(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with BleakClient(await find(rig, held)) as client:
        got = await listen(client, LONG)
        await until(lambda: got, 10 * rig.patience)
        assert client.services.get_characteristic(LONG).max_write_without_response_size >= 200
    assert got[0] == BIG


@contract
async def test_a_small_mtu_cuts_no_read(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET, max_mtu=23)
    async with BleakClient(await find(rig, held)) as client:
        assert bytes(await client.read_gatt_char(LONG)) == BIG


@contract
async def test_a_device_that_hangs_up_is_told_and_can_be_connected_to_again(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    for _ in range(2):
        gone = asyncio.Event()
        async with BleakClient(await find(rig, held), lambda _, gone=gone: gone.set()) as client:
            got = await listen(client)
            await until(lambda got=got: len(got) > 2, 10 * rig.patience)
            held.hang_up()
            await asyncio.wait_for(gone.wait(), 5 * rig.patience)
            assert not client.is_connected


@contract
async def test_a_device_that_fades_is_told_and_comes_back(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    gone = asyncio.Event()
    async with BleakClient(await find(rig, held), lambda _: gone.set()) as client:
        got = await listen(client)
        await until(lambda: got, 10 * rig.patience)
        held.fade()
        await asyncio.wait_for(gone.wait(), 10 * rig.patience)
    held.back()
    async with BleakClient(await find(rig, held)) as client:
        got = await listen(client)
        await until(lambda: len(got) > 2, 10 * rig.patience)


@contract
async def test_connecting_to_what_has_just_left_fails_within_the_timeout(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    device = await find(rig, held)
    held.fade()
    await raised(BleakClient(device, timeout=1.0 * rig.patience).connect(), *REFUSED)
    held.back()
    async with BleakClient(await find(rig, held)) as client:
        assert client.is_connected


@contract
async def test_without_an_agent_even_just_works_is_refused(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    error = await raised(BleakClient(await find(rig, held), pair=True).connect(), BleakError)
    assert "AuthenticationFailed" in str(error)


@contract
async def test_a_guarded_value_is_refused_to_the_unpaired(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    client = BleakClient(await find(rig, held))
    await client.connect()
    await raised(asyncio.wait_for(client.read_gatt_char(SECRET), 5 * rig.patience), *REFUSED)
    await client.disconnect()


@contract
async def test_just_works_gives_a_bond_that_outlives_the_link(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    device = await find(rig, held)
    async with (
        Agent("NoInputNoOutput") as agent,
        BleakClient(device, pair=True, timeout=20 * rig.patience) as client,
    ):
        assert bytes(await client.read_gatt_char(SECRET)) == b"secret"
        await raised(client.read_gatt_char(CONFIRMED_SECRET), BleakError)
    assert agent.asked == []
    async with BleakClient(await find(rig, held)) as client:
        assert bytes(await client.read_gatt_char(SECRET)) == b"secret"


@contract
async def test_a_passkey_from_the_devices_display_pairs(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET, face=Face.DISPLAY)
    async with Agent("KeyboardDisplay", lambda: held.passkey) as agent:
        device = await find(rig, held)
        async with BleakClient(device, pair=True, timeout=20 * rig.patience) as client:
            assert bytes(await client.read_gatt_char(CONFIRMED_SECRET)) == b"top"
    assert agent.members() == ["RequestPasskey"]


@contract
async def test_a_wrong_passkey_is_refused_and_leaves_no_bond(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET, face=Face.DISPLAY)

    def wrong() -> int | None:
        return None if held.passkey is None else (held.passkey + 1) % 1_000_000

    device = await find(rig, held)
    async with Agent("KeyboardOnly", wrong):
        error = await raised(BleakClient(device, pair=True).connect(), BleakError)
    assert "AuthenticationFailed" in str(error)
    async with BleakClient(await find(rig, held)) as client:
        await raised(asyncio.wait_for(client.read_gatt_char(SECRET), 5 * rig.patience), *REFUSED)


@contract
async def test_two_numbers_are_compared_and_agree(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET, face=Face.YES_NO)
    async with Agent("DisplayYesNo") as agent:
        device = await find(rig, held)
        async with BleakClient(device, pair=True, timeout=20 * rig.patience) as client:
            assert bytes(await client.read_gatt_char(CONFIRMED_SECRET)) == b"top"
    assert agent.members() == ["RequestConfirmation"]
    assert 0 <= agent.asked[0][1][1] < 1_000_000


@contract
async def test_a_comparison_that_a_person_denies_is_refused(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET, face=Face.YES_NO)
    async with Agent("DisplayYesNo") as agent:
        agent.agrees = False
        error = await raised(BleakClient(await find(rig, held), pair=True).connect(), BleakError)
    assert "AuthenticationFailed" in str(error)


@contract
async def test_a_device_that_lost_its_keys_is_not_paired_again_in_silence(rig: Rig) -> None:
    held = await rig.put_on_air(GADGET)
    async with Agent("NoInputNoOutput") as agent:
        device = await find(rig, held)
        async with BleakClient(device, pair=True, timeout=20 * rig.patience):
            pass
        held.forget_bond()

        async def read() -> None:
            async with BleakClient(await find(rig, held), timeout=3 * rig.patience) as client:
                await asyncio.wait_for(client.read_gatt_char(SECRET), 3 * rig.patience)

        await raised(read(), *REFUSED)
    assert agent.asked == []
