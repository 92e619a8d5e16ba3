"""What a virtual wearable can show and be told when it pairs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from bumble.pairing import PairingConfig, PairingDelegate

_ABLE: Final = PairingDelegate.IoCapability


class Face(StrEnum):
    """What a device has for people (Bluetooth Core 5.4, volume 3, part H, 2.3.2)."""

    NOTHING = "nothing"
    DISPLAY = "display"
    YES_NO = "yes_no"
    KEYBOARD = "keyboard"


_CAPABILITIES: Final = {
    Face.NOTHING: _ABLE.NO_OUTPUT_NO_INPUT,
    Face.DISPLAY: _ABLE.DISPLAY_OUTPUT_ONLY,
    Face.YES_NO: _ABLE.DISPLAY_OUTPUT_AND_YES_NO_INPUT,
    Face.KEYBOARD: _ABLE.KEYBOARD_INPUT_ONLY,
}


class Screen(PairingDelegate):
    """Display and buttons of one wearable.

    Attributes
    ----------
    number : int | None
        What the display shows now.
    shown : asyncio.Event
        Set while a number is shown.
    accepts : bool
        Whether it lets itself be paired with at all.
    says_yes : bool
        Whether its owner says that the numbers on both sides are the same.
    on_number : Callable[[int], None] | None
        Called with every number it shows.
    """

    def __init__(self, face: Face, dice: random.Random) -> None:
        super().__init__(_CAPABILITIES[face])
        self.face = face
        self.number: int | None = None
        self.shown = asyncio.Event()
        self.accepts = True
        self.says_yes = True
        self.on_number: Callable[[int], None] | None = None
        self._typed: int | None = None
        self._has_typed = asyncio.Event()
        self._dice = dice

    def pairing(self, *, secure_connections: bool) -> PairingConfig:
        """Return how the device pairs."""
        return PairingConfig(
            sc=secure_connections,
            mitm=self.face is not Face.NOTHING,
            bonding=True,
            delegate=self,
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )

    async def accept(self) -> bool:
        """Take part in a pairing, unless it was told not to."""
        return self.accepts

    async def compare_numbers(self, number: int, digits: int) -> bool:  # noqa: ARG002  # bumble's
        """Show a number and answer whether it is the same on the other side."""
        self._show(number)
        return self.says_yes

    async def get_number(self) -> int | None:
        """Wait for what is typed."""
        await self._has_typed.wait()
        self._has_typed.clear()
        return self._typed

    def type(self, number: int | None) -> None:
        """Let its owner type a number on its keyboard; None: gives up."""
        self._typed = number
        self._has_typed.set()

    async def display_number(self, number: int, digits: int) -> None:  # noqa: ARG002  # bumble's
        """Show a number that has to be typed on the other side."""
        self._show(number)

    async def generate_passkey(self) -> int:
        """Choose the number to show; never 0, which bumble takes for none."""
        return self._dice.randint(1, 999_999)

    def clear(self) -> None:
        """Show nothing any more."""
        self.number = None
        self.shown.clear()

    def _show(self, number: int) -> None:
        self.number = number
        self.shown.set()
        if self.on_number is not None:
            self.on_number(number)
