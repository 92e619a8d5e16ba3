"""Method calls of D-Bus clients, taken to the adapter, device or characteristic they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from dbus_fast import Message

from edge.virtual._adapter import ADAPTER, Adapter
from edge.virtual._agents import Agents
from edge.virtual._dbus_tree import (
    OBJECT_MANAGER,
    PROPERTIES,
    DBusError,
    Tree,
    bluez_error,
    typed,
    unknown_object,
)
from edge.virtual._faults import Faults
from edge.virtual._introspection import describe, describe_root, knows, results
from edge.virtual._remote import DEVICE, Remote

ROOT: Final = "/org/bluez"
AGENT_MANAGER: Final = "org.bluez.AgentManager1"
INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"

Answer: TypeAlias = tuple[str, list[Any]]
"""D-Bus types and values of what a call gives."""


class Calls:
    """Where each call goes."""

    def __init__(
        self, tree: Tree, agents: Agents, faults: Faults, adapters: Mapping[str, Adapter]
    ) -> None:
        self._tree = tree
        self._agents = agents
        self._faults = faults
        self._adapters = adapters

    async def carry_out(self, message: Message) -> Answer:
        """Do what a client asks for.

        Raises
        ------
        DBusError
            It cannot be done.
        """
        path, interface, member = message.path or "", message.interface or "", message.member or ""
        if interface == INTROSPECTABLE:
            return "s", [self._describe(path)]
        if interface == OBJECT_MANAGER:
            return "a{oa{sa{sv}}}", [self._tree.all()]
        if path not in self._tree.objects:
            raise unknown_object(path)
        error = self._faults.next_call(member)
        if error is not None:
            raise error
        if interface == PROPERTIES:
            return await self._properties(path, member, message.body)
        if interface not in self._tree.objects[path] or not knows(interface, member):
            raise DBusError("org.freedesktop.DBus.Error.UnknownMethod", f"No {interface}.{member}")
        given = await self._method(path, interface, member, message)
        return results(interface, member), given

    async def _properties(self, path: str, member: str, body: list[Any]) -> Answer:
        values = self._tree.objects[path].get(body[0])
        if values is None:
            raise DBusError("org.freedesktop.DBus.Error.InvalidArgs", f"No interface {body[0]}")
        if member == "GetAll":
            return "a{sv}", [typed(values)]
        if member == "Get":
            if body[1] not in values:
                raise DBusError("org.freedesktop.DBus.Error.InvalidArgs", f"No property {body[1]}")
            return "v", [typed(values)[body[1]]]
        if body[0] == ADAPTER:
            await self._adapter(path).set(body[1], body[2].value)
        elif body[0] == DEVICE and body[1] in ("Trusted", "Blocked", "Alias"):
            self._tree.put(path, DEVICE, {body[1]: body[2].value})
        else:
            raise bluez_error("Failed", f"{body[1]} is read-only")
        return "", []

    async def _method(self, path: str, interface: str, member: str, message: Message) -> list[Any]:
        sender, body = message.sender or "", message.body
        if interface == AGENT_MANAGER:
            self._agent_call(member, sender, body)
            return []
        adapter = self._adapter(path)
        if interface == ADAPTER:
            return await adapter.call(member, sender, body)
        remote = adapter.remotes["/".join(path.split("/")[:5])]
        if interface == DEVICE:
            await _device_call(remote, member, sender)
            return []
        return await remote.table.call(path, member, sender, body)

    def _agent_call(self, member: str, sender: str, body: list[Any]) -> None:
        if member == "RegisterAgent":
            self._agents.register(sender, body[0], body[1])
        elif member == "RequestDefaultAgent":
            self._agents.make_default(sender, body[0])
        else:
            self._agents.unregister(sender, body[0])

    def _adapter(self, path: str) -> Adapter:
        return self._adapters[path.split("/")[3]]

    def _describe(self, path: str) -> str:
        below = path.rstrip("/") + "/"
        paths = [one[len(below) :] for one in self._tree.objects if one.startswith(below)]
        children = {one.split("/")[0] for one in paths}
        if path == "/":
            return describe_root(children)
        return describe(self._tree.objects.get(path, {}), children)


async def _device_call(remote: Remote, member: str, sender: str) -> None:
    match member:
        case "Connect":
            await remote.connect()
        case "Disconnect":
            await remote.disconnect()
        case "Pair":
            await remote.pair(sender)
        case _:
            await remote.cancel_pairing()
