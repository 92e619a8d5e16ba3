"""The monitor's side of the socket. No client can make it wait, grow or fail."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
import structlog

from edge.control import (
    LIVE_PERIOD_S,
    MAX_CLIENTS,
    MAX_REQUEST_BYTES,
    ControlError,
    Live,
    Request,
)

Answer: TypeAlias = Callable[[Request], Awaitable[Any]]

IDLE_S = 60.0
"""A client that asks nothing for so long gives up its place."""
SLOW_S = 5.0
"""A client that has not taken its answer after so long is dropped."""
MAX_UNSENT_BYTES = 256 * 1024

_MAY_PASS = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EADDRINUSE})
"""The last: what lies there could not be removed, and the lock says that nobody listens on it."""

_log = structlog.get_logger("control")
_REQUEST: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


class DiskRefusesError(ControlError):
    """The disk will not have a socket now; the folder is the right one, and nobody else's."""


class ControlServer:
    """Listens on the socket, and hands each request to `answer`.

    Parameters
    ----------
    path : Path
        The socket; its folder must belong to the monitor's user alone.
    answer : Answer
        ``await answer(request)`` returns what can be written as JSON, or raises `ControlError`.
    """

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self._answer = answer
        self._lock: int | None = None
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def n_clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    async def start(self) -> None:
        """Begin to listen. What a dead monitor left behind is replaced.

        Raises
        ------
        ControlError
            A monitor is running here already, or the socket cannot be made.
        DiskRefusesError
            It cannot be made now, but may be later.
        """
        self._lock = _take_place(self.path)
        try:
            # asyncio removes a socket that lies there; the lock says that nobody listens on it.
            self._server = await asyncio.start_unix_server(
                self._meet, self.path, limit=MAX_REQUEST_BYTES
            )
            self.path.chmod(0o600)
        except (OSError, ValueError) as error:
            await self.close()
            raise _error_of(error)(
                f"cannot listen on {self.path} ({error}): set box.socket to a path of at most "
                f"107 bytes on a local disk where nothing else lies"
            ) from error

    async def close(self) -> None:
        """Stop listening, hang up on everybody, and remove the socket."""
        if self._server is not None:
            self._server.close()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None
            with suppress(OSError):  # the next start removes it
                self.path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)  # the lock file stays: removing it would race with the next start
            self._lock = None

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)
        try:
            if len(self._clients) > MAX_CLIENTS:
                await _send(writer, error=f"{MAX_CLIENTS} clients are connected: close one first")
                return
            while await self._exchange(reader, writer):
                pass
        except (TimeoutError, ConnectionError):
            _log.info("client dropped")
        finally:
            # abort, not close: a slow client's unsent bytes must not be kept for it.
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; false when there will be no more."""
        try:
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes at the wrong
            # moment, and a client that goes on asking would keep the server from closing.
            async with asyncio.timeout(IDLE_S):
                line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return False
        except asyncio.LimitOverrunError:
            await _send(writer, error=f"a request has at most {MAX_REQUEST_BYTES} bytes")
            return False
        try:
            request = _REQUEST.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await _send(writer, error=f"not a request of this version: {error}")
            return True
        await self._reply(request, writer)
        while isinstance(request, Live):
            await asyncio.sleep(LIVE_PERIOD_S)
            if reader.at_eof():
                return False
            await self._reply(request, writer)
        return True

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(request)
        except ControlError as error:
            await _send(writer, error=str(error))
        except Exception as error:  # noqa: BLE001  # a question must never stop the monitor
            _log.exception("cannot answer", command=type(request).__name__.lower())
            await _send(writer, error=f"the monitor failed to answer ({error!r}); see its log")
        else:
            await _send(writer, answer=answer)


async def _send(writer: asyncio.StreamWriter, *, answer: Any = None, error: str = "") -> None:  # noqa: ANN401
    content = {"ok": False, "error": error} if error else {"ok": True, "answer": answer}
    writer.write(msgspec.json.encode(content, enc_hook=_plain) + b"\n")
    async with asyncio.timeout(SLOW_S):
        await writer.drain()


def _plain(value: Any) -> Any:  # noqa: ANN401  # a numpy scalar among the numbers
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"no JSON for {type(value).__name__}")


def _take_place(path: Path) -> int:
    """Return the open lock of this place; the kernel lets go of it when the monitor dies."""
    _check_private(path.parent)
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _error_of(error)(f"cannot write {lock_path} ({error}): mend the folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise ControlError(
            f"a monitor is running here already (process {holder or 'unknown'}, socket {path}): "
            f"stop it first, or give this one another --data-dir"
        ) from None
    with suppress(OSError):  # only words for who comes next: a full disk must not end the start
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _error_of(error: Exception) -> type[ControlError]:
    code = error.errno if isinstance(error, OSError) else None
    return DiskRefusesError if code in _MAY_PASS else ControlError


def _check_private(folder: Path) -> None:
    try:
        mode = folder.stat().st_mode & 0o777
    except OSError as error:
        raise ControlError(f"{folder} cannot be used ({error}): make it, with mode 700") from error
    if mode & 0o077:
        raise ControlError(
            f"{folder} is open to other users (mode {mode:03o}), and so would be what the monitor "
            f"keeps there: run `chmod 700 {folder}`, or name another folder with --data-dir"
        )
