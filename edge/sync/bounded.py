"""paho's client on a socket of ours: with time limits, and a bound on what a broker may send.

paho asks for the whole rest of a packet at once, up to the 256 MB that MQTT allows.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.sync.words import words

CONNECT_S: Final = 10.0
"""From the question for the address to the end of the handshake."""
HANDSHAKE_S: Final = 5.0
"""Without a byte of it."""
MAX_PACKET_BYTES: Final = 128 * 1024
"""A broker that wants to send more is hung up on, unread."""
MAX_UNSENT: Final = 256
"""Messages handed to paho that no broker has acknowledged."""


class Broker(msgspec.Struct, frozen=True):
    """How to reach a broker.

    Attributes
    ----------
    context : ssl.SSLContext | None
        What judges its certificate and holds ours; None: plain.
    client : str
        Our name there, the only one of it.
    keeps : bool
        It is to keep what comes while we are away (no clean session).
    acks : bool
        We acknowledge a message when it is dealt with (`Line.ack`), not when it arrives.
    """

    host: str
    port: int
    client: str
    context: ssl.SSLContext | None = None
    username: str = ""
    password: str = ""
    keepalive_s: int = 60
    keeps: bool = False
    acks: bool = False
    max_unsent: int = MAX_UNSENT


class BoundedClient(paho.Client):
    """paho's client on a socket of ours: with time limits, and a bound on what it reads."""

    def __init__(self, broker: Broker) -> None:
        self._at = broker
        self._socket_in_use: _Socket | None = None
        self._raw: socket.socket | None = None
        self._aborted = False
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client,
            clean_session=not broker.keeps,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )

    @property
    def trouble(self) -> str:
        """What the socket says of why it ended; empty: nothing."""
        return "" if self._socket_in_use is None else self._socket_in_use.trouble

    def abort(self) -> None:
        """Cut the connection, from whatever thread: whoever waits for it wakes up."""
        self._aborted = True
        raw = self._raw
        if raw is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: that would let its reader go on without TLS.
                socket.socket.shutdown(raw, socket.SHUT_RDWR)

    def _create_socket(self) -> _Socket:
        """Return a connected socket; called by paho, and the only place where it makes one."""
        until_s = time.monotonic() + CONNECT_S
        self._raw = raw = self._connected(until_s)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.settimeout(min(HANDSHAKE_S, max(until_s - time.monotonic(), 0.1)))
            if self._at.context is not None:
                secured = self._at.context.wrap_socket(
                    raw, server_hostname=self._at.host, do_handshake_on_connect=False
                )
                self._raw = raw = secured
                secured.do_handshake()
        except BaseException:
            raw.close()
            raise
        self._socket_in_use = _Socket(raw)
        return self._socket_in_use

    def _connected(self, until_s: float) -> socket.socket:
        last: OSError = OSError("it has no address")
        found = socket.getaddrinfo(self._at.host, self._at.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            raw = socket.socket(family, kind, protocol)
            self._raw = raw
            left_s = until_s - time.monotonic()
            if left_s <= 0.0 or self._aborted:
                raw.close()
                raise TimeoutError("it does not answer")
            raw.settimeout(left_s)
            try:
                raw.connect(address)
            except OSError as error:
                raw.close()
                last = error
            else:
                return raw
        raise last


class _Socket:
    """A socket that refuses to read a packet too long; paho asks for the rest of one at once."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.trouble = ""

    def recv(self, size: int) -> bytes:
        if size > MAX_PACKET_BYTES:
            self.trouble = f"it wants to send {size / 1e6:.1f} MB at once"
            raise ConnectionError(self.trouble)
        try:
            return self._inner.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError as error:
            self.trouble = self.trouble or words(error)
            raise

    def send(self, content: bytes | bytearray) -> int:
        return self._inner.send(content)

    def pending(self) -> int:
        return self._inner.pending() if isinstance(self._inner, ssl.SSLSocket) else 0

    def fileno(self) -> int:
        return self._inner.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001  # as a socket has it
        self._inner.setblocking(flag)

    def close(self) -> None:
        self._inner.close()
