"""One open link: the order of its start, what is delivered, and every way in which it ends."""

import asyncio

import msgspec
import pytest

from edge.devices import Device
from edge.gatt import (
    BATTERY_LEVEL,
    Answer,
    Feature,
    Profile,
    Write,
    uuid,
)
from edge.readers._ble_errors import LostError, NotReadyError, SilentError
from edge.readers._ble_gatt import BATTERY
from tests.edge.readers.ble_desk import (
    CONTROL,
    DATA,
    FOUND,
    ONCE,
    SERVICE,
    STREAMING,
    Bench,
    Desk,
    fast,
    has,
)


def test_reads_come_before_subscriptions_and_commands_last():
    @fast
    async def play():
        profile = msgspec.structs.replace(
            STREAMING, read=(ONCE,), replies=(CONTROL,), start=(Write(CONTROL, b"\x02"),)
        )
        desk = Desk(*FOUND, *has(BATTERY, (BATTERY_LEVEL, "read notify")))
        desk.values = {ONCE: b"once", BATTERY_LEVEL: b"W"}
        bench = Bench(desk, profile)
        await bench.session.start()
        assert desk.log == [
            "read fe03",
            "read 2a19",
            "subscribe 2a19",
            "subscribe fe02",
            "subscribe fe01",
            "write fe02 02",
            "opened",
            f"packet {ONCE}",
            f"packet {BATTERY_LEVEL}",
        ]


def test_the_first_packet_waits_for_the_word_that_the_sensor_is_there():
    @fast
    async def play():
        desk = Desk(*FOUND)
        desk.values = {ONCE: b"once"}
        desk.on_write[CONTROL] = lambda _: desk.notify(DATA, b"data")
        answer = Answer(CONTROL, b"\xf0", 1, (0,))
        start = Write(CONTROL, b"\x02", answer=answer, optional=True)
        profile = msgspec.structs.replace(
            STREAMING, read=(ONCE,), replies=(CONTROL,), start=(start,)
        )
        bench = Bench(desk, profile)
        await bench.session.start()
        assert bench.log[-3:] == ["opened", f"packet {ONCE}", f"packet {DATA}"]


def test_a_command_is_answered_well_badly_or_not_at_all():
    @fast
    async def play():
        answer = Answer(CONTROL, b"\xf0\x02", 2, (0, 6))
        profile = msgspec.structs.replace(
            STREAMING, replies=(CONTROL,), start=(Write(CONTROL, b"\x02\x00", answer=answer),)
        )
        for status, words in ((0, None), (6, None), (13, "status 13"), (None, "does not answer")):
            desk = Desk(*FOUND)
            if status is not None:
                said = bytes([0xF0, 0x02, status])
                desk.on_write[CONTROL] = lambda _, desk=desk, said=said: (
                    desk.notify(CONTROL, b"\xf0\x01\x63"),
                    desk.notify(CONTROL, b"\xf0"),
                    desk.notify(CONTROL, said),
                )
            bench = Bench(desk, profile)
            if words is None:
                await bench.session.start()
            else:
                with pytest.raises(NotReadyError, match=words):
                    await bench.session.start()


def test_options_features_and_optional_commands_decide_what_is_written():
    @fast
    async def play():
        start = (
            Write(CONTROL, b"\x01"),
            Write(CONTROL, b"\x02", option="acc"),
            Write(CONTROL, b"\x03", option="ecg"),
            Write(CONTROL, b"\x04", needs=Feature(ONCE, 0, 3)),
            Write(CONTROL, b"\x05", needs=Feature(ONCE, 0, 2)),
            Write(CONTROL, b"\x06", needs=Feature(ONCE, 9, 0)),
            Write(uuid(0xFEFF), b"\x07", optional=True),
            Write(CONTROL, b"\x08", response=False),
        )
        profile = msgspec.structs.replace(STREAMING, start=start, options=("ecg",))
        for device, wanted in (
            (None, [1, 3, 4, 8]),
            (Device(address="a", name="x", consent=True, options=("acc",)), [1, 2, 4, 8]),
        ):
            desk = Desk(*FOUND)
            desk.values = {ONCE: b"\x08"}
            await Bench(desk, profile, device=device).session.start()
            assert [payload[0] for _, payload, _ in desk.written] == wanted
            assert [response for *_, response in desk.written] == [True, True, True, False]


