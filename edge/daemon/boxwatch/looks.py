"""A look at something that may hang: in a thread of its own, for which nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from edge.events import BoxHealth

EVERY_S: Final = 1.9
"""Every second turn, even where that comes early by a hair."""
HANGS_S: Final = 2.0
"""A look that has not come back after this is told of; `edge.alarms.box_blind` waits longer."""

_log = structlog.get_logger("boxwatch")


class Look:
    """One look, repeated.

    Parameters
    ----------
    name : str
        What is looked at: ``disk``.
    look : Callable
        Returns what it found; called in a thread of its own, one call at a time. May hang.
    """

    def __init__(self, name: str, look: Callable[[], BoxHealth]) -> None:
        self.name = name
        self._look = look
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._failed = ""
        self._found = BoxHealth()
        self._began_s: float | None = None
        """When the look began that has not come back; None: there is none."""
        self._last_s: float | None = None

    def turn(self, now_s: float) -> BoxHealth:
        """Begin a look where one is due; return what the last one found, and whether one hangs."""
        began_s, name = self._began_s, f"look_fails_s:{self.name}"
        if began_s is not None:
            if now_s - began_s >= HANGS_S:
                return BoxHealth({}, {name: began_s})
            return self._known(name)
        if self._last_s is None or not 0.0 <= now_s - self._last_s < EVERY_S:
            self._last_s = self._began_s = now_s
            self._begin()
        return self._known(name)

    def close(self) -> None:
        """Begin no more; does not wait for one that hangs."""
        self._closing = True
        self._asked.set()

    def _known(self, name: str) -> BoxHealth:
        found = self._found
        return BoxHealth({**found.facts, name: 0.0}, found.since_s)

    def _begin(self) -> None:
        if self._thread is None:
            # A daemon: a disk that hangs must not keep the process from its end.
            self._thread = threading.Thread(
                target=self._serve, name=f"look-{self.name}", daemon=True
            )
            self._thread.start()
        self._asked.set()

    def _serve(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            if self._closing:
                return
            try:
                self._found = self._look()
            except Exception as error:  # noqa: BLE001  # not known, which is told; and once in the log
                self._found = BoxHealth()
                if self._failed != repr(error):
                    self._failed = repr(error)
                    _log.exception("a look at the box failed", look=self.name)
            self._began_s = None
