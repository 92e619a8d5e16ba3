"""The other side of the socket in an event loop: one connection, made anew when it breaks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from edge.control import ControlError, Request

ANSWER_S: Final = 5.0
"""How much longer than it was asked to wait the monitor may take."""
MAX_BYTES: Final = 1024 * 1024

_Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    answer: Any = None
    error: str = ""


class AwayError(Exception):
    """The monitor does not answer."""


class Line:
    """One connection to a socket of the monitor's.

    Parameters
    ----------
    path : Path
        The socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: _Streams | None = None
        self._turn = asyncio.Lock()

    async def ask(self, request: Request, wait_s: float = 0.0) -> Any:  # noqa: ANN401  # JSON
        """Return the answer to a request.

        Raises
        ------
        AwayError
            The monitor does not answer.
        ControlError
            It says no.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(wait_s + ANSWER_S):
                    line = await self._exchange(msgspec.json.encode(request) + b"\n")
                reply = msgspec.json.decode(line, type=_Reply)
            except (TimeoutError, OSError, EOFError, ValueError) as error:
                self.close()
                raise AwayError(f"the monitor does not answer ({error!r})") from error
            except asyncio.CancelledError:
                self.close()  # an answer to nobody must not be the next one's
                raise
        if not reply.ok:
            raise ControlError(reply.error)
        return reply.answer

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, line: bytes) -> bytes:
        if self._streams is not None:
            try:
                return await _said(self._streams, line)
            except (OSError, EOFError):
                # The monitor hangs up on whoever asks nothing for a minute: that is no absence.
                self.close()
        self._streams = await asyncio.open_unix_connection(self._path, limit=MAX_BYTES)
        return await _said(self._streams, line)


async def _said(streams: _Streams, line: bytes) -> bytes:
    reader, writer = streams
    writer.write(line)
    await writer.drain()
    return await reader.readuntil(b"\n")
