"""The registered sensors, followed as people add, change and remove them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from edge.clock import WallEntry
from edge.devices import MAX_DEVICES, Device, DevicesError, load, written_s
from edge.readers import Rim
from edge.readers._ble_device import Keeper
from edge.readers._ble_station import Station

LOOK_S: Final = 2.0
"""How often it is looked whether the list has changed."""
END_AGAIN_S: Final = 10.0
"""A task that is told to end and does not is told again."""

_TOLD_LIVE: Final = frozenset({"name", "patient", "place", "words", "paired_utc"})
"""What may change of a sensor without its link being made anew."""
_log = structlog.get_logger("ble")


class Registry:
    """One keeper for each registered sensor.

    Parameters
    ----------
    folder : Path
        Where the list of sensors is.
    rim : Rim
        What the reader was handed.
    wall : Callable
        Both clocks of the box.
    write_time : bool
        Whether sensors' clocks may be set.
    """

    def __init__(
        self, folder: Path, rim: Rim, wall: Callable[[], WallEntry], *, write_time: bool
    ) -> None:
        self._folder, self._rim, self._wall = folder, rim, wall
        self._write_time = write_time
        self._stamp: float | None = None
        self._is_read = False
        self._keepers: dict[str, Keeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._keepers)

    def addresses(self) -> frozenset[str]:
        """Return the addresses of all registered sensors."""
        return frozenset(self._keepers)

    def tell_all_lost(self, reason: str) -> None:
        """Say that nothing sends any more."""
        for keeper in self._keepers.values():
            keeper.told.lost(reason)

    def tell_mending(self, reason: str) -> None:
        """Say what is done to the radio; sensors that still send are not touched by it yet."""
        for keeper in self._keepers.values():
            keeper.told.waits(reason)

    async def until_any(self) -> None:
        """Wait until a sensor is registered; nothing but a file's time is looked at."""
        await self._look()
        while not self._keepers:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def serve(self, station: Station) -> None:
        """Keep all sensors, until none is registered or the station is lost.

        Raises
        ------
        BluezError
            BlueZ is not there any more.
        """
        try:
            while self._keepers and not station.lost.is_set():
                for address, keeper in self._keepers.items():
                    if address not in self._tasks:
                        self._tasks[address] = asyncio.create_task(keeper.keep(station))
                await self._pause(station)
                await station.look_if_due()
                await self._look()
        finally:
            await self._end(tuple(self._tasks))

    async def _pause(self, station: Station) -> None:
        lost = asyncio.create_task(station.lost.wait())
        try:
            done, _ = await asyncio.wait(
                (lost, *self._tasks.values()),
                timeout=LOOK_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            lost.cancel()
        for task in done - {lost}:
            task.result()  # a keeper ends only by a fault of ours, which must be heard of

    async def _look(self) -> None:
        stamp = written_s(self._folder)
        if self._is_read and stamp == self._stamp:
            return
        self._is_read, self._stamp = True, stamp
        try:
            devices = await asyncio.to_thread(load, self._folder)
        except DevicesError as error:
            _log.error("list of sensors", error=str(error))
            return
        wanted = {one.address: one for one in devices[:MAX_DEVICES]}
        gone = [address for address in self._keepers if address not in wanted]
        renewed = [
            address
            for address, device in wanted.items()
            if address in self._keepers and _needs_anew(self._keepers[address].device, device)
        ]
        await self._end((*gone, *renewed))
        for address in gone:
            self._keepers.pop(address).told.removed()
        for address, device in wanted.items():
            self._take(address, device)

    def _take(self, address: str, device: Device) -> None:
        keeper = self._keepers.get(address)
        if keeper is None:
            keeper = Keeper(device, self._rim, self._wall, write_time=self._write_time)
            self._keepers[address] = keeper
            keeper.told.expect()
        elif keeper.device != device:
            keeper.device = device
            keeper.told.now_is(device)
        keeper.changed.set()

    async def _end(self, addresses: tuple[str, ...]) -> None:
        ending = {self._tasks.pop(address) for address in addresses if address in self._tasks}
        while ending:
            for task in ending:
                task.cancel()
            # Again, if need be: in Python 3.11 a cancel that meets an error may be lost.
            ended, ending = await asyncio.wait(ending, timeout=END_AGAIN_S)
            for task in ended:
                if not task.cancelled() and task.exception() is not None:
                    _log.info("ended", error=repr(task.exception()))


def _needs_anew(before: Device, after: Device) -> bool:
    return any(
        getattr(before, field) != getattr(after, field)
        for field in Device.__struct_fields__
        if field not in _TOLD_LIVE
    )
