"""Clearing away, at the start, what a crash has left in BlueZ.

A process that is killed while it connects leaves BlueZ with an attempt that never ends, and every
further one fails with ``InProgress``, for hours (bleak-retry-connector issue 226). Forgetting the
device helps, but forgets its bond too: a bonded one is only disconnected, and where even that does
not end its link, the radio is switched off and on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

import structlog

from edge.bluez.objects import BluezDevice, BluezError

if TYPE_CHECKING:
    from edge.bluez.bus import Bluez

SETTLE_S: Final = 1.0

_log = structlog.get_logger("ble")


async def clean(bluez: Bluez, ours: frozenset[str]) -> None:
    """Close links to our sensors, and forget those of them that are not bonded.

    Parameters
    ----------
    bluez : Bluez
        An open connection.
    ours : frozenset[str]
        Addresses of the sensors people have paired; others are left alone.

    Raises
    ------
    BluezError
        BlueZ is not there.
    """
    left = [one for one in await bluez.devices() if one.address in ours]
    for one in left:
        if one.connected:
            _log.info("link of before closed", sensor=one.address[-5:])
            await _try(bluez.disconnect(one.path))
        if not one.bonded:
            await _try(bluez.remove(one.path))
    if any(one.connected for one in left):
        await asyncio.sleep(SETTLE_S)
        still = [one for one in await bluez.devices() if one.address in ours and one.connected]
        for adapter in sorted({one.adapter for one in still}):
            await _cycle(bluez, adapter, still)


async def _cycle(bluez: Bluez, adapter: str, still: list[BluezDevice]) -> None:
    stuck = [one.address[-5:] for one in still if one.adapter == adapter]
    _log.warning("radio switched off and on: links do not end", radio=adapter, sensors=stuck)
    await _try(bluez.set_powered(adapter, False))  # noqa: FBT003
    await asyncio.sleep(SETTLE_S)
    await _try(bluez.set_powered(adapter, True))  # noqa: FBT003


async def _try(call: Awaitable[None]) -> None:
    """Do what may fail: what cannot be cleared away now is met again, and mended, later."""
    try:
        await call
    except BluezError as error:
        _log.info("not cleared away", error=str(error))
