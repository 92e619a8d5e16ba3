"""Keep one I2C sensor read: open, set up, poll, and all of it again.

After any error it is closed, told, and tried again after `RETRY_FIRST_S`, then twice as long each
time, up to `RETRY_MOST_S`. Until it has worked once, what only a person can mend ends the reading
(`ReadError`); later nothing does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Final, NoReturn

import structlog

from edge.readers import ReadError, Rim
from edge.readers._i2c_chip import Chip, ChipError, Registers, Taken, WrongChipError
from edge.readers._i2c_faults import NEEDS_A_PERSON, words
from edge.readers._i2c_thread import BusThread
from edge.readers._wired_told import WiredTold
from edge.records import Packet

RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 5.0
SOUND_S: Final = 5.0
"""What has been read for so long is tried again soon; a loose contact is not told of twice a
second all night."""
CALL_S: Final = 3.0
"""Longest wait for the bus: the Pi's driver gives up after one second a transfer, and a poll has
two of them."""
LEAVE_S: Final = 0.5
"""What a chip may be waited for at the end."""

OpenRegisters = Callable[[], AbstractContextManager[Registers]]

_log = structlog.get_logger("i2c")


class Keeper:
    """Keeps one chip.

    Parameters
    ----------
    chip : Chip
        Which kind it is.
    bus, address : int
        Where it is.
    rim : Rim
        Where its packets go.
    open_registers : Callable
        Opens the bus.
    place : str
        Where on the body it is.
    """

    def __init__(
        self,
        chip: Chip,
        bus: int,
        address: int,
        rim: Rim,
        open_registers: OpenRegisters,
        *,
        place: str = "",
    ) -> None:
        self._chip, self._bus, self._address, self._rim = chip, bus, address, rim
        self._open_registers = open_registers
        self._source = source_of(bus, address)
        self._told = WiredTold(self._source, place, rim)
        self._opened = ExitStack()  # touched by the thread alone
        self._registers: Registers | None = None
        self._ever_sent = self._sends = False

    async def keep(self) -> None:
        """Read until cancelled.

        Raises
        ------
        ReadError
            It never worked, and only a person can mend it.
        """
        thread = BusThread(self._source)
        loop = asyncio.get_running_loop()
        retry_s, said = RETRY_FIRST_S, ""
        try:
            while True:
                began_s = loop.time()
                reason = await self._read_until_it_fails(thread)
                said = "" if self._sends else said
                if self._sends and loop.time() - began_s >= SOUND_S:
                    retry_s = RETRY_FIRST_S
                self._told.lost(reason)
                if reason != said:  # the same again every five seconds says nothing new
                    _log.warning("I2C sensor lost", sensor=self._source, reason=reason)
                said = reason
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MOST_S)
        finally:
            await thread.close(self._leave, LEAVE_S)

    async def _read_until_it_fails(self, thread: BusThread) -> str:
        """Return why it can be read no more."""
        self._sends = False
        try:
            await self._read(thread)
        except OSError as error:
            reason = words(error, self._bus, self._address)
            if error.errno in NEEDS_A_PERSON and not self._ever_sent:
                raise ReadError(reason) from error
            return reason
        except ChipError as error:
            reason = self._explain(error)
            if isinstance(error, WrongChipError) and not self._ever_sent:
                raise ReadError(reason) from error
            return reason

    def _explain(self, error: ChipError) -> str:
        where = f"{self._address:#04x} on /dev/i2c-{self._bus}"
        if isinstance(error, WrongChipError):
            return (
                f"what answers at {where} is no {self._chip.name}: {error}; `i2cdetect -y "
                f"{self._bus}` lists what is there, `address` in the configuration chooses"
            )
        return f"{self._chip.name} at {where}: {error}"

    async def _read(self, thread: BusThread) -> NoReturn:
        loop = asyncio.get_running_loop()
        await thread.call(self._begin, CALL_S)
        due_s = loop.time()
        while True:
            taken = await thread.call(self._poll, CALL_S)
            if taken is not None:
                self._take(taken)
            # On a grid of its own; a poll that was missed is not made up for, the next is at once.
            due_s = max(due_s + self._chip.poll_s, loop.time())
            await asyncio.sleep(due_s - loop.time())

    def _take(self, taken: Taken) -> None:
        self._rim.deliver(Packet(self._source, self._chip.stream, taken.at_s, taken.payload))
        if not self._sends:
            # After its first packet, with which it was said whose it is.
            self._sends = self._ever_sent = True
            self._told.connected(self._chip.name)
            _log.info("I2C sensor sends", sensor=self._source, chip=self._chip.name)

    def _begin(self) -> None:
        """Open the bus and set the chip up; in the thread."""
        self._shut()
        registers = self._opened.enter_context(self._open_registers())
        try:
            self._chip.begin(registers, self._rim.now_s)
        except BaseException:
            self._shut()
            raise
        self._registers = registers

    def _poll(self) -> Taken | None:
        """Ask the chip; in the thread. Whatever fails, the bus is closed before anybody hears."""
        registers = self._registers
        if registers is None:
            raise ChipError("it was closed")
        try:
            return self._chip.poll(registers, self._rim.now_s)
        except (OSError, ChipError):
            self._shut()
            raise

    def _leave(self) -> None:
        """Let the chip rest and close the bus; in the thread."""
        try:
            if self._registers is not None:
                self._chip.end(self._registers)
        finally:
            self._shut()

    def _shut(self) -> None:
        """Close the bus, if it is open; in the thread."""
        self._registers = None
        self._opened.close()


def source_of(bus: int, address: int) -> str:
    """Return the name of a sensor's packets.

    >>> source_of(1, 0x57)
    'i2c-1-57'
    """
    return f"i2c-{bus}-{address:02x}"
