"""The attribute table of a virtual wearable: its services as bumble serves them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from bumble import att
from bumble.device import Connection, Device
from bumble.gatt import (
    GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
    Descriptor,
)
from bumble.gatt import Characteristic as Served
from bumble.gatt import Service as ServedService

from edge.gatt import BATTERY_LEVEL, uuid
from edge.virtual import Characteristic, Guard, Peripheral, Service, Wearable
from edge.virtual._advertising import full, known

if TYPE_CHECKING:
    from collections.abc import Iterable

BATTERY: Final = uuid(0x180F)
DEVICE_INFORMATION: Final = uuid(0x180A)
_PROPERTIES: Final = {
    "read": Served.Properties.READ,
    "write": Served.Properties.WRITE,
    "write_without_response": Served.Properties.WRITE_WITHOUT_RESPONSE,
    "notify": Served.Properties.NOTIFY,
    "indicate": Served.Properties.INDICATE,
}
_GENERIC: Final = (uuid(0x1800), uuid(0x1801))
_BOTH: Final = att.Attribute.READABLE | att.Attribute.WRITEABLE


class Owner(Protocol):
    """Whose table it is."""

    wearable: Wearable
    peripheral: Peripheral
    battery_pct: int
    max_mtu: int

    def now_s(self) -> float:
        """Return its clock."""
        ...

    def write(self, uuid: str, payload: bytes) -> None:
        """Take what a central wrote."""
        ...


class Table:
    """Services, with the guards and hooks their description asks for."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._device: Device | None = None
        self._served: dict[str, Served[bytes]] = {}

    def fill(self, device: Device, services: tuple[Service, ...]) -> None:
        """Serve these and the services every wearable has, in place of what was served."""
        self._device = device
        server = device.gatt_server
        server.max_mtu = self._owner.max_mtu
        kept = [one for one in server.services if full(one.uuid) in _GENERIC]
        server.services.clear()
        server.attributes.clear()
        server.attributes_by_handle.clear()
        server.subscribers.clear()
        self._served.clear()
        for one in kept:
            server.add_service(one)
        for service in with_standard(services, self._owner.wearable):
            served = [self._serve(device, one) for one in service.characteristics]
            server.add_service(ServedService(known(service.uuid), served))

    def uuid(self, handle: int) -> str:
        """Return whose value a handle is."""
        return next((name for name, one in self._served.items() if one.handle == handle), "")

    def subscriber(self, name: str) -> tuple[Connection, bool] | None:
        """Return the link that wants a characteristic, and whether it wants indications."""
        one = self._served.get(name)
        if one is None or self._device is None:
            return None
        for bearer, wanted in self._device.gatt_server.subscribers.items():
            bits = wanted.get(one.handle)
            if isinstance(bearer, Connection) and bits and bits[0] & 3:
                return bearer, not bits[0] & 1
        return None

    async def send(self, link: Connection, name: str, payload: bytes, *, indicated: bool) -> bool:
        """Notify, or indicate and wait for the confirmation; false where the link ends first."""
        if self._device is None:
            return False
        server, served = self._device.gatt_server, self._served[name]
        if not indicated:
            await server.notify_subscriber(link, served, payload)
            return True
        try:
            await link.cancel_on_disconnection(server.indicate_subscriber(link, served, payload))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return False
        except TimeoutError:
            return False
        return True

    def _serve(self, device: Device, one: Characteristic) -> Served[bytes]:
        properties = Served.Properties(0)
        for ability in one.can:
            properties |= _PROPERTIES[ability]

        def read(link: Connection) -> bytes:
            if "read" not in one.can:
                raise att.ATT_Error(att.ATT_READ_NOT_PERMITTED_ERROR)
            check(device, link, one.guard)
            return self._value(one)

        def write(link: Connection, value: bytes) -> None:
            if not {"write", "write_without_response"} & set(one.can):
                raise att.ATT_Error(att.ATT_WRITE_NOT_PERMITTED_ERROR)
            check(device, link, one.guard)
            self._owner.write(one.uuid, bytes(value))

        served: Served[bytes] = Served(
            known(one.uuid), properties, _BOTH, att.AttributeValue(read=read, write=write)
        )
        if {"notify", "indicate"} & set(one.can):
            served.descriptors = [self._configuration(device, served, one.guard)]
        self._served[one.uuid] = served
        return served

    def _configuration(self, device: Device, served: Served[bytes], guard: Guard) -> Descriptor:
        server = device.gatt_server

        def read(bearer: att.Bearer) -> bytes:
            return server.read_cccd(bearer, served)

        def write(bearer: att.Bearer, value: bytes) -> None:
            if isinstance(bearer, Connection):
                check(device, bearer, guard)
            server.write_cccd(bearer, served, value)

        return Descriptor(
            GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
            _BOTH,
            att.AttributeValueV2(read=read, write=write),
        )

    def _value(self, one: Characteristic) -> bytes:
        if one.uuid == BATTERY_LEVEL and not one.value:
            return bytes([self._owner.battery_pct])
        now = self._owner.peripheral.value(one.uuid, self._owner.now_s())
        return one.value if now is None else now


def check(device: Device, link: Connection, guard: Guard) -> None:
    """Refuse what a link is not good enough for.

    bumble takes every encrypted link for authenticated, so the kept keys are asked instead.

    Raises
    ------
    att.ATT_Error
        The link is not encrypted, or not with keys that a person has confirmed.
    """
    if guard is Guard.NONE:
        return
    if not link.encryption:
        raise att.ATT_Error(att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)
    if guard is Guard.AUTHENTICATED and not authenticated(device, link):
        raise att.ATT_Error(att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)


def authenticated(device: Device, link: Connection) -> bool:
    """Return whether the keys of a link were made with a passkey or a comparison."""
    store = device.keystore
    keys = getattr(store, "all_keys", {}).get(str(link.peer_address))
    if keys is None:
        return False
    return any(key is not None and key.authenticated for key in (keys.ltk, keys.ltk_peripheral))


def with_standard(services: tuple[Service, ...], wearable: Wearable) -> Iterable[Service]:
    """Return services with battery and device information, unless they are among them."""
    texts = {0x2A29: wearable.manufacturer, 0x2A24: wearable.model, 0x2A26: "1.0.0"}
    standard = (
        Service(BATTERY, (Characteristic(BATTERY_LEVEL, ("read", "notify")),)),
        Service(
            DEVICE_INFORMATION,
            tuple(Characteristic(uuid(n), ("read",), t.encode()) for n, t in texts.items()),
        ),
    )
    there = {one.uuid for one in services}
    return (*services, *(one for one in standard if one.uuid not in there))
