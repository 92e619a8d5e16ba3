"""Time in the fast loop passes N times as fast, for sleeps, timers and timeouts alike."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.rigs.fast_loop import FastLoop, run_fast

SPEED = 50.0


async def _sleep(span_s: float) -> float:
    began_s = asyncio.get_running_loop().time()
    await asyncio.sleep(span_s)
    return asyncio.get_running_loop().time() - began_s


def test_a_sleep_lasts_as_long_as_asked_by_the_loops_clock_and_less_by_the_machines() -> None:
    began_s = time.monotonic()
    lasted_s = run_fast(_sleep(10.0), SPEED)
    assert lasted_s >= 10.0
    assert 10.0 / SPEED * 0.9 <= time.monotonic() - began_s < 5.0


def test_a_timeout_passes_as_fast() -> None:
    async def whole() -> None:
        async with asyncio.timeout(60.0):
            await asyncio.Event().wait()

    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        run_fast(whole(), SPEED)
    assert time.monotonic() - began_s < 10.0


def test_a_loop_that_is_too_busy_says_how_late_it_was() -> None:
    async def whole() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, FastLoop)
        watching = asyncio.ensure_future(loop.watch_lag(0.1))
        await asyncio.sleep(0.15)
        time.sleep(0.05)  # noqa: ASYNC251  # what keeps a loop too busy
        await asyncio.sleep(0.2)
        watching.cancel()
        return loop.worst_lag_s

    assert run_fast(whole(), SPEED) >= 0.05 * SPEED * 0.9
