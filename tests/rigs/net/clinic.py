"""A clinic of ours: an authority, boxes and a receiver with what it gave them, and its broker."""

from __future__ import annotations

import getpass
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge.__main__ import main
from edge.enrol.authority import create
from edge.enrol.installing import begin, install, request_of
from edge.tls import client_context, tls_words

PLACES = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
MOSQUITTO = shutil.which("mosquitto", path=PLACES)
NATS = shutil.which("nats-server", path=PLACES)
A, B = "box-a", "box-b"
WAIT_S = 20.0


def now_s():
    return datetime.now(UTC).timestamp()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def broker(conf: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run mosquitto until the end of the block; it listens when this begins."""
    file = folder / "test.conf"
    file.write_text(f"{conf}user {getpass.getuser()}\nlog_dest stderr\n")
    with _running([MOSQUITTO, "-c", file], folder, port) as started:
        yield started


@contextmanager
def nats(conf: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run nats-server until the end of the block; its MQTT listener is there when this begins."""
    (folder / "nats.conf").write_text(conf)
    with _running([NATS, "-c", folder / "nats.conf"], folder, port) as started:
        yield started


@contextmanager
def _running(
    command: Sequence[str | Path | None], folder: Path, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([str(part) for part in command], stderr=log, stdout=log)
    try:
        until = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
                break
            except OSError:
                assert running.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.02)
        yield running
    finally:
        running.terminate()
        running.wait(WAIT_S)


class Client:
    """A client as paho makes one; `got`: what came, as (topic, payload)."""

    def __init__(self, port, context, client_id="", *topics):
        self.got, self.lost = [], threading.Event()
        self._known, self._subscribed = threading.Event(), threading.Semaphore(0)
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=mqtt.MQTTv311
        )
        self.paho.tls_set_context(context)
        self.paho.on_connect = lambda *_: self._known.set()
        self.paho.on_disconnect = lambda *_: (self.lost.set(), self._known.set())
        self.paho.on_subscribe = lambda *_: self._subscribed.release()
        self.paho.on_message = lambda _, __, what: self.got.append((what.topic, what.payload))
        self.paho.connect("localhost", port, keepalive=30)
        self.paho.loop_start()
        assert self._known.wait(WAIT_S)
        for topic in topics:
            self.paho.subscribe(topic, qos=1)
            assert self._subscribed.acquire(timeout=WAIT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.paho.disconnect()
        self.paho.loop_stop()

    def say(self, topic, payload=b"homeward"):
        said = self.paho.publish(topic, payload, qos=1)
        said.wait_for_publish(WAIT_S)
        assert said.is_published()

    def waits_for(self, n):
        until = time.monotonic() + WAIT_S
        while len(self.got) < n and time.monotonic() < until:
            time.sleep(0.02)
        return self.got


class Clinic:
    """Authority, two boxes and a receiver, each with what it was given."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.ca = create(folder / "ca", "A clinic", "", now_s())
        self.key = Ed25519PrivateKey.generate()
        self.ca.keep_receipt_key(
            self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        self.ca.equip("broker", ["localhost"], now_s())
        self.ca.equip("receiver", [], now_s())
        for box in (A, B):
            begin(folder / box, box, now_s())
            _, bundle = self.ca.sign(request_of(folder / box), now_s())
            install(folder / box, bundle, None, None, now_s())
        self.write()

    def write(self) -> None:
        given = ["--folder", str(self.folder / "ca"), "--write", str(self.folder / "mq")]
        given += ["--state", str(self.folder), "--port", str(self.port)]
        assert main(["receive", "ca", "mosquitto", *given]) == 0

    def conf(self) -> str:
        text = (self.folder / "mq/mosquitto.conf").read_text()
        return text.replace(f"listener {self.port}", f"listener {self.port} 127.0.0.1")

    def context(self, who: str) -> ssl.SSLContext:
        if who == "receiver":
            place = self.folder / "ca"
            return client_context(place / "ca.crt", place / "receiver.crt", place / "receiver.key")
        place = self.folder / who
        return client_context(place / "ca.crt", place / "box.crt", place / "box.key")

    def client(self, who: str, *topics: str, client_id: str = "") -> Client:
        return Client(self.port, self.context(who), client_id or who, *topics)


def is_taken(clinic, who):
    try:
        with clinic.client(who) as client:
            return not client.lost.is_set()
    except OSError:
        return False


def refused(port, context):
    """Return in words why a broker and a client do not come together."""
    try:
        with Client(port, context, A) as client:
            assert client.lost.wait(WAIT_S), "it was taken"
            return "hung up"
    except OSError as error:
        return tls_words(error)
