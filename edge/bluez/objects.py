"""What BlueZ has, as records: radios, devices, characteristics; and how it refuses.

Source: BlueZ ``doc/org.bluez.Adapter.rst``, ``doc/org.bluez.Device.rst`` (5.66 to 5.82).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

NO_BUS: Final = "homeward.Error.NoBus"
"""There is no system bus to speak to."""
TIMED_OUT: Final = "homeward.Error.TimedOut"
"""BlueZ did not answer in time."""
LOST: Final = "homeward.Error.Lost"
"""The system bus has closed the connection."""


class BluezError(RuntimeError):
    """BlueZ, or the way to it, refused.

    Attributes
    ----------
    name : str
        Full D-Bus name, e.g. ``org.bluez.Error.AuthenticationFailed``; names that begin with
        ``homeward.`` are ours: `NO_BUS`, `TIMED_OUT`, `LOST`.
    text : str
        What was said with it.
    """

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(f"{name}: {text}" if text else name)
        self.name, self.text = name, text

    @property
    def short(self) -> str:
        """The last part of the name, e.g. ``AuthenticationFailed``."""
        return self.name.rpartition(".")[2]


class Adapter(msgspec.Struct, frozen=True):
    """One radio; `name` is what BlueZ calls it (``hci0``)."""

    path: str
    name: str
    address: str
    powered: bool
    discovering: bool


class BluezDevice(msgspec.Struct, frozen=True):
    """One device BlueZ knows, bonded or only heard; `adapter` is the radio's name (``hci0``)."""

    path: str
    adapter: str
    address: str
    address_type: str
    name: str
    alias: str
    paired: bool
    bonded: bool
    trusted: bool
    connected: bool
    blocked: bool
    services_resolved: bool
    rssi: int | None
    uuids: tuple[str, ...]


class Found(msgspec.Struct, frozen=True):
    """One characteristic of a connected device."""

    path: str
    uuid: str
    service: str


def device_of(path: str, properties: Mapping[str, Any]) -> BluezDevice:
    """Return the device of an object's path and its ``Device1`` properties."""
    at = properties
    return BluezDevice(
        path=path,
        adapter=at.get("Adapter", path.rpartition("/")[0]).rpartition("/")[2],
        address=at.get("Address", "").upper(),
        address_type=at.get("AddressType", ""),
        name=at.get("Name") or "",
        alias=at.get("Alias") or "",
        paired=at.get("Paired", False),
        # Before 5.65 BlueZ had no word for it: there what is paired was bonded, if it was asked.
        bonded=at.get("Bonded", at.get("Paired", False)),
        trusted=at.get("Trusted", False),
        connected=at.get("Connected", False),
        blocked=at.get("Blocked", False),
        services_resolved=at.get("ServicesResolved", False),
        rssi=at.get("RSSI"),
        uuids=tuple(uuid.lower() for uuid in at.get("UUIDs", ())),
    )
