"""Rules of BlueZ that only a client of D-Bus sees: who is asked what, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("bleak", reason="bleak is missing: pip install 'homeward[pi]'")
pytest.importorskip("bumble", reason="bumble is missing: pip install 'homeward[dev]'")

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from edge.virtual._bluez import Bluez
from edge.virtual._bus import PrivateBus
from edge.virtual._face import Face
from edge.virtual._onair import OnAir
from tests.rigs.agent import Agent
from tests.rigs.rig import CONFIRMED_SECRET, GADGET, MEASUREMENT, SECRET
from tests.rigs.running import raised, run, until


def small_bluez(scenario: Callable[[Bluez], Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a scenario with a small BlueZ."""

    def test(bus: PrivateBus) -> None:
        async def whole() -> None:
            bluez = await Bluez(bus.address).start()
            try:
                await scenario(bluez)
            finally:
                await bluez.stop()

        run(whole())

    test.__name__ = scenario.__name__
    return test


async def find(held: OnAir) -> Any:
    return await BleakScanner.find_device_by_address(held.address, timeout=3.0)


class Client:
    """A D-Bus client of its own, about one device."""

    def __init__(self, held: OnAir) -> None:
        self.path = f"/org/bluez/hci0/dev_{held.address.replace(':', '_')}"

    async def __aenter__(self) -> Client:  # noqa: PYI034  # it has no subclasses
        self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()

    async def device(self, member: str) -> str:
        """Return the name of the error a method of the device gives, without its beginning."""
        reply = await self._bus.call(
            Message(
                destination="org.bluez",
                path=self.path,
                interface="org.bluez.Device1",
                member=member,
            )
        )
        assert reply is not None
        error = reply.message_type is MessageType.ERROR
        return str(reply.error_name).removeprefix("org.bluez.Error.") if error else ""


@small_bluez
async def test_a_guarded_value_makes_bluez_ask_before_it_just_pairs(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET)
    async with Agent("NoInputNoOutput") as agent, BleakClient(await find(held)) as client:
        assert bytes(await client.read_gatt_char(SECRET)) == b"secret"
    assert agent.members() == ["RequestAuthorization"]
    assert held.bonded


@small_bluez
async def test_an_agent_that_says_no_keeps_the_value_guarded(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET)
    async with Agent("NoInputNoOutput") as agent, BleakClient(await find(held)) as client:
        agent.agrees = False
        error = await raised(client.read_gatt_char(SECRET), BleakError)
    assert "Not paired" in str(error)
    assert not held.bonded


@small_bluez
async def test_who_pairs_is_asked_by_his_own_agent(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET, face=Face.DISPLAY)
    device = await find(held)
    async with (
        Agent("KeyboardOnly", lambda: held.passkey) as first,
        Agent("KeyboardOnly", lambda: held.passkey) as default,
        BleakClient(device, pair=True) as client,
    ):
        assert bytes(await client.read_gatt_char(CONFIRMED_SECRET)) == b"top"
    assert first.asked == []
    assert default.members() == ["RequestPasskey"]


@small_bluez
async def test_an_agent_ends_with_its_client(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET)
    async with Agent("NoInputNoOutput"):
        pass
    await asyncio.sleep(0.1)
    error = await raised(BleakClient(await find(held), pair=True).connect(), BleakError)
    assert "AuthenticationFailed" in str(error)


@small_bluez
async def test_a_wearable_with_keys_is_shown_the_number(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET, face=Face.KEYBOARD)
    device = await find(held)
    async with Agent("DisplayOnly") as agent:
        client = BleakClient(device, pair=True)
        pairing = asyncio.ensure_future(client.connect())
        await until(lambda: agent.asked)
        held.screen.type(agent.asked[0][1][1])
        await pairing
        assert bytes(await client.read_gatt_char(CONFIRMED_SECRET)) == b"top"
        await client.disconnect()
    assert agent.members() == ["DisplayPasskey"]


@small_bluez
async def test_an_old_wearable_pairs_by_the_old_rules(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET, face=Face.DISPLAY, secure_connections=False)
    device = await find(held)
    async with Agent("KeyboardDisplay", lambda: held.passkey):
        for _ in range(2):
            async with BleakClient(device, pair=True) as client:
                assert bytes(await client.read_gatt_char(CONFIRMED_SECRET)) == b"top"


@small_bluez
async def test_pairing_can_be_called_off(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET, face=Face.DISPLAY)
    await find(held)
    async with Agent("KeyboardOnly") as agent, Client(held) as client:
        assert await client.device("CancelPairing") == "DoesNotExist"
        pairing = asyncio.ensure_future(client.device("Pair"))
        await until(lambda: agent.asked)
        assert await client.device("Pair") == "InProgress"
        assert await client.device("CancelPairing") == ""
        assert await pairing == "AuthenticationCanceled"
        await until(lambda: "Cancel" in agent.members())
    assert not held.bonded


@small_bluez
async def test_who_is_paired_cannot_be_paired_again_until_removed(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET)
    device = await find(held)
    async with Agent("NoInputNoOutput"), Client(held) as client:
        assert await client.device("Pair") == ""
        assert await client.device("Pair") == "AlreadyExists"
        await BleakClient(device).unpair()
        await find(held)
        assert await client.device("Pair") == ""


@small_bluez
async def test_a_pairing_that_is_refused_by_the_wearable_fails(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET)
    held.screen.accepts = False
    await find(held)
    async with Agent("NoInputNoOutput"), Client(held) as client:
        assert await client.device("Pair") == "AuthenticationFailed"


@small_bluez
async def test_the_notifications_of_a_client_that_dies_stop(bluez: Bluez) -> None:
    held = await bluez.put_on_air(GADGET)
    client = BleakClient(await find(held))
    await client.connect()
    await client.start_notify(MEASUREMENT, lambda *_: None)
    await until(lambda: held.subscribed(MEASUREMENT))
    # Its program is killed: the connection to the bus breaks, and nobody says goodbye.
    client._backend._bus.disconnect()
    await until(lambda: not held.subscribed(MEASUREMENT))
    assert held.connected
    await client.disconnect()
