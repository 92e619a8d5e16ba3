"""What an annunciator's thread says of itself, and what is said when the thread says nothing.

Written by one thread, read by any: every change is one assignment of a frozen record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from msgspec.structs import replace

from edge.annunciators import State

HUNG_S: Final = 5.0
"""A thread that was not round its loop for so long hangs."""


class Standing:
    """Whether one annunciator works.

    Parameters
    ----------
    what : str
        What it is, for people: ``sound``, ``light``.
    starting : str
        Why it does not work before it has shown that it does.
    now_s : Callable
        The boot clock.
    """

    def __init__(self, what: str, starting: str, now_s: Callable[[], float]) -> None:
        self._what, self._now_s = what, now_s
        self._turned_s = now_s()
        self._state = State(
            works=False, reason=starting, since_s=self._turned_s, n_given=0, given_s=float("nan")
        )
        self._log = structlog.get_logger(what)
        self.closed = False

    @property
    def works(self) -> bool:
        """Whether the thread has said that it works."""
        return self._state.works

    def turn(self) -> float:
        """Note that the thread is round its loop; return the time."""
        self._turned_s = self._now_s()
        return self._turned_s

    def give(self, n_shown: int, now_s: float) -> None:
        """Note that what was shown as the `n_shown`-th has begun to come out."""
        if n_shown > self._state.n_given:
            self._state = replace(self._state, n_given=n_shown, given_s=now_s)

    def tell(self, *, works: bool, reason: str) -> None:
        """Say whether it works; the same again says nothing."""
        before = self._state
        if (works, reason) == (before.works, before.reason):
            return
        since_s = self._now_s() if works != before.works else before.since_s
        self._state = replace(before, works=works, reason=reason, since_s=since_s)
        if works:
            self._log.info(f"{self._what} works")
        else:
            self._log.warning(f"no {self._what}", reason=reason)

    def state(self) -> State:
        """Return what is known now; never waits."""
        state, hung_s = self._state, self._now_s() - self._turned_s
        if self.closed:
            return replace(state, works=False, reason=f"the {self._what} is closed")
        if hung_s < HUNG_S:
            return state
        return replace(
            state,
            works=False,
            reason=f"the thread of the {self._what} has hung for {hung_s:.0f} s, so no alarm comes "
            f"out; see what it waits for (`dmesg`), then start the monitor again",
            since_s=self._turned_s if state.works else state.since_s,
        )