@pytest.mark.parametrize(("can", "confirmed"), [("write", True), ("write-without-response", False)])
def test_a_command_goes_the_way_the_device_takes(can, confirmed):
    @fast
    async def play():
        for response in (True, False):
            desk = Desk(*has(SERVICE, (DATA, "notify"), (CONTROL, can)))
            start = (Write(CONTROL, b"x", response=response),)
            await Bench(desk, Profile("p", "", SERVICE, (DATA,), start=start)).session.start()
            assert [how for *_, how in desk.written] == [confirmed]


def test_a_command_without_its_characteristic_ends_the_start():
    @fast
    async def play():
        profile = msgspec.structs.replace(STREAMING, start=(Write(uuid(0xFEFF), b"\x07"),))
        with pytest.raises(NotReadyError, match="has no characteristic"):
            await Bench(Desk(*FOUND), profile).session.start()


def test_what_cannot_be_read_is_left_out_unless_the_link_is_gone():
    @fast
    async def play():
        profile = msgspec.structs.replace(STREAMING, read=(ONCE,))
        desk = Desk(*FOUND)
        desk.values = {ONCE: ValueError("not now")}
        await Bench(desk, profile).session.start()
        desk = Desk(*FOUND)
        desk.values = {ONCE: ValueError("gone")}
        desk.gone.set()
        with pytest.raises(ValueError, match="gone"):
            await Bench(desk, profile).session.start()


def test_silence_and_a_link_that_breaks_off_end_the_session():
    @fast
    async def play():
        loop = asyncio.get_running_loop()
        bench = Bench(desk := Desk(*FOUND), STREAMING)
        await bench.session.start()
        began_s = loop.time()
        loop.call_later(4.0, desk.notify, DATA, b"late")
        with pytest.raises(SilentError):
            await bench.session.run()
        assert loop.time() - began_s == pytest.approx(9.0, abs=1.0)
        bench = Bench(desk := Desk(*FOUND), STREAMING)
        await bench.session.start()
        loop.call_later(1.0, desk.gone.set)
        with pytest.raises(LostError) as caught:
            await bench.session.run()
        assert not isinstance(caught.value, SilentError)


def test_a_sensor_that_sends_when_it_has_something_may_be_silent():
    @fast
    async def play():
        profile = msgspec.structs.replace(STREAMING, deadline_s=0.0)
        bench = Bench(Desk(*FOUND), profile)
        await bench.session.start()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.session.run(), 100)


def test_a_sensor_that_must_be_asked_is_asked_again_and_again_and_told_to_stop():
    @fast
    async def play():
        profile = msgspec.structs.replace(
            STREAMING,
            poll=Write(CONTROL, b"\x17"),
            poll_s=2.0,
            stop=(Write(CONTROL, b"\x03"), Write(CONTROL, b"\x04", option="not on")),
        )
        desk = Desk(*FOUND)
        desk.on_write[CONTROL] = lambda _: desk.notify(DATA, b"\x55")
        bench = Bench(desk, profile)
        await bench.session.start()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.session.run(), 20)
        assert 8 <= len(bench.payloads()) <= 11
        await bench.session.stop()
        assert [payload for _, payload, _ in desk.written][-1] == b"\x03"


def test_stopping_a_sensor_that_hangs_takes_two_seconds():
    @fast
    async def play():
        profile = msgspec.structs.replace(STREAMING, stop=(Write(CONTROL, b"\x03"),))
        desk = Desk(*FOUND)
        bench = Bench(desk, profile)

        async def hang(*_, **__):
            await asyncio.Event().wait()

        desk.write = hang
        began_s = asyncio.get_running_loop().time()
        await bench.session.stop()
        assert asyncio.get_running_loop().time() - began_s < 3
