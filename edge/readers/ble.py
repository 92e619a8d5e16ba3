"""Bluetooth LE sensors that people have paired: one reader for all of them, over bleak and BlueZ.

What is connected is what ``devices.json`` lists (`edge.devices`); what a sensor is asked for is
what a decoder's profiles say (`edge.gatt`). Nothing here knows a device, and nothing is touched
while no sensor is registered.

    ble               bleak, behind `Air` and `Connection`; settings; opening and opening anew
    _ble_registry     the list of sensors, followed; one keeper for each
    _ble_device       a keeper: find, check, connect, read, and again
    _ble_session      one open link; with _ble_commands, _ble_records (stored ones), _ble_clock
    _ble_station      the radios; with _ble_scan, _ble_ladder (mending) and _ble_clean (a crash)
    _ble_faults       what goes wrong and what is done, as a table; with _ble_backoff, _ble_errors
    _ble_gatt         what a device has, and which profiles fit it
    _ble_told         what the pipeline is told

The source of a packet is the sensor's identity address.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import structlog

from edge.clock import BootClock
from edge.devices import DevicesError, load, written_s
from edge.readers import Reader, ReadError, Rim
from edge.readers._ble_air import Sighting
from edge.readers._ble_gatt import Characteristic, Take

if TYPE_CHECKING:
    from bleak import BleakClient, BleakScanner
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

    from edge.readers._ble_ladder import Means
    from edge.readers._ble_station import Station

CLOSE_S: Final = 5.0
"""Closing a link takes no longer; BlueZ ends it by itself when we leave the bus."""
AGAIN_S: Final = 1.0
LISTED_S: Final = 2.0
PATIENCE_S: Final = 30.0
"""How long a restart of BlueZ may take before the daemon is told."""

_NO_BLUEZ: Final = (
    "no Bluetooth service on this box ({}): install it with `sudo apt install bluez`, start it "
    "with `sudo systemctl start bluetooth`, and let this user into the group `bluetooth`"
)
_NO_BLEAK: Final = (
    "the Python packages for Bluetooth are missing ({}): install them with "
    "`pip install 'homeward[pi]'`"
)
_log = structlog.get_logger("ble")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How Bluetooth sensors are read."""

    adapters: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Radios to use, such as hci0; empty: every one that is switched on."
        ),
    ] = ()
    max_links: Annotated[
        int,
        msgspec.Meta(ge=1, le=32, description="Sensors connected at a time over one radio."),
    ] = 8
    may_reboot: Annotated[
        bool,
        msgspec.Meta(description="May the box restart itself if nothing else mends a radio?"),
    ] = False
    write_time: Annotated[
        bool,
        msgspec.Meta(description="Set the clock of a sensor that has one to the local time."),
    ] = True


class _Link:
    """An open link, over a bleak client; see `edge.readers._ble_gatt.Connection`."""

    def __init__(self, client: BleakClient, sighting: Sighting, gone: asyncio.Event) -> None:
        self._client, self.gone = client, gone
        self.name, self.adapter = sighting.name, sighting.adapter
        self._by_handle = dict(client.services.characteristics)
        self.found = tuple(
            Characteristic(
                handle, one.service_uuid.lower(), one.uuid.lower(), frozenset(one.properties)
            )
            for handle, one in sorted(self._by_handle.items())
        )

    @property
    def mtu(self) -> int:
        # BlueZ tells it with every characteristic (5.62 and later); three bytes are the head.
        sizes = (one.max_write_without_response_size for one in self._by_handle.values())
        return max(sizes, default=20) + 3

    async def read(self, characteristic: Characteristic) -> bytes:
        return bytes(await self._client.read_gatt_char(self._by_handle[characteristic.handle]))

    async def write(
        self, characteristic: Characteristic, payload: bytes, *, response: bool
    ) -> None:
        target = self._by_handle[characteristic.handle]
        await self._client.write_gatt_char(target, payload, response=response)

    async def subscribe(self, characteristic: Characteristic, take: Take) -> None:
        await self._client.start_notify(self._by_handle[characteristic.handle], take)

    async def close(self) -> None:
        await _close(self._client)


class _Bleak:
    """The Bluetooth library; see `edge.readers._ble_scan.Air`."""

    def __init__(self) -> None:
        self._scans: dict[str, BleakScanner] = {}

    async def start_scan(self, adapter: str, heard: Callable[[Sighting], None]) -> None:
        from bleak import BleakScanner  # noqa: PLC0415  # heavy, and not on every box

        loop = asyncio.get_running_loop()

        def take(device: BLEDevice, data: AdvertisementData) -> None:
            props: dict[str, Any] = data.platform_data[1]
            # bleak calls this for every change of a device; only one that is heard has a signal.
            if "RSSI" in props and not props.get("Connected", False):
                # The object keeps its path and may keep an old address; this one is true.
                address = str(props["Address"]).upper()
                name = data.local_name or ""
                heard(Sighting(adapter, address, name, data.rssi, device, loop.time()))

        scanner = self._scans[adapter] = BleakScanner(take, bluez={"adapter": adapter})
        await scanner.start()

    async def stop_scan(self, adapter: str) -> None:
        scanner = self._scans.pop(adapter, None)
        if scanner is not None:
            await scanner.stop()
        else:
            await _stop_discovery(adapter)

    async def connect(self, sighting: Sighting, timeout_s: float) -> _Link:
        from bleak import BleakClient  # noqa: PLC0415  # heavy, and not on every box

        gone = asyncio.Event()
        # bleak calls back for the failed half of a connect it repeats; only the last one counts.
        device: Any = sighting.handle
        client = BleakClient(device, lambda _: gone.set(), timeout=timeout_s)
        try:
            await client.connect()
            gone.clear()
            if not client.is_connected:
                gone.set()
            return _Link(client, sighting, gone)
        except BaseException:
            await _close(client)
            raise

    def known(self, adapter: str, path: str, address: str, name: str) -> Sighting:
        from bleak.backends.device import BLEDevice  # noqa: PLC0415  # heavy, not on every box

        details = {"path": path, "props": {"Adapter": f"/org/bluez/{adapter}", "Alias": name}}
        handle = BLEDevice(address, name, details)
        now_s = asyncio.get_running_loop().time()
        return Sighting(adapter, address, name, -127, handle, now_s)


