"""Every fault the small BlueZ can have happens as in the field, and is cured by what cures it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("bleak", reason="bleak is missing: pip install 'homeward[pi]'")
pytest.importorskip("bumble", reason="bumble is missing: pip install 'homeward[dev]'")

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from edge.virtual._bluez import Bluez
from edge.virtual._bus import PrivateBus
from edge.virtual._onair import OnAir
from tests.rigs.agent import Agent
from tests.rigs.rig import GADGET, MEASUREMENT, SECRET
from tests.rigs.running import raised, run, until

HCI0 = "/org/bluez/hci0"


class Bench:
    """A small BlueZ, one wearable, and a D-Bus client of its own."""

    def __init__(self, bluez: Bluez, held: OnAir, client: MessageBus) -> None:
        self.bluez, self.held, self.client = bluez, held, client
        self.faults = bluez.faults
        self.path = f"{HCI0}/dev_{held.address.replace(':', '_')}"

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> Any:
        """Return what a method gives, or the name of its error."""
        reply = await self.client.call(
            Message(
                destination="org.bluez",
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=list(body),
            )
        )
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            return reply.error_name
        return reply.body[0] if reply.body else None

    async def adapter(self, member: str, signature: str = "", *body: Any) -> Any:
        return await self.call(HCI0, "org.bluez.Adapter1", member, signature, *body)

    async def power(self, *, on: bool) -> Any:
        return await self.call(
            HCI0, "org.freedesktop.DBus.Properties", "Set", "ssv",
            "org.bluez.Adapter1", "Powered", Variant("b", on),
        )  # fmt: skip

    async def find(self, timeout_s: float = 3.0) -> Any:
        return await BleakScanner.find_device_by_address(self.held.address, timeout=timeout_s)

    async def connected(self, timeout_s: float = 3.0) -> BleakClient:
        client = BleakClient(await self.find(), timeout=timeout_s)
        await client.connect()
        return client


def bench(scenario: Callable[[Bench], Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a scenario on a bench."""

    def test(bus: PrivateBus) -> None:
        async def whole() -> None:
            bluez = await Bluez(bus.address).start()
            held = await bluez.put_on_air(GADGET)
            client = await MessageBus(bus_type=BusType.SYSTEM).connect()
            try:
                await scenario(Bench(bluez, held, client))
            finally:
                client.disconnect()
                await client.wait_for_disconnect()
                await bluez.stop()

        run(whole())

    test.__name__ = scenario.__name__
    return test


@bench
async def test_a_connect_fails_as_often_as_told_and_then_works(on: Bench) -> None:
    device = await on.find()
    on.faults.fail_connect("br-connection-canceled", times=2)
    for _ in range(2):
        error = await raised(BleakClient(device).connect(), BleakError)
        assert str(error) == "[org.bluez.Error.Failed] br-connection-canceled"
    client = await on.connected()
    await client.disconnect()


@bench
async def test_an_aborted_link_is_up_for_a_moment_so_that_bleak_tries_again(on: Bench) -> None:
    device = await on.find()
    on.faults.fail_connect(times=2)
    async with BleakClient(device, timeout=3.0) as client:
        assert client.is_connected


@bench
async def test_a_connect_that_hangs_ends_with_bleaks_timeout(on: Bench) -> None:
    device = await on.find()
    on.faults.hang_connects = 1
    await raised(BleakClient(device, timeout=0.3).connect(), TimeoutError)
    client = await on.connected()
    await client.disconnect()


@bench
async def test_in_progress_stays_until_the_device_is_removed(on: Bench) -> None:
    device = await on.find()
    on.faults.stuck_devices.add(on.held.address)
    for _ in range(2):
        error = await raised(BleakClient(device).connect(), BleakError)
        assert "InProgress" in str(error)
    assert await on.adapter("RemoveDevice", "o", on.path) is None
    client = await on.connected()
    await client.disconnect()


