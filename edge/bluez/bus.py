"""BlueZ's objects over D-Bus: adapters, devices and bonds, with a bound on every call.

The only file that knows dbus-fast. Objects are named by their D-Bus path; a device keeps its path
when pairing reveals its identity address, so a path is never taken apart to learn an address.

Source: BlueZ ``doc/org.bluez.Adapter.rst``, ``doc/org.bluez.Device.rst`` (5.66 to 5.82).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError
from dbus_fast.unpack import unpack_variants

from edge.bluez.objects import (
    LOST,
    NO_BUS,
    TIMED_OUT,
    Adapter,
    BluezDevice,
    BluezError,
    Found,
    device_of,
)

SERVICE: Final = "org.bluez"
ROOT: Final = "/org/bluez"
ADAPTER: Final = "org.bluez.Adapter1"
DEVICE: Final = "org.bluez.Device1"
GATT_SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
OBJECTS: Final = "org.freedesktop.DBus.ObjectManager"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
DBUS: Final = "org.freedesktop.DBus"

CALL_S: Final = 10.0
"""A call that takes longer is given up: BlueZ hangs, or its adapter does."""
PAIR_S: Final = 60.0

Objects: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Path -> interface -> property -> value, without variants."""
Changed: TypeAlias = Callable[[str, str, Mapping[str, Any]], None]
"""Takes path, interface and the properties that are new."""
Answer: TypeAlias = Callable[[str, Sequence[Any]], Awaitable[tuple[str, list[Any]]]]
"""Takes method and arguments; gives signature and values of the reply."""


