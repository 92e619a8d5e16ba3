"""A thread that waits for the bus, so that the event loop does not have to.

One transfer takes 0.5 to 5 ms at the Pi's 100 kHz, most of it waiting: in the event loop that
would be a tenth of its time. And a bus that hangs keeps a call for as long as the kernel likes: the
Pi's driver gives up after a second, others do not. No call can be broken off from outside, so it
is not waited for longer than its caller wants: whoever is cancelled is free at once, and the thread
ends by itself when its call returns. It is a daemon thread, because Python waits for all others
before it exits.

At most one call is on its way: while one hangs, nothing is queued behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

Result = TypeVar("Result")


class _Job(NamedTuple):
    work: Callable[[], Any]
    done: asyncio.Future[Any]


class BusThread:
    """Runs one call after the other.

    Parameters
    ----------
    name : str
        Of the thread, for those who look at the process.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._loop: Final = asyncio.get_running_loop()
        self._last: asyncio.Future[Any] | None = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def call(self, work: Callable[[], Result], within_s: float) -> Result:
        """Return what `work` returns, run in the thread; what it raises is raised here.

        Raises
        ------
        TimeoutError
            It, or the one before it, did not come back in time; it may still do so.
        """
        async with asyncio.timeout(within_s):
            if self._last is not None and not self._last.done():
                await asyncio.wait({self._last})
            done: asyncio.Future[Result] = self._loop.create_future()
            self._last = done
            self._jobs.put(_Job(work, done))
            # Nobody may be waiting any more when it comes back.
            await asyncio.wait({done})
        return done.result()

    async def close(self, last: Callable[[], None], within_s: float) -> None:
        """Let the thread do one thing more and end; what it cannot do in time is not waited for."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(_Job(last, done))
        self._jobs.put(None)
        await asyncio.wait({done}, timeout=within_s)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            result, failed = None, None
            try:
                result = job.work()
            except Exception as error:  # noqa: BLE001  # handed to whoever called
                failed = error
            # A loop that is closed has nobody waiting.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, job.done, result, failed)


def _settle(done: asyncio.Future[Any], result: object, failed: Exception | None) -> None:
    if failed is None:
        done.set_result(result)
    else:
        done.set_exception(failed)
        done.exception()  # seen, even where its caller has gone
