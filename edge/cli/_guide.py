"""The person at the command line, as pairing asks him."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.cli._prompt import agree, ask, on_terminal, say
from edge.pairing.finding import called

if TYPE_CHECKING:
    from edge.bluez import BluezDevice


class CommandGuide:
    """Asks on the terminal, or answers from the flags where there is none.

    Parameters
    ----------
    given_passkey : int | None
        What ``--passkey`` gave.
    yes : bool
        ``--yes``: consent was given on the command line.
    """

    def __init__(self, given_passkey: int | None, *, yes: bool) -> None:
        self._given_passkey, self._yes = given_passkey, yes
        self._shown: int | None = None

    async def allow(self, device: BluezDevice) -> bool:
        """Allow it: a person has named this device, and nothing proves it whatever he says."""
        say(f"{called(device)} proves nothing when it pairs: see that no other one is near")
        return True

    async def confirm(self, device: BluezDevice, number: int) -> bool:
        """Let the person compare; never without one, or the number would prove nothing."""
        if not on_terminal():
            say(
                f"{called(device)} wants a person to compare the number {number:06d}; run "
                f"`homeward pair` on a terminal"
            )
            return False
        return await agree(f"Does {called(device)} show {number:06d}?")

    async def passkey(self, device: BluezDevice) -> int | None:
        """Return the six digits the sensor shows."""
        if self._given_passkey is not None:
            return self._given_passkey
        if not on_terminal():
            say(f"{called(device)} shows a passkey: give it with --passkey, or use a terminal")
            return None
        while True:
            answer = (await ask(f"Which six digits does {called(device)} show?")).replace(" ", "")
            if answer.isdecimal() and answer.isascii() and len(answer) <= 6:
                return int(answer)
            say("six digits, please")

    async def show(self, device: BluezDevice, number: int, entered: int) -> None:
        """Show the number that is to be typed on the sensor, once."""
        del entered  # few sensors tell, and a line for each digit is no help
        if number != self._shown:
            self._shown = number
            say(f"Type {number:06d} on {called(device)}")

    async def adopt(self, device: BluezDevice) -> bool:
        """Ask whether a device that is bonded already is the person's."""
        text = f"{called(device)} is bonded with this computer already, but is no sensor of it"
        if self._yes:
            return True
        if not on_terminal():
            say(f"{text}: --yes takes it over, --again makes a new bond")
            return False
        return await agree(f"{text}. Take it over?")

    async def unpaired(self, device: BluezDevice) -> bool:
        """Warn, and ask where somebody can answer; ``--unpaired`` was the word elsewhere."""
        say(
            f"Warning: {called(device)} will be used without a bond. Anybody near can listen to "
            f"it, pretend to be it, and send false values. All it sends is marked as open."
        )
        return self._yes or not on_terminal() or await agree("Use it nevertheless?")

    def tell(self, text: str) -> None:
        """Say what is being done."""
        say(text)
