"""A box that pairs on the fast rig: a person who answers, a data directory, the small BlueZ."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from edge.bluez import Bluez, BluezDevice
from edge.devices import Device
from edge.gatt import Profile, uuid
from edge.pairing import Wish, pair
from edge.virtual import _bluez as virtual
from edge.virtual.heart_rate import WEARABLE

STRAP, OTHER = "C0:DE:00:00:00:01", "C0:DE:00:00:00:02"
PI = "B8:27:EB:00:00:01"
HEART = Profile("heart_rate", "heart rate strap", uuid(0x180D), (uuid(0x2A37),))
WEIGHT = Profile("weight", "scale", uuid(0x181D), (uuid(0x2A9D),))
PROFILES = (HEART, WEIGHT)

Scenario: TypeAlias = "Callable[[Home], Coroutine[Any, Any, None]]"


class Keeper:
    """A person who does what the test says, and remembers what was asked, about whom."""

    def __init__(self, **answers: bool) -> None:
        self.asked: list[str] = []
        self.about: set[str] = set()
        self.told: list[str] = []
        self.shown: list[int] = []
        self.question = asyncio.Event()
        self.answers = answers
        self.on_show: Callable[[int], None] = self.shown.append
        self.given_passkey: Callable[[], Awaitable[int | None]] | None = None

    def _says(self, what: str, device: BluezDevice) -> bool:
        self.asked.append(what)
        self.about.add(device.address)
        self.question.set()
        return self.answers.get(what, True)

    async def allow(self, device):
        return self._says("allow", device)

    async def confirm(self, device, number):
        assert 0 <= number <= 999_999
        return self._says("confirm", device)

    async def passkey(self, device):
        self._says("passkey", device)
        assert self.given_passkey is not None
        return await self.given_passkey()

    async def show(self, device, number, entered):
        assert entered == 0
        self._says("show", device)
        self.on_show(number)

    async def adopt(self, device):
        return self._says("adopt", device)

    async def unpaired(self, device):
        return self._says("unpaired", device)

    def tell(self, text):
        self.told.append(text)


class Home:
    """A box beside the rig's air: a data directory, BlueZ's key folder, a connection."""

    def __init__(self, rig, bluez: Bluez, folder: Path) -> None:
        self.rig, self.bluez = rig, bluez
        self.folder, self.keys = folder / "data", folder / "keys"

    async def pair(self, keeper: Keeper | None = None, **wish: object) -> Device:
        window_s = float(wish.pop("window_s", 20.0))
        return await pair(
            self.bluez,
            Wish(**{"address": STRAP, "paired_utc": "2026-11-21T18:00:00+00:00"} | wish),
            keeper or Keeper(),
            self.folder,
            PROFILES,
            keys=self.keys,
            window_s=window_s,
        )

    def keep_key(self, authenticated: int, size: int = 16, address: str = STRAP) -> None:
        """Write what the real BlueZ would have written of a bond."""
        path = self.keys / PI / address / "info"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"[General]\nName=x\n\n[LongTermKey]\nKey=00\nAuthenticated={authenticated}\n"
            f"EncSize={size}\nEDiv=0\nRand=0\n"
        )

    async def state(self, address: str = STRAP):
        return next((one for one in await self.bluez.devices() if one.address == address), None)

    async def pairable(self) -> bool:
        return (await self.bluez.objects())["/org/bluez/hci0"]["org.bluez.Adapter1"]["Pairable"]


def run_at_home(bus_address: str, folder: Path, scenario: Scenario) -> None:
    """Run a scenario with a box, and the small BlueZ around it."""

    async def whole() -> None:
        rig = await virtual.Bluez(bus_address).start()
        try:
            async with Bluez.connect(bus_address) as bluez:
                await scenario(Home(rig, bluez, folder))
        finally:
            await rig.stop()

    asyncio.run(asyncio.wait_for(whole(), 60))


class RigThread:
    """The small BlueZ in a thread of its own, for commands that run as programs."""

    rig: virtual.Bluez

    def __init__(self, bus_address: str) -> None:
        self._address = bus_address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self):
        self._thread.start()
        try:
            self.call(self._start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.call(self.rig.stop())
        finally:
            self._end()

    async def _start(self) -> None:
        self.rig = await virtual.Bluez(self._address).start()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def on_air(self, address: str = STRAP, **more):
        return self.call(self.rig.put_on_air(WEARABLE, seed=1, address=address, **more))


async def on_air(home: Home, address: str = STRAP, **more):
    return await home.rig.put_on_air(WEARABLE, seed=1, address=address, **more)


def reads_display(strap) -> Callable[[], Awaitable[int | None]]:
    async def read() -> int:
        await strap.screen.shown.wait()
        return strap.passkey

    return read
