"""Pairing agents of D-Bus clients, and bumble's questions put to them as BlueZ puts them.

BlueZ's rules (src/agent.c, src/device.c):
- Whoever calls ``Pair`` and has an agent is asked himself; else the default agent; the first that
  registers is the default until another asks to be.
- Without any agent the box counts as having neither display nor keys, and even "just works" is
  refused: "No agent available for request type 2".
- "Just works" that the box itself began with ``Pair`` is accepted without asking; one that only
  an encrypted characteristic brought about is asked for with ``RequestAuthorization``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec
from bumble.pairing import PairingConfig, PairingDelegate
from dbus_fast import Message, MessageType

from edge.virtual._dbus_tree import bluez_error

log = logging.getLogger(__name__)

AGENT: Final = "org.bluez.Agent1"
ANSWER_S: Final = 60.0
"""How long BlueZ waits for an agent (REQUEST_TIMEOUT in src/agent.c)."""

_ABLE: Final = PairingDelegate.IoCapability
_CAPABILITIES: Final = {
    "": _ABLE.DISPLAY_OUTPUT_AND_KEYBOARD_INPUT,
    "DisplayOnly": _ABLE.DISPLAY_OUTPUT_ONLY,
    "DisplayYesNo": _ABLE.DISPLAY_OUTPUT_AND_YES_NO_INPUT,
    "KeyboardOnly": _ABLE.KEYBOARD_INPUT_ONLY,
    "NoInputNoOutput": _ABLE.NO_OUTPUT_NO_INPUT,
    "KeyboardDisplay": _ABLE.DISPLAY_OUTPUT_AND_KEYBOARD_INPUT,
}

Call: TypeAlias = Callable[[Message], Awaitable[Message | None]]


class Agent(msgspec.Struct, frozen=True):
    """A client's object that answers when something pairs."""

    sender: str
    path: str
    capability: str


class Agents:
    """The agents that are registered; the last one asked to be the default is."""

    def __init__(self, call: Call, send: Callable[[Message], None]) -> None:
        self._call = call
        self._send = send
        self._known: dict[str, Agent] = {}
        self._default: list[str] = []

    def register(self, sender: str, path: str, capability: str) -> None:
        """Take a client's agent.

        Raises
        ------
        DBusError
            It has one, or the capability is none of BlueZ's.
        """
        if sender in self._known:
            raise bluez_error("AlreadyExists", "Already Exists")
        if capability not in _CAPABILITIES:
            raise bluez_error("InvalidArguments", "Invalid arguments in method call")
        self._known[sender] = Agent(sender, path, capability)
        if not self._default:
            self._default.append(sender)

    def make_default(self, sender: str, path: str) -> None:
        """Let a client's agent answer for everybody.

        Raises
        ------
        DBusError
            The client has no such agent.
        """
        self._own(sender, path)
        self._default = [one for one in self._default if one != sender] + [sender]

    def unregister(self, sender: str, path: str) -> None:
        """Let a client's agent go.

        Raises
        ------
        DBusError
            The client has no such agent.
        """
        self._own(sender, path)
        self.gone(sender)

    def gone(self, sender: str) -> None:
        """Forget the agent of a client that has left the bus."""
        self._known.pop(sender, None)
        self._default = [one for one in self._default if one != sender]

    def clear(self) -> None:
        """Forget all, as when bluetoothd ends."""
        self._known.clear()
        self._default.clear()

    def of(self, sender: str) -> Agent | None:
        """Return who answers when this client pairs; an empty name stands for nobody's wish."""
        if sender in self._known:
            return self._known[sender]
        return self._known[self._default[-1]] if self._default else None

    async def ask(
        self, agent: Agent, member: str, signature: str, body: list[Any]
    ) -> list[Any] | None:
        """Put a question; None: the agent says no, is gone, or takes too long."""
        message = _message(agent, member, signature, body)
        try:
            reply = await asyncio.wait_for(self._call(message), ANSWER_S)
        except TimeoutError:
            self.tell(agent, "Cancel")
            return None
        except asyncio.CancelledError:
            self.tell(agent, "Cancel")
            raise
        if reply is None or reply.message_type == MessageType.ERROR:
            log.info("agent refused %s: %s", member, reply and reply.error_name)
            return None
        return list(reply.body)

    def tell(
        self, agent: Agent, member: str, signature: str = "", body: list[Any] | None = None
    ) -> None:
        """Say something that needs no answer."""
        self._send(_message(agent, member, signature, body or []))

    def _own(self, sender: str, path: str) -> None:
        agent = self._known.get(sender)
        if agent is None or agent.path != path:
            raise bluez_error("DoesNotExist", "Does Not Exist")


def _message(agent: Agent, member: str, signature: str, body: list[Any]) -> Message:
    return Message(
        destination=agent.sender,
        path=agent.path,
        interface=AGENT,
        member=member,
        signature=signature,
        body=body,
    )


class Asker(PairingDelegate):
    """bumble's questions about one device, put to an agent."""

    def __init__(self, agents: Agents, agent: Agent | None, device: str, *, wanted: bool) -> None:
        able = _ABLE.NO_OUTPUT_NO_INPUT if agent is None else _CAPABILITIES[agent.capability]
        super().__init__(able)
        self._agents = agents
        self._agent = agent
        self._device = device
        self._wanted = wanted

    def pairing(self) -> PairingConfig:
        """Return how the box pairs: with Secure Connections, and with a person where it can."""
        return PairingConfig(
            sc=True,
            mitm=self.io_capability != _ABLE.NO_OUTPUT_NO_INPUT,
            bonding=True,
            delegate=self,
            identity_address_type=PairingConfig.AddressType.PUBLIC,
        )

    async def confirm(self, auto: bool = False) -> bool:  # noqa: FBT001, FBT002, ARG002  # bumble's
        """Allow "just works", or not."""
        if self._agent is None:
            log.info("No agent available for request type 2")
            return False
        return self._wanted or await self._ask("RequestAuthorization", "o", []) is not None

    async def compare_numbers(self, number: int, digits: int) -> bool:  # noqa: ARG002  # bumble's
        """Let a person compare two numbers."""
        return await self._ask("RequestConfirmation", "ou", [number]) is not None

    async def get_number(self) -> int | None:
        """Let a person type what the device shows."""
        answer = await self._ask("RequestPasskey", "o", [])
        return int(answer[0]) if answer else None

    async def display_number(self, number: int, digits: int) -> None:  # noqa: ARG002  # bumble's
        """Let a person type on the device what the box shows."""
        if self._agent is not None:
            self._agents.tell(self._agent, "DisplayPasskey", "ouq", [self._device, number, 0])

    async def _ask(self, member: str, signature: str, more: list[Any]) -> list[Any] | None:
        if self._agent is None:
            log.info("No agent available for %s", member)
            return None
        return await self._agents.ask(self._agent, member, signature, [self._device, *more])
