"""Links of the small BlueZ's radio: whether one lives, and ending it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from bumble.core import ConnectionError as LinkError
from bumble.device import Connection
from bumble.hci import HCI_Error, HCI_ErrorCode

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
