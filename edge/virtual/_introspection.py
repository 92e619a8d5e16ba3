"""What the objects of the small BlueZ say of themselves, for clients that ask before they call.

Source: the interface descriptions in BlueZ's ``doc/org.bluez.*.rst``; only what is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from edge.virtual._dbus_tree import OBJECT_MANAGER, PROPERTIES, Values, typed

_METHODS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    OBJECT_MANAGER: {"GetManagedObjects": ("", "a{oa{sa{sv}}}")},
    PROPERTIES: {"Get": ("ss", "v"), "Set": ("ssv", ""), "GetAll": ("s", "a{sv}")},
    "org.bluez.AgentManager1": {
        "RegisterAgent": ("os", ""),
        "UnregisterAgent": ("o", ""),
        "RequestDefaultAgent": ("o", ""),
    },
    "org.bluez.Adapter1": {
        "StartDiscovery": ("", ""),
        "StopDiscovery": ("", ""),
        "SetDiscoveryFilter": ("a{sv}", ""),
        "GetDiscoveryFilters": ("", "as"),
        "RemoveDevice": ("o", ""),
    },
    "org.bluez.Device1": {
        "Connect": ("", ""),
        "Disconnect": ("", ""),
        "Pair": ("", ""),
        "CancelPairing": ("", ""),
    },
    "org.bluez.GattService1": {},
    "org.bluez.GattCharacteristic1": {
        "ReadValue": ("a{sv}", "ay"),
        "WriteValue": ("aya{sv}", ""),
        "StartNotify": ("", ""),
        "StopNotify": ("", ""),
    },
    "org.bluez.GattDescriptor1": {"ReadValue": ("a{sv}", "ay"), "WriteValue": ("aya{sv}", "")},
}
"""Methods by interface: what goes in, what comes out."""

_SIGNALS: Final[Mapping[str, Mapping[str, str]]] = {
    OBJECT_MANAGER: {"InterfacesAdded": "oa{sa{sv}}", "InterfacesRemoved": "oas"},
    PROPERTIES: {"PropertiesChanged": "sa{sv}as"},
}
_WRITABLE: Final = frozenset(
    {
        "Alias",
        "Blocked",
        "Discoverable",
        "DiscoverableTimeout",
        "Pairable",
        "PairableTimeout",
        "Powered",
        "Trusted",
    }
)


def knows(interface: str, member: str) -> bool:
    """Return whether an interface has a method."""
    return member in _METHODS.get(interface, {})


def results(interface: str, member: str) -> str:
    """Return the D-Bus type of what a method gives."""
    return _METHODS[interface][member][1]


def describe(interfaces: Mapping[str, Values], children: Iterable[str]) -> str:
    """Return an object in D-Bus's introspection format."""
    parts = [_interface(name, values) for name, values in interfaces.items()]
    if interfaces:
        parts.append(_interface(PROPERTIES, {}))
    parts += [f'<node name="{child}"/>' for child in sorted(children)]
    return "<node>" + "".join(parts) + "</node>"


def describe_root(children: Iterable[str]) -> str:
    """Return the root object, which lists all others."""
    nodes = "".join(f'<node name="{child}"/>' for child in sorted(children))
    return "<node>" + _interface(OBJECT_MANAGER, {}) + nodes + "</node>"


def _interface(name: str, values: Values) -> str:
    parts = [f'<interface name="{name}">']
    for member, (taken, given) in _METHODS.get(name, {}).items():
        parts.append(f'<method name="{member}">')
        parts += [f'<arg type="{one}" direction="in"/>' for one in _split(taken)]
        parts += [f'<arg type="{one}" direction="out"/>' for one in _split(given)]
        parts.append("</method>")
    for member, told in _SIGNALS.get(name, {}).items():
        arguments = "".join(f'<arg type="{one}"/>' for one in _split(told))
        parts.append(f'<signal name="{member}">{arguments}</signal>')
    for key, value in typed(values).items():
        access = "readwrite" if key in _WRITABLE else "read"
        parts.append(f'<property name="{key}" type="{value.signature}" access="{access}"/>')
    return "".join(parts) + "</interface>"


def _split(signature: str) -> list[str]:
    """Return the single complete types of a signature.

    >>> _split("oa{sa{sv}}as")
    ['o', 'a{sa{sv}}', 'as']
    """
    pieces: list[str] = []
    depth, begin = 0, 0
    for at, letter in enumerate(signature):
        depth += (letter == "{") - (letter == "}")
        if depth == 0 and letter != "a":
            pieces.append(signature[begin : at + 1])
            begin = at + 1
    return pieces
