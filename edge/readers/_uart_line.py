"""One open serial line: its bytes go out as packets, without a wake-up for each.

What a line brings is handed on once it is sure whose it is (`Check`), and never faster than any
device sends: a line that floods is closed before it costs the others their time.
"""

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
MOST_BYTES_S: Final = 65_536
"""More a second no device sends: 25 frames of 1,024 bytes is the most a board of ours may."""
BURST_BYTES: Final = 131_072
"""So many bytes may have gathered while this box had no time for the line."""
RECOGNISE_S: Final = 0.05
"""How often it is tried to know a device by what it sends, at most."""


class LineGoneError(RuntimeError):
    """The line is of no use any more; the text says why."""


class SilentError(LineGoneError):
    """Nothing comes any more."""


class OtherDeviceError(LineGoneError):
    """What was taken for a device's line is another one's, or nobody's."""


_FLOOD: Final = (
    f"it sends more than {MOST_BYTES_S // 1024} kB a second: no device Homeward reads does"
)


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


class Budget:
    """How many bytes may be read of a line: `MOST_BYTES_S`, and `BURST_BYTES` at a time.

    >>> budget = Budget(0.0)
    >>> [budget.spend(100_000, at_s) for at_s in (0.0, 2.0, 2.1)]
    [True, True, False]
    """

    def __init__(self, now_s: float) -> None:
        self._left, self._at_s = float(BURST_BYTES), now_s

    def spend(self, n_bytes: int, now_s: float) -> bool:
        """Take bytes that came; return whether no more came than any device sends."""
        gained = (now_s - self._at_s) * MOST_BYTES_S
        self._left = min(BURST_BYTES, self._left + gained) - n_bytes
        self._at_s = now_s
        return self._left >= 0


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
        self._budget = Budget(self._loop.time())
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
            self._fail(error)
            return
        if payload:
            self.heard_s = self._loop.time()
            if not self._budget.spend(len(payload), self.heard_s):
                self._fail(LineGoneError(_FLOOD))
                return
            self._take(payload)
            if len(payload) >= TRICKLE_BYTES:
                return
        self._loop.remove_reader(self._fd)
        self._timer = self._loop.call_later(self._gather_s, self._again)

    def _fail(self, error: Exception) -> None:
        self._loop.remove_reader(self._fd)
        if not self.failed.done():
            self.failed.set_exception(error)

    def _again(self) -> None:
        self._timer = None
        self._loop.add_reader(self._fd, self._readable)


class Check:
    """Whether a line is what it was taken for: asked at its start and every now and then.

    Until a line is known, what it brings is held back: not one value of another device, or of
    this one at another rate, is to come through.

    Parameters
    ----------
    wire : Wire
        What it was taken for.
    now_s : float
        Loop time.
    known : bool
        It has just been found out.
    """

    def __init__(self, wire: Wire, now_s: float, *, known: bool) -> None:
        self._wire = wire
        self._heard = bytearray()
        self._holds_back = not known
        self._due_s = now_s + CHECK_EVERY_S if known else now_s
        self._until_s = self._look_s = 0.0

    def take(self, payload: bytes, now_s: float) -> bytes:
        """Take what the line brought; return what may be handed on."""
        if now_s < self._due_s:
            return payload
        if not self._heard:
            self._until_s = now_s + self._wire.listen_s
        self._heard += payload
        del self._heard[:-MOST_BYTES]
        if not self._holds_back:
            return payload
        return self._try(now_s) if now_s >= self._look_s else b""

    def look(self, now_s: float) -> bytes:
        """Look whose bytes these are; return what was held back and may be handed on.

        Raises
        ------
        OtherDeviceError
            Enough was heard, and it was not this device's.
        """
        held = self._try(now_s)
        if self._heard and now_s >= self._until_s:
            raise OtherDeviceError(f"what comes is not what a {self._wire.words} sends")
        return held

    def _try(self, now_s: float) -> bytes:
        if not self._heard:
            return b""
        self._look_s = now_s + RECOGNISE_S
        heard = bytes(self._heard)
        if not self._wire.recognise(heard):
            return b""
        held = heard if self._holds_back else b""
        self._heard.clear()
        self._holds_back = False
        self._due_s = now_s + CHECK_EVERY_S
        return held


async def listen(line: SerialLine, wire: Wire, take: Callable[[bytes], None], check: Check) -> None:
    """Hand on what a line brings until it can no more.

    Raises
    ------
    LineGoneError
        It failed, fell silent, floods, or speaks otherwise than the device does.
    """
    loop = asyncio.get_running_loop()

    def tapped(payload: bytes) -> None:
        if sure := check.take(payload, loop.time()):
            take(sure)

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
                raise SilentError(f"nothing came for {wire.silent_s:g} s")
            if held := check.look(now_s):
                take(held)
