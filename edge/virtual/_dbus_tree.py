"""A tree of D-Bus objects with their interfaces and properties, and the signals that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from dbus_fast import Message, Variant

OBJECT_MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"

Values: TypeAlias = dict[str, Any]
"""Properties of one interface, by name; D-Bus values are of any type."""

_SIGNATURES: Final[Mapping[str, str]] = {
    "Adapter": "o",
    "AdvertisingFlags": "ay",
    "Appearance": "q",
    "Blocked": "b",
    "Bonded": "b",
    "Characteristic": "o",
    "Class": "u",
    "Connected": "b",
    "Device": "o",
    "Discoverable": "b",
    "DiscoverableTimeout": "u",
    "Discovering": "b",
    "Flags": "as",
    "Includes": "ao",
    "LegacyPairing": "b",
    "MTU": "q",
    "ManufacturerData": "a{qv}",
    "NotifyAcquired": "b",
    "Notifying": "b",
    "Pairable": "b",
    "PairableTimeout": "u",
    "Paired": "b",
    "Powered": "b",
    "Primary": "b",
    "RSSI": "n",
    "Roles": "as",
    "Service": "o",
    "ServiceData": "a{sv}",
    "ServicesResolved": "b",
    "Trusted": "b",
    "TxPower": "n",
    "UUIDs": "as",
    "Value": "ay",
    "WriteAcquired": "b",
}
"""D-Bus types of BlueZ's properties; what is not here is a string."""


class DBusError(Exception):
    """What a D-Bus call is answered with instead of a result.

    Attributes
    ----------
    name : str
        ``org.bluez.Error.Failed`` and the like.
    text : str
        The text beside it.
    """

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


def bluez_error(name: str, text: str = "") -> DBusError:
    """Return an error of BlueZ's own."""
    return DBusError(f"org.bluez.Error.{name}", text)


def unknown_object(path: str) -> DBusError:
    """Return what the D-Bus library itself says of an object that is not there."""
    return DBusError("org.freedesktop.DBus.Error.UnknownObject", f"Unknown object '{path}'")


class Tree:
    """Objects by path; what changes is told through `send`."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self.objects: dict[str, dict[str, Values]] = {}

    def add(self, path: str, interfaces: dict[str, Values]) -> None:
        """Add an object."""
        self.objects[path] = interfaces
        self._signal(
            "/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, typed_all(interfaces)]
        )

    def remove(self, path: str) -> None:
        """Remove an object and those below it, the lowest first."""
        below = [one for one in self.objects if one == path or one.startswith(path + "/")]
        for one in sorted(below, reverse=True):
            interfaces = self.objects.pop(one)
            self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [one, list(interfaces)])

    def remove_interface(self, path: str, interface: str) -> None:
        """Remove one interface of an object."""
        del self.objects[path][interface]
        self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, [interface]])

    def put(self, path: str, interface: str, values: Values, *, always: bool = False) -> None:
        """Change properties; what stays as it was is told only if `always`."""
        now = self.objects.get(path, {}).get(interface)
        if now is None:
            return
        changed = {k: v for k, v in values.items() if always or k not in now or now[k] != v}
        if not changed:
            return
        now.update(changed)
        self._signal(
            path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, typed(changed), []]
        )

    def drop(self, path: str, interface: str, *names: str) -> None:
        """Take properties away."""
        now = self.objects.get(path, {}).get(interface, {})
        gone = [name for name in names if now.pop(name, None) is not None]
        if gone:
            self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, {}, gone])

    def all(self) -> dict[str, dict[str, dict[str, Variant]]]:
        """Return everything, as ``GetManagedObjects`` gives it."""
        return {path: typed_all(interfaces) for path, interfaces in self.objects.items()}

    def _signal(
        self, path: str, interface: str, name: str, signature: str, body: list[Any]
    ) -> None:
        self._send(Message.new_signal(path, interface, name, signature, body))


def typed(values: Values) -> dict[str, Variant]:
    """Return properties with their D-Bus types."""
    return {name: Variant(_SIGNATURES.get(name, "s"), value) for name, value in values.items()}


def typed_all(interfaces: Mapping[str, Values]) -> dict[str, dict[str, Variant]]:
    """Return the properties of interfaces with their D-Bus types."""
    return {name: typed(values) for name, values in interfaces.items()}