@bench
async def test_in_progress_is_cured_by_a_power_cycle_and_the_bond_stays(on: Bench) -> None:
    async with Agent("NoInputNoOutput"), BleakClient(await on.find(), pair=True):
        pass
    on.faults.stuck_devices.add(on.held.address)
    await raised(BleakClient(await on.find()).connect(), BleakError)
    await on.power(on=False)
    await on.power(on=True)
    client = await on.connected()
    assert bytes(await client.read_gatt_char(SECRET)) == b"secret"
    await client.disconnect()


@bench
async def test_a_stuck_discovery_is_cured_by_stop_discovery(on: Bench) -> None:
    on.faults.stuck_discovery = True
    assert await on.adapter("StartDiscovery") == "org.bluez.Error.InProgress"
    assert await on.adapter("StopDiscovery") == "org.bluez.Error.Failed"
    assert await on.adapter("StartDiscovery") is None
    assert await on.adapter("StartDiscovery") == "org.bluez.Error.InProgress"
    assert await on.adapter("StopDiscovery") is None


@bench
async def test_an_adapter_that_is_off_is_not_ready(on: Bench) -> None:
    client = await on.connected()
    await on.power(on=False)
    await until(lambda: not client.is_connected)
    # bleak keeps its D-Bus connection until it is told, also after the device has gone.
    await client.disconnect()
    assert await on.adapter("StartDiscovery") == "org.bluez.Error.NotReady"
    connect = await on.call(on.path, "org.bluez.Device1", "Connect")
    assert connect == "org.bluez.Error.NotReady"
    on.faults.power_fails = 1
    assert await on.power(on=True) == "org.bluez.Error.Failed"
    assert await on.power(on=True) is None
    assert await on.find() is not None


@bench
async def test_an_adapter_that_is_pulled_out_is_unknown_and_comes_back_with_its_bonds(
    on: Bench,
) -> None:
    async with Agent("NoInputNoOutput"), BleakClient(await on.find(), pair=True):
        await on.bluez.adapters["hci0"].unplug()
        assert await on.adapter("StartDiscovery") == "org.freedesktop.DBus.Error.UnknownObject"
    on.bluez.adapters["hci0"].plug()
    await asyncio.sleep(0.1)
    client = await on.connected()
    assert bytes(await client.read_gatt_char(SECRET)) == b"secret"
    await client.disconnect()


@bench
async def test_a_deaf_scanner_hears_again_when_it_is_started_anew(on: Bench) -> None:
    assert await on.adapter("StartDiscovery") is None
    on.faults.deaf = True
    # Another client's start does not cure it: the adapter goes on as it was.
    assert await on.find(0.4) is None
    assert await on.adapter("StopDiscovery") is None
    assert await on.find() is not None
    assert not on.faults.deaf


@bench
async def test_a_radio_that_is_deaf_until_it_is_cycled_hears_nothing_however_a_scan_begins(
    on: Bench,
) -> None:
    on.faults.deaf_until_cycle = True
    # The radio takes its time to start; not even then does an advertisement slip through.
    for _ in range(3):
        assert await on.find(0.4) is None
    assert await on.power(on=False) is None
    assert await on.power(on=True) is None
    assert await on.find() is not None


@bench
async def test_services_with_a_hole_give_bleak_a_key_error_until_it_connects_anew(
    on: Bench,
) -> None:
    device = await on.find()
    on.faults.missing_services = 1
    error = await raised(BleakClient(device).connect(), KeyError)
    assert error.args == ("org.bluez.GattService1",)
    await until(lambda: not on.held.connected)
    client = await on.connected()
    assert client.services.get_characteristic(MEASUREMENT) is not None
    await client.disconnect()


