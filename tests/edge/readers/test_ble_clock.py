"""A device's own clock: set, read, assumed, or left alone."""

import asyncio

import msgspec
import pytest

from edge.events import DEVICE_CLOCK, ClockBasis, DeviceClock
from edge.gatt import (
    CURRENT_TIME,
    Profile,
    SessionClock,
    uuid,
)
from edge.readers._ble_clock import (
    ASSUMED_UNCERTAINTY_S,
    current_time_s,
    local_time,
    pack_current_time,
)
from tests.edge.readers.ble_desk import (
    DATA,
    FOUND,
    SERVICE,
    STREAMING,
    UNSET,
    WALL,
    Bench,
    Desk,
    fast,
    has,
)

CLOCK = has(uuid(0x1805), (CURRENT_TIME, "read write notify"))
SPOT = Profile("spot", "", SERVICE, (DATA,))


def test_a_clock_is_set_to_local_time_before_it_is_read():
    @fast
    async def play():
        desk = Desk(*FOUND, *CLOCK)
        desk.on_write[CURRENT_TIME] = lambda payload: desk.values.update({CURRENT_TIME: payload})
        bench = Bench(desk, SPOT)
        await bench.session.start()
        (_, written, response), *_ = desk.written
        assert (written, response) == (pack_current_time(local_time(WALL)), True)
        assert len(written) == 10


def test_what_a_clock_showed_before_it_was_set_is_told_too():
    @fast
    async def play():
        desk = Desk(*FOUND, *CLOCK)
        desk.values = {CURRENT_TIME: bytes.fromhex("e3070101000000020001")}
        desk.on_write[CURRENT_TIME] = lambda payload: desk.values.update({CURRENT_TIME: payload})
        bench = Bench(desk, SPOT)
        await bench.session.start()
        shown = [
            msgspec.json.decode(one.payload, type=DeviceClock).device_s
            for one in bench.got
            if one.stream == DEVICE_CLOCK
        ]
        right_s = current_time_s(pack_current_time(local_time(WALL)))
        years_s = 19 * 365.25 * 86400
        assert shown == [pytest.approx(years_s, abs=86400), pytest.approx(right_s, abs=1)]


def test_a_clock_that_is_right_is_not_set_again():
    @fast
    async def play():
        desk = Desk(*FOUND, *CLOCK)
        desk.values = {CURRENT_TIME: pack_current_time(local_time(WALL))}
        wall = msgspec.structs.replace(WALL, boot_s=asyncio.get_running_loop().time())
        await Bench(desk, SPOT, wall=wall).session.start()
        assert desk.written == []


@pytest.mark.parametrize(("minutes", "is_known"), [(b"\x05\x00\x00\x00\x00", True), (b"", False)])
def test_a_clock_that_counts_minutes_is_read_with_its_start(minutes, is_known):
    start, passed = uuid(0x2AAA), uuid(0x2AA9)
    session = Profile("cgm", "", SERVICE, (DATA,), clock=SessionClock(start, passed))

    @fast
    async def play():
        desk = Desk(*FOUND, *has(SERVICE, (start, "read"), (passed, "read")))
        desk.values = {start: bytes.fromhex("d007010100000000"), passed: minutes}
        bench = Bench(desk, session)
        await bench.session.start()
        told = bench.clock()
        if is_known:
            assert (told.device_s, told.basis) == (330.0, ClockBasis.READ)
            assert 30.0 <= told.uncertainty_s < 31.0
        else:
            assert told.basis is ClockBasis.ASSUMED


@pytest.mark.parametrize(("wall", "write_time"), [(UNSET, True), (WALL, False)])
def test_a_clock_is_not_set_where_the_box_may_be_wrong_or_may_not(wall, write_time):
    @fast
    async def play():
        desk = Desk(*FOUND, *CLOCK)
        desk.values = {CURRENT_TIME: bytes.fromhex("ea070b16030405078001")}
        bench = Bench(desk, SPOT, wall=wall, write_time=write_time)
        await bench.session.start()
        assert desk.written == []
        told = bench.clock()
        assert told.basis is ClockBasis.READ
        shown_s = current_time_s(desk.values[CURRENT_TIME])
        assert told.device_s == pytest.approx(shown_s, abs=0.01)
        assert shown_s % 1 == 0.5
        assert 0 < told.uncertainty_s < 2


def test_a_clock_that_counts_whole_seconds_is_taken_in_the_middle_of_one():
    @fast
    async def play():
        desk = Desk(*FOUND, *CLOCK)
        desk.values = {CURRENT_TIME: bytes.fromhex("ea070b16030405070001")}
        bench = Bench(desk, SPOT, write_time=False)
        await bench.session.start()
        told = bench.clock()
        assert told.device_s == current_time_s(desk.values[CURRENT_TIME]) + 0.5
        assert told.uncertainty_s >= 0.5


def test_without_a_clock_to_read_local_time_is_assumed_with_an_honest_error():
    @fast
    async def play():
        bench = Bench(Desk(*FOUND), SPOT)
        await bench.session.start()
        told = bench.clock()
        assert told.basis is ClockBasis.ASSUMED
        assert told.uncertainty_s == ASSUMED_UNCERTAINTY_S
        assert told.device_s == current_time_s(pack_current_time(local_time(WALL)))


def test_nothing_is_assumed_of_a_stream_or_by_a_box_without_time():
    @fast
    async def play():
        for profile, wall in ((STREAMING, WALL), (SPOT, UNSET)):
            bench = Bench(Desk(*FOUND), profile, wall=wall)
            await bench.session.start()
            assert all(one.stream != DEVICE_CLOCK for one in bench.got)


def test_a_device_that_does_not_know_the_date_tells_no_time():
    assert current_time_s(bytes(10)) is None
    assert current_time_s(b"\xea\x07") is None
