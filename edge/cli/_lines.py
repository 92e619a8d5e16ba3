"""Log lines that nobody waits for: a terminal that hangs must not hold up an alarm.

Whoever starts the monitor in a terminal over a network, pipes it into a pager or presses Ctrl-S has
a standard error that takes nothing any more. Written to directly, the next line of the log would
stop the monitor: no tick, no alarm. Here lines wait in a bounded queue for a thread of their own;
what finds no room is dropped and counted, and that is said as soon as there is somebody again.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Final

MAX_LINES: Final = 2_000
LEAVE_S: Final = 1.0
"""How long the end of the monitor waits for its last lines to be taken."""


class Lines:
    """Takes text as a file does; `write` and `flush` return at once.

    Parameters
    ----------
    descriptor : int
        Where it goes in the end. Not a file object: its lock would be held by who hangs in it, and
        the end of the process would fail on that.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[str] = deque()
        self._n_lost = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Take text; never waits, never raises."""
        if len(self._waiting) >= MAX_LINES:
            self._n_lost += 1
        else:
            self._waiting.append(text)
            self._wake.set()
        return len(text)

    def flush(self) -> None:
        """Do nothing: what was taken is written as soon as that can be."""

    def close(self) -> None:
        """Wait `LEAVE_S` at the most until all was written."""
        self._closing = True
        self._wake.set()
        self._thread.join(LEAVE_S)

    def _serve(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.wait()
            self._wake.clear()
            try:
                self._write()
            except OSError:  # nobody is there any more: the monitor goes on
                self._n_lost += 1

    def _write(self) -> None:
        while self._waiting:
            self._put(self._waiting.popleft())
            if self._n_lost and not self._waiting:
                n_lost, self._n_lost = self._n_lost, 0
                self._put(f'level=warning event="log lines were lost" n={n_lost}\n')

    def _put(self, text: str) -> None:
        rest = text.encode(errors="backslashreplace")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
