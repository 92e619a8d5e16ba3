"""The window: for a minute at most, one device may pair, and a person answers for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from edge.bluez import (
    FULL_KEY_BYTES,
    TIMED_OUT,
    Adapter,
    Agent,
    Bluez,
    BluezDevice,
    BluezError,
    Bond,
    Method,
    Person,
)
from edge.pairing.errors import PairingError, explained
from edge.pairing.finding import called
from edge.records import Security


class Guide(Person, Protocol):
    """The person who pairs, and what is told to him."""

    async def adopt(self, device: BluezDevice) -> bool:
        """Say whether a device is his that somebody has bonded with this computer before."""
        ...

    async def unpaired(self, device: BluezDevice) -> bool:
        """Say whether a device may be used that anybody can pretend to be."""
        ...

    def tell(self, text: str) -> None:
        """Say what is being done."""
        ...


async def bond(
    bluez: Bluez, adapter: Adapter, device: BluezDevice, guide: Guide, window_s: float
) -> Method:
    """Open the window, pair, close it; return how the device was proved.

    Parameters
    ----------
    bluez : Bluez
        The connection to BlueZ.
    adapter, device : Adapter, BluezDevice
        What pairs with what; `device` was heard just now.
    guide : Guide
        Who is asked.
    window_s : float
        How long it may take, at most a minute.

    Raises
    ------
    PairingError
        It came to nothing; the window is closed.
    """
    doing = f"cannot pair {called(device)}"
    guide.tell(f"pairing with {called(device)}; the window is open for {window_s:.0f} s")
    agent = Agent(bluez, device, guide, window_s)
    paired = False
    try:
        async with _pairable(bluez, adapter, window_s), agent:
            try:
                await bluez.pair(device.path, agent.left_s)
                paired = True
            finally:
                if not paired:
                    await _called_off(bluez, device)
    except BluezError as error:
        if agent.trouble is not None:
            raise agent.trouble from error
        if error.name == TIMED_OUT:
            raise PairingError(
                f"{doing}: nothing came of it within {window_s:.0f} s and the window is closed; "
                f"keep it near and awake and try again"
            ) from error
        if agent.refused:
            raise PairingError(f"{doing}: {agent.refused[-1].why}; try again") from error
        raise explained(error, doing, agent.tried) from error
    return agent.method


@contextlib.asynccontextmanager
async def _pairable(bluez: Bluez, adapter: Adapter, window_s: float) -> AsyncIterator[None]:
    """Let the radio pair for a while; BlueZ ends it by itself should we not live to do so."""
    await bluez.set_pairable_for(adapter.path, window_s)
    try:
        yield
    finally:
        # A bus that is lost or a radio that has gone cannot be told; the time limit is set.
        with contextlib.suppress(BluezError):
            await bluez.set_pairable(adapter.path, False)  # noqa: FBT003  # reads as it is said


async def _called_off(bluez: Bluez, device: BluezDevice) -> None:
    """End a pairing that failed; what BlueZ has ended itself needs no ending."""
    for ending in (bluez.cancel_pairing, bluez.disconnect):
        with contextlib.suppress(BluezError):
            await ending(device.path)


def secured(method: Method, bond: Bond | None, name: str = "the sensor") -> Security:
    """Return how far a bond is to be trusted: what is proved, and no more.

    Parameters
    ----------
    method : Method
        How it was made, as our agent saw it.
    bond : Bond | None
        What BlueZ keeps of it; None where that may not be read.

    Raises
    ------
    PairingError
        Its key is shorter than 16 bytes: it can be guessed.
    """
    if bond is None:
        return Security.AUTHENTICATED if method.proves else Security.ENCRYPTED
    if bond.key_bytes < FULL_KEY_BYTES:
        raise PairingError(
            f"{name} is refused: its key has {bond.key_bytes} bytes and can be guessed "
            f"({FULL_KEY_BYTES} are needed); it may have newer firmware, or use it with --unpaired"
        )
    if not bond.proved or bond.debug:
        return Security.ENCRYPTED
    return Security.SECURE if bond.secure_connections else Security.AUTHENTICATED
