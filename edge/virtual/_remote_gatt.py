"""The services of a connected device as D-Bus objects: read, write, notify."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bumble import att
from bumble.core import ProtocolError
from bumble.core import TimeoutError as AttTimeoutError
from bumble.device import Connection, Peer
from bumble.gatt_client import CharacteristicProxy, DescriptorProxy, ServiceProxy

from edge.gatt import uuid
from edge.virtual._advertising import full
from edge.virtual._dbus_tree import DBusError, Values, bluez_error

if TYPE_CHECKING:
    from edge.virtual._remote import Remote

log = logging.getLogger(__name__)

SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
MAX_MTU: Final = 517
"""What BlueZ asks for."""
DESCRIPTOR: Final = "org.bluez.GattDescriptor1"

_FLAGS: Final = (
    (0x01, "broadcast"),
    (0x02, "read"),
    (0x04, "write-without-response"),
    (0x08, "write"),
    (0x10, "notify"),
    (0x20, "indicate"),
)
_NOT_PAIRED: Final = (
    att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR,
    att.ATT_INSUFFICIENT_ENCRYPTION_ERROR,
    att.ATT_INSUFFICIENT_ENCRYPTION_KEY_SIZE_ERROR,
)


class RemoteTable:
    """What one device serves."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._characteristics: dict[str, CharacteristicProxy[bytes]] = {}
        self._descriptors: dict[str, DescriptorProxy] = {}
        self._listeners: dict[str, dict[str, None]] = {}
        self._callbacks: dict[str, Callable[[bytes], None]] = {}
        self._stale = f"{remote.path}/stale/serviceffff"

    async def resolve(self, link: Connection) -> set[str]:
        """Ask for the services and show them; return their UUIDs."""
        peer = Peer(link)
        await peer.request_mtu(MAX_MTU)
        await peer.discover_services()
        shown: dict[str, dict[str, Values]] = {}
        for service in peer.services:
            await service.discover_characteristics()
            await self._show_service(service, link, shown)
        self._replace(shown)
        return {full(service.uuid) for service in peer.services}

    def gone(self) -> None:
        """Forget what was valid for one link only; the objects stay, as BlueZ keeps its cache."""
        for path in self._listeners:
            self._remote.adapter.tree.put(path, CHARACTERISTIC, {"Notifying": False})
        self._characteristics.clear()
        self._descriptors.clear()
        self._listeners.clear()
        self._callbacks.clear()

    async def call(self, path: str, member: str, sender: str, body: list[Any]) -> list[Any]:
        """Carry out a method of a characteristic or descriptor; return its results.

        Raises
        ------
        DBusError
            The device refused, or the link is down.
        """
        one = self._descriptors.get(path) or self._characteristics.get(path)
        link = self._remote.link
        if one is None or link is None:
            raise bluez_error("Failed", "Not connected")
        try:
            return await self._carry_out(one, link, path, member, (sender, body))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise bluez_error("Failed", "Operation failed with ATT error: 0x0e") from None
        except (AttTimeoutError, TimeoutError):
            raise bluez_error("Failed", "Operation failed with ATT error: 0x0e") from None

    def client_gone(self, sender: str) -> None:
        """End the notifications of a client that has left the bus."""
        for path, listeners in list(self._listeners.items()):
            one = self._characteristics.get(path)
            if sender in listeners and one is not None:
                task = asyncio.ensure_future(self._leave(one, path, sender))
                task.add_done_callback(lambda done: done.cancelled() or done.exception())

    # Showing

    async def _show_service(
        self, service: ServiceProxy, link: Connection, shown: dict[str, dict[str, Values]]
    ) -> None:
        path = f"{self._remote.path}/service{service.handle:04x}"
        shown[path] = {
            SERVICE: {
                "UUID": full(service.uuid),
                "Device": self._remote.path,
                "Primary": True,
                "Includes": [],
            }
        }
        for one in service.characteristics:
            await one.discover_descriptors()
            at = f"{path}/char{one.handle - 1:04x}"
            self._characteristics[at] = one
            shown[at] = {CHARACTERISTIC: _characteristic(one, path, link.att_mtu)}
            for descriptor in one.descriptors:
                below = f"{at}/desc{descriptor.handle:04x}"
                self._descriptors[below] = descriptor
                shown[below] = {
                    DESCRIPTOR: {
                        "UUID": full(descriptor.type),
                        "Characteristic": at,
                        "Value": b"",
                        "Flags": [],
                    }
                }

    def _replace(self, shown: dict[str, dict[str, Values]]) -> None:
        tree, faults = self._remote.adapter.tree, self._remote.adapter.faults
        before = [path for path in tree.objects if path.startswith(f"{self._remote.path}/service")]
        for path in sorted(before, reverse=True):
            if path not in shown or not _same(tree.objects[path], shown[path]):
                tree.remove(path)
        for path, interfaces in shown.items():
            if path not in tree.objects:
                tree.add(path, interfaces)
        if faults.take("missing_services"):
            self._show_stale(there=False)
        elif self._stale in tree.objects:
            self._show_stale(there=True)

    def _show_stale(self, *, there: bool) -> None:
        # bleak learns of a service and of its end, but looks for that under the wrong device: what
        # it believes to be there is not, as when BlueZ's cache and its objects disagree. The next
        # time the services are looked at, all agrees again.
        tree = self._remote.adapter.tree
        values: Values = {
            "UUID": uuid(0xFFF0),
            "Device": self._remote.path,
            "Primary": True,
            "Includes": [],
        }
        tree.add(self._stale, {SERVICE: values, "org.bluez.Stale1": {}})
        if not there:
            tree.remove_interface(self._stale, SERVICE)

    # Methods

    async def _carry_out(
        self,
        one: CharacteristicProxy[bytes] | DescriptorProxy,
        link: Connection,
        path: str,
        member: str,
        told: tuple[str, list[Any]],
    ) -> list[Any]:
        sender, body = told
        if member == "ReadValue":
            return [await self._read(one, path)]
        if member == "WriteValue":
            await self._write(one, link, body)
        elif isinstance(one, CharacteristicProxy):
            notify = self._listen if member == "StartNotify" else self._leave
            await notify(one, path, sender)
        return []

    async def _read(self, one: CharacteristicProxy[bytes] | DescriptorProxy, path: str) -> bytes:
        value = bytes(await self._guarded(one.read_value))
        interface = DESCRIPTOR if isinstance(one, DescriptorProxy) else CHARACTERISTIC
        # BlueZ tells a value that was read in the same signal as one that was notified.
        self._remote.adapter.tree.put(path, interface, {"Value": value})
        return value

    async def _write(
        self, one: CharacteristicProxy[bytes] | DescriptorProxy, link: Connection, body: list[Any]
    ) -> None:
        data, kind = bytes(body[0]), body[1].get("type")
        command = kind is not None and kind.value == "command"
        if command and isinstance(one, CharacteristicProxy):
            if len(data) > link.att_mtu - 3:
                raise bluez_error("Failed", "Failed to initiate write")
            await one.write_value(data, with_response=False)
            return
        await self._guarded(lambda: one.write_value(data, with_response=True))

    async def _guarded(self, operation: Callable[[], Any]) -> Any:  # noqa: ANN401
        try:
            return await operation()
        except ProtocolError as error:
            if error.error_code not in _NOT_PAIRED or not await self._remote.secure():
                raise _att_error(error) from None
        try:
            return await operation()
        except ProtocolError as error:
            raise _att_error(error) from None

    async def _listen(self, one: CharacteristicProxy[bytes], path: str, sender: str) -> None:
        listeners = self._listeners.setdefault(path, {})
        if sender in listeners:
            raise bluez_error("InProgress", "In Progress")
        if not listeners:
            tree, remote = self._remote.adapter.tree, self._remote

            def told(value: bytes) -> None:
                if remote.identity not in remote.adapter.faults.unheard:
                    tree.put(path, CHARACTERISTIC, {"Value": bytes(value)}, always=True)

            listeners[sender] = None
            try:
                await self._guarded(lambda: one.subscribe(told))
            except BaseException:
                self._listeners.pop(path, None)
                raise
            self._callbacks[path] = told
            tree.put(path, CHARACTERISTIC, {"Notifying": True})
        listeners[sender] = None

    async def _leave(self, one: CharacteristicProxy[bytes], path: str, sender: str) -> None:
        listeners = self._listeners.get(path, {})
        if sender not in listeners:
            raise bluez_error("Failed", "No notify session started")
        del listeners[sender]
        if listeners:
            return
        self._listeners.pop(path, None)
        await one.unsubscribe(self._callbacks.pop(path, None))
        self._remote.adapter.tree.put(path, CHARACTERISTIC, {"Notifying": False})


