"""One open serial line: its bytes go out as packets, without a wake-up for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol, Self, TypeAlias

from edge.wire import Wire

CHECK_EVERY_S: Final = 30.0
"""How often it is looked whether the line still is what it was taken for."""
MOST_BYTES: Final = 4096
"""So much of a line is kept to know a device by."""
LOOK_S: Final = 1.0
"""How often it is looked whether the line is silent, or another device's."""
TRICKLE_BYTES: Final = 32
"""Bytes that come by fewer are let to gather; USB brings a frame at once."""


class LineGoneError(RuntimeError):
    """The line is of no use any more; the text says why."""


class SerialLine(Protocol):
    """An open port; errors are `OSError`s, and after one the port is only closed."""

    @property
    def fd(self) -> int:
        """File descriptor, for the event loop."""
        ...

    def read(self) -> bytes:
        """Return what has come, empty where nothing has; raises where the device has gone."""
        ...

    def write(self, payload: bytes) -> None:
        """Write without waiting; what the device does not take is dropped."""
        ...


OpenLine: TypeAlias = Callable[[Path, Wire], AbstractContextManager[SerialLine]]
"""Opens a port with the settings of a device, alone, and closes it whatever happens."""


class Tap:
    """Bytes of an open line, handed on as they come, until it fails.

    The line is read when bytes are there. Where they trickle it is then left alone for `gather_s`,
    and what comes meanwhile is read in one: the loop is woken a few times a frame, not once a byte.

    Parameters
    ----------
    line : SerialLine
        Open.
    take : Callable
        Is handed what was read, at once.
    gather_s : float
        How long bytes may gather.
    """

    def __init__(self, line: SerialLine, take: Callable[[bytes], None], gather_s: float) -> None:
        self._line, self._take, self._gather_s = line, take, gather_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._fd = line.fd
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Ends with the error that ended the line."""
        self.heard_s = self._loop.time()
        """Loop time at which bytes last came."""

    def __enter__(self) -> Self:
        self._loop.add_reader(self._fd, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._fd)
        if self._timer is not None:
            self._timer.cancel()
        if not self.failed.cancel():
            self.failed.exception()  # it has been seen, or nobody listens any more

    def _readable(self) -> None:
        try:
            payload = self._line.read()
        except OSError as error:
            self._loop.remove_reader(self._fd)
            if not self.failed.done():
                self.failed.set_exception(error)
            return
        if payload:
            self.heard_s = self._loop.time()
            self._take(payload)
            if len(payload) >= TRICKLE_BYTES:
                return
        self._loop.remove_reader(self._fd)
        self._timer = self._loop.call_later(self._gather_s, self._again)

    def _again(self) -> None:
        self._timer = None
        self._loop.add_reader(self._fd, self._readable)


class Check:
    """Whether a line is what it was taken for: asked at its start and every now and then."""

    def __init__(self, wire: Wire, now_s: float, *, known: bool) -> None:
        self._wire = wire
        self._heard = bytearray()
        self._due_s = now_s + CHECK_EVERY_S if known else now_s
        self._until_s = 0.0
        self.failed = False
        """It was another device's line."""

    def take(self, payload: bytes, now_s: float) -> None:
        """Take what the line brought, where it is being looked at."""
        if now_s < self._due_s:
            return
        if not self._heard:
            self._until_s = now_s + self._wire.listen_s
        self._heard += payload
        del self._heard[:-MOST_BYTES]

    def has_failed(self, now_s: float) -> bool:
        """Return whether enough was heard, and was not this device's; look from time to time."""
        if not self._heard:
            return False
        if self._wire.recognise(bytes(self._heard)):
            self._heard.clear()
            self._due_s = now_s + CHECK_EVERY_S
            return False
        self.failed = now_s >= self._until_s
        return self.failed


async def listen(line: SerialLine, wire: Wire, take: Callable[[bytes], None], check: Check) -> None:
    """Hand on what a line brings until it can no more.

    Raises
    ------
    LineGoneError
        It failed, fell silent, or speaks otherwise than the device does.
    """
    loop = asyncio.get_running_loop()

    def tapped(payload: bytes) -> None:
        take(payload)
        check.take(payload, loop.time())

    polled_s = loop.time()
    look_s = min(LOOK_S, wire.silent_s / 4, wire.poll_s or LOOK_S)
    with Tap(line, tapped, wire.gather_s) as tap:
        while True:
            await asyncio.wait((tap.failed,), timeout=look_s)
            now_s = loop.time()
            try:
                if tap.failed.done():
                    tap.failed.result()
                if wire.poll and now_s - polled_s >= wire.poll_s:
                    line.write(wire.poll)
                    polled_s = now_s
            except OSError as error:
                raise LineGoneError(f"the line broke off ({error.strerror or error})") from error
            if now_s - tap.heard_s > wire.silent_s:
                raise LineGoneError(f"nothing came for {wire.silent_s:g} s")
            if check.has_failed(now_s):
                raise LineGoneError(f"what comes is not what a {wire.words} sends")
