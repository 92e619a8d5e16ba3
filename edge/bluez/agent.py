"""Our own pairing agent: it answers for one device, while a person has the window open.

BlueZ asks an agent of the process that calls ``Pair``, so ours need not be the default one and
takes nothing away from a desktop's. Everything else is refused: another device, another moment,
a PIN of classic Bluetooth.

Source: BlueZ ``doc/org.bluez.Agent.rst`` and ``doc/org.bluez.AgentManager.rst``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

import msgspec

from edge.bluez.bus import ROOT, Bluez
from edge.bluez.objects import LOST, BluezDevice, BluezError

AGENT: Final = "org.bluez.Agent1"
MANAGER: Final = "org.bluez.AgentManager1"
PATH: Final = "/homeward/agent"
CAPABILITY: Final = "KeyboardDisplay"
"""A person can read a number, type one and compare two: the device then chooses the safest."""
REJECTED: Final = "org.bluez.Error.Rejected"
CANCELED: Final = "org.bluez.Error.Canceled"
NO_METHOD: Final = "org.freedesktop.DBus.Error.UnknownMethod"

WINDOW_S: Final = 60.0
"""Longest time in which a device may pair after a person has asked for it."""
HIGHEST_PASSKEY: Final = 999_999

Said = TypeVar("Said")


class Method(StrEnum):
    """How it was proved who pairs (Bluetooth Core 5.4, volume 3, part H, 2.3.5).

    JUST_WORKS: not at all. NUMERIC_COMPARISON: a person compared two numbers. PASSKEY_ENTRY: one
    was shown by the device and typed here. PASSKEY_DISPLAY: shown here and typed on the device.
    """

    JUST_WORKS = "just works"
    NUMERIC_COMPARISON = "numeric comparison"
    PASSKEY_ENTRY = "passkey entry"
    PASSKEY_DISPLAY = "passkey display"

    @property
    def proves(self) -> bool:
        """Whether nobody else can have paired instead of the device."""
        return self is not Method.JUST_WORKS


class Person(Protocol):
    """Who answers for the agent."""

    async def allow(self, device: BluezDevice) -> bool:
        """Say whether a device that proves nothing may pair."""
        ...

    async def confirm(self, device: BluezDevice, number: int) -> bool:
        """Say whether the device shows this number, of six digits, too."""
        ...

    async def passkey(self, device: BluezDevice) -> int | None:
        """Return the number that the device shows; None: there is none to give."""
        ...

    async def show(self, device: BluezDevice, number: int, entered: int) -> None:
        """Show a number that is to be typed on the device, and how many digits have been."""
        ...


class Refusal(msgspec.Struct, frozen=True):
    """What the agent was asked and would not do."""

    path: str
    asked: str
    why: str


class Agent:
    """An agent for the pairing of one device; it is registered while it is entered.

    Parameters
    ----------
    bluez : Bluez
        Connection that will call `Bluez.pair`: BlueZ asks the agent of the same connection.
    device : BluezDevice
        The one device that may pair.
    person : Person
        Who is asked.
    window_s : float
        How long; never more than `WINDOW_S`.

    Attributes
    ----------
    method : Method
        How the device was proved; JUST_WORKS until it was (BlueZ does not ask about a pairing
        without proof that this side began).
    tried : Method
        How the device was to be proved, whether or not it came to that.
    refused : list[Refusal]
        What was not done, and why.
    trouble : BaseException | None
        What went wrong while the person was asked.
    """

    def __init__(
        self, bluez: Bluez, device: BluezDevice, person: Person, window_s: float = WINDOW_S
    ) -> None:
        self.method = self.tried = Method.JUST_WORKS
        self.refused: list[Refusal] = []
        self.trouble: BaseException | None = None
        self._bluez, self._device, self._person = bluez, device, person
        self._window_s = min(window_s, WINDOW_S)
        self._closes_s = 0.0
        self._question: asyncio.Future[Any] | None = None
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Register with BlueZ and open the window.

        Raises
        ------
        BluezError
            BlueZ is not there, or will not have an agent of this user.
        """
        self._closes_s = asyncio.get_running_loop().time() + self._window_s
        try:
            await self._open.enter_async_context(self._bluez.serving(PATH, AGENT, self._answer))
            await self._to_manager("RegisterAgent", "os", [PATH, CAPABILITY])
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the window and unregister; what is being asked is refused."""
        self._closes_s = 0.0
        self._drop_question()
        try:
            await self._to_manager("UnregisterAgent", "o", [PATH])
        except BluezError as gone:
            # A BlueZ that was restarted, or a bus that was closed, knows no agent any more.
            if gone.short not in {"DoesNotExist", "ServiceUnknown"} and gone.name != LOST:
                raise
        finally:
            await self._open.aclose()

    @property
    def left_s(self) -> float:
        """How long the window stays open."""
        return max(0.0, self._closes_s - asyncio.get_running_loop().time())

    async def _answer(self, member: str, body: Sequence[Any]) -> tuple[str, list[Any]]:
        if member in {"Cancel", "Release"}:
            self._drop_question()
            if member == "Release":
                self._closes_s = 0.0
            return "", []
        if member not in _ASKS:
            raise BluezError(NO_METHOD, f"{AGENT} has no {member}")
        self._check(member, body[0])
        return await self._asked(member, body)

    async def _asked(self, member: str, body: Sequence[Any]) -> tuple[str, list[Any]]:
        device, person = self._device, self._person
        self.tried = _ASKS[member] or self.tried
        answer: list[Any] = []
        match member:
            case "RequestConfirmation":
                await self._must(member, person.confirm(device, body[1]))
            case "RequestPasskey":
                number = await self._ask(member, person.passkey(device))
                if number is None or not 0 <= number <= HIGHEST_PASSKEY:
                    raise self._refusal(member, device.path, "no passkey was given")
                answer = [number]
            case "DisplayPasskey":
                await self._ask(member, person.show(device, body[1], body[2]))
            case "RequestAuthorization":
                await self._must(member, person.allow(device))
            case _:
                pass  # AuthorizeService: the device's own services may be used
        self.method = _ASKS[member] or self.method
        return "u" * len(answer), answer

    def _check(self, member: str, path: str) -> None:
        """Refuse what nobody has opened a window for."""
        if path != self._device.path:
            raise self._refusal(member, path, "another device is being paired")
        if not self.left_s:
            raise self._refusal(member, path, "the pairing window has closed")
        if member in {"RequestPinCode", "DisplayPinCode"}:
            raise self._refusal(member, path, "PIN codes are of classic Bluetooth; this box is LE")

    async def _must(self, member: str, question: Awaitable[bool]) -> None:
        if not await self._ask(member, question):
            raise self._refusal(member, self._device.path, "the person said no")

    async def _ask(self, member: str, question: Awaitable[Said]) -> Said:
        """Ask the person, for as long as the window is open and BlueZ waits."""
        self._drop_question()
        asked: asyncio.Future[Said] = asyncio.ensure_future(question)
        self._question = asked
        done, _ = await asyncio.wait({asked}, timeout=self.left_s)
        if not done:
            self._drop_question()
            raise self._refusal(member, self._device.path, "nobody answered in time")
        if asked.cancelled():
            raise BluezError(CANCELED, "the pairing was ended")
        self.trouble = asked.exception()
        if self.trouble is not None:
            raise self._refusal(member, self._device.path, f"asking failed: {self.trouble}")
        return asked.result()

    def _refusal(self, member: str, path: str, why: str) -> BluezError:
        self.refused.append(Refusal(path, member, why))
        return BluezError(REJECTED, why)

    def _drop_question(self) -> None:
        if self._question is not None and not self._question.done():
            self._question.cancel()

    async def _to_manager(self, member: str, signature: str, body: list[str]) -> None:
        await self._bluez.call(ROOT, MANAGER, member, signature, body)


_ASKS: Final[Mapping[str, Method | None]] = {
    "AuthorizeService": None,
    "DisplayPasskey": Method.PASSKEY_DISPLAY,
    "DisplayPinCode": None,
    "RequestAuthorization": None,
    "RequestConfirmation": Method.NUMERIC_COMPARISON,
    "RequestPasskey": Method.PASSKEY_ENTRY,
    "RequestPinCode": None,
}
"""What BlueZ may ask, and how the device is proved by it."""
