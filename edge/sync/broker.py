"""One connection to an MQTT broker, from its beginning to its end: for both ends of the wire.

MQTT 3.1.1 by paho, whose network loop runs in a thread of its own. A connection is made once and
never again by itself: when to try again is another's decision, and nothing of an old connection is
left in a new one. What a broker can do to us is bounded: how long it may take, how much it may
send at once (paho would read 256 MB for one packet), and how much waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from edge.sync.bounded import BoundedClient, Broker
from edge.sync.words import words

_STEP_S: Final = 0.5

_REFUSED: Final = {
    "Unsupported protocol version": "it does not speak MQTT 3.1.1",
    "Client identifier not valid": "it does not accept the name of this box",
    "Server unavailable": "it says that it is not available now",
    "Bad user name or password": "it does not know this user name, or the password is wrong",
    "Not authorized": "it does not let this box in: is its certificate, or its user name, known "
    "there?",
}


class BrokerError(Exception):
    """There is no connection (any more); the text says why, and names no more than the host."""


class Heard(msgspec.Struct, frozen=True):
    """A message; `mid` is what `Line.ack` wants."""

    topic: str
    body: bytes
    mid: int = 0


class Line:
    """One connection; made once, ended once.

    Everything it says it says from its own thread.

    Parameters
    ----------
    topic : str
        What to subscribe to.
    on_up : Callable
        The subscription stands.
    on_down : Callable
        It has ended, or never was, for the reason given; said exactly once.
    on_heard, on_taken : Callable
        A message has come; the broker has taken the one with this number (not its receiver!).
    """

    def __init__(  # each is another thing it says
        self,
        broker: Broker,
        topic: str,
        *,
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_heard: Callable[[Heard], None],
        on_taken: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._broker, self._topic = broker, topic
        self._on_up, self._on_down = on_up, on_down
        self._on_heard, self._on_taken = on_heard, on_taken
        self._why, self._ended = "", threading.Event()
        self._client = self._made()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def publish(self, topic: str, body: bytes) -> int:
        """Hand over a message; return its number.

        Raises
        ------
        BrokerError
            There is no connection, or too much waits for the broker.
        """
        if self._ended.is_set() or not self._client.is_connected():
            raise BrokerError("it is not connected")
        info = self._client.publish(topic, body, qos=1)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise BrokerError("it does not take what it is sent")
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise BrokerError("it hung up")
        return info.mid

    def ack(self, heard: Heard) -> None:
        """Say that a message is dealt with; on an ended connection it comes again, on the next."""
        if not self._ended.is_set():
            self._client.ack(heard.mid, 1)

    def end(self, why: str = "") -> None:
        """Hang up now, whatever it is doing; `on_down` follows."""
        self._why = self._why or why or "hung up"
        self._ended.set()
        self._client.abort()

    @property
    def over(self) -> bool:
        """Whether nothing of it is left: a resolver that hangs cannot be interrupted."""
        return not self._thread.is_alive()

    def _made(self) -> BoundedClient:
        broker = self._broker
        client = BoundedClient(broker)
        if broker.username:
            client.username_pw_set(broker.username, broker.password or None)
        client.max_queued_messages_set(broker.max_unsent)
        client.max_inflight_messages_set(broker.max_unsent)
        client.manual_ack_set(broker.acks)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.on_publish = lambda _c, _u, mid, _r, _p: self._on_taken(mid)
        # With this set, paho writes in its own thread only: publish() then never meets a loop at
        # the same socket, and never waits for one.
        client.on_socket_register_write = lambda *_: None
        return client

    def _run(self) -> None:
        host = self._broker.host
        try:
            self._client.connect(host, self._broker.port, self._broker.keepalive_s)
            ending = self._serve()
            self._why = self._why or ending
        except Exception as error:  # noqa: BLE001  # a broker may send anything; paho may trip
            self._why = self._why or words(error)
        finally:
            self._ended.set()
            self._client.abort()
            self._on_down(f"{host}: {self._why}")

    def _serve(self) -> str:
        while not self._ended.is_set():
            problem = self._client.loop(_STEP_S)
            if problem != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return self._client.trouble or _ending(problem)
        return "hung up"

    def _connected(
        self, client: paho.Client, _u: object, _f: object, code: ReasonCode, _p: object
    ) -> None:
        if code.is_failure:
            name = str(code)
            self._why = self._why or _REFUSED.get(name, f"it refuses the connection ({name[:60]})")
        elif self._topic:
            # A receipt that is lost costs a repeat and no more; a broker that keeps each until it
            # is taken pays for that (nats-server: 14 connections a second instead of 612).
            client.subscribe(self._topic, qos=1 if self._broker.acks else 0)
        else:
            self._on_up()

    def _subscribed(
        self, _c: paho.Client, _u: object, _m: int, codes: list[ReasonCode], _p: object
    ) -> None:
        if any(code.is_failure for code in codes):
            self._why = self._why or "it does not let this box read its receipts"
            self._ended.set()
        else:
            self._on_up()

    def _message(self, _c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._on_heard(Heard(topic, bytes(message.payload), message.mid))


def _ending(problem: MQTTErrorCode) -> str:
    if problem == MQTTErrorCode.MQTT_ERR_KEEPALIVE:
        return "it does not answer any more"
    if problem == MQTTErrorCode.MQTT_ERR_PROTOCOL:
        return "it does not speak MQTT"
    return "it hung up"
