"""Find one device in the air."""

from __future__ import annotations

import asyncio
from typing import Final

from edge.bluez import Adapter, Bluez, BluezDevice
from edge.pairing.errors import PairingError, telling
from edge.pairing.names import clean
from edge.pairing.scanning import Scan

FIND_S: Final = 20.0
"""Sensors that save power advertise every few seconds only."""
LOOK_S: Final = 0.1


async def find(
    bluez: Bluez, adapter: Adapter, address: str, within_s: float = FIND_S
) -> BluezDevice:
    """Return the device with an address as soon as it is heard; at once if it is linked.

    Raises
    ------
    PairingError
        It is not heard, or the radio will not scan.
    """
    async with Scan(bluez, adapter) as running:
        for _ in range(max(1, round(within_s / LOOK_S))):
            device = running.heard(address)
            if device is not None:
                break
            await asyncio.sleep(LOOK_S)
    if device is None:
        raise PairingError(
            f"{address} was not heard within {within_s:.0f} s: wake it (a strap wakes on wet "
            f"skin), bring it nearer, and let go of it on a phone; `homeward scan` shows what is "
            f"there"
        )
    return await by_path(bluez, device)


async def found_again(bluez: Bluez, adapter: Adapter, device: BluezDevice) -> BluezDevice:
    """Forget a device's bond and return the device, heard anew.

    Raises
    ------
    PairingError
        It could not be forgotten, or is not heard any more.
    """
    with telling(f"cannot forget the bond with {called(device)}"):
        await bluez.remove(device.path)
    return await find(bluez, adapter, device.address)


async def by_path(bluez: Bluez, device: BluezDevice) -> BluezDevice:
    """Return a device as it is now: its address may have become its identity.

    Raises
    ------
    PairingError
        BlueZ does not know it any more.
    """
    with telling(f"cannot ask BlueZ for {called(device)}"):
        devices = await bluez.devices(device.adapter)
    for one in devices:
        if one.path == device.path:
            return one
    raise PairingError(f"{called(device)} has gone out of range: bring it nearer and try again")


def called(device: BluezDevice) -> str:
    """Return what to call a device in a message."""
    name = clean(device.name)
    return f"{name} ({device.address})" if name else device.address
