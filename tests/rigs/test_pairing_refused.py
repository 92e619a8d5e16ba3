"""What must not pair: wrong numbers, short keys, strangers, closed windows."""

from __future__ import annotations

import asyncio

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from edge.bluez import Agent
from edge.bluez.agent import AGENT, PATH
from edge.devices import load
from edge.gatt import uuid
from edge.pairing import PairingError, scan
from edge.virtual._face import Face
from tests.rigs.pairing_rig import Keeper, on_air, run_at_home


@pytest.fixture
def at_home(bus, tmp_path):
    return lambda scenario: run_at_home(bus.address, tmp_path, scenario)


# What is refused


def test_a_short_key_is_refused_and_its_bond_is_gone(at_home):
    async def scenario(home):
        await on_air(home)
        home.keep_key(authenticated=0, size=7)
        with pytest.raises(PairingError, match="7 bytes and can be guessed"):
            await home.pair()
        assert load(home.folder) == ()
        state = await home.state()
        assert state is None or not state.bonded

    at_home(scenario)


@pytest.mark.parametrize("number", [None, 0])
def test_a_wrong_passkey_pairs_nothing(at_home, number):
    async def scenario(home):
        strap = await on_air(home, face=Face.DISPLAY)

        async def wrong():
            await strap.screen.shown.wait()
            return None if number is None else (strap.passkey + 1) % 1_000_000

        keeper = Keeper()
        keeper.given_passkey = wrong
        told = "no passkey was given" if number is None else "passkey was not the one it shows"
        with pytest.raises(PairingError, match=told):
            await home.pair(keeper)
        assert load(home.folder) == ()
        assert not strap.bonded

    at_home(scenario)


def test_numbers_that_differ_pair_nothing(at_home):
    async def scenario(home):
        strap = await on_air(home, face=Face.YES_NO)
        with pytest.raises(PairingError, match="the person said no"):
            await home.pair(Keeper(confirm=False))
        strap.screen.says_yes = False
        with pytest.raises(PairingError, match="not confirmed on both sides"):
            await home.pair()
        assert load(home.folder) == ()

    at_home(scenario)


def test_a_sensor_that_refuses_to_pair_is_told_as_such(at_home):
    async def scenario(home):
        strap = await on_air(home)
        strap.screen.accepts = False
        with pytest.raises(PairingError, match="put it into pairing mode"):
            await home.pair()
        assert load(home.folder) == ()

    at_home(scenario)


def test_the_window_closes_on_a_person_who_does_not_answer(at_home):
    async def scenario(home):
        await on_air(home, face=Face.DISPLAY)
        taken_back = asyncio.Event()

        async def never():
            try:
                await asyncio.sleep(60)
            finally:
                taken_back.set()

        keeper = Keeper()
        keeper.given_passkey = never
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(PairingError, match=r"answered in time|window is closed"):
            await home.pair(keeper, window_s=1.0)
        assert asyncio.get_running_loop().time() - began_s < 5.0
        await asyncio.wait_for(taken_back.wait(), 1.0)
        assert not await home.pairable()
        assert not home.rig.agents._known

    at_home(scenario)


def test_the_window_is_open_only_while_it_pairs(at_home):
    async def scenario(home):
        strap = await on_air(home, face=Face.DISPLAY)
        seen = []

        async def look():
            adapter = (await home.bluez.objects())["/org/bluez/hci0"]["org.bluez.Adapter1"]
            seen.append((adapter["Pairable"], adapter["PairableTimeout"]))
            await strap.screen.shown.wait()
            return strap.passkey

        keeper = Keeper()
        keeper.given_passkey = look
        await home.pair(keeper)
        assert seen == [(True, 20)]
        assert not await home.pairable()
        assert not home.rig.agents._known

    at_home(scenario)


async def _ask_agent(home, member, signature, body):
    """Ask our agent as BlueZ does, from BlueZ's own connection; return the error's name."""
    message = Message(
        destination=home.bluez.bus.unique_name,
        path=PATH,
        interface=AGENT,
        member=member,
        signature=signature,
        body=body,
    )
    reply = await home.rig._bus.call(message)
    return reply.error_name if reply.message_type is MessageType.ERROR else None


