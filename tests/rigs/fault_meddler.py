"""What can go wrong between a client and BlueZ, beyond what the small BlueZ does wrong by itself.

A meddler sits before the small BlueZ's methods and signals: it lets calls hang, freezes the whole
service, plays a controller that is dead until it is mended by a certain step, and counts how often
a scan is started that is on already, which can lock a real controller up (ncmd = 0).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from edge.virtual._bluez import Bluez
from edge.virtual._dbus_tree import DBusError
from edge.virtual._remote_gatt import CHARACTERISTIC

LOGIND = "org.freedesktop.login1"


class Meddler:
    """Stands before one small BlueZ.

    Attributes
    ----------
    hang : Counter[str]
        By method: as many calls are neither carried out nor answered.
    swallow : Counter[str]
        By method: as many calls are carried out and never answered.
    dead : DBusError | None
        How ``StartDiscovery`` and ``Connect`` fail while the controller is dead.
    cured_by : str
        What brings it to life: ``cycle``, ``reset`` (a cycle after what BlueZ remembers was
        dropped) or empty: nothing that BlueZ is asked for.
    fails : list[tuple[str, str, DBusError]]
        Method, characteristic and error: each lets one call fail.
    n_double_starts : int
        Scans that were started by a client whose scan was on.
    steps : list[tuple[float, str]]
        When the radio was switched ``off`` and ``on``, and a device was ``removed``.
    """

    def __init__(self, bluez: Bluez) -> None:
        self._bluez = bluez
        self._calls: Any = bluez._calls
        bluez._calls = self  # type: ignore[assignment]
        self._send = bluez.tree._send
        bluez.tree._send = self._told
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._held: list[Message] = []
        self.n_double_starts = 0
        self.steps: list[tuple[float, str]] = []
        self.clear()

    def clear(self) -> None:
        """Take all trouble away; what hangs goes on hanging."""
        self.hang: Counter[str] = Counter()
        self.swallow: Counter[str] = Counter()
        self.fails: list[tuple[str, str, DBusError]] = []
        self.dead: DBusError | None = None
        self.cured_by = ""
        self._was_removed = False
        self.thaw()

    def freeze(self) -> None:
        """Let bluetoothd stand still, as a stopped process does."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Let it go on: what waited is answered, what it had to say is said."""
        self._thawed.set()
        held, self._held = self._held, []
        for message in held:
            self._send(message)

    def die(self, error: DBusError, cured_by: str) -> None:
        """Let the controller be dead until it is mended in a certain way."""
        self.dead, self.cured_by, self._was_removed = error, cured_by, False

    async def carry_out(self, message: Message) -> Any:
        """Do what a client asks for, or what goes wrong instead."""
        await self._thawed.wait()
        member = message.member or ""
        if member == "StartDiscovery":
            self._look_for_double(message)
        if self.hang[member] > 0:
            self.hang[member] -= 1
            await asyncio.get_running_loop().create_future()
        if self.dead is not None and member in ("StartDiscovery", "Connect"):
            raise self.dead
        self._fail(message.path or "", member)
        answer = await self._calls.carry_out(message)
        self._see(message, member)
        if self.swallow[member] > 0:
            self.swallow[member] -= 1
            await asyncio.get_running_loop().create_future()
        return answer

    def _fail(self, path: str, member: str) -> None:
        uuid = self._bluez.tree.objects.get(path, {}).get(CHARACTERISTIC, {}).get("UUID", "")
        for one in self.fails:
            if one[:2] == (member, uuid):
                self.fails.remove(one)
                raise one[2]

    def _told(self, message: Message) -> None:
        if self._thawed.is_set():
            self._send(message)
        else:
            self._held.append(message)

    def _look_for_double(self, message: Message) -> None:
        adapter = self._bluez.adapters[(message.path or "").split("/")[3]]
        if adapter.powered and message.sender in adapter.discovery._sessions:
            self.n_double_starts += 1

    def _see(self, message: Message, member: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if member == "RemoveDevice":
            self._was_removed = True
            self.steps.append((now_s, "removed"))
        elif member == "Set" and message.body[1] == "Powered":
            is_on = bool(message.body[2].value)
            self.steps.append((now_s, "on" if is_on else "off"))
            if is_on:
                self._cycled()

    def _cycled(self) -> None:
        if self.cured_by == "cycle" or (self.cured_by == "reset" and self._was_removed):
            self.dead, self.cured_by = None, ""


class Logind:
    """Stands in for logind on the private bus: notes when it is asked to start the box anew."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._bus: MessageBus | None = None
        self.asked = asyncio.Event()
        self.asked_s: list[float] = []

    async def start(self) -> None:
        """Take the name."""
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._take)
        await self._bus.request_name(LOGIND)

    async def stop(self) -> None:
        """Leave the bus."""
        if self._bus is not None:
            self._bus.disconnect()
            await self._bus.wait_for_disconnect()

    def _take(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Reboot":
            return None
        self.asked_s.append(asyncio.get_running_loop().time())
        self.asked.set()
        return Message.new_method_return(message)
