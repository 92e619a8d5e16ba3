"""A link that can be made as bad as links are: a TCP proxy of our own, in a thread of its own.

    with Proxy(broker.port) as link:
        link.be(bytes_per_s=1.0)            slow
        link.be(swallow="both")             a black hole: taken and never passed on
        link.be(swallow="down")             half open: one direction is gone
        link.be(refuse=True)                nobody is there
        link.be(delay_s=0.3, chop=7)        far away, in pieces
        link.be(corrupt=0.01)               a bit of one piece in a hundred is another
        link.be()                           well again
        link.cut()                          every connection ends with a reset, now

What it is applies to connections that are open and to those to come. What was swallowed stays
swallowed: a healed link goes on without it, so the stream is torn, as after a router that lost its
state; `be(hold=True)` keeps it instead, as a cable that is put back before TCP gave up.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from tests.rigs.net.programs import HERE

Direction = Literal["up", "down"]
PIECE_BYTES: Final = 65_536
LOOK_S: Final = 0.02
_RESET: Final = struct.pack("ii", 1, 0)
"""Linger for no time at all: closing sends a reset."""


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """How the link is."""

    refuse: bool = False
    hold: bool = False
    swallow: Literal["", "up", "down", "both"] = ""
    delay_s: float = 0.0
    chop: int = 0
    bytes_per_s: float = 0.0
    corrupt: float = 0.0


class Passed(msgspec.Struct, eq=False):
    """What went through one connection.

    Attributes
    ----------
    up, down : int
        Bytes passed on, from the client and to it.
    ended : str
        ``cut``, ``client``, ``server``; empty: it is open.
    """

    opened_s: float
    up: int = 0
    down: int = 0
    n_corrupted: int = 0
    ended: str = ""


class Proxy:
    """The link to one port.

    Attributes
    ----------
    port : int
        Where it listens.
    passed : list[Passed]
        Every connection there ever was, in order.
    n_refused, n_cuts : int
        Connections refused; those ended by `cut`.
    """

    def __init__(self, target: int, *, host: str = HERE, seed: int = 1, port: int = 0) -> None:
        self.target, self.host = target, host
        self.port = port
        self.passed: list[Passed] = []
        self.n_refused = self.n_cuts = 0
        self.weather = Weather()
        self._chance = random.Random(seed)  # noqa: S311
        self._open: dict[Passed, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    # -- what a test calls, from its own thread

    def be(self, **weather: object) -> None:
        """Change the link; what is not named is well."""
        self.weather = Weather(**weather)  # type: ignore[arg-type]

    def aim(self, target: int) -> None:
        """Lead connections to come to another port."""
        self.target = target

    def cut(self) -> int:
        """End every open connection with a reset, both ways; return how many."""
        return self._do(self._cut)

    @property
    def n_open(self) -> int:
        return self._do(lambda: len(self._open))

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()

    # -- in the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, what: Callable[[], int]) -> int:
        done: Future[int] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(what()))
        return done.result(10.0)

    async def _serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, HERE, self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _end(self) -> None:
        self._server.close()
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cut(self) -> int:
        n = 0
        for passed, ends in list(self._open.items()):
            passed.ended = passed.ended or "cut"
            for end in ends:
                _reset(end)
            n += 1
        self._open.clear()
        self.n_cuts += n
        return n

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self.weather.refuse:
            self.n_refused += 1
            _reset(client)
            return
        try:
            far_reader, far = await asyncio.open_connection(self.host, self.target)
        except OSError:
            self.n_refused += 1
            _reset(client)
            return
        passed = Passed(time.monotonic())
        self.passed.append(passed)
        self._open[passed] = (client, far)
        pumps = [
            asyncio.create_task(self._pump(passed, reader, far, "up")),
            asyncio.create_task(self._pump(passed, far_reader, client, "down")),
        ]
        self._tasks.update(pumps)
        for pump in pumps:
            pump.add_done_callback(self._tasks.discard)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        self._open.pop(passed, None)
        for pump in pumps:
            pump.cancel()
        for end in (client, far):
            end.transport.abort() if passed.ended == "cut" else end.close()

    async def _pump(
        self,
        passed: Passed,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Direction,
    ) -> None:
        try:
            while piece := await reader.read(self._most()):
                await self._pass(passed, piece, writer, way)
        except OSError:
            passed.ended = passed.ended or ("client" if way == "up" else "server")
            return
        # What was read before the end is on its way; only then does the end go on.
        passed.ended = passed.ended or ("client" if way == "up" else "server")

    async def _pass(
        self, passed: Passed, piece: bytes, writer: asyncio.StreamWriter, way: Direction
    ) -> None:
        if self.weather.delay_s:
            await asyncio.sleep(self.weather.delay_s)
        while self.weather.hold:  # noqa: ASYNC110  # set from another thread
            await asyncio.sleep(LOOK_S)
        if self.weather.swallow in (way, "both"):
            return
        if self.weather.corrupt and self._chance.random() < self.weather.corrupt:
            piece = self._spoilt(piece)
            passed.n_corrupted += 1
        if self.weather.bytes_per_s:
            await asyncio.sleep(len(piece) / self.weather.bytes_per_s)
        if way == "up":
            passed.up += len(piece)
        else:
            passed.down += len(piece)
        writer.write(piece)
        await writer.drain()

    def _most(self) -> int:
        if self.weather.bytes_per_s:
            return max(1, int(self.weather.bytes_per_s * 0.1))
        return self._chance.randint(1, self.weather.chop) if self.weather.chop else PIECE_BYTES

    def _spoilt(self, piece: bytes) -> bytes:
        bit = self._chance.randrange(8 * len(piece))
        changed = bytearray(piece)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)


def _reset(end: asyncio.StreamWriter) -> None:
    raw = end.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.transport.abort()
