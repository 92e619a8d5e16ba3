"""What this package needs of a Bluetooth library; `edge.readers.ble` gives it, over bleak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from edge.readers._ble_gatt import Connection


class Sighting(msgspec.Struct, frozen=True):
    """A sensor that can be connected to.

    Attributes
    ----------
    handle : object
        What the Bluetooth library knows it by.
    at_s : float
        When it was heard, on the loop's clock.
    """

    adapter: str
    address: str
    name: str
    rssi_dbm: int
    handle: object
    at_s: float


class Air(Protocol):
    """What this package needs of the Bluetooth library."""

    async def start_scan(self, adapter: str, heard: Callable[[Sighting], None]) -> None:
        """Call `heard` with whatever advertises, until stopped."""
        ...

    async def stop_scan(self, adapter: str) -> None:
        """End the scan, also one that another start has left behind."""
        ...

    async def connect(self, sighting: Sighting, timeout_s: float) -> Connection:
        """Open a link, and find out what the device has."""
        ...

    def known(self, adapter: str, path: str, address: str, name: str) -> Sighting:
        """Return a sighting of a device that BlueZ knows, without having heard it."""
        ...
