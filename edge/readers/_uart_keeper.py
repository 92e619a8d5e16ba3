"""Keep one serial device read: open, find out what it is, read, and all of it again.

A port that is not there is waited for, and opened as soon as it is; one that cannot be opened, or
brings nothing that is known, is tried again after `RETRY_FIRST_S`, then twice as long each time, up
to `RETRY_MOST_S`, and at once when another device is behind its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog

from edge.readers import ReadError, Rim
from edge.readers._uart_line import (
    Check,
    LineGoneError,
    OpenLine,
    OtherDeviceError,
    SerialLine,
    SilentError,
    listen,
)
from edge.readers._uart_names import identity, source_of, stable, why_absent, words
from edge.readers._uart_probe import find_out
from edge.readers._uart_told import UartTold
from edge.records import Packet
from edge.wire import Wire

RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 5.0
SOUND_S: Final = 5.0
"""What has been read for so long is tried again soon; a loose contact is not."""
LOOK_S: Final = 0.05
"""How often it is looked whether a port is there: a tenth of a second is a frame."""

_log = structlog.get_logger("uart")
_kept: Final[set[str]] = set()
"""Ports this process has open, by their real paths: none is read twice."""


class Keeper:
    """Keeps one port.

    Parameters
    ----------
    port : Path
        As configured; its lasting name is found when it is there.
    wires : Sequence[Wire]
        What may be at its end; where it is one only, nothing has to be found out.
    rim : Rim
        Where its packets go.
    open_line : OpenLine
        Opens ports.
    fs_hz : float | None
        Sampling rate the device is told, where it can be told one.
    place : str
        Where on the body it is.
    dev : Path
        ``/dev``.
    """

    def __init__(
        self,
        port: Path,
        wires: Sequence[Wire],
        rim: Rim,
        open_line: OpenLine,
        *,
        fs_hz: float | None = None,
        place: str = "",
        dev: Path = Path("/dev"),
    ) -> None:
        self._port = stable(port, dev)
        self._wires, self._rim, self._open_line = wires, rim, open_line
        self._fs_hz, self._place, self._dev = fs_hz, place, dev
        self._known: Wire | None = wires[0] if len(wires) == 1 else None
        self._source = source_of(self._port)
        self._told = self._new_told()
        self._sends = False  # something was read since the line was last opened

    async def keep(self) -> None:
        """Read until cancelled.

        Raises
        ------
        ReadError
            The port is being read already, under another name.
        """
        retry_s = RETRY_FIRST_S
        loop = asyncio.get_running_loop()
        while True:
            seen = await self._until_there()
            self._sends, began_s = False, loop.time()
            try:
                await self._read()
            except LineGoneError as gone:
                reason = str(gone)
            except (OSError, termios.error) as error:
                reason = words(error, self._port)
            if self._sends and loop.time() - began_s >= SOUND_S:
                retry_s = RETRY_FIRST_S
            self._told.lost(reason)
            await self._pause(retry_s, seen)
            retry_s = min(2 * retry_s, RETRY_MOST_S)

    async def _until_there(self) -> tuple[int, int, int]:
        while (seen := identity(self._port)) is None:  # /dev sets no events
            self._told.lost(why_absent(self._port))
            await asyncio.sleep(LOOK_S)
        self._settle_name()
        return seen

    def _settle_name(self) -> None:
        """Take the lasting name of a port that was not there when we began."""
        lasting = stable(self._port, self._dev)
        if lasting != self._port:
            self._told.gone()
            self._port, self._source = lasting, source_of(lasting)
            self._told = self._new_told()

    def _new_told(self) -> UartTold:
        loop_s = asyncio.get_running_loop().time
        return UartTold(self._source, self._place, self._rim, loop_s)

    async def _pause(self, retry_s: float, seen: tuple[int, int, int]) -> None:
        """Wait, but not when another device is there now."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + retry_s
        while (left_s := until_s - loop.time()) > 0.0:
            await asyncio.sleep(min(left_s, LOOK_S))
            if identity(self._port) != seen:
                return

    async def _read(self) -> None:
        heard, wire = b"", self._known
        is_sure = wire is None
        with _alone(self._port), contextlib.ExitStack() as opened:
            if wire is None:
                found = await find_out(self._open_line, self._port, self._wires, opened)
                wire, heard, line = found
            else:
                line = opened.enter_context(self._open_line(self._port, wire))
            self._start(line, wire)
            if heard:
                self._take(heard, wire)
            await self._listen(line, wire, is_sure=is_sure)

    async def _listen(self, line: SerialLine, wire: Wire, *, is_sure: bool) -> None:
        check = Check(wire, asyncio.get_running_loop().time(), known=is_sure)
        try:
            await listen(line, wire, lambda payload: self._take(payload, wire), check)
        except (OtherDeviceError, SilentError) as gone:
            # A device that was found out may have been changed for another one.
            if len(self._wires) > 1 and (isinstance(gone, OtherDeviceError) or not self._sends):
                self._known = None
            raise

    def _start(self, line: SerialLine, wire: Wire) -> None:
        for command in wire.start:
            line.write(command)
        if self._fs_hz is not None and wire.rate is not None:
            line.write(wire.rate(self._fs_hz))

    def _take(self, payload: bytes, wire: Wire) -> None:
        now_s = self._rim.now_s()
        if not self._sends:
            self._sends, self._known = True, wire
            self._rim.deliver(Packet(self._source, wire.stream, now_s, b""))
        if self._told.sends(wire.words):
            _log.info("serial device sends", port=str(self._port), device=wire.name)
        self._rim.deliver(Packet(self._source, wire.stream, now_s, payload))


@contextlib.contextmanager
def _alone(port: Path) -> Iterator[None]:
    """Keep a port to one reader of this process.

    Raises
    ------
    ReadError
        It is being read already.
    """
    real = os.path.realpath(port)
    if real in _kept:
        raise ReadError(
            f"{port} is read already, as another of the [[sources]]: take one of the two out"
        )
    _kept.add(real)
    try:
        yield
    finally:
        _kept.discard(real)
