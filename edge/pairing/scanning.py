"""What is in the air: BlueZ's own object tree, watched while its radio scans."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from edge.bluez import Adapter, Bluez, BluezDevice, BluezError
from edge.bluez.bus import DEVICE
from edge.bluez.objects import device_of
from edge.bluez.rfkill import blocked, cure
from edge.devices import Device
from edge.gatt import Profile
from edge.pairing.errors import PairingError, explained
from edge.pairing.matching import Readable, judge
from edge.pairing.names import clean

MAX_SEEN: Final = 500
"""Devices a scan keeps apart: a neighbour's toy must not fill our memory."""
SMOOTHING: Final = 0.3
"""Weight of a new signal strength; advertisements of one device differ by ten dB and more."""
SETTLE_S: Final = 1.0
"""BlueZ needs about this long after a scan was stopped before the next one starts."""


class Seen(msgspec.Struct, frozen=True, tag="device", tag_field="record"):
    """One device in the air, or linked already.

    Attributes
    ----------
    address : str
        The one it uses now.
    identity : str
        The one it can be known by later; empty where it changes its address until it is paired.
    name : str
        What it calls itself: anybody can call himself that.
    rssi_dbm : float | None
        Signal strength, smoothed; None: it is linked, and silent otherwise.
    services : tuple[str, ...]
        What it advertises.
    words, profiles : str, tuple[str, ...]
        What it seems to be, and the profiles that would read it.
    readable, why : Readable, str
        Whether we can read it.
    bonded, connected : bool
        As BlueZ has it.
    registered : str
        What people call it here; empty: it was never paired with this box.
    adapter : str
        Radio that hears it.
    """

    address: str
    identity: str
    name: str
    rssi_dbm: float | None
    services: tuple[str, ...]
    words: str
    profiles: tuple[str, ...]
    readable: Readable
    why: str
    bonded: bool
    connected: bool
    registered: str
    adapter: str


async def ready_adapter(bluez: Bluez, wanted: str = "") -> Adapter:
    """Return a radio that is on: the wanted one, or the first.

    Raises
    ------
    PairingError
        There is none, or it cannot be switched on.
    """
    doing = "cannot use Bluetooth"
    try:
        adapters = await bluez.adapters()
    except BluezError as error:
        raise explained(error, doing) from error
    fitting = [one for one in adapters if wanted in {"", one.name, one.address}]
    if not fitting:
        names = ", ".join(one.name for one in adapters)
        missing = f"there is no radio {wanted!r} (there is {names})" if names else "there is none"
        raise PairingError(
            f"{doing}: {missing}; plug a Bluetooth adapter in, or on a Pi look at `dmesg | grep "
            f"-i bluetooth` and the line dtoverlay=disable-bt in /boot/firmware/config.txt"
        )
    # A radio that is on goes before one that would have to be switched on.
    chosen = next((one for one in fitting if one.powered), fitting[0])
    if not chosen.powered:
        await _switch_on(bluez, chosen, doing)
    return chosen


async def _switch_on(bluez: Bluez, adapter: Adapter, doing: str) -> None:
    try:
        await bluez.set_powered(adapter.path, True)  # noqa: FBT003  # reads as it is said
    except BluezError as error:
        blocks = blocked()
        if blocks:
            raise PairingError(
                f"{doing}: the radio {adapter.name} is switched off by the system; {cure(blocks)}"
            ) from error
        raise explained(error, f"cannot switch the radio {adapter.name} on") from error


