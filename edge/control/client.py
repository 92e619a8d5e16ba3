"""The other side of the socket: small, blocking, quick to import."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from edge.control import MAX_ANSWER_BYTES, ControlError, Live, Request

TIMEOUT_S = 10.0
"""How long the monitor may take over an answer, to its last byte."""
CHUNK_BYTES = 64 * 1024


class NotRunningError(ControlError):
    """Nobody listens on the socket."""


class _Reply(msgspec.Struct, frozen=True):
    ok: bool
    answer: Any = None
    error: str = ""


_REPLY = msgspec.json.Decoder(_Reply)


class ControlClient:
    """A connection to the running monitor.

    Parameters
    ----------
    path : Path
        Its socket: ``box.socket`` of the configuration.
    timeout_s : float
        How long to wait for each answer.

    Raises
    ------
    NotRunningError
        No monitor is running here.
    ControlError
        The socket cannot be used by this user.
    """

    def __init__(self, path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._timeout_s = path, timeout_s
        self._unread = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise _explained(error, path) from error

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, request: Request) -> Any:  # noqa: ANN401  # plain JSON
        """Return the answer to a request, as plain values.

        Raises
        ------
        ControlError
            The monitor says no, or does not answer in time.
        """
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(msgspec.json.encode(request) + b"\n")
        except OSError as error:
            raise _explained(error, self._path) from error
        return self._answer()

    def watch(self) -> Iterator[Any]:
        """Return the status every second, until the monitor stops (`ControlError`)."""
        yield self.ask(Live())
        while True:
            yield self._answer()

    def _answer(self) -> Any:  # noqa: ANN401
        try:
            line = self._line()
        except OSError as error:
            self.close()  # an answer that comes late must not be the next one's
            raise _explained(error, self._path) from error
        if not line.endswith(b"\n"):
            raise ControlError(f"the monitor hung up ({self._path}): has it been stopped?")
        try:
            reply = _REPLY.decode(line)
        except msgspec.DecodeError as error:
            raise ControlError(f"{self._path} does not speak our language ({error})") from error
        if not reply.ok:
            raise ControlError(reply.error)
        return reply.answer

    def _line(self) -> bytes:
        """Return the next line, or what came before the end.

        The time-out is for all of it: the socket's own begins anew with every byte.
        """
        end_s = time.monotonic() + self._timeout_s
        n_searched = 0
        while (at := self._unread.find(b"\n", n_searched)) < 0:
            n_searched = len(self._unread)
            left_s = end_s - time.monotonic()
            if left_s <= 0.0:
                raise TimeoutError("an answer that does not end")
            self._socket.settimeout(left_s)
            part = self._socket.recv(CHUNK_BYTES)
            if not part or n_searched > MAX_ANSWER_BYTES:
                return b""
            self._unread += part
        line = bytes(self._unread[: at + 1])
        del self._unread[: at + 1]
        return line


def _explained(error: OSError, path: Path) -> ControlError:
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return NotRunningError(
                f"no monitor is running here ({path}): start it with `homeward run`, or name its "
                f"folder with --data-dir"
            )
        case PermissionError():
            return ControlError(
                f"{path} belongs to another user: run this command as the user of the monitor, "
                f"e.g. with `sudo -u homeward`"
            )
        case TimeoutError():
            return ControlError(
                f"the monitor does not answer ({path}): see its log, or start it again"
            )
        case _:
            return ControlError(f"cannot ask the monitor at {path} ({error})")
