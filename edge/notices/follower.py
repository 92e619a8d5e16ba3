"""The monitor as the notifier sees it: its board, waited for on the local socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.control import ControlError, Notices, Request
from edge.control.board import Board

WAIT_S: Final = 10.0
"""A board comes after so long even where nothing changed: it says that the monitor lives."""
ANSWER_S: Final = 5.0
"""How much longer than it was asked to wait the monitor may take."""
MAX_BYTES: Final = 1024 * 1024


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    answer: Any = None
    error: str = ""


class AwayError(Exception):
    """The monitor does not answer."""


class Monitor:
    """One connection to the monitor's socket for notices, made anew when it breaks.

    Parameters
    ----------
    path : Path
        The socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def board(self, after: int, wait_s: float = WAIT_S, *, details: bool = False) -> Board:
        """Return the board as soon as it is not as at `after` any more, or after `wait_s`.

        Raises
        ------
        AwayError
            The monitor does not answer, or is of another version.
        """
        answer = await self.ask(Notices(after, wait_s, details), wait_s)
        try:
            return msgspec.convert(answer, Board)
        except msgspec.ValidationError as error:
            raise AwayError(f"the monitor is of another version ({error})") from error

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
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path, limit=MAX_BYTES)
        reader, writer = self._streams
        writer.write(line)
        await writer.drain()
        return await reader.readuntil(b"\n")
