"""Ask a device that was just paired what it is and has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from edge.bluez import Bluez, BluezDevice, BluezError, Found
from edge.gatt import Profile, uuid
from edge.pairing.errors import PairingError, telling
from edge.pairing.finding import by_path, called
from edge.pairing.matching import Known, match
from edge.pairing.names import clean

RESOLVE_S: Final = 30.0
"""Reading the table of a big device takes a slow link this long."""
CONNECT_S: Final = 20.0
CONNECTS: Final = 3
"""Links that may be made before the device is given up."""
LOOK_S: Final = 0.2

MANUFACTURER, MODEL, FIRMWARE = uuid(0x2A29), uuid(0x2A24), uuid(0x2A26)
_ATTRIBUTE_BASE: Final = "-0000-1000-8000-00805f9b34fb"


class Asked(msgspec.Struct, frozen=True):
    """A device, and what it said of itself."""

    device: BluezDevice
    profiles: tuple[Profile, ...]
    words: str
    manufacturer: str
    model: str
    firmware: str


async def ask(bluez: Bluez, device: BluezDevice, profiles: Sequence[Profile]) -> Asked:
    """Connect to a device and return what it has.

    Raises
    ------
    PairingError
        It cannot be reached, or has nothing that we read.
    """
    now = await _resolved(bluez, device)
    with telling(f"cannot see what {called(now)} has"):
        found = await bluez.characteristics(now.path)
        services = await bluez.services(now.path)
    texts = {kind: await _text(bluez, found, kind) for kind in (MANUFACTURER, MODEL, FIRMWARE)}
    name = clean(now.name)
    has = Known(
        name,
        frozenset(services),
        frozenset(one.uuid for one in found),
        texts[MANUFACTURER],
        texts[MODEL],
    )
    fitting = match(has, profiles)
    if not fitting:
        shown = ", ".join(_short(one) for one in sorted(services)) or "none"
        raise PairingError(
            f"{called(now)} has nothing that Homeward reads (its services: {shown}); it is not "
            f"kept. A decoder for it is one file: see edge/decoders"
        )
    words = ", ".join(dict.fromkeys(profile.words for profile in fitting))
    return Asked(now, fitting, words, texts[MANUFACTURER], texts[MODEL], texts[FIRMWARE])


async def _resolved(bluez: Bluez, device: BluezDevice) -> BluezDevice:
    """Return the device, linked, with its services known."""
    doing = f"cannot connect to {called(device)}"
    n_connects = 0
    for _ in range(round(RESOLVE_S / LOOK_S)):
        now = await by_path(bluez, device)
        if now.connected and now.services_resolved:
            return now
        if not now.connected:
            n_connects += 1
            if n_connects > CONNECTS:
                raise PairingError(
                    f"{doing}: the link breaks off again and again; bring it nearer, and let go of "
                    f"it on a phone"
                )
            with telling(doing):
                await bluez.connect_device(device.path, CONNECT_S)
        await asyncio.sleep(LOOK_S)
    raise PairingError(
        f"{doing}: it does not say what it has within {RESOLVE_S:.0f} s; switch it off and on, "
        f"bring it nearer and try again"
    )


async def _text(bluez: Bluez, found: Sequence[Found], kind: str) -> str:
    """Return a string of the device information; empty where there is none."""
    for one in found:
        if one.uuid == kind:
            try:
                value = await bluez.read(one.path)
            except BluezError:
                return ""  # some devices list what they will not give; nothing depends on it
            return clean(value.decode("utf-8", "replace").rstrip("\0"))
    return ""


def _short(service: str) -> str:
    """Return a service's UUID as people know it.

    >>> _short("0000180d-0000-1000-8000-00805f9b34fb")
    '180D'
    """
    if service.endswith(_ATTRIBUTE_BASE) and service.startswith("0000"):
        return service[4:8].upper()
    return service