class Scan:
    """A scan that runs while it is entered.

    Parameters
    ----------
    bluez : Bluez
        The connection to BlueZ.
    adapter : Adapter
        The radio, switched on.
    profiles : Sequence[Profile]
        Everything that can be read.
    known : Sequence[Device]
        The sensors of this box.
    """

    def __init__(
        self,
        bluez: Bluez,
        adapter: Adapter,
        profiles: Sequence[Profile] = (),
        known: Sequence[Device] = (),
    ) -> None:
        self._bluez, self._adapter = bluez, adapter
        self._profiles, self._known = tuple(profiles), {one.address: one.name for one in known}
        self._properties: dict[str, dict[str, Any]] = {}
        self._rssi_dbm: dict[str, float] = {}
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin to scan.

        Raises
        ------
        PairingError
            The radio will not.
        """
        try:
            await self._open.enter_async_context(self._bluez.watching(self._take))
            for path, at in (await self._bluez.objects()).items():
                if DEVICE in at:
                    self._take(path, DEVICE, at[DEVICE])
            await self._start()
        except BluezError as error:
            await self._open.aclose()
            raise explained(error, f"cannot scan with {self._adapter.name}") from error
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the scan."""
        try:
            await self._bluez.stop_discovery(self._adapter.path)
        except BluezError as gone:
            # A radio that has gone, or a BlueZ that was restarted, does not scan either.
            if gone.short in {"AccessDenied", "TimedOut"}:
                raise explained(gone, f"cannot end the scan of {self._adapter.name}") from gone
        finally:
            await self._open.aclose()

    async def _start(self) -> None:
        try:
            await self._bluez.start_discovery(self._adapter.path)
        except BluezError as error:
            if error.short != "InProgress":
                raise
            # A scan that was left on, by us on this connection: end it and begin anew.
            with contextlib.suppress(BluezError):
                await self._bluez.stop_discovery(self._adapter.path)
            await asyncio.sleep(SETTLE_S)
            await self._bluez.start_discovery(self._adapter.path)

    def _take(self, path: str, interface: str, changed: Mapping[str, Any]) -> None:
        if interface != DEVICE or not path.startswith(self._adapter.path + "/"):
            return
        if path not in self._properties and len(self._properties) >= MAX_SEEN:
            return
        self._properties.setdefault(path, {}).update(
            {name: value for name, value in changed.items() if value is not None}
        )
        rssi_dbm = changed.get("RSSI")
        if rssi_dbm is not None:
            before = self._rssi_dbm.get(path, float(rssi_dbm))
            self._rssi_dbm[path] = before + SMOOTHING * (rssi_dbm - before)

    def heard(self, address: str) -> BluezDevice | None:
        """Return the device with this address, once it was heard or if it is linked."""
        for device in self._there():
            if device.address == address:
                return device
        return None

    def seen(self) -> tuple[Seen, ...]:
        """Return what was heard so far, the strongest first."""
        found = [self._seen(device) for device in self._there()]
        weakest = -200.0
        return tuple(
            sorted(found, key=lambda one: (-(one.rssi_dbm or weakest), one.name, one.address))
        )

    def _there(self) -> list[BluezDevice]:
        devices = [device_of(path, at) for path, at in self._properties.items()]
        return [
            one for one in devices if one.address and (one.path in self._rssi_dbm or one.connected)
        ]

    def _seen(self, device: BluezDevice) -> Seen:
        name = clean(device.name)
        judged = judge(name, device.uuids, self._profiles)
        strength = self._rssi_dbm.get(device.path)
        return Seen(
            address=device.address,
            identity=device.address if steady(device) or device.bonded else "",
            name=name,
            rssi_dbm=None if strength is None else round(strength, 1),
            services=device.uuids,
            words=judged.words,
            profiles=judged.profiles,
            readable=judged.readable,
            why=judged.why,
            bonded=device.bonded,
            connected=device.connected,
            registered=self._known.get(device.address, ""),
            adapter=device.adapter,
        )


async def scan(
    bluez: Bluez,
    seconds: float,
    profiles: Sequence[Profile] = (),
    known: Sequence[Device] = (),
    adapter: str = "",
) -> tuple[Seen, ...]:
    """Return what is heard within a span, the strongest first.

    Raises
    ------
    PairingError
        There is no radio, or it will not scan.
    """
    async with Scan(bluez, await ready_adapter(bluez, adapter), profiles, known) as running:
        await asyncio.sleep(seconds)
        return running.seen()


def steady(device: BluezDevice) -> bool:
    """Return whether a device's address stays: public, or random and static.

    Source: Bluetooth Core 5.4, volume 6, part B, 1.3.2: the two highest bits of a static
    address are ones.
    """
    if device.address_type != "random":
        return True
    return int(device.address[:2], 16) & 0xC0 == 0xC0