@pytest.mark.parametrize("crashed", [False, True])
def test_bluetoothd_restarts_and_keeps_its_bonds(bus: PrivateBus, crashed: bool) -> None:
    async def scenario(on: Bench) -> None:
        async with Agent("NoInputNoOutput"):
            async with BleakClient(await on.find(), pair=True):
                pass
            await on.bluez.restart(0.2, crashed=crashed)
            await asyncio.sleep(0.1)
            everything = await on.call(
                "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"
            )
            assert everything[on.path]["org.bluez.Device1"]["Paired"].value
            client = await on.connected()
            assert bytes(await client.read_gatt_char(SECRET)) == b"secret"
            await client.disconnect()

    bench(scenario)(bus)


@bench
async def test_nobody_is_bluez_while_bluetoothd_is_away(on: Bench) -> None:
    restart = asyncio.ensure_future(on.bluez.restart(0.3))
    await asyncio.sleep(0.1)
    reply = await on.adapter("StartDiscovery")
    assert reply == "org.freedesktop.DBus.Error.ServiceUnknown"
    await restart
    assert await on.adapter("StartDiscovery") is None


def test_the_whole_bus_dies_and_comes_back_at_the_same_address(bus: PrivateBus) -> None:
    async def whole() -> None:
        bluez = await Bluez(bus.address).start()
        held = await bluez.put_on_air(GADGET)
        gone = asyncio.Event()
        device = await BleakScanner.find_device_by_address(held.address, timeout=3.0)
        client = BleakClient(device, lambda _: gone.set())
        await client.connect()
        bus.die()
        await asyncio.wait_for(gone.wait(), 3.0)
        await asyncio.sleep(0.2)
        bus.rise()
        await asyncio.sleep(0.2)
        device = await BleakScanner.find_device_by_address(held.address, timeout=3.0)
        async with BleakClient(device) as again:
            assert again.is_connected
        await bluez.stop()

    run(whole())


@bench
async def test_notifications_that_cannot_be_started_say_so_once(on: Bench) -> None:
    client = await on.connected()
    on.faults.fail_notify()
    error = await raised(client.start_notify(MEASUREMENT, lambda *_: None), BleakError)
    assert "UNLIKELY" in str(error)
    await client.start_notify(MEASUREMENT, lambda *_: None)
    await client.disconnect()


@bench
async def test_notifications_that_stop_come_again_after_connecting_anew(on: Bench) -> None:
    for wait_s, heard in ((0.3, False), (0.3, True)):
        client = await on.connected()
        got: list[bytes] = []
        await client.start_notify(MEASUREMENT, lambda _, value, got=got: got.append(bytes(value)))
        await until(lambda got=got: got)
        if not heard:
            on.faults.unheard.add(on.held.address)
            await asyncio.sleep(0.1)
        got.clear()
        on.held.delivered.clear()
        await asyncio.sleep(wait_s)
        assert bool(got) is heard
        assert on.held.delivered
        await client.disconnect()


@bench
async def test_an_adapter_without_a_free_slot_says_so(on: Bench) -> None:
    on.faults.slots = 0
    error = await raised(BleakClient(await on.find()).connect(), BleakError)
    assert "le-connection-concurrent-connection-limit" in str(error)


@bench
async def test_any_call_can_be_made_to_fail(on: Bench) -> None:
    client = await on.connected()
    on.faults.fail_call("ReadValue", "Operation failed with ATT error: 0x0e")
    await raised(client.read_gatt_char(SECRET), BleakError)
    on.faults.clear()
    await client.disconnect()


@bench
async def test_objects_describe_themselves(on: Bench) -> None:
    await on.find()
    node = await on.client.introspect("org.bluez", on.path)
    names = {interface.name for interface in node.interfaces}
    assert {"org.bluez.Device1", "org.freedesktop.DBus.Properties"} <= names
    root = await on.client.introspect("org.bluez", "/org/bluez")
    proxy = on.client.get_proxy_object("org.bluez", "/org/bluez", root)
    manager: Any = proxy.get_interface("org.bluez.AgentManager1")
    await manager.call_register_agent("/x", "KeyboardOnly")
    await manager.call_unregister_agent("/x")
