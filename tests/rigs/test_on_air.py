"""What can happen to a wearable happens, and the log of what was delivered tells the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

pytest.importorskip("bleak", reason="bleak is missing: pip install 'homeward[pi]'")
pytest.importorskip("bumble", reason="bumble is missing: pip install 'homeward[dev]'")

import msgspec
from bleak import BleakClient, BleakScanner

from edge.gatt import uuid
from edge.virtual import Characteristic, Port, Service
from edge.virtual._bluez import Bluez
from edge.virtual._bus import PrivateBus
from edge.virtual._onair import OnAir
from tests.rigs.rig import BIG, COUNTER, GADGET, LONG, MEASUREMENT
from tests.rigs.running import run, until


def on_air(scenario: Callable[[OnAir], Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a scenario with one wearable on the air."""

    def test(bus: PrivateBus) -> None:
        async def whole() -> None:
            bluez = await Bluez(bus.address).start()
            try:
                await scenario(await bluez.put_on_air(GADGET))
            finally:
                await bluez.stop()

        run(whole())

    test.__name__ = scenario.__name__
    return test


async def connected(held: OnAir) -> BleakClient:
    device = await BleakScanner.find_device_by_address(held.address, timeout=3.0)
    assert device is not None
    client = BleakClient(device, timeout=3.0)
    await client.connect()
    return client


async def listen(client: BleakClient, characteristic: str = MEASUREMENT) -> list[bytes]:
    got: list[bytes] = []
    await client.start_notify(characteristic, lambda _, value: got.append(bytes(value)))
    return got


def sent(held: OnAir, characteristic: str = MEASUREMENT) -> list[bytes]:
    return [one.payload for one in held.delivered if one.uuid == characteristic]


@on_air
async def test_what_was_delivered_is_what_bleak_got_over_many_drops(held: OnAir) -> None:
    got: list[bytes] = []
    for n in range(6):
        client = await connected(held)
        part = await listen(client)
        await asyncio.sleep(0.2)
        (held.hang_up, held.drop)[n % 2]()
        await until(lambda client=client: not client.is_connected)
        await client.disconnect()
        got += part
    assert got == sent(held)
    assert len(got) > 12


@on_air
async def test_a_short_fade_delays_and_loses_nothing(held: OnAir) -> None:
    client = await connected(held)
    got = await listen(client)
    await until(lambda: len(got) >= 2)
    held.fade(supervision_s=1.0)
    await asyncio.sleep(0.3)
    n_before = len(got)
    held.back()
    await until(lambda: len(got) >= n_before + 5)
    await client.disconnect()
    numbers = [int.from_bytes(one, "little") for one in got]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@on_air
async def test_a_slow_link_brings_bursts_in_order(held: OnAir) -> None:
    client = await connected(held)
    held.slow(0.25)
    await listen(client)
    await until(lambda: len(held.delivered) >= 10)
    times_s = [one.at_s for one in held.delivered]
    held.slow(0.0)
    await client.disconnect()
    assert sent(held) == sorted(sent(held))
    n_bursts = 1 + sum(b - a > 0.1 for a, b in pairwise(times_s))
    assert n_bursts <= 4


@on_air
async def test_chance_throws_away_its_share(held: OnAir) -> None:
    client = await connected(held)
    held.lose(0.5)
    got = await listen(client)
    await until(lambda: len(got) >= 8)
    await client.disconnect()
    assert held.n_lost > 0
    assert got == sent(held)


@on_air
async def test_a_silent_wearable_stays_connected(held: OnAir) -> None:
    client = await connected(held)
    got = await listen(client)
    await until(lambda: got)
    held.silence()
    await asyncio.sleep(0.1)
    n_before = len(got)
    await asyncio.sleep(0.3)
    assert (len(got), client.is_connected) == (n_before, True)
    held.speak()
    await until(lambda: len(got) > n_before)
    await client.disconnect()


@on_air
async def test_a_link_that_is_refused_is_down_at_once_and_bleak_tries_again(held: OnAir) -> None:
    links: list[bool] = []
    held.on_link = lambda up, _: links.append(up)
    held.refuse(2)
    client = await connected(held)
    assert links == [True, False, True, False, True]
    await client.disconnect()


