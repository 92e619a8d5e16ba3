"""Publishing to a broker of MQTT 3.1.1: bounded, and without believing it anything.

paho runs in a thread of its own. Connecting is a name, a connection, a handshake and a greeting,
and each can hang: whoever waits gives up in time, the connection is torn down, and no second one is
begun while the first has not ended. Nothing is queued: what is not acknowledged in time was not
sent, and the connection is given up. A packet longer than we ever need is not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

CONNECT_S: Final = 12.0
ACKNOWLEDGED_S: Final = 12.0
GOODBYE_S: Final = 3.0
KEEPALIVE_S: Final = 20
MAX_PACKET_BYTES: Final = 16 * 1024
"""Coming in: this publisher subscribes to nothing, and acknowledgements are four bytes."""


class PublishError(Exception):
    """It did not go out, or nobody knows; the text says why.

    Attributes
    ----------
    arrived : bool
        Some of it may have.
    """

    def __init__(self, text: str, *, arrived: bool = False) -> None:
        super().__init__(text)
        self.arrived = arrived


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One publication."""

    topic: str
    payload: str
    retain: bool = False


class Broker(msgspec.Struct, frozen=True):
    """Which broker, and who we are there.

    Attributes
    ----------
    tls : Callable | None
        Returns what judges its certificate; None: nothing is encrypted.
    house_only : bool
        Nothing is said to an address that is not of this house.
    """

    host: str
    port: int
    client_id: str
    tls: Callable[[], ssl.SSLContext] | None = None
    username: str = ""
    password: str = ""
    house_only: bool = True


class _Bounded(Client):
    """A client that reads no long packets, and whose connection can be torn down at any time."""

    def __init__(self, client_id: str, *, house_only: bool) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self.house_only = house_only
        self.judge: ssl.SSLContext | None = None
        self.raw: socket.socket | None = None
        self.torn = False

    def _create_socket_connection(self) -> socket.socket:
        raw: socket.socket = super()._create_socket_connection()
        self.raw = raw.dup()  # TLS takes the first one over, and it cannot be shut down then
        if self.house_only and not of_this_house(str(raw.getpeername()[0])):
            raw.close()
            raise OSError("its address is not of this house, and what is sent is not encrypted")
        if self.torn:
            raw.close()
            raise OSError("given up")
        return raw

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        """Shake hands; paho's own leaves the socket open where that fails."""
        context, host = self.judge, self._host
        if context is None or not context.check_hostname:
            raise ValueError("nothing judges who the broker is")
        wrapped = context.wrap_socket(tcp_sock, server_hostname=host, do_handshake_on_connect=False)
        try:
            wrapped.settimeout(self.connect_timeout)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > MAX_PACKET_BYTES:
            raise ConnectionError("a packet that is too long")
        received: bytes = super()._sock_recv(bufsize)
        return received

    def tear(self) -> None:
        """End the connection, at whatever point it is."""
        self.torn = True
        if self.raw is not None:
            with contextlib.suppress(OSError):
                self.raw.shutdown(socket.SHUT_RDWR)


