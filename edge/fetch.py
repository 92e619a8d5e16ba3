"""One HTTP exchange that cannot hang, grow or be led elsewhere.

Everything has a time limit (the name, the connection, the handshake, the whole), and every reply a
bound: a server that sends a byte a second or ten megabytes gets no more of us than that.
Certificates are always checked, redirects are never followed (they would carry a token elsewhere),
and plain HTTP is for this machine alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import io
import math
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from edge.tls import TlsError, client_context, tls_words

NAME_S: Final = 5.0
CONNECT_S: Final = 5.0
WHOLE_S: Final = 15.0
"""From the question for the address to the reply's status."""
BODY_S: Final = 5.0
MAX_HEAD_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 64 * 1024
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class FetchError(Exception):
    """No usable reply.

    Attributes
    ----------
    arrived : bool
        The request was out when it failed: the server may have acted on it.
    """

    def __init__(self, text: str, *, arrived: bool = False) -> None:
        super().__init__(text)
        self.arrived = arrived


class Ask(msgspec.Struct, frozen=True):
    """A request.

    Attributes
    ----------
    ca_file : Path | None
        Who alone may vouch for the server: a CA of one's own. None: those the system trusts.
    cert_file, key_file : Path | None
        What we show the server of ourselves, where it asks.
    whole_s, body_s : float | None
        Instead of `WHOLE_S` and `BODY_S`: for more than a few lines over a slow line.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""
    ca_file: Path | None = None
    max_body_bytes: int = MAX_BODY_BYTES
    cert_file: Path | None = None
    key_file: Path | None = None
    whole_s: float | None = None
    body_s: float | None = None


class Reply(msgspec.Struct, frozen=True):
    """What came back; the body is cut where it was too long or too slow."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the server says that it was done."""
        return 200 <= self.status < 300

    def retry_after_s(self) -> float | None:
        """Return for how long the server wants to be left alone; None: it does not say."""
        try:
            wait_s = float(self.headers.get("retry-after", ""))
        except ValueError:  # a date: the bounded backoff does as well
            return None
        return wait_s if math.isfinite(wait_s) and wait_s >= 0.0 else None


async def fetch(ask: Ask) -> Reply:
    """Return the reply to a request.

    Raises
    ------
    FetchError
        There was none in time, or the server is not who it should be. The text holds no address
        but the host's.
    """
    where = _checked(ask.url)
    host = where.hostname or ""
    sent: list[bool] = []
    try:
        async with asyncio.timeout(WHOLE_S if ask.whole_s is None else ask.whole_s):
            reader, writer = await _connect(where, ask)
            try:
                return await _exchange(ask, where, reader, writer, sent)
            finally:
                # abort, not close: a peer that never answers our goodbye must not hold us up.
                writer.transport.abort()
    except TimeoutError as error:
        raise FetchError(f"{host} did not answer in time", arrived=bool(sent)) from error
    except ssl.SSLCertVerificationError as error:
        raise FetchError(f"{host} is not who it should be: {tls_words(error)}") from error
    except TlsError as error:
        raise FetchError(str(error)) from error
    except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
        why = _why(error)
        raise FetchError(f"{host} cannot be asked ({why})", arrived=bool(sent)) from error


def _checked(url: str) -> SplitResult:
    try:
        where = urlsplit(url)
        port = where.port
    except ValueError as error:
        raise FetchError("the address cannot be read; write https://host/...") from error
    plain = where.scheme == "http" and where.hostname in _LOCAL
    if (where.scheme != "https" and not plain) or not where.hostname or port == 0:
        raise FetchError("the address must begin with https:// (http:// only for this machine)")
    if any(ord(letter) <= 32 or ord(letter) > 126 for letter in url):
        raise FetchError("the address holds a space or a letter that none has")
    return where


async def _connect(
    where: SplitResult, ask: Ask
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host = where.hostname or ""
    secure = where.scheme == "https"
    files = (ask.ca_file, ask.cert_file, ask.key_file)
    context = tls(*files, _written_s(*files)) if secure else None
    last: Exception = OSError("it has no address")
    for address in await _addresses(host, where.port or (443 if secure else 80)):
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(
                    address[0],
                    address[1],
                    ssl=context,
                    server_hostname=host if secure else None,
                    limit=MAX_HEAD_BYTES,
                )
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, TimeoutError) as error:
            last = error
    raise last


