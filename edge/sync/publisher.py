"""Publishing to a broker of MQTT 3.1.1: bounded, and without believing it anything.

paho runs in a thread of its own (`edge.sync.bounded`). Connecting is a name, a connection, a
handshake and a greeting, and each can hang: whoever waits gives up in time, the connection is cut,
and no second one is begun while the first has not ended. Nothing is queued: what is not
acknowledged in time was not sent, and the connection is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from paho.mqtt.enums import MQTTErrorCode

from edge.sync.bounded import BoundedClient, Broker
from edge.sync.words import words

CONNECT_S: Final = 12.0
ACKNOWLEDGED_S: Final = 12.0
GOODBYE_S: Final = 3.0
MAX_UNSENT: Final = 64


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


class HouseError(OSError):
    """What would be sent unencrypted would leave the house."""

    def __init__(self) -> None:
        told = "its address is not of this house, and what is sent is not encrypted"
        super().__init__(None, told)


class _Client(BoundedClient):
    """A client that, where it is told to, says nothing to an address of the internet."""

    house_only = False

    def _connected(self, until_s: float) -> socket.socket:
        raw = super()._connected(until_s)
        if self.house_only and not of_this_house(str(raw.getpeername()[0])):
            raw.close()
            raise HouseError
        return raw


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
        Returns where to; called anew for every connection.
    will : Message
        What the broker says once we are gone without a word.
    connected : Callable
        Called in the event loop whenever a connection is there.
    house_only : bool
        Nothing is said to an address that is not of this house.
    """

    def __init__(
        self,
        broker: Callable[[], Broker],
        will: Callable[[], Message],
        connected: Callable[[], None],
        *,
        house_only: bool,
    ) -> None:
        self._broker, self._will, self._connected = broker, will, connected
        self._house_only = house_only
        self._client: _Client | None = None
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
            raise PublishError("it hung up")
        try:
            async with asyncio.timeout(ACKNOWLEDGED_S):
                for message in messages:
                    await self._one(client, message)
        except TimeoutError as error:
            self._drop(client)
            raise PublishError("it does not acknowledge what it is sent", arrived=True) from error
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

    async def _one(self, client: _Client, message: Message) -> None:
        info = client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise PublishError("it hung up")
        done = self._waiting.setdefault(info.mid, asyncio.get_running_loop().create_future())
        try:
            await done
        finally:
            self._waiting.pop(info.mid, None)

    async def _connect(self) -> None:
        if not self._idle.is_set():
            raise PublishError("the last try still hangs: is there a network?")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[str] = loop.create_future()
        broker = self._broker()
        client = self._made(broker)

        def greeted(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:  # noqa: ANN401  # of paho
            why = f"it says no: {reason}" if reason.is_failure else ""
            _call(loop, self._greeted, client, outcome, why)

        def acknowledged(_c: Any, _d: Any, mid: int, _r: Any, _p: Any) -> None:  # noqa: ANN401  # of paho
            _call(loop, self._acknowledged, mid)

        client.on_connect, client.on_publish = greeted, acknowledged
        self._idle.clear()
        work = (client, broker, loop, outcome)
        threading.Thread(target=self._run, args=work, name="publisher", daemon=True).start()
        why = "it does not answer"
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    why = await outcome
        finally:
            if self._client is not client:
                client.abort()
        if why:
            raise PublishError(why)

    def _run(
        self,
        client: _Client,
        broker: Broker,
        loop: asyncio.AbstractEventLoop,
        outcome: asyncio.Future[str],
    ) -> None:
        """Connect and serve, in a thread, until the connection ends."""
        why = ""
        try:
            client.connect(broker.host, broker.port, broker.keepalive_s)
            client.loop_forever()
        except Exception as error:  # noqa: BLE001  # what paho makes of bytes that are no MQTT
            why = words(error)
        self._idle.set()
        _call(loop, self._ended, client, outcome, why or client.trouble or "it hung up")

    def _made(self, broker: Broker) -> _Client:
        client = _Client(broker)
        client.house_only = self._house_only
        client.max_queued_messages_set(MAX_UNSENT)
        if broker.username:
            client.username_pw_set(broker.username, broker.password or None)
        will = self._will()
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        return client

    def _greeted(self, client: _Client, outcome: asyncio.Future[str], why: str) -> None:
        if outcome.done():
            return
        if not why:
            self._client = client
            self._connected()
        outcome.set_result(why)

    def _ended(self, client: _Client, outcome: asyncio.Future[str], why: str) -> None:
        if not outcome.done():
            outcome.set_result(why)
        if self._client is client:
            self._client = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(PublishError("it hung up", arrived=True))

    def _acknowledged(self, mid: int) -> None:
        waiting = self._waiting.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _drop(self, client: _Client, *, gently: bool = False) -> None:
        if self._client is client:
            self._client = None
        if not gently:
            client.abort()


def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *args: object) -> None:
    with contextlib.suppress(RuntimeError):  # the sender has ended meanwhile
        loop.call_soon_threadsafe(what, *args)
