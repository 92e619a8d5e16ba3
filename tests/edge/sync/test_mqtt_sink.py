"""The MQTT sink against a real mosquitto, and against things that only pretend to be a broker."""

from __future__ import annotations

import asyncio
import base64
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion

from edge.secret import read_secret
from edge.sync import SyncError, wire
from edge.sync.parcel import Item, Parcel, Receipt
from edge.sync.sinks import Place, SinkError
from edge.sync.sinks.mqtt import SINK, MqttSink, Settings
from tests.edge.receive.mosquitto import Mosquitto, free_port, needs_mosquitto
from tests.edge.sync.entries import heartbeat, item, until

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BOX = "pi-7"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def place(tmp_path: Path) -> Place:
    folder = tmp_path / "sync"
    folder.mkdir(exist_ok=True)
    public = base64.b64encode(KEY.public_key().public_bytes_raw())
    (folder / "receiver.pub").write_bytes(public + b"\n")
    return Place(
        "clinic", tmp_path, folder, lambda: BOX, lambda named: read_secret(named, tmp_path)
    )


def sink_to(port: int, tmp_path: Path, **more: object) -> MqttSink:
    chosen = Settings(host="127.0.0.1", port=port, tls=False, **more)  # type: ignore[arg-type]
    opened = SINK.open(chosen, place(tmp_path))
    assert isinstance(opened, MqttSink)
    return opened


def parcel(sink: MqttSink, *items: Item) -> Parcel:
    return sink.pack(items[0].kind, items)