async def _close(client: BleakClient) -> None:
    """Close a link and bleak's own connection to the bus; bounded, whatever BlueZ does."""
    try:
        async with asyncio.timeout(CLOSE_S):
            # Also after the sensor has gone: nothing else lets go of the client's bus.
            await client.disconnect()
    except Exception as error:  # noqa: BLE001  # what cannot be closed is cleared away later
        _log.info("link not closed", sensor=client.address[-5:], error=repr(error))


async def _stop_discovery(adapter: str) -> None:
    """End a scan that a start which failed may have left: BlueZ counts scans by connection."""
    from bleak.backends.bluezdbus.manager import get_global_bluez_manager  # noqa: PLC0415

    from edge.bluez.bus import Bluez  # noqa: PLC0415  # needs dbus-fast

    bus = (await get_global_bluez_manager())._bus  # noqa: SLF001  # it must be bleak's own
    if bus is not None:
        await Bluez.over(bus).stop_discovery(adapter)


async def _forget_bus() -> None:
    """Make bleak drop its connection to the bus and all it remembers of BlueZ.

    bleak has no word for it, and does not notice when bluetoothd is restarted: it would go on
    believing in links that are gone.
    """
    from bleak.backends.bluezdbus.manager import get_global_bluez_manager  # noqa: PLC0415

    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_S):
            bus = (await get_global_bluez_manager())._bus  # noqa: SLF001
            if bus is not None and bus.connected:
                bus.disconnect()
                await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def _open(settings: Settings, means: Means) -> AsyncIterator[Station]:
    from bleak.backends.bluezdbus.version import BlueZFeatures  # noqa: PLC0415  # heavy

    from edge.bluez.bus import Bluez  # noqa: PLC0415  # needs dbus-fast
    from edge.readers._ble_station import Choice, Station  # noqa: PLC0415

    # bleak asks for BlueZ's version at the first connect, once: were that cancelled half-way, every
    # later connect would wait for its answer for ever.
    await asyncio.shield(BlueZFeatures.check_bluez_version())
    async with Bluez.connect() as bluez:
        try:
            choice = Choice(settings.adapters, settings.max_links)
            async with Station(_Bleak(), bluez, choice, means) as station:
                yield station
        finally:
            await _forget_bus()


async def run(settings: Settings, rim: Rim) -> None:
    """Read all registered sensors until cancelled.

    Raises
    ------
    ReadError
        There is no BlueZ, or no bleak.
    """
    if rim.data_dir is None:
        raise ReadError(
            "the reader of Bluetooth sensors needs the data directory: they are listed there"
        )
    await _until_listed(rim.data_dir)
    try:
        import bleak  # noqa: F401, PLC0415  # heavy, and not on every box: said early, and in words

        from edge.bluez.objects import BluezError  # noqa: PLC0415
        from edge.readers._ble_ladder import Means, request_file  # noqa: PLC0415
        from edge.readers._ble_registry import Registry  # noqa: PLC0415
    except ImportError as error:
        raise ReadError(_NO_BLEAK.format(error)) from error
    wall = BootClock().read
    registry = Registry(rim.data_dir, rim, wall, write_time=settings.write_time)
    loop = asyncio.get_running_loop()
    means = Means(
        request_file(rim.data_dir),
        settings.may_reboot,
        rim.now_s,
        registry.addresses,
        registry.tell_mending,
    )
    worked_s = -PATIENCE_S
    while True:
        await registry.until_any()
        try:
            async with _open(settings, means) as station:
                worked_s = loop.time()
                try:
                    await registry.serve(station)
                finally:
                    worked_s = loop.time()
                registry.tell_all_lost(station.why_lost or "no sensor is registered")
        except (BluezError, OSError, EOFError) as error:
            registry.tell_all_lost("the system's Bluetooth service is gone")
            if loop.time() - worked_s >= PATIENCE_S:
                raise ReadError(_NO_BLUEZ.format(error)) from error
            _log.warning("bluetooth service gone", error=str(error))
        await asyncio.sleep(AGAIN_S)


async def _until_listed(folder: Path) -> None:
    """Wait until there is a list with a sensor in it; a box without any pays nothing for this."""
    seen: float | None = None
    while True:
        stamp = written_s(folder)
        if stamp != seen:
            seen = stamp
            with contextlib.suppress(DevicesError):  # said by whoever reads it next
                if await asyncio.to_thread(load, folder):
                    return
        await asyncio.sleep(LISTED_S)


READER = Reader(name="ble", settings=Settings, run=run)
