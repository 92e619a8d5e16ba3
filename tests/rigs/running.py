"""Run a scenario on a rig: in its own event loop, as fast as wanted, leaving nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tests.rigs.fast_loop import FastLoop

Result = TypeVar("Result")


def run(
    scenario: Coroutine[Any, Any, Result], *, speed: float = 1.0, within_s: float = 60.0
) -> Result:
    """Run a scenario to its end, `speed` times as fast, and close what bleak keeps open."""

    async def whole() -> Result:
        try:
            async with asyncio.timeout(within_s):
                return await scenario
        finally:
            await close_bleak()

    with asyncio.Runner(loop_factory=lambda: FastLoop(speed)) as runner:
        return runner.run(whole())


async def close_bleak() -> None:
    """Close the D-Bus connection that bleak keeps for as long as its event loop runs."""
    from bleak.backends.bluezdbus import manager  # noqa: PLC0415  # may be missing

    kept = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if kept is not None and kept._bus is not None:
        kept._bus.disconnect()
        with contextlib.suppress(EOFError, OSError):
            await kept._bus.wait_for_disconnect()
    # Connections that bleak's clients have let go end when the loop comes round.
    await asyncio.sleep(0.05)


async def until(true: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  # anything may be asked, and most of it has no event
            await asyncio.sleep(0.01)


async def raised(work: Awaitable[object], *kinds: type[BaseException]) -> BaseException:
    """Return what something raises; it must be one of `kinds`."""
    try:
        await work
    except kinds as error:
        return error
    raise AssertionError(f"nothing was raised, but one of {kinds} was expected")
