"""An event loop in which time passes N times as fast, for scenarios of hours.

`loop.time()` runs N times as fast as the machine's clock, and so every sleep, timeout and timer of
the code under test (ours, bleak's, bumble's) is N times as short. Work takes as long as it takes:
with too large an N the loop falls behind, which `FastLoop.worst_lag_s` shows in its own seconds.

Only what asks the loop for the time is fast; `time.monotonic()` and other programs are not.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _FastSelector(selectors.DefaultSelector):
    """Waits 1/N of what it is asked to."""

    speed = 1.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, selectors._EventMask]]:
        return super().select(timeout if timeout is None else timeout / self.speed)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs `speed` times as fast.

    Attributes
    ----------
    worst_lag_s : float
        Longest a timer was late, in the loop's own seconds; see `watch_lag`.
    """

    def __init__(self, speed: float = 1.0) -> None:
        selector = _FastSelector()
        selector.speed = speed
        self.speed = speed
        self._began_s = time.monotonic()
        self.worst_lag_s = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Return the time in seconds, which pass `speed` times as fast.

        It begins where the machine's clock stands, so that the two can be compared.
        """
        return self._began_s + (time.monotonic() - self._began_s) * self.speed

    async def watch_lag(self, every_s: float = 1.0) -> None:
        """Note how late timers are, until cancelled: run it as a task beside the scenario."""
        while True:
            due_s = self.time() + every_s
            await asyncio.sleep(every_s)
            self.worst_lag_s = max(self.worst_lag_s, self.time() - due_s)


def loop_factory(speed: float) -> Callable[[], FastLoop]:
    """Return what `asyncio.Runner(loop_factory=...)` wants."""
    return lambda: FastLoop(speed)


def run_fast(scenario: Coroutine[Any, Any, Result], speed: float) -> Result:
    """Run a coroutine with time passing `speed` times as fast; return what it returns."""
    with asyncio.Runner(loop_factory=loop_factory(speed)) as runner:
        return runner.run(scenario)