@functools.lru_cache(maxsize=8)
def tls(
    ca_file: Path | None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    written_s: tuple[float, ...] = (),
) -> ssl.SSLContext:
    """Return what checks a server's certificate and name (`edge.tls`).

    Kept, because each holds all authorities there are, some megabytes; `written_s` makes a new
    one where a file has changed.
    """
    del written_s
    return client_context(ca_file, cert_file, key_file)


def _written_s(*files: Path | None) -> tuple[float, ...]:
    return tuple(0.0 if file is None else file.stat().st_mtime for file in files)


_asked: dict[tuple[str, int], asyncio.Future[list[tuple[str, int]]]] = {}
"""Names being looked up: one question for each at a time, however long the resolver hangs."""


async def addresses(host: str, port: int) -> list[tuple[str, int]]:
    """Return where a name leads, without holding anybody up.

    Raises
    ------
    OSError
        Nowhere: the name is not known, or there is no network.
    TimeoutError
        No resolver has answered in `NAME_S`.
    """
    return await _addresses(host, port)


async def _addresses(host: str, port: int) -> list[tuple[str, int]]:
    """Return where a name leads; a resolver that hangs holds one idle thread, and nobody up."""
    loop = asyncio.get_running_loop()
    answer = _asked.get((host, port))
    if answer is None or answer.get_loop() is not loop:
        answer = _asked[host, port] = loop.create_future()
        thread = threading.Thread(target=_look_up, args=(host, port, loop, answer), daemon=True)
        thread.start()
    async with asyncio.timeout(NAME_S):
        return await asyncio.shield(answer)


def _look_up(
    host: str,
    port: int,
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[list[tuple[str, int]]],
) -> None:
    found: list[tuple[str, int]] = []  # of IPv6 the scope is left out: nobody serves there
    problem: Exception | None = None
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found += [(str(entry[4][0]), int(entry[4][1])) for entry in entries]
    except (OSError, UnicodeError) as error:
        problem = error

    def tell() -> None:
        _asked.pop((host, port), None)
        if answer.done():
            return
        if problem is not None:
            answer.set_exception(problem)
            answer.exception()  # seen: whoever asked may have given up
        else:
            answer.set_result(found)

    with contextlib.suppress(RuntimeError):  # the notifier has ended meanwhile
        loop.call_soon_threadsafe(tell)


async def _exchange(
    ask: Ask,
    where: SplitResult,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    sent: list[bool],
) -> Reply:
    writer.write(_request(ask, where))
    sent.append(True)
    await writer.drain()
    head = await _read_head(reader)
    first, _, rest = head.partition(b"\r\n")
    words = first.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise http.client.BadStatusLine("no HTTP")
    fields = http.client.parse_headers(io.BytesIO(rest))
    headers = {name.lower(): value for name, value in fields.items()}
    try:
        async with asyncio.timeout(BODY_S if ask.body_s is None else ask.body_s):
            body = await _read_body(reader, headers, ask.max_body_bytes)
    except (TimeoutError, OSError, EOFError, ValueError):
        body = b""  # the status says whether it was done
    return Reply(int(words[1]), headers, body)


def _request(ask: Ask, where: SplitResult) -> bytes:
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    headers = {
        "Host": where.netloc.rpartition("@")[2],
        "User-Agent": "homeward",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Length": str(len(ask.body)),
        **ask.headers,
    }
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"the header {name} holds what no header can")
    lines = [f"{ask.method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("ascii") + ask.body


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 1"):  # 100 Continue and its kin: the answer follows
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise http.client.LineTooLong("its head") from error
    return head


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str], most: int) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader, most)
    length = headers.get("content-length", "")
    wanted = min(int(length), most) if length.isdecimal() else most
    body = bytearray()
    while len(body) < wanted:
        piece = await reader.read(wanted - len(body))
        if not piece:
            break
        body += piece
    return bytes(body)


async def _read_chunks(reader: asyncio.StreamReader, most: int) -> bytes:
    body = bytearray()
    while len(body) < most:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if size == 0:
            break
        body += await reader.readexactly(min(size, most - len(body)))
        if len(body) < most:
            await reader.readexactly(2)
    return bytes(body)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return tls_words(error)
    if isinstance(error, socket.gaierror):
        return "its name is not known: is there a network?"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)[:120]
