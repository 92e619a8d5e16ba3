"""What is told of a serial port's link: a loose plug is one trouble, not hundreds.

A link is told at once, both ways. Where it came and went `MOST_SHORT` times in a row, it is only
told to be back when it has held for a second, then two, four, up to `HOLD_MOST_S`: what it sends
meanwhile is watched all the same. While it is lost, new reasons are told `MOST_REASONS` times, and
then every `REASON_S`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from edge.events import LINK, LinkTold, tell
from edge.readers import Rim
from edge.records import LinkState, Security

SHORT_S: Final = 60.0
"""A link that was lost within this was no steady one."""
MOST_SHORT: Final = 5
HOLD_MOST_S: Final = 30.0
MOST_REASONS: Final = 3
REASON_S: Final = 30.0
LOOSE: Final = "; it comes and goes, is the plug loose?"


class UartTold:
    """Tells of one port.

    Parameters
    ----------
    source : str
        As in its packets.
    place : str
        Where on the body it is; empty: nobody said.
    rim : Rim
        Where it is told.
    loop_s : Callable
        The clock spans are measured by.
    """

    def __init__(self, source: str, place: str, rim: Rim, loop_s: Callable[[], float]) -> None:
        self._source, self._place, self._rim, self._loop_s = source, place, rim, loop_s
        self._name = self._reason = ""
        self._state: LinkState | None = None
        self._since_s = self._said_s = -math.inf
        self._sends_since_s: float | None = None
        self._n_short = self._n_reasons = 0

    @property
    def is_connected(self) -> bool:
        """Whether the last that was told is that it sends."""
        return self._state is LinkState.CONNECTED

    def sends(self, name: str) -> bool:
        """Take note that bytes came of a device people call so; return whether that was told."""
        now_s = self._loop_s()
        if self._sends_since_s is None:
            self._sends_since_s = now_s
        if self.is_connected or now_s - self._sends_since_s < self._hold_s:
            return False
        self._name, self._since_s, self._n_reasons = name, now_s, 0
        self._say(LinkState.CONNECTED, "")
        return True

    def lost(self, reason: str) -> None:
        """Say why it does not send; the same is not said twice."""
        now_s = self._loop_s()
        self._sends_since_s = None
        if self.is_connected:
            is_short = now_s - self._since_s < SHORT_S
            self._n_short = self._n_short + 1 if is_short else 0
        elif self._state is not None and (reason == self._reason or not self._may_say(now_s)):
            return
        self._reason, self._said_s = reason, now_s
        self._n_reasons += 1
        self._say(LinkState.LOST, reason + LOOSE if self._hold_s else reason)

    def gone(self) -> None:
        """Say that nobody waits for it under this name any more."""
        if self._state is not None:
            self._say(LinkState.REMOVED, "")

    @property
    def _hold_s(self) -> float:
        """How long it must send before it is told."""
        beyond = self._n_short - MOST_SHORT
        return min(2.0**beyond, HOLD_MOST_S) if beyond >= 0 else 0.0

    def _may_say(self, now_s: float) -> bool:
        return self._n_reasons < MOST_REASONS or now_s - self._said_s >= REASON_S

    def _say(self, state: LinkState, reason: str) -> None:
        self._state = state
        told = LinkTold(self._source, state, Security.WIRED, self._name, self._place, reason)
        self._rim.deliver(tell(LINK, told, self._rim.now_s()))
