"""What became of the bonds of this box's sensors, and forgetting them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from edge.bluez import Bluez
from edge.devices import Device
from edge.pairing.errors import telling


class Bonded(StrEnum):
    """How a sensor of the list stands with BlueZ.

    NO_BOND: it is used without one, on a person's word. LOST: the list has a bond and BlueZ has
    not: the sensor is not read until a person pairs it again.
    """

    BONDED = "bonded"
    LOST = "bond lost"
    NO_BOND = "no bond"
    UNKNOWN = "not known"


async def bonds(bluez: Bluez, known: Iterable[Device]) -> Mapping[str, Bonded]:
    """Return how every sensor stands, by address.

    Raises
    ------
    PairingError
        BlueZ cannot be asked.
    """
    with telling("cannot ask BlueZ for its bonds"):
        have = {one.address for one in await bluez.devices() if one.bonded}
    return {one.address: _standing(one, have) for one in known}


def _standing(device: Device, have: set[str]) -> Bonded:
    if not device.bonded:
        return Bonded.NO_BOND
    return Bonded.BONDED if device.address in have else Bonded.LOST


async def forget(bluez: Bluez, address: str) -> int:
    """Make BlueZ forget a device on every radio; return on how many it was known.

    Raises
    ------
    PairingError
        BlueZ cannot be asked, or will not forget it.
    """
    with telling(f"cannot forget the bond with {address}"):
        found = [one for one in await bluez.devices() if one.address == address]
        for device in found:
            await bluez.remove(device.path)
    return len(found)
