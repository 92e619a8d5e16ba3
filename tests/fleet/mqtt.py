"""MQTT 3.1.1 in the fewest bytes and objects, so that one process can be ten thousand boxes.

No client of the product: it is what the fleet is made of, and an independent reading of the
standard (OASIS mqtt-v3.1.1) that the real ones are held against. QoS 1 at most; a connection that
ends is not opened again by itself.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Callable
from typing import Final

CONNECT_S: Final = 120.0
MAX_MESSAGE_BYTES: Final = 1 << 20


class RefusedError(ConnectionError):
    """The broker does not want this client."""


def _text(text: str) -> bytes:
    said = text.encode()
    return struct.pack(">H", len(said)) + said


def packet(kind: int, body: bytes) -> bytes:
    """Return one control packet.

    >>> packet(0xC0, b"").hex(), packet(0x30, bytes(200))[:3].hex()
    ('c000', '30c801')
    """
    n, length = len(body), bytearray()
    while True:
        n, low = divmod(n, 128)
        length.append(low | (0x80 if n else 0))
        if not n:
            return bytes([kind]) + bytes(length) + body


def packets(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take the whole packets off the front of what came.

    >>> came = bytearray(b"\\x20\\x02\\x00\\x00\\x40\\x02\\x00")
    >>> packets(came), bytes(came).hex()
    ([(32, b'\\x00\\x00')], '400200')
    """
    found: list[tuple[int, bytes]] = []
    at = 0
    while True:
        n = shift = 0
        i = at + 1
        while True:
            if i >= len(buffer) or shift > 21:
                break
            n |= (buffer[i] & 0x7F) << shift
            shift += 7
            i += 1
            if not buffer[i - 1] & 0x80:
                break
        if i >= len(buffer) + 1 or not shift or buffer[i - 1] & 0x80 or i + n > len(buffer):
            break
        found.append((buffer[at], bytes(buffer[i : i + n])))
        at = i + n
    del buffer[:at]
    return found


class Client(asyncio.Protocol):
    """One connection.

    Attributes
    ----------
    on_message : Callable[[str, bytes], bool]
        Called with topic and payload; whether it is to be confirmed.
    on_puback : Callable[[int], None]
        Called with the id of a publication the broker has taken over.
    on_gone : Callable[[], None]
        The connection has ended.
    """

    __slots__ = (
        "_buffer", "_connected", "_mid", "_subscribed", "gone", "on_gone", "on_message",
        "on_puback", "session_present", "transport",
    )  # fmt: skip

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._mid = 0
        self._connected: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._subscribed: asyncio.Future[int] | None = None
        self.on_message: Callable[[str, bytes], bool] = lambda _topic, _payload: True
        self.on_puback: Callable[[int], None] = lambda _mid: None
        self.on_gone: Callable[[], None] = lambda: None
        self.transport: asyncio.Transport | None = None
        self.gone = self.session_present = False

    # -- what its user calls

    def publish(self, topic: str, payload: bytes, qos: int = 1) -> int:
        """Send; return its id (0: QoS 0)."""
        body = _text(topic)
        if qos:
            self._mid = self._mid % 65_535 + 1
            body += struct.pack(">H", self._mid)
        self._write(packet(0x30 | qos << 1, body + payload))
        return self._mid if qos else 0

    async def subscribe(self, topic: str, qos: int = 1) -> None:
        """Subscribe, and wait until that stands."""
        self._subscribed = asyncio.get_running_loop().create_future()
        self._mid = self._mid % 65_535 + 1
        self._write(packet(0x82, struct.pack(">H", self._mid) + _text(topic) + bytes([qos])))
        async with asyncio.timeout(CONNECT_S):
            granted = await self._subscribed
        if granted == 0x80:
            raise RefusedError(f"the broker refuses {topic}")

    def ping(self) -> None:
        self._write(b"\xc0\x00")

    def hang_up(self) -> None:
        """Say good-bye and close."""
        self._write(b"\xe0\x00")
        if self.transport is not None:
            self.transport.close()

    def _write(self, what: bytes) -> None:
        if self.transport is not None and not self.gone and not self.transport.is_closing():
            self.transport.write(what)

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        for waiting in (self._connected, self._subscribed):
            if waiting is not None and not waiting.done():
                waiting.set_exception(exc or ConnectionResetError("hung up"))
                waiting.exception()
        self.on_gone()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        for kind, body in packets(self._buffer):
            self._take(kind, body)
        if len(self._buffer) > MAX_MESSAGE_BYTES and self.transport is not None:
            self.transport.abort()

    def _take(self, kind: int, body: bytes) -> None:
        what = kind & 0xF0
        if what == 0x30:
            self._take_message(kind, body)
        elif what == 0x40:
            self.on_puback(int.from_bytes(body[:2], "big"))
        elif what == 0x20 and not self._connected.done():
            self.session_present = bool(body[0] & 1)
            self._connected.set_result(body[1])
        elif what == 0x90 and self._subscribed is not None and not self._subscribed.done():
            self._subscribed.set_result(body[2])

    def _take_message(self, kind: int, body: bytes) -> None:
        n = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + n].decode(), body[2 + n :]
        qos = kind >> 1 & 3
        if self.on_message(topic, rest[2:] if qos else rest) and qos:
            self._write(b"\x40\x02" + rest[:2])


async def connect(  # noqa: PLR0913  # what a connection consists of
    port: int,
    name: str,
    *,
    host: str = "127.0.0.1",
    clean: bool = True,
    keep_alive_s: int = 0,
    tls: ssl.SSLContext | None = None,
    server_name: str = "localhost",
    local: str = "",
    make: Callable[[], Client] = Client,
) -> Client:
    """Connect, and wait until the broker has agreed.

    Raises
    ------
    OSError
        It did not; `RefusedError`: it said so.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_S):
        transport, client = await loop.create_connection(
            make,
            host,
            port,
            ssl=tls,
            server_hostname=server_name if tls else None,
            local_addr=(local, 0) if local else None,
            ssl_handshake_timeout=CONNECT_S if tls else None,
        )
        flags = 0x02 if clean else 0
        body = _text("MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive_s) + _text(name)
        transport.write(packet(0x10, body))
        code = await client._connected
    if code:
        transport.abort()
        raise RefusedError(f"the broker refuses {name}: {code}")
    return client
