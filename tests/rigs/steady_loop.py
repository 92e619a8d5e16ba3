"""An event loop in fast time that stands still while the machine is busy, for whole nights.

`FastLoop` falls behind when there is more to do than its speed leaves time for, and a pause of the
machine of 100 ms is then several seconds for the code under test: sensors fall silent that are
well. Here time passes `speed` times as fast only while everybody waits. While the loop works, time
passes slowly, by what the processor works and not while it works for another program, and never by
more than `MOST_WORK_S` at a stretch, and a wait is never longer than was asked for. So no timer is
late by more than `MOST_WORK_S`, whatever the machine does, and a night takes as long as its work.

The message bus is a program of its own: what it takes for an answer passes `speed` times as fast,
which with a speed of 200 makes some 50 ms of a D-Bus call.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import time

WORK_SPEED = 10.0
"""How fast time passes while the loop works."""
MOST_WORK_S = 0.05
"""The most time that passes between two waits, in the loop's own seconds."""


class _SteadySelector(selectors.EpollSelector):
    """Waits 1/N of what it is asked to."""

    loop: SteadyLoop

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, selectors._EventMask]]:
        self.loop.pass_work()
        # epoll cannot wait for less than a millisecond; select can, and takes epoll as one file.
        wait_s = timeout if timeout is None else max(timeout, 0.0) / self.loop.speed
        select.select((self.fileno(),), (), (), wait_s)
        self.loop.pass_wait(timeout)
        return super().select(0)


class SteadyLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs up to `speed` times as fast, as far as work allows."""

    def __init__(self, speed: float) -> None:
        selector = _SteadySelector()
        selector.loop = self
        self.speed = speed
        self._mark_s, self._work_mark_s = time.perf_counter(), time.thread_time()
        # Where the machine's clock stands, so that the two can be compared at the start.
        self._base_s = time.monotonic()
        super().__init__(selector)

    def time(self) -> float:
        """Return the time in seconds."""
        worked_s = (time.thread_time() - self._work_mark_s) * min(WORK_SPEED, self.speed)
        return self._base_s + min(worked_s, MOST_WORK_S)

    def pass_work(self) -> None:
        """Let the time of the work that was done pass."""
        self._base_s = self.time()
        self._mark_s, self._work_mark_s = time.perf_counter(), time.thread_time()

    def pass_wait(self, asked_s: float | None) -> None:
        """Let the time of a wait pass, but no more than was asked for."""
        now_s = time.perf_counter()
        waited_s = (now_s - self._mark_s) * self.speed
        self._base_s += waited_s if asked_s is None else min(waited_s, asked_s)
        self._mark_s, self._work_mark_s = now_s, time.thread_time()
