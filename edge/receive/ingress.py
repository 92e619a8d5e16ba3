"""Messages of boxes over HTTP: ``POST /v1/BOX`` with an envelope; the answer is the receipt.

Small, by hand and bounded, for a whole web framework would be the largest part of the receiver: one
request a connection, 10 s for all of it, 64 kB, 64 connections. A box is who it says by its
certificate (CN), by the HMAC of a secret the two share, or, for what comes from this machine
alone, by its address.

``X-Homeward-Signature: t=SECONDS,sha256=HEX``: HMAC-SHA256 of ``SECONDS + "." + body``.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import io
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.message import Message
from typing import Final

import msgspec
import structlog

from edge.receive.desk import Desk, Task
from edge.sync import wire

WHOLE_S: Final = 10.0
STORED_S: Final = 7.0
"""A store that takes longer is in trouble; what waits may be stored all the same, and no harm."""
MAX_CONNECTIONS: Final = 64
MAX_HEAD_BYTES: Final = 16 * 1024
PATH: Final = "/v1/"
SIGNATURE: Final = "x-homeward-signature"

_SIGNED: Final = re.compile(r"t=(\d{1,12}),sha256=([0-9a-f]{64})", re.ASCII)
_WORDS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    422: "Unprocessable Content",
    503: "Service Unavailable",
}

_log = structlog.get_logger("receive")


class _RefusedError(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Request(msgspec.Struct, frozen=True):
    """A request, read whole."""

    box: str
    headers: Mapping[str, str]
    body: bytes


class Ingress:
    """Answers boxes over HTTP.

    Parameters
    ----------
    secret : Callable
        ``secret(box)``: what it shares with us; None: nothing.
    trusts_local : bool
        What comes from this machine needs no proof.
    """

    def __init__(
        self,
        desk: Desk,
        secret: Callable[[str], bytes | None] = lambda _: None,
        *,
        trusts_local: bool = True,
    ) -> None:
        self._desk, self._secret, self._trusts_local = desk, secret, trusts_local
        self._n = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        """Listen; return the port, where 0 was asked for.

        Raises
        ------
        OSError
            Something else is there.
        """
        secured = {} if context is None else {"ssl_handshake_timeout": WHOLE_S}
        self._server = await asyncio.start_server(
            self._serve, host, port, ssl=context, limit=MAX_HEAD_BYTES, backlog=64, **secured
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def end(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._n += 1
        try:
            if self._n <= MAX_CONNECTIONS:
                async with asyncio.timeout(WHOLE_S):
                    await self._exchange(reader, writer)
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError) as error:
            _log.info("a request was not finished", why=type(error).__name__)
        finally:
            self._n -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            self._check(request, writer)
            status, body = await self._answer(request)
        except _RefusedError as error:
            status, body = error.status, msgspec.json.encode({"error": str(error)})
        head = (
            f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        if status != 200:
            with suppress(OSError):  # what was not read would reset the answer away
                await reader.read(wire.MAX_WIRE_BYTES)

    def _check(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Refuse whoever is not the box it says."""
        certificate = writer.get_extra_info("peercert") or {}
        names = [
            value
            for part in certificate.get("subject", ())
            for key, value in part
            if key == "commonName"
        ]
        if request.box in names:
            return
        secret = self._secret(request.box)
        if secret is not None:
            if _is_signed(secret, request):
                return
            raise _RefusedError(403, "its signature is not that of this box's secret")
        peer = writer.get_extra_info("peername")
        local = bool(peer) and str(peer[0]) in {"127.0.0.1", "::1"}
        if not (local and self._trusts_local):
            raise _RefusedError(403, "who this is cannot be proven: no certificate, no secret")

    async def _answer(self, request: Request) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[int, bytes]] = loop.create_future()

        def say(status: int, body: bytes) -> None:
            with suppress(RuntimeError):  # the receiver has ended meanwhile
                loop.call_soon_threadsafe(
                    lambda: None if answer.done() else answer.set_result((status, body))
                )

        try:
            envelope = wire.opened(request.body, request.box)
        except wire.WireError as error:
            raise _RefusedError(422, str(error)) from error
        task = Task(
            request.box,
            envelope.kind,
            request.body,
            lambda receipt: say(200, receipt or b"{}"),
            lambda: say(422, b'{"error":"it cannot be stored"}'),
        )
        if not self._desk.put(task):
            raise _RefusedError(503, "too much at once: try again later")
        try:
            async with asyncio.timeout(STORED_S):
                return await answer
        except TimeoutError as error:
            raise _RefusedError(503, "it is not stored yet: try again later") from error


async def _read(reader: asyncio.StreamReader) -> Request:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, _, rest = head.partition(b"\r\n")
        method, path, version = first.decode("ascii").split(" ")
        fields: Message = http.client.parse_headers(io.BytesIO(rest))
    except asyncio.LimitOverrunError as error:
        raise _RefusedError(400, "its head is too long") from error
    except (ValueError, UnicodeError, http.client.HTTPException) as error:
        raise _RefusedError(400, "that is no HTTP request") from error
    if not version.startswith("HTTP/1."):
        raise _RefusedError(400, "that is no HTTP/1.1")
    if method != "POST":
        raise _RefusedError(405, "only POST")
    box = path.removeprefix(PATH)
    if not path.startswith(PATH) or not wire.is_box(box):
        raise _RefusedError(404, f"only {PATH}BOX")
    length = fields.get("content-length", "")
    if not length.isascii() or not length.isdecimal() or len(length) > 12:
        raise _RefusedError(411, "Content-Length is missing")
    if int(length) > wire.MAX_WIRE_BYTES:
        raise _RefusedError(413, f"the most is {wire.MAX_WIRE_BYTES} bytes")
    body = await reader.readexactly(int(length))
    return Request(box, {name.lower(): value for name, value in fields.items()}, body)


def _is_signed(secret: bytes, request: Request) -> bool:
    said = _SIGNED.fullmatch(request.headers.get(SIGNATURE, ""))
    if said is None:
        return False
    text = said[1].encode() + b"." + request.body
    return hmac.compare_digest(hmac.new(secret, text, hashlib.sha256).hexdigest(), said[2])