@pytest.mark.parametrize(
    ("member", "signature", "more"),
    [
        ("RequestAuthorization", "o", []),
        ("RequestConfirmation", "ou", [123456]),
        ("RequestPasskey", "o", []),
        ("DisplayPasskey", "ouq", [123456, 0]),
        ("AuthorizeService", "os", [uuid(0x180D)]),
    ],
)
def test_another_device_is_refused_without_asking(at_home, member, signature, more):
    async def scenario(home):
        await on_air(home)
        await scan(home.bluez, 0.5)
        strap = await home.state()
        keeper = Keeper()

        async def number():
            return 1

        keeper.given_passkey = number
        other = strap.path[:-2] + "99"
        async with Agent(home.bluez, strap, keeper, window_s=5) as agent:
            answer = await _ask_agent(home, member, signature, [other, *more])
            assert answer == "org.bluez.Error.Rejected"
            assert keeper.asked == []
            assert agent.refused[0].path == other
            # The device whose window is open is answered.
            assert await _ask_agent(home, member, signature, [strap.path, *more]) is None

    at_home(scenario)


def test_after_the_window_even_the_right_device_is_refused(at_home):
    async def scenario(home):
        await on_air(home)
        await scan(home.bluez, 0.5)
        strap = await home.state()
        keeper = Keeper()
        async with Agent(home.bluez, strap, keeper, window_s=0.2) as agent:
            await asyncio.sleep(0.3)
            answer = await _ask_agent(home, "RequestAuthorization", "o", [strap.path])
            assert answer == "org.bluez.Error.Rejected"
            assert "closed" in agent.refused[0].why
        assert keeper.asked == []
        answer = await _ask_agent(home, "RequestAuthorization", "o", [strap.path])
        assert answer == "org.freedesktop.DBus.Error.UnknownMethod"

    at_home(scenario)


def test_a_window_is_never_longer_than_a_minute():
    class Clock:
        pass

    agent = Agent.__new__(Agent)
    Agent.__init__(agent, Clock(), Clock(), Keeper(), window_s=3600.0)
    assert agent._window_s == 60.0


@pytest.mark.parametrize(
    ("member", "signature", "more"),
    [("RequestPinCode", "o", []), ("DisplayPinCode", "os", ["000000"])],
)
def test_pin_codes_of_classic_bluetooth_are_refused(at_home, member, signature, more):
    async def scenario(home):
        await on_air(home)
        await scan(home.bluez, 0.5)
        strap = await home.state()
        async with Agent(home.bluez, strap, Keeper(), window_s=5):
            answer = await _ask_agent(home, member, signature, [strap.path, *more])
            assert answer == "org.bluez.Error.Rejected"

    at_home(scenario)


def test_only_bluez_is_answered(at_home, bus):
    async def scenario(home):
        await on_air(home)
        await scan(home.bluez, 0.5)
        strap = await home.state()
        keeper = Keeper()
        stranger = await MessageBus(bus_address=bus.address).connect()
        async with Agent(home.bluez, strap, keeper, window_s=5):
            message = Message(
                destination=home.bluez.bus.unique_name,
                path=PATH,
                interface=AGENT,
                member="RequestAuthorization",
                signature="o",
                body=[strap.path],
            )
            reply = await stranger.call(message)
            assert reply.message_type is MessageType.ERROR
        stranger.disconnect()
        assert keeper.asked == []

    at_home(scenario)


def test_cancel_takes_a_question_back(at_home):
    async def scenario(home):
        await on_air(home)
        await scan(home.bluez, 0.5)
        strap = await home.state()
        keeper = Keeper()
        keeper.given_passkey = lambda: asyncio.sleep(60, 1)
        async with Agent(home.bluez, strap, keeper, window_s=5):
            asking = asyncio.ensure_future(_ask_agent(home, "RequestPasskey", "o", [strap.path]))
            await asyncio.wait_for(keeper.question.wait(), 5)
            await _ask_agent(home, "Cancel", "", [])
            assert await asyncio.wait_for(asking, 2) == "org.bluez.Error.Canceled"

    at_home(scenario)