@contextmanager
def receiver(port: int, answer: Callable[[wire.Envelope], bytes | None]) -> Iterator[list[str]]:
    """The least of a receiver: answers every envelope with what `answer` makes of it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    topics: list[str] = []
    ready = threading.Event()

    def heard(client: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        topics.append(message.topic)
        said = answer(wire.opened(message.payload, BOX))
        if said is not None:
            client.publish(wire.receipt_topic(BOX), said, qos=1)

    client.on_message = heard
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe("homeward/v1/+/up/#", qos=1)
    client.loop_start()
    assert ready.wait(10)
    yield topics
    client.disconnect()
    client.loop_stop()


def stored(envelope: wire.Envelope) -> bytes:
    held = {entry.uuid: entry.digest for entry in envelope.entries}
    return wire.sign(BOX, Receipt(held), NOW, KEY)


@needs_mosquitto
def test_what_is_sent_arrives_and_the_receipt_comes_back(tmp_path: Path) -> None:
    async def main(sink: MqttSink) -> Receipt:
        await sink.send(parcel(sink, item(1), item(2)))
        async with asyncio.timeout(10):
            said = await sink.receipts.get()
        beat = sink.state_message(heartbeat(BOX))
        assert beat is not None
        await sink.send_state(beat)
        await sink.close()
        await sink.close()
        return said

    with Mosquitto(tmp_path / "broker") as broker, receiver(broker.port, stored) as topics:
        said = asyncio.run(main(sink_to(broker.port, tmp_path)))
        assert said.stored == {one.uuid: one.digest for one in (item(1), item(2))}
        assert topics[0] == "homeward/v1/pi-7/up/alert"


@needs_mosquitto
def test_forged_receipts_are_counted_and_never_come_through(tmp_path: Path) -> None:
    rogue = Ed25519PrivateKey.from_private_bytes(bytes(32))

    def forged(envelope: wire.Envelope) -> bytes:
        held = {entry.uuid: entry.digest for entry in envelope.entries}
        return wire.sign(BOX, Receipt(held), NOW, rogue)

    async def main(sink: MqttSink) -> None:
        for body in (item(1), item(2)):
            await sink.send(parcel(sink, body))
        await until(lambda: sink.n_forged >= 2)
        assert sink.receipts.empty()
        await sink.close()

    with Mosquitto(tmp_path / "broker") as broker, receiver(broker.port, forged):
        asyncio.run(main(sink_to(broker.port, tmp_path)))


@needs_mosquitto
def test_a_flood_of_receipts_is_bounded(tmp_path: Path) -> None:
    async def main(sink: MqttSink) -> None:
        await sink.send(parcel(sink, item(1)))
        await until(lambda: sink.receipts.qsize() >= 64)
        await asyncio.sleep(0.3)
        assert sink.receipts.qsize() == 64
        await sink.close()

    def flood(envelope: wire.Envelope) -> None:
        client = clients[0]
        for _ in range(500):
            client.publish(wire.receipt_topic(BOX), stored(envelope), qos=1)

    with Mosquitto(tmp_path / "broker") as broker:
        clients = [paho.Client(CallbackAPIVersion.VERSION2)]
        clients[0].connect("127.0.0.1", broker.port)
        clients[0].loop_start()
        with receiver(broker.port, flood):
            asyncio.run(main(sink_to(broker.port, tmp_path)))
        clients[0].disconnect()
        clients[0].loop_stop()


@needs_mosquitto
def test_after_a_killed_broker_the_next_message_says_so_once_and_then_it_goes_on(
    tmp_path: Path,
) -> None:
    async def main(sink: MqttSink, broker: Mosquitto) -> None:
        await sink.send(parcel(sink, item(1)))
        broker.kill()
        await until(lambda: sink._line is None)
        broker.start()
        beat = sink.state_message(heartbeat(BOX))
        assert beat is not None
        await sink.send_state(beat)
        with pytest.raises(SinkError) as lost:
            await sink.send(parcel(sink, item(2)))
        assert lost.value.arrived
        await sink.send(parcel(sink, item(1)))
        broker.kill()
        with pytest.raises(SinkError):
            await sink.send(parcel(sink, item(2)))
        await until(lambda: sink._line is None)
        with pytest.raises(SinkError, match="nothing answers"):
            await sink.send(parcel(sink, item(2)))
        await sink.close()

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(main(sink_to(broker.port, tmp_path), broker))


@needs_mosquitto
def test_a_wrong_password_is_said_in_words_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct-horse\n")
    (tmp_path / "password").chmod(0o600)
    users = tmp_path / "users"
    users.write_text("somebody:$7$101$AAAAAAAAAAAAAAAA$AAAAAAAA\n")
    sink_options = {"username": "anne", "password_file": "password"}

    async def main(sink: MqttSink) -> str:
        with pytest.raises(SinkError) as refused:
            await sink.send(parcel(sink, item(1)))
        return str(refused.value)

    lines = ("allow_anonymous false", f"password_file {users}")
    with Mosquitto(tmp_path / "broker", lines) as broker:
        said = asyncio.run(main(sink_to(broker.port, tmp_path, **sink_options)))
    assert "does not let this box in" in said or "password is wrong" in said
    assert "correct-horse" not in said


# -- what only pretends to be a broker -----------------------------------------------------------


@contextmanager
def pretender(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A server that reads a client's first bytes and then does as told."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with closing(peer):
                try:
                    peer.recv(4096)
                    answer(peer, over)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(server.getsockname()[1])
    over.set()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)


WELCOME = b"\x20\x02\x00\x00"
SUBSCRIBED = b"\x90\x03\x00\x01\x01"


def black_hole(_: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def byte_a_second(peer: socket.socket, over: threading.Event) -> None:
    for byte in WELCOME * 10:
        if over.wait(1):
            return
        peer.send(bytes([byte]))


def ten_megabytes(peer: socket.socket, _: threading.Event) -> None:
    peer.sendall(WELCOME + SUBSCRIBED)
    topic = wire.receipt_topic(BOX).encode()
    rest = len(topic).to_bytes(2, "big") + topic + b"\0\1" + bytes(10_000_000)
    length, digits = len(rest), bytearray()
    while length:
        digits.append(length % 128 | (0x80 if length >= 128 else 0))
        length //= 128
    peer.sendall(b"\x32" + digits + rest)


def garbage(peer: socket.socket, _: threading.Event) -> None:
    peer.sendall(bytes(range(256)) * 64)


def http(peer: socket.socket, _: threading.Event) -> None:
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def receipt_too_long(peer: socket.socket, over: threading.Event) -> None:
    peer.sendall(WELCOME + SUBSCRIBED)
    topic = wire.receipt_topic(BOX).encode()
    rest = len(topic).to_bytes(2, "big") + topic + b"\0\1" + bytes(wire.MAX_WIRE_BYTES + 1)
    n = len(rest)
    peer.sendall(bytes([0x32, n % 128 | 0x80, n // 128 % 128 | 0x80, n // 16384]) + rest)
    over.wait(5)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (black_hole, "does not answer"),
        (byte_a_second, "does not answer"),
        (ten_megabytes, "10.0 MB"),
        (garbage, ""),
        (http, ""),
    ],
)
def test_no_pretended_broker_holds_it_up_or_makes_it_grow(
    answer: Callable[[socket.socket, threading.Event], None],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.sync.sinks.mqtt.CONNECT_S", 2.0)
    monkeypatch.setattr("edge.sync.sinks.mqtt.TAKEN_S", 2.0)

    async def main(sink: MqttSink) -> str:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(SinkError) as failed:
            await sink.send(parcel(sink, item(1)))
        assert asyncio.get_running_loop().time() - begun < 6.0
        await until(lambda: sink._line is None)  # nothing is left of it either
        await sink.close()
        return str(failed.value)

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pretender(answer) as port:
        assert said in asyncio.run(main(sink_to(port, tmp_path)))
    # The stand-in's own ten megabytes are in this process too.
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    assert grown_mb < 40


def test_a_receipt_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    async def main(sink: MqttSink) -> None:
        connecting = asyncio.create_task(sink.send(parcel(sink, item(1))))
        await until(lambda: sink.n_forged > 0)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        await sink.close()

    with pretender(receipt_too_long) as port:
        asyncio.run(main(sink_to(port, tmp_path)))


def test_a_resolver_that_hangs_holds_one_thread_and_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()
    n_asked = []

    def hang(*values: object, **_: object) -> list[object]:
        n_asked.append(values[0])
        hangs.wait(30)
        raise socket.gaierror(-3, "temporary failure")

    monkeypatch.setattr("edge.sync.bounded.socket.getaddrinfo", hang)
    monkeypatch.setattr("edge.sync.sinks.mqtt.CONNECT_S", 0.2)

    async def main() -> None:
        chosen = Settings(host="broker.example", tls=False, insecure_lan=True)
        sink = MqttSink(chosen, place(tmp_path))
        for words in ("does not answer", "its name is not answered", "its name is not answered"):
            with pytest.raises(SinkError, match=words):
                await sink.send(parcel(sink, item(1)))
        hangs.set()
        await until(lambda: sink._line is None)
        await sink.close()

    asyncio.run(main())
    assert n_asked == ["broker.example"]


# -- settings ------------------------------------------------------------------------------------


def test_plain_text_over_the_network_needs_to_be_asked_for_loudly(tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="for everybody in the network to read"):
        SINK.open(Settings(host="192.0.2.7", tls=False), place(tmp_path))
    SINK.open(Settings(host="192.0.2.7", tls=False, insecure_lan=True), place(tmp_path))
    for host in ("127.0.0.1", "::1", "localhost"):
        SINK.open(Settings(host=host, tls=False), place(tmp_path))
    with pytest.raises(SyncError, match="host"):
        SINK.open(Settings(), place(tmp_path))


def test_missing_keys_are_said_before_anything_is_sent(tmp_path: Path) -> None:
    async def main(sink: MqttSink) -> str:
        with pytest.raises(SinkError) as failed:
            await sink.send(parcel(sink, item(1)))
        return str(failed.value)

    opened = SINK.open(Settings(host="127.0.0.1", port=free_port()), place(tmp_path))
    assert isinstance(opened, MqttSink)
    assert "homeward enrol" in asyncio.run(main(opened))
    (tmp_path / "sync" / "receiver.pub").unlink()
    assert "homeward receive" in asyncio.run(main(opened))
    assert opened.certificate_s() is None


def test_every_setting_has_a_meaning() -> None:
    schema = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    assert all(field.get("description") for field in schema.values())
