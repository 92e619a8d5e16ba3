"""MQTT: a broker, and behind it a receiver (`homeward receive`) that stores and answers.

Wire         MQTT 3.1.1, QoS 1, clean session, nothing retained: mosquitto, NATS, EMQX and HiveMQ
             take it alike
Up           ``homeward/v1/BOX/up/alert`` (summary, erase, heartbeat): `edge.sync.wire`
Back         ``homeward/v1/BOX/receipt``: signed with the receiver's key; the only topic the box
             reads. The broker's own acknowledgement settles nothing: measured, a broker that was
             killed had acknowledged 500 messages and delivered none
Who we are   the certificate `homeward enrol` has made, its CN the name of the box; for a broker at
             home a user name and a password do
Bounds       10 s to connect, name and handshake included; 20 s until the broker takes a message;
             128 kB a packet, 64 kB a receipt, 64 receipts waiting
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.secret import Secret
from edge.sync import SyncError, wire
from edge.sync.bounded import CONNECT_S, Broker
from edge.sync.broker import BrokerError, Heard, Line
from edge.sync.identity import client_context, ends_s, public_key
from edge.sync.parcel import Item, Parcel, Receipt
from edge.sync.sinks import Place, Sink, SinkError

TAKEN_S: Final = 20.0
"""Until the broker has a message, or the connection counts as dead."""
WINDOW: Final = 128
MAX_RECEIPTS: Final = 64
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_File = Annotated[str, Meta(max_length=4096)]

_log = structlog.get_logger("sync")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of an MQTT sink."""

    host: Annotated[str, Meta(max_length=253, description="Name or address of the broker.")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Its port.")] = 8883
    tls: Annotated[bool, Meta(description="Secured; false only for a broker on this machine.")] = (
        True
    )
    insecure_lan: Annotated[
        bool,
        Meta(
            description="With tls = false also over your network: whoever is in it can READ ALL "
            "THAT IS SENT about the patient, and the password. Not for anybody but for trials."
        ),
    ] = False
    ca_file: Annotated[
        _File, Meta(description="Who vouches for the broker; default: as enrolled.")
    ] = ""
    cert_file: Annotated[
        _File, Meta(description="Certificate of this box; default: as enrolled.")
    ] = ""
    key_file: Annotated[_File, Meta(description="Its key; default: as enrolled.")] = ""
    receipt_key_file: Annotated[
        _File, Meta(description="Public key of the receiver; default: as enrolled.")
    ] = ""
    username: Annotated[
        str, Meta(max_length=64, description="For a broker at home; else the certificate says it.")
    ] = ""
    password_file: Annotated[
        _File, Meta(description="File with the password, readable by its user alone.")
    ] = ""
    keepalive_s: Annotated[
        int, Meta(ge=10, le=3600, description="The broker is asked so often whether it lives.")
    ] = 60


class MqttSink:
    """An MQTT sink in use (`edge.sync.sinks.Opened`).

    Attributes
    ----------
    n_forged : int
        Messages on the receipt topic that the receiver has not signed for this box.
    """

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings, self._place = settings, place
        self.host = settings.host
        self.uses_tls = settings.tls
        self.window = WINDOW
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue(MAX_RECEIPTS)
        self.n_forged = 0
        self._secret: Secret | None = None
        if settings.password_file:
            self._secret = place.secret(settings.password_file)
        self._line: Line | None = None
        self._up = False
        self._down: asyncio.Future[str] | None = None
        self._sent, self._lost = False, ""
        self._taking: dict[int, asyncio.Future[None]] = {}
        self._connecting = asyncio.Lock()
        self._key: Ed25519PublicKey | None = None
        self._heard: deque[bytes] = deque(maxlen=MAX_RECEIPTS)
        self._looking = False

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        """Return one message with as many of the items as fit."""
        try:
            body, n = wire.pack(self._place.box(), items, datetime.now(UTC))
        except wire.WireError as error:
            raise SinkError(str(error), refused=True) from error
        return Parcel(kind, tuple(items[:n]), body)

    def state_message(self, what: HeartbeatOut | Sequence[NumbersOut]) -> Parcel | None:
        """Return a heartbeat's message; numbers of now are for a display at home."""
        if not isinstance(what, HeartbeatOut):
            return None
        return Parcel(Content.HEARTBEAT, (), wire.pack_heartbeat(what, datetime.now(UTC)))

    async def send(self, parcel: Parcel) -> None:
        """Hand a message to the broker, which is not its receiver.

        A connection that was lost since the last message is an error here, once: what went before
        may be lost with it, and has to go again first.
        """
        if self._lost:
            why, self._lost = self._lost, ""
            raise SinkError(why, arrived=True)
        self._sent = True
        await self._publish(parcel)

    async def send_state(self, parcel: Parcel) -> None:
        """Send it, once."""
        await self._publish(parcel)

    async def _publish(self, parcel: Parcel) -> None:
        line = await self._connected()
        topic = wire.up_topic(self._place.box(), parcel.kind.value)
        try:
            mid = line.publish(topic, parcel.body)
        except BrokerError as error:
            self._sent = False  # whoever sends is told now
            why = await self._why(f"{self.host}: {error}")
            line.end(why)
            raise SinkError(why) from error
        taken = self._taking[mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(TAKEN_S):
                await taken
        except TimeoutError as error:
            line.end("it does not take what it is sent")
            raise SinkError(f"{self.host} does not take what it is sent", arrived=True) from error
        finally:
            self._taking.pop(mid, None)

    def certificate_s(self) -> float | None:
        """Return when the certificate of this box ends."""
        path = self._path(self._settings.cert_file, "box.crt")
        return ends_s(path) if self._settings.tls else None

    async def close(self) -> None:
        """Hang up."""
        line, self._line = self._line, None
        if line is not None:
            line.end()

    async def _why(self, said: str) -> str:
        """Return why the connection has gone: its own thread knows best."""
        if self._down is not None:
            await asyncio.wait([self._down], timeout=1.0)
            return self._down.result() if self._down.done() else said
        return said

    async def _connected(self) -> Line:
        async with self._connecting:
            if self._line is None:
                return await self._connect()
            if not self._up:
                # The thread of the last try hangs in the resolver: there is never a second one.
                raise SinkError(f"{self.host}: its name is not answered: is there a network?")
            return self._line

    async def _connect(self) -> Line:
        broker = await asyncio.to_thread(self._broker)
        loop = asyncio.get_running_loop()
        up: asyncio.Future[None] = loop.create_future()
        self._down = loop.create_future()

        def soon(what: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the sender has ended meanwhile
                loop.call_soon_threadsafe(what)

        line = self._line = Line(
            broker,
            wire.receipt_topic(broker.client),
            on_up=lambda: soon(partial(self._came, line, up)),
            on_down=lambda why: soon(partial(self._gone, line, up, why)),
            on_heard=lambda heard: self._hear(heard, soon),
            on_taken=lambda mid: soon(partial(self._took, mid)),
        )
        line.start()
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.shield(up)
        except TimeoutError as error:
            line.end("it does not answer")
            raise SinkError(f"{self.host}: it does not answer") from error
        except asyncio.CancelledError:
            line.end()
            raise
        return line

    def _broker(self) -> Broker:
        """Return how to reach the broker; the files are read anew for every connection."""
        box, settings = self._place.box(), self._settings
        if not wire.is_box(box):
            raise SinkError("the name of this box is not known yet")
        try:
            self._key = public_key(self._path(settings.receipt_key_file, "receiver.pub"))
            context = self._context() if settings.tls else None
        except SyncError as error:
            raise SinkError(str(error)) from error
        password = "" if self._secret is None else self._secret.url
        return Broker(
            settings.host,
            settings.port,
            box,
            context,
            settings.username,
            password,
            settings.keepalive_s,
        )

    def _context(self) -> ssl.SSLContext:
        settings = self._settings
        ca = self._path(settings.ca_file, "ca.crt")
        cert = self._path(settings.cert_file, "box.crt")
        if settings.username and not settings.cert_file and not cert.exists():
            return client_context(ca)
        return client_context(ca, cert, self._path(settings.key_file, "box.key"))

    def _path(self, named: str, enrolled: str) -> Path:
        return (
            self._place.data_dir / Path(named).expanduser()
            if named
            else (self._place.sync_dir / enrolled)
        )

    def _hear(self, heard: Heard, soon: Callable[[Callable[[], None]], None]) -> None:
        """Take a message, in the thread of the connection: what is too much is the oldest."""
        fits = len(heard.body) <= wire.MAX_WIRE_BYTES
        self._heard.append(heard.body if fits else b"")
        if not self._looking:
            self._looking = True
            soon(self._look)

    def _look(self) -> None:
        self._looking = False
        while self._heard:
            body = self._heard.popleft()
            if self._key is None:  # read before any connection
                continue
            try:
                receipt = wire.checked(body, self._key, self._place.box())
            except wire.WireError as error:
                self.n_forged += 1
                _log.warning("no receipt of the receiver's", host=self.host, why=str(error))
                continue
            if self.receipts.full():
                self.receipts.get_nowait()  # what it vouched for is sent again, and vouched for
            self.receipts.put_nowait(receipt)

    def _took(self, mid: int) -> None:
        taken = self._taking.get(mid)
        if taken is not None:
            _settle(taken, "")

    def _came(self, line: Line, up: asyncio.Future[None]) -> None:
        self._up = self._line is line
        _settle(up, "")

    def _gone(self, line: Line, up: asyncio.Future[None], why: str) -> None:
        _settle(up, why)
        if self._line is not line:
            return
        self._line, self._up = None, False
        if self._down is not None:
            self._down.set_result(why)
        waiting = [taken for taken in self._taking.values() if not taken.done()]
        if self._sent and not waiting:
            self._lost = why
        self._sent = False
        for taken in waiting:
            _settle(taken, why, arrived=True)


def _settle(future: asyncio.Future[None], why: str, *, arrived: bool = False) -> None:
    if future.done():
        return
    if why:
        future.set_exception(SinkError(why, arrived=arrived))
        future.exception()  # seen: whoever waited may have given up
    else:
        future.set_result(None)


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL


def _open(settings: Settings, place: Place) -> MqttSink:
    if not settings.host:
        raise SyncError('an MQTT sink needs the broker\'s name: host = "..."')
    if not settings.tls and not _is_local(settings.host) and not settings.insecure_lan:
        raise SyncError(
            f"tls = false would send what is known of the patient to {settings.host} for "
            f"everybody in the network to read: leave TLS on (a broker on this machine may do "
            f"without)"
        )
    if settings.password_file and not settings.username:
        raise SyncError("password_file without username: name both, or neither")
    if not settings.tls and not _is_local(settings.host):
        _log.warning(
            "what is known of the patient goes over the network WITHOUT TLS, for everybody in it "
            "to read: insecure_lan is set",
            host=settings.host,
        )
    return MqttSink(settings, place)


SINK = Sink("mqtt", Settings, _open, frozenset({"alerts", "summaries", "heartbeats"}))