@on_air
async def test_a_wearable_switched_off_and_on_goes_on_counting(held: OnAir) -> None:
    client = await connected(held)
    got = await listen(client)
    await until(lambda: len(got) > 2)
    held.power_off()
    await until(lambda: not client.is_connected)
    await client.disconnect()
    held.power_on()
    client = await connected(held)
    again = await listen(client)
    await until(lambda: again)
    await client.disconnect()
    assert again[0] > got[-1]


@on_air
async def test_a_new_table_is_seen_with_the_next_link(held: OnAir) -> None:
    client = await connected(held)
    await client.disconnect()
    fresh = uuid(0x2A9D)
    more = Service(uuid(0x181D), (Characteristic(fresh, ("read",), b"new"),))
    held.change_table((more, *GADGET.services))
    client = await connected(held)
    assert bytes(await client.read_gatt_char(fresh)) == b"new"
    got = await listen(client)
    await until(lambda: got)
    await client.disconnect()


def test_what_does_not_fit_the_mtu_is_not_cut_but_told(bus: PrivateBus) -> None:
    async def whole() -> None:
        bluez = await Bluez(bus.address).start()
        held = await bluez.put_on_air(GADGET, max_mtu=100)
        client = await connected(held)
        got = await listen(client, LONG)
        await until(lambda: held.too_long)
        await client.disconnect()
        await bluez.stop()
        assert got == []
        assert held.too_long[0] == (LONG, len(BIG))

    run(whole())


@on_air
async def test_an_indication_waits_for_a_link_that_is_slow(held: OnAir) -> None:
    client = await connected(held)
    got = await listen(client, COUNTER)
    held.slow(0.1)
    await until(lambda: len(got) >= 3)
    held.fade()
    await until(lambda: not client.is_connected)
    held.slow(0.0)
    held.back()
    await client.disconnect()
    assert got == sent(held, COUNTER)[: len(got)]


def test_a_wearable_that_fails_makes_the_stop_fail(bus: PrivateBus) -> None:
    class Broken:
        def __init__(self, seed: int) -> None: ...

        async def run(self, _: Port) -> None:
            raise ValueError("broken")

        async def written(self, port: Port, uuid: str, payload: bytes) -> None: ...

        def value(self, uuid: str, now_s: float) -> bytes | None: ...

    async def whole() -> None:
        bluez = await Bluez(bus.address).start()
        await bluez.put_on_air(msgspec.structs.replace(GADGET, open=Broken))
        await asyncio.sleep(0.05)
        with pytest.raises(ExceptionGroup, match="virtual wearables failed"):
            await bluez.stop()

    run(whole())


def test_a_device_that_is_not_heard_is_forgotten_after_three_minutes(bus: PrivateBus) -> None:
    async def whole() -> None:
        bluez = await Bluez(bus.address).start()
        held = await bluez.put_on_air(GADGET)
        assert await BleakScanner.find_device_by_address(held.address, timeout=30.0)
        path = f"/org/bluez/hci0/dev_{held.address.replace(':', '_')}"
        held.fade()
        await asyncio.sleep(150.0)
        assert path in bluez.tree.objects
        await asyncio.sleep(50.0)
        assert path not in bluez.tree.objects
        await bluez.stop()

    run(whole(), speed=100.0, within_s=600.0)


def test_two_adapters_have_links_of_their_own(bus: PrivateBus) -> None:
    async def whole() -> None:
        bluez = await Bluez(bus.address, n_adapters=2).start()
        for name in ("hci0", "hci1"):
            held = await bluez.put_on_air(GADGET)
            device = await BleakScanner.find_device_by_address(
                held.address, timeout=3.0, bluez={"adapter": name}
            )
            assert device is not None
            assert device.details["path"].startswith(f"/org/bluez/{name}/")
            client = BleakClient(device)
            await client.connect()
            assert bluez.adapters[name].n_links == 1
            await client.disconnect()
        await bluez.stop()

    run(whole())
