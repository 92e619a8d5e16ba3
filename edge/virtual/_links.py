"""Links of the small BlueZ's radio: making one, whether one lives, and ending it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bumble.controller import Controller
from bumble.core import ConnectionError as LinkError
from bumble.device import Connection, Device
from bumble.hci import Address, HCI_Error, HCI_ErrorCode, OwnAddressType

MAKE_S: Final = 2.0
"""Time the controller has for a link to a device it has just heard."""
HANG_UP_S: Final = 2.0
"""How long the radio may take to end a link."""
BY_USER: Final = HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
BY_SECURITY: Final = HCI_ErrorCode.AUTHENTICATION_FAILURE_ERROR


def alive(link: Connection) -> bool:
    """Return whether a link is up; bumble does not say so itself."""
    return link.device.connections.get(link.handle) is link


async def hang_up(link: Connection, reason: int = BY_USER) -> None:
    """End a link, if it is still up."""
    # The news of a link that has just ended comes when the loop comes round.
    await asyncio.sleep(0)
    if alive(link):
        with suppress(LinkError, HCI_Error, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(HANG_UP_S):
                await link.disconnect(reason)


class Linking:
    """Makes the links of one radio, one at a time; none stays that nobody waits for."""

    def __init__(self, device: Device, controller: Controller) -> None:
        self._device, self._controller = device, controller
        self._one = asyncio.Lock()
        self._is_making = False
        self._made: Connection | None = None
        self._ending: set[asyncio.Future[None]] = set()
        device.on("connection", self._linked)

    async def make(self, address: Address) -> Connection:
        """Make a link to a device that is there now.

        Raises
        ------
        TimeoutError
            It was not there any more.
        """
        async with self._one:
            self._is_making, self._made = True, None
            try:
                async with asyncio.timeout(MAKE_S):
                    return await self._device.connect(
                        address, own_address_type=OwnAddressType.PUBLIC, timeout=None
                    )
            except BaseException:
                if self._made is not None:  # in the moment in which it was given up
                    self._end(self._made)
                raise
            finally:
                self._is_making = False
                # bumble's controller answers a cancel, and goes on waiting all the same.
                self._controller.pending_le_connection = None
                self._device.le_connecting = False
                # The news of a link that was made all the same may be on its way: without this
                # bumble's host fails on it, and its controller keeps a link nobody knows of.
                self._device.connect_own_address_type = OwnAddressType.PUBLIC

    def _linked(self, link: Connection) -> None:
        if self._is_making:
            self._made = link
        else:
            self._end(link)

    def _end(self, link: Connection) -> None:
        ending = asyncio.ensure_future(hang_up(link))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