class Bluez:
    """A connection to the system bus, for talking to BlueZ.

    Use it as ``async with Bluez.connect() as bluez:``. Adapters are given by name or by path.

    Parameters
    ----------
    bus_address : str | None
        D-Bus address; None: the system bus, or what ``DBUS_SYSTEM_BUS_ADDRESS`` says.
    """

    def __init__(self, bus_address: str | None = None) -> None:
        self._address = bus_address
        self._open: MessageBus | None = None

    @classmethod
    def connect(cls, bus_address: str | None = None) -> Bluez:
        """Return a connection that opens when it is entered."""
        return cls(bus_address)

    @classmethod
    def over(cls, bus: MessageBus) -> Bluez:
        """Return a view of a connection that is open, and that somebody else closes: bleak's."""
        view = cls()
        view._open = bus
        return view

    async def __aenter__(self) -> Self:
        """Connect to the bus.

        Raises
        ------
        BluezError
            `NO_BUS`: there is none, or it will not have us.
        """
        try:
            bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
            async with asyncio.timeout(CALL_S):
                self._open = await bus.connect()
        except (OSError, EOFError, DBusFastError, TimeoutError) as error:
            raise BluezError(NO_BUS, str(error) or type(error).__name__) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bus."""
        if self._open is not None:
            self._open.disconnect()
            self._open = None

    @property
    def bus(self) -> MessageBus:
        """The connection itself.

        Raises
        ------
        BluezError
            `LOST`: it is not open, or not any more.
        """
        if self._open is None or not self._open.connected:
            raise BluezError(LOST, "the connection to the system bus is closed")
        return self._open

    async def adapters(self) -> tuple[Adapter, ...]:
        """Return the radios, sorted by name."""
        found = [
            Adapter(
                path,
                path.rpartition("/")[2],
                at.get("Address", ""),
                at.get("Powered", False),
                at.get("Discovering", False),
            )
            for path, at in _having(await self.objects(), ADAPTER)
        ]
        return tuple(sorted(found, key=lambda adapter: adapter.name))

    async def devices(self, adapter: str | None = None) -> tuple[BluezDevice, ...]:
        """Return the devices BlueZ knows, of one adapter or of all, sorted by address."""
        objects = await self.objects()
        found = [device_of(path, at) for path, at in _having(objects, DEVICE)]
        wanted = None if adapter is None else adapter.rpartition("/")[2]
        kept = [one for one in found if wanted in {None, one.adapter}]
        return tuple(sorted(kept, key=lambda device: (device.address, device.adapter)))

    async def characteristics(self, device: str) -> tuple[Found, ...]:
        """Return what a connected device has; empty until its services are resolved."""
        objects = await self.objects()
        services = {path: at.get("UUID", "") for path, at in _having(objects, GATT_SERVICE)}
        return tuple(
            Found(path, at.get("UUID", "").lower(), services.get(at.get("Service", ""), "").lower())
            for path, at in _having(objects, CHARACTERISTIC)
            if path.startswith(device + "/")
        )

    async def services(self, device: str) -> tuple[str, ...]:
        """Return the UUIDs of a connected device's services."""
        return tuple(
            at.get("UUID", "").lower()
            for path, at in _having(await self.objects(), GATT_SERVICE)
            if path.startswith(device + "/")
        )

    async def read(self, characteristic: str) -> bytes:
        """Return the value of a characteristic, by its path."""
        options: dict[str, Variant] = {}
        reply = await self.call(characteristic, CHARACTERISTIC, "ReadValue", "a{sv}", [options])
        return bytes(reply[0])

    async def connect_device(self, path: str, timeout_s: float = PAIR_S) -> None:
        """Open the link to a device."""
        await self.call(path, DEVICE, "Connect", timeout_s=timeout_s)

    async def disconnect(self, path: str) -> None:
        """Close the link to a device, whatever state it is in."""
        await self.call(path, DEVICE, "Disconnect")

    async def remove(self, path: str) -> None:
        """Make BlueZ forget a device, its bond included."""
        await self.call(path.rpartition("/")[0], ADAPTER, "RemoveDevice", "o", [path])

    async def pair(self, path: str, timeout_s: float = PAIR_S) -> None:
        """Pair with a device; the registered agent is asked."""
        await self.call(path, DEVICE, "Pair", timeout_s=timeout_s)

    async def cancel_pairing(self, path: str) -> None:
        """End a pairing that is under way."""
        await self.call(path, DEVICE, "CancelPairing")

    async def trust(self, path: str, on: bool) -> None:  # noqa: FBT001
        """Let a device come back without anybody being asked, or no longer."""
        await self.put(path, DEVICE, "Trusted", Variant("b", on))

    async def set_powered(self, adapter: str, on: bool) -> None:  # noqa: FBT001
        """Switch a radio on or off."""
        await self.put(_adapter_path(adapter), ADAPTER, "Powered", Variant("b", on))

    async def set_pairable(self, adapter: str, on: bool) -> None:  # noqa: FBT001
        """Let devices pair with a radio, or no longer."""
        await self.put(_adapter_path(adapter), ADAPTER, "Pairable", Variant("b", on))

    async def set_pairable_for(self, adapter: str, span_s: float) -> None:
        """Let devices pair with a radio for a while; BlueZ itself ends it."""
        path = _adapter_path(adapter)
        await self.put(path, ADAPTER, "PairableTimeout", Variant("u", max(1, round(span_s))))
        await self.put(path, ADAPTER, "Pairable", _TRUE)

    async def start_discovery(self, adapter: str) -> None:
        """Scan for Bluetooth LE devices, with every advertisement told, until stopped."""
        path = _adapter_path(adapter)
        # True: every advertisement is told, not only those with something new.
        wanted = {"Transport": Variant("s", "le"), "DuplicateData": _TRUE}
        await self.call(path, ADAPTER, "SetDiscoveryFilter", "a{sv}", [wanted])
        await self.call(path, ADAPTER, "StartDiscovery")

    async def stop_discovery(self, adapter: str) -> None:
        """End our scan."""
        await self.call(_adapter_path(adapter), ADAPTER, "StopDiscovery")

    async def put(self, path: str, interface: str, name: str, value: Variant) -> None:
        """Set a property."""
        await self.call(path, PROPERTIES, "Set", "ssv", [interface, name, value])

    async def objects(self) -> Objects:
        """Return everything BlueZ has."""
        tree: Objects = (await self.call("/", OBJECTS, "GetManagedObjects"))[0]
        return tree

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        timeout_s: float = CALL_S,
        to: str = SERVICE,
    ) -> Sequence[Any]:
        """Call a method; return what it gives, without variants.

        Raises
        ------
        BluezError
            It was refused, did not answer within `timeout_s`, or the bus is gone.
        """
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self.bus.call(message)
        except TimeoutError as error:
            raise BluezError(TIMED_OUT, f"{member} took longer than {timeout_s:g} s") from error
        except (OSError, EOFError, DBusFastError) as error:
            raise BluezError(LOST, str(error) or type(error).__name__) from error
        if reply is None:
            raise BluezError(LOST, f"the bus was closed during {member}")
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise BluezError(reply.error_name or "unknown", text)
        return tuple(unpack_variants(reply.body))

    @contextlib.asynccontextmanager
    async def watching(self, changed: Changed) -> AsyncIterator[None]:
        """Call `changed` for whatever BlueZ adds or changes; properties unset are given as None."""
        owner = await self._owner()

        def take(message: Message) -> None:
            if message.message_type is not MessageType.SIGNAL or message.sender != owner:
                return
            body = unpack_variants(message.body)
            if message.interface == OBJECTS and message.member == "InterfacesAdded":
                for interface, properties in body[1].items():
                    changed(body[0], interface, properties)
            elif message.interface == PROPERTIES and message.member == "PropertiesChanged":
                changed(message.path or "", body[0], body[1] | dict.fromkeys(body[2]))

        rules = [f"type='signal',sender='{SERVICE}',interface='{one}'" for one in _WATCHED]
        bus = self.bus
        bus.add_message_handler(take)
        try:
            for rule in rules:
                await self._to_bus("AddMatch", rule)
            yield
        finally:
            bus.remove_message_handler(take)
            with contextlib.suppress(BluezError):  # a bus that is gone has forgotten them
                for rule in rules:
                    await self._to_bus("RemoveMatch", rule)

    @contextlib.asynccontextmanager
    async def serving(self, path: str, interface: str, answer: Answer) -> AsyncIterator[None]:
        """Answer what BlueZ calls at a path of ours; nobody else is answered.

        `answer` may raise `BluezError`: its name and text are the reply.
        """
        owner = await self._owner()
        bus = self.bus
        running: set[asyncio.Task[None]] = set()

        async def reply(message: Message) -> None:
            try:
                signature, body = await answer(message.member or "", unpack_variants(message.body))
                said = Message.new_method_return(message, signature, body)
            except BluezError as error:
                said = Message.new_error(message, error.name, error.text)
            if bus.connected:
                await bus.send(said)

        def take(message: Message) -> bool:
            if message.message_type is not MessageType.METHOD_CALL or message.path != path:
                return False
            if message.interface != interface or message.sender != owner:
                return False  # dbus-fast says that there is no such method
            task = asyncio.create_task(reply(message))
            running.add(task)
            task.add_done_callback(running.discard)
            return True

        bus.add_message_handler(take)
        try:
            yield
        finally:
            bus.remove_message_handler(take)
            for task in tuple(running):
                task.cancel()

    async def _owner(self) -> str:
        """Return the unique name of BlueZ; only it can send from it."""
        try:
            return str((await self._to_bus("GetNameOwner", SERVICE))[0])
        except BluezError as error:
            if error.short != "NameHasNoOwner":
                raise
            # The bus starts the service if it can; if it cannot, its own words are better.
            await self._to_bus("StartServiceByName", SERVICE, 0)
            return str((await self._to_bus("GetNameOwner", SERVICE))[0])

    async def _to_bus(self, member: str, *values: object) -> Sequence[Any]:
        signature = "".join("s" if isinstance(value, str) else "u" for value in values)
        return await self.call(
            f"/{DBUS.replace('.', '/')}", DBUS, member, signature, values, to=DBUS
        )


_WATCHED: Final = (OBJECTS, PROPERTIES)
_TRUE: Final = Variant(signature="b", value=True)


def _having(objects: Objects, interface: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(path, at[interface]) for path, at in objects.items() if interface in at]


def _adapter_path(adapter: str) -> str:
    return adapter if adapter.startswith("/") else f"{ROOT}/{adapter}"
