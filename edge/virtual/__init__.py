"""Wearables without hardware: one file a device, each ends with ``WEARABLE``.

A virtual wearable is the device's side of its data sheet and nothing else: it knows no radio. It
sends through a `Port`, remembers what a device remembers (its stored records, its clock), and is
told what a central wrote. `edge.virtual._onair` puts it on a simulated radio under a real Bluetooth
stack (bumble), and `edge.virtual._bluez` lets unmodified bleak find it there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec


class Guard(StrEnum):
    """What a characteristic asks of the link before it may be used."""

    NONE = "none"
    ENCRYPTED = "encrypted"
    AUTHENTICATED = "authenticated"


class Characteristic(msgspec.Struct, frozen=True):
    """One characteristic.

    Attributes
    ----------
    uuid : str
        Full UUID, lower case.
    can : tuple[str, ...]
        Of ``read``, ``write``, ``write_without_response``, ``notify``, ``indicate``.
    value : bytes
        What a read gives unless `Peripheral.value` says otherwise.
    guard : Guard
        Needed for reading, writing and subscribing.
    """

    uuid: str
    can: tuple[str, ...]
    value: bytes = b""
    guard: Guard = Guard.NONE


class Service(msgspec.Struct, frozen=True):
    """One service; `advertised`: its UUID is in the advertisement."""

    uuid: str
    characteristics: tuple[Characteristic, ...]
    advertised: bool = False


class Port(Protocol):
    """The device's radio and clock."""

    def now_s(self) -> float:
        """Return seconds since some fixed moment, by a perfect clock."""
        ...

    async def sleep(self, span_s: float) -> None:
        """Wait, by the same clock."""
        ...

    def subscribed(self, uuid: str) -> bool:
        """Return whether a central wants notifications or indications of a characteristic."""
        ...

    async def send(self, uuid: str, payload: bytes) -> bool:
        """Notify or indicate; false where nobody is subscribed or the link is gone."""
        ...


class Peripheral(Protocol):
    """One device that is switched on; it outlives its links."""

    async def run(self, port: Port) -> None:
        """Live until cancelled: send what is due while somebody is subscribed."""
        ...

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Take what a central wrote, and answer it if the device does."""
        ...

    def value(self, uuid: str, now_s: float) -> bytes | None:
        """Return what a read of a characteristic gives now; None: its fixed value."""
        ...


class Wearable(msgspec.Struct, frozen=True):
    """A kind of device.

    Attributes
    ----------
    name : str
        The file's name.
    words : str
        What people call it.
    local_name : str
        The name it advertises.
    services : tuple[Service, ...]
        Without battery and device information, which every virtual wearable has.
    open : Callable[[int], Peripheral]
        Switches one on; the number is a seed, and the same seed sends the same.
    manufacturer, model : str
        Its device information.
    displays_passkey : bool
        It shows six digits that have to be typed to pair; otherwise it just works.
    """

    name: str
    words: str
    local_name: str
    services: tuple[Service, ...]
    open: Callable[[int], Peripheral]
    manufacturer: str = "Homeward"
    model: str = "virtual"
    displays_passkey: bool = False
