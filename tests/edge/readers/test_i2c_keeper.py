"""Keeping an I2C sensor read: the thread that waits for the bus, and what comes after an error."""

import asyncio
import contextlib
import errno
import json
import threading
import time

import pytest

from edge.events import LINK
from edge.readers import ReadError, Rim
from edge.readers._i2c_chip import Taken, WrongChipError
from edge.readers._i2c_keeper import Keeper
from edge.readers._i2c_thread import BusThread


def test_the_thread_gives_back_what_work_gives_and_raises_what_it_raises():
    async def scenario():
        thread = BusThread("test-bus")
        assert await thread.call(threading.get_ident, 1.0) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await thread.call(lambda: 1 / 0, 1.0)
        await thread.close(lambda: None, 1.0)

    asyncio.run(scenario())
    assert not named("test-bus")


def named(name):
    end_s = time.monotonic() + 1.0
    while any(t.name == name for t in threading.enumerate()) and time.monotonic() < end_s:
        time.sleep(0.01)
    return [t for t in threading.enumerate() if t.name == name]


def test_work_that_hangs_is_not_waited_for_and_nothing_queues_behind_it():
    release, ran = threading.Event(), []

    async def scenario():
        thread = BusThread("test-hung")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await thread.call(lambda: ran.append(release.wait()), 0.05)
        began_s = time.monotonic()
        waiting = asyncio.create_task(thread.call(lambda: ran.append(1), 10.0))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await thread.close(lambda: ran.append("closed"), 0.1)
        assert time.monotonic() - began_s < 1.0

    asyncio.run(scenario())
    release.set()
    assert not named("test-hung")
    assert ran == [True, "closed"]


class Bench:
    """A keeper with a chip that does what a script says, poll by poll."""

    def __init__(self, *script, begins=()):
        self.script, self.begins = list(script), list(begins)
        self.n_open = self.n_begun = self.n_ended = 0
        self.got, self.open_when_told = [], {}
        self.keeper = Keeper(
            self, 1, 0x57, Rim(self.deliver, time.monotonic), self.open, place="finger"
        )

    name, stream, poll_s, address = "test chip", "i2c:test", 0.001, 0x57

    def deliver(self, packet):
        self.got.append(packet)
        if packet.stream == LINK:
            state = json.loads(packet.payload)["state"]
            self.open_when_told.setdefault(state, []).append(self.n_open)

    @contextlib.contextmanager
    def open(self):
        self.n_open += 1
        try:
            yield self
        finally:
            self.n_open -= 1

    def begin(self, registers, now_s):  # noqa: ARG002
        self.n_begun += 1
        assert self.n_open == 1
        if self.begins and (error := self.begins.pop(0)):
            raise error

    def poll(self, registers, now_s):  # noqa: ARG002
        if not self.script:
            return None
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def end(self, registers):  # noqa: ARG002
        self.n_ended += 1

    @property
    def told(self):
        return [json.loads(p.payload) for p in self.got if p.stream == LINK]

    @property
    def payloads(self):
        return [p.payload for p in self.got if p.stream == self.stream]

    async def run(self, until):
        keeping = asyncio.create_task(self.keeper.keep())
        async with asyncio.timeout(10.0):
            while not until() and not keeping.done():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        keeping.cancel()
        (result,) = await asyncio.gather(keeping, return_exceptions=True)
        return result


def nak():
    return OSError(errno.EREMOTEIO, "Remote I/O error")


def test_after_an_error_it_is_closed_told_opened_and_set_up_anew():
    async def scenario():
        bench = Bench(Taken(b"a", 1.0), None, Taken(b"b", 2.0), nak(), Taken(b"c", 3.0))
        await bench.run(lambda: bench.payloads == [b"a", b"b", b"c"])
        assert [t["state"] for t in bench.told] == ["connected", "lost", "connected"]
        assert {(t["security"], t["place"], t["name"]) for t in bench.told} == {
            ("wired", "finger", "test chip")
        }
        assert bench.open_when_told == {"connected": [1, 1], "lost": [0]}
        assert (bench.n_begun, bench.n_open, bench.n_ended) == (2, 0, 1)
        first = bench.got[0]
        assert (first.source, first.arrived_s) == ("i2c-1-57", 1.0)

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [WrongChipError("part 0x11"), PermissionError(errno.EACCES, "x")])
def test_what_a_person_has_to_mend_ends_it_at_first_and_never_later(error):
    async def scenario():
        at_first = Bench(begins=[error])
        assert isinstance(await at_first.run(lambda: False), ReadError)
        assert at_first.n_open == 0
        later = Bench(Taken(b"a", 1.0), nak(), Taken(b"b", 2.0), begins=[None, error])
        result = await later.run(lambda: later.payloads == [b"a", b"b"])
        assert isinstance(result, asyncio.CancelledError)
        assert later.n_begun == 3

    asyncio.run(scenario())


def test_a_chip_that_is_absent_is_told_once_and_tried_again():
    async def scenario():
        bench = Bench(Taken(b"a", 1.0), begins=[nak(), nak()])
        await bench.run(lambda: bench.payloads)
        assert [t["state"] for t in bench.told] == ["lost", "connected"]
        assert bench.open_when_told["lost"] == [0]
        assert bench.n_begun == 3

    asyncio.run(scenario())