def _characteristic(one: CharacteristicProxy[bytes], service: str, mtu: int) -> Values:
    flags = [name for bit, name in _FLAGS if int(one.properties) & bit]
    values: Values = {
        "UUID": full(one.uuid),
        "Service": service,
        "Value": b"",
        "Flags": flags,
        "MTU": mtu,
    }
    if {"notify", "indicate"} & set(flags):
        values["Notifying"] = False
    return values


def _same(before: dict[str, Values], now: dict[str, Values]) -> bool:
    """Return whether an object is what it was, but for values that were read or notified."""
    if before.keys() != now.keys():
        return False
    return all(
        before[name].get(key) == value
        for name, values in now.items()
        for key, value in values.items()
        if key not in ("Value", "Notifying")
    )


def _att_error(error: ProtocolError) -> DBusError:
    """Return BlueZ's words for an ATT error (create_gatt_dbus_error in src/gatt-client.c)."""
    code = int(error.error_code or 0)
    if code in _NOT_PAIRED:
        return bluez_error("NotPermitted", "Not paired")
    known: dict[int, tuple[str, str]] = {
        att.ATT_READ_NOT_PERMITTED_ERROR: ("NotPermitted", "Read not permitted"),
        att.ATT_WRITE_NOT_PERMITTED_ERROR: ("NotPermitted", "Write not permitted"),
        att.ATT_INSUFFICIENT_AUTHORIZATION_ERROR: ("NotAuthorized", "Not Authorized"),
        att.ATT_REQUEST_NOT_SUPPORTED_ERROR: ("NotSupported", "Operation is not supported"),
        att.ATT_INVALID_OFFSET_ERROR: ("InvalidArguments", "Invalid offset"),
        att.ATT_INVALID_ATTRIBUTE_LENGTH_ERROR: ("InvalidArguments", "Invalid Length"),
    }
    name, text = known.get(code, ("Failed", f"Operation failed with ATT error: 0x{code:02x}"))
    return bluez_error(name, text)
