"""A message bus connection that waits where dbus-fast gives up.

A program that sends more at once than its socket holds has to wait. dbus-fast 5.2 takes that
(EAGAIN) for the end of the connection, as dbus-next did (altdesktop/python-dbus-next issue 153).
The small BlueZ sends a signal for each of two hundred objects when it is restarted with eight
sensors around it, and would lose its bus.
"""

from __future__ import annotations

import socket
from typing import Self

from dbus_fast.aio import MessageBus


class _PatientSocket:
    """Says that it has sent nothing where it has to wait; dbus-fast then waits."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0


class PatientBus(MessageBus):
    """The same connection, but for that."""

    async def connect(self) -> Self:
        """Connect."""
        await super().connect()
        writer, sock = self._writer, self._sock
        if writer is not None and sock is not None:
            writer.sock = _PatientSocket(sock)  # type: ignore[assignment]  # it only sends
        return self
