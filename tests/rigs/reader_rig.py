"""The whole Bluetooth reader on the fast rig: a box, sensors on the air, and what was delivered."""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

import edge.decoders
from edge.bluez import Agent
from edge.bluez import Bluez as BlueZ
from edge.decoders import Decoder
from edge.devices import Device, load, put, save
from edge.discover import discover
from edge.events import DEVICE_CLOCK, LINK, DeviceClock, LinkTold
from edge.gatt import Profile
from edge.readers import Rim
from edge.readers.ble import READER, Settings
from edge.records import LinkState, Packet
from edge.virtual._bluez import Bluez
from tests.rigs.fast_loop import run_fast

ADDRESS = "C0:DE:00:00:00:01"


def profiles() -> tuple[Profile, ...]:
    """Return every profile of every decoder."""
    found = discover(edge.decoders, "DECODER", Decoder)
    return tuple(profile for decoder in found for profile in decoder.profiles)


def device(address: str = ADDRESS, **changes: Any) -> Device:
    """Return an entry of the list of sensors: not bonded, used with consent."""
    known = {
        "name": "Strap",
        "patient": "p1",
        "place": "chest",
        "profiles": ("heart_rate",),
        "consent": True,
    }
    return Device(address=address, **(known | changes))


class Box:
    """A box that runs the reader, and all that came out of it."""

    def __init__(self, folder: Path, *devices: Device, rig: Any = None, **settings: Any) -> None:
        self.folder, self.rig = folder, rig
        self.settings = Settings(**settings)
        self.packets: list[Packet] = []
        self.box: list[Packet] = []
        self.all: list[Packet] = []
        self.profiles = profiles()
        self._stirred = asyncio.Event()
        if devices:
            save(folder, devices)

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def deliver(self, packet: Packet) -> None:
        (self.box if packet.source == "box" else self.packets).append(packet)
        self.all.append(packet)
        self._stirred.set()

    @asynccontextmanager
    async def running(self):
        rim = Rim(self.deliver, self.now_s, self.folder, self.profiles)
        self.task = asyncio.create_task(READER.run(self.settings, rim))
        try:
            yield self
            if self.task.done():
                self.task.result()
        finally:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def add(self, device: Device) -> None:
        put(self.folder, device)

    def remove(self, address: str) -> None:
        save(self.folder, [one for one in load(self.folder) if one.address != address])

    async def until(self, what, within_s: float = 20.0) -> float:
        """Wait until something is so; return how long it took."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.timeout(within_s):
            while not what():
                if self.task.done():
                    self.task.result()
                self._stirred.clear()
                try:
                    async with asyncio.timeout(0.2):
                        await self._stirred.wait()
                except TimeoutError:
                    continue
        return loop.time() - began_s

    async def packets_more(self, n: int = 3, within_s: float = 20.0, address: str = "") -> float:
        had = len(self.of(address))
        return await self.until(lambda: len(self.of(address)) >= had + n, within_s)

    def of(self, address: str = "", stream: str = "") -> list[Packet]:
        return [
            one
            for one in self.packets
            if (not address or one.source == address) and (not stream or one.stream == stream)
        ]

    def links(self, address: str = ADDRESS) -> list[LinkTold]:
        told = [msgspec.json.decode(p.payload, type=LinkTold) for p in self.box if p.stream == LINK]
        return [one for one in told if one.source == address]

    def states(self, address: str = ADDRESS) -> list[LinkState]:
        return [one.state for one in self.links(address)]

    def clocks(self) -> list[DeviceClock]:
        return [
            msgspec.json.decode(p.payload, type=DeviceClock)
            for p in self.box
            if p.stream == DEVICE_CLOCK
        ]

    def told(self, stream: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(p.payload) for p in self.box if p.stream == stream]


class Anybody:
    """A person who allows whatever is asked."""

    async def allow(self, device: Any) -> bool:  # noqa: ARG002
        return True

    async def confirm(self, device: Any, number: int) -> bool:  # noqa: ARG002
        return True

    async def passkey(self, device: Any) -> int | None:  # noqa: ARG002
        return None

    async def show(self, device: Any, number: int, entered: int) -> None:
        pass


async def bond(address: str = ADDRESS) -> None:
    """Pair a sensor that is on the air, as `homeward pair` does."""
    async with BlueZ.connect() as bluez:
        await bluez.start_discovery("hci0")
        async with asyncio.timeout(20):
            while not (found := [d for d in await bluez.devices() if d.address == address]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await bluez.stop_discovery("hci0")
        async with Agent(bluez, found[0], Anybody()):
            await bluez.pair(found[0].path)
            while not (await bluez.devices())[0].services_resolved:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await bluez.disconnect(found[0].path)


def n_descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


SPEED = 8
"""How many times as fast time passes in a scenario."""


def night(speed: float = SPEED):
    """Run a test as a scenario in fast time; handed what it names: bluez, bus, folder."""

    def decorate(scenario):
        names = inspect.signature(scenario).parameters

        @functools.wraps(scenario)
        def test(bus, tmp_path):
            async def play():
                bluez = await Bluez(bus.address).start()
                has = {"bluez": bluez, "bus": bus, "folder": tmp_path}
                try:
                    await scenario(**{name: has[name] for name in names})
                finally:
                    await bluez.stop()

            run_fast(play(), speed)

        del test.__wrapped__  # pytest looks there for the names of the fixtures
        return test

    return decorate