def of_this_house(address: str) -> bool:
    """Return whether an address cannot be of the internet.

    >>> [of_this_house(one) for one in ("192.168.1.7", "fe80::1%eth0", "fd00::1", "8.8.8.8")]
    [True, True, True, False]
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or found
    return bool(mapped.is_private or mapped.is_loopback or mapped.is_link_local)


class Publisher:
    """One connection at a time.

    Parameters
    ----------
    broker : Callable
        Returns where to, read anew for every connection.
    will : Message
        What the broker says once we are gone without a word.
    connected : Callable
        Called in the event loop whenever a connection is there.
    """

    def __init__(
        self,
        broker: Callable[[], Broker],
        will: Callable[[], Message],
        connected: Callable[[], None],
    ) -> None:
        self._broker, self._will, self._connected = broker, will, connected
        self._client: _Bounded | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._lost: asyncio.Future[str] | None = None

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish these in their order, connecting first where that is due.

        Raises
        ------
        PublishError
            Not all of them are acknowledged.
        """
        if self._client is None:
            await self._connect()
        client = self._client
        if client is None:
            raise PublishError("the broker hung up")
        try:
            async with asyncio.timeout(ACKNOWLEDGED_S):
                for message in messages:
                    await self._one(client, message)
        except TimeoutError as error:
            self._drop(client)
            raise PublishError("the broker does not acknowledge", arrived=True) from error
        except PublishError:
            self._drop(client)
            raise

    async def close(self, last: Message) -> None:
        """Say a last word where somebody listens, and hang up."""
        client = self._client
        if client is None:
            return
        with contextlib.suppress(TimeoutError, PublishError):
            async with asyncio.timeout(GOODBYE_S):
                await self._one(client, last)
        client.disconnect()
        self._drop(client, gently=True)

    async def _one(self, client: _Bounded, message: Message) -> None:
        info = client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise PublishError("the broker hung up")
        done = self._waiting.setdefault(info.mid, asyncio.get_running_loop().create_future())
        try:
            await done
        finally:
            self._waiting.pop(info.mid, None)

    async def _connect(self) -> None:
        if not self._idle.is_set():
            raise PublishError("the broker still hangs")
        broker = self._broker()
        client = self._made(broker)
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[str] = loop.create_future()

        def greeted(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:  # noqa: ANN401  # of paho
            why = f"the broker says no: {reason}" if reason.is_failure else ""
            _call(loop, self._greeted, client, outcome, why)

        def acknowledged(_c: Any, _d: Any, mid: int, _r: Any, _p: Any) -> None:  # noqa: ANN401  # of paho
            _call(loop, self._acknowledged, mid)

        client.on_connect, client.on_publish = greeted, acknowledged
        self._idle.clear()
        work = (client, broker, loop, outcome)
        threading.Thread(target=self._run, args=work, name="publisher", daemon=True).start()
        why = "the broker does not answer"
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    why = await outcome
        finally:
            if self._client is not client:
                client.tear()
        if why:
            raise PublishError(why)

    def _run(
        self,
        client: _Bounded,
        broker: Broker,
        loop: asyncio.AbstractEventLoop,
        outcome: asyncio.Future[str],
    ) -> None:
        """Connect and serve, in a thread, until the connection ends."""
        why = "the broker hung up"
        try:
            if broker.tls is not None:
                client.judge = broker.tls()
                client.tls_set_context(client.judge)
            client.connect(broker.host, broker.port, KEEPALIVE_S)
            client.loop_forever()
        except Exception as error:  # noqa: BLE001  # what paho makes of bytes that are no MQTT
            why = _why(error)
        if client.raw is not None:
            client.raw.close()
        self._idle.set()
        _call(loop, self._ended, client, outcome, why)

    def _made(self, broker: Broker) -> _Bounded:
        client = _Bounded(broker.client_id, house_only=broker.house_only)
        client.connect_timeout = CONNECT_S / 2
        client.max_queued_messages_set(64)
        if broker.username:
            client.username_pw_set(broker.username, broker.password or None)
        will = self._will()
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        return client

    def _greeted(self, client: _Bounded, outcome: asyncio.Future[str], why: str) -> None:
        if outcome.done():
            return
        if not why:
            self._client = client
            self._connected()
        outcome.set_result(why)

    def _ended(self, client: _Bounded, outcome: asyncio.Future[str], why: str) -> None:
        if not outcome.done():
            outcome.set_result(why)
        if self._client is client:
            self._client = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(PublishError("the broker hung up", arrived=True))

    def _acknowledged(self, mid: int) -> None:
        waiting = self._waiting.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _drop(self, client: _Bounded, *, gently: bool = False) -> None:
        if self._client is client:
            self._client = None
        if not gently:
            client.tear()


def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *args: object) -> None:
    with contextlib.suppress(RuntimeError):  # the sender has ended meanwhile
        loop.call_soon_threadsafe(what, *args)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker is not who it should be ({error.verify_message})"
    if isinstance(error, socket.gaierror):
        return "its name is not known: is there a network?"
    if not isinstance(error, OSError):
        return f"what answers speaks no MQTT ({type(error).__name__})"
    return f"the broker cannot be reached ({error.strerror or error})"[:160]
