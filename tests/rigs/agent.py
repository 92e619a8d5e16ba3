"""A pairing agent as a client of BlueZ has it, with a person who does as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from tests.rigs.running import until

PATH = "/tests/agent"


class Agent:
    """Answers BlueZ's questions, and remembers them.

    Attributes
    ----------
    asked : list[tuple[str, list[Any]]]
        Member and arguments of every question.
    passkey : Callable[[], int | None]
        What a person would type; asked again until there is something.
    agrees : bool
        Whether the person says yes.
    """

    def __init__(self, capability: str, passkey: Callable[[], int | None] = lambda: None) -> None:
        self.capability = capability
        self.passkey = passkey
        self.agrees = True
        self.asked: list[tuple[str, list[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._take)
        await self.call("RegisterAgent", "os", [PATH, self.capability])
        await self.call("RequestDefaultAgent", "o", [PATH])
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()

    async def call(self, member: str, signature: str, body: list[Any]) -> None:
        reply = await self._bus.call(
            Message(
                destination="org.bluez",
                path="/org/bluez",
                interface="org.bluez.AgentManager1",
                member=member,
                signature=signature,
                body=body,
            )
        )
        assert reply is not None
        assert reply.message_type is MessageType.METHOD_RETURN, reply.error_name

    def members(self) -> list[str]:
        return [member for member, _ in self.asked]

    def _take(self, message: Message) -> bool | None:
        called = message.message_type is MessageType.METHOD_CALL
        if not called or message.interface != "org.bluez.Agent1":
            return None
        self.asked.append((str(message.member), list(message.body)))
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, message: Message) -> None:
        if not self.agrees:
            answer = Message.new_error(message, "org.bluez.Error.Rejected", "no")
        elif message.member == "RequestPasskey":
            await until(lambda: self.passkey() is not None, 30.0)
            typed = self.passkey()
            answer = Message.new_method_return(message, "u", [typed])
        else:
            answer = Message.new_method_return(message)
        self._bus.send(answer)
