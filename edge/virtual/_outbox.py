"""Measurements of a device that sends one when it has one, and keeps it until somebody listens."""

from __future__ import annotations

from collections import deque
from typing import Final

from edge.virtual import Port

CAPACITY: Final = 30
"""Measurements kept; the oldest makes room."""


class Outbox:
    """Measurements that wait to be indicated, oldest first, each once.

    Parameters
    ----------
    on : str
        Characteristic they are sent on.
    """

    def __init__(self, on: str) -> None:
        self._on = on
        self.waiting: deque[bytes] = deque(maxlen=CAPACITY)

    async def send(self, port: Port) -> None:
        """Send what waits while somebody listens; what did not get through waits on."""
        while self.waiting and port.subscribed(self._on):
            payload = self.waiting[0]
            if not await port.send(self._on, payload):
                return
            # Sending takes time, in which a full outbox may have dropped this one itself.
            if self.waiting and self.waiting[0] is payload:
                self.waiting.popleft()
