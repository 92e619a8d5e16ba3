"""Stored records: fetched once, gone on with, and given up without harm."""

import asyncio

import pytest

from edge.gatt import (
    RECORD_ACCESS,
    STORED,
    Profile,
    Records,
    uuid,
)
from edge.readers._ble_records import Memory
from tests.edge.readers.ble_desk import (
    DATA,
    SERVICE,
    Bench,
    Desk,
    fast,
    has,
)

KEEPING = Profile("keeping", "", SERVICE, (DATA,), records=Records(DATA, sequence_at=0))
POINT = has(SERVICE, (DATA, "notify"), (RECORD_ACCESS, "write indicate"))


class Keeper(Desk):
    """A device that keeps numbered records."""

    def __init__(self, *records, filters=True, breaks_after=None, silent=False):
        super().__init__(*POINT)
        self.records, self.filters, self.breaks_after = records, filters, breaks_after
        self.silent, self.sent = silent, 0
        self.on_write[RECORD_ACCESS] = self._asked

    def _asked(self, request):
        if self.silent:
            return
        if request == b"\x03\x00":
            self.notify(RECORD_ACCESS, bytes([6, 0, 3, 1]))
            return
        if request[1] == 3 and not self.filters:
            self.notify(RECORD_ACCESS, bytes([6, 0, 1, 4]))
            return
        first = int.from_bytes(request[3:5], "little") if request[1] == 3 else 0
        wanted = [one for one in self.records if int.from_bytes(one[:2], "little") >= first]
        for one in wanted:
            if self.sent == self.breaks_after:
                return
            self.sent += 1
            self.notify(DATA, one)
        self.notify(RECORD_ACCESS, bytes([6, 0, 1, 1 if wanted else 6]))


def record(number):
    return number.to_bytes(2, "little") + b"record"


async def fetched(desk, memory, within_s=60.0):
    bench = Bench(desk, KEEPING, memory=memory)
    await bench.session.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bench.session.run(), within_s)
    return bench


def test_records_come_once_under_their_own_stream_and_later_only_new_ones_are_asked_for():
    @fast
    async def play():
        memory = Memory()
        first = await fetched(Keeper(*map(record, range(5))), memory)
        assert first.payloads(STORED + DATA) == [record(n) for n in range(5)]
        assert first.payloads() == []
        desk = Keeper(*map(record, range(7)))
        second = await fetched(desk, memory)
        assert desk.written[-1][1] == bytes([1, 3, 1, 4, 0])
        assert second.payloads(STORED + DATA) == [record(5), record(6)]


def test_a_device_that_cannot_filter_sends_all_and_nothing_comes_twice():
    @fast
    async def play():
        memory = Memory()
        await fetched(Keeper(*map(record, range(5))), memory)
        desk = Keeper(*map(record, range(6)), filters=False)
        again = await fetched(desk, memory)
        assert [one for _, one, _ in desk.written] == [bytes([1, 3, 1, 4, 0]), bytes([1, 1])]
        assert again.payloads(STORED + DATA) == [record(5)]


def test_what_came_live_after_a_whole_fetch_is_not_asked_for_again():
    @fast
    async def play():
        memory = Memory()
        desk = Keeper(*map(record, range(3)))
        bench = Bench(desk, KEEPING, memory=memory)
        await bench.session.start()
        asyncio.get_running_loop().call_later(30.0, desk.notify, DATA, record(3))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.session.run(), 60)
        assert bench.payloads() == [record(3)]
        again = Keeper(*map(record, range(6)))
        second = await fetched(again, memory)
        assert again.written[-1][1] == bytes([1, 3, 1, 3, 0])
        assert second.payloads(STORED + DATA) == [record(4), record(5)]


def test_what_comes_live_before_the_fetch_hides_nothing_that_lies_between():
    @fast
    async def play():
        memory = Memory()
        await fetched(Keeper(*map(record, range(3))), memory)
        desk = Keeper(*map(record, range(9)))
        bench = Bench(desk, KEEPING, memory=memory)
        await bench.session.start()
        desk.notify(DATA, record(8))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.session.run(), 60)
        assert bench.payloads(STORED + DATA) == [record(n) for n in range(3, 9)]


def test_a_new_epoch_begins_the_numbers_anew():
    epoch = uuid(0x2AAA)
    counting = Profile(
        "counting", "", SERVICE, (DATA,), (epoch,), records=Records(DATA, 0, epoch=epoch)
    )

    @fast
    async def play():
        memory = Memory()
        for began, last in ((b"a", None), (b"a", 4), (b"b", None)):
            desk = Keeper(*map(record, range(5)))
            desk.found = (*desk.found, *has(SERVICE, (epoch, "read")))
            desk.values = {epoch: began}
            bench = Bench(desk, counting, memory=memory)
            await bench.session.start()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(bench.session.run(), 60)
            asked = next(payload for to, payload, _ in desk.written if payload[0] == 1)
            assert asked == Records(DATA, 0).request(last)


def test_a_fetch_that_goes_quiet_is_called_off_and_live_data_go_on():
    @fast
    async def play():
        desk = Keeper(*map(record, range(5)), breaks_after=3)
        bench = Bench(desk, KEEPING)
        await bench.session.start()
        loop = asyncio.get_running_loop()
        loop.call_later(30.0, desk.notify, DATA, b"\xff\xfflive")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.session.run(), 60)
        assert desk.written[-1][1] == b"\x03\x00"
        assert bench.payloads(STORED + DATA) == [record(n) for n in range(3)]
        assert bench.payloads() == [b"\xff\xfflive"]


def test_a_device_that_never_answers_is_left_alone():
    @fast
    async def play():
        bench = await fetched(Keeper(silent=True), Memory())
        assert bench.payloads(STORED + DATA) == []


def test_memory_is_bounded_and_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr("edge.readers._ble_records.MOST_KNOWN", 3)
    memory, records = Memory(), Records(DATA)
    assert all(memory.is_new("s", records, bytes([n])) for n in range(4))
    assert not memory.is_new("s", records, bytes([3]))
    assert memory.is_new("s", records, bytes([0]))
