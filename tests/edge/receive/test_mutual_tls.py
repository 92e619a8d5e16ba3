"""A whole clinic: its authority, mosquitto as we print it, an enrolled box, and the receiver."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.enrol.authority import create
from edge.enrol.broker import mosquitto_acl, mosquitto_conf
from edge.enrol.chain import receiver_key
from edge.enrol.installing import begin, install, request_of
from edge.receive.signing import signing_key
from edge.secret import read_secret
from edge.sync import wire
from edge.sync.sinks import Place, SinkError
from edge.sync.sinks.mqtt import MqttSink, Settings
from edge.tls import client_context
from tests.edge.receive.mosquitto import BINARY, Mosquitto, free_port, needs_mosquitto
from tests.edge.receive.running import Receiving
from tests.edge.sync.entries import item

pytestmark = needs_mosquitto
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Clinic:
    """An authority, a broker, a receiver, and the boxes it has enrolled."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        now_s = datetime.now(UTC).timestamp()
        self.folder, self.port = folder, free_port()
        self.place = folder / name
        self.ca = create(self.place, "A clinic", "", now_s)
        self.ca.equip("broker", ["localhost"], now_s)
        self.ca.equip("receiver", ["localhost"], now_s)
        signing_key(self.place / "receipts" / "receiver.key")
        public = (self.place / "receipts" / "receiver.pub").read_bytes()
        self.ca.keep_receipt_key(receiver_key(public))

    def conf(self) -> str:
        (self.place / "acl").write_text(mosquitto_acl(["receiver"]))
        (self.place / "acl").chmod(0o600)
        conf = mosquitto_conf(self.place, self.folder, self.port)
        return conf.replace(f"listener {self.port}", f"listener {self.port} 127.0.0.1")

    def enrol(self, box: str) -> Place:
        now_s = datetime.now(UTC).timestamp()
        home = self.folder / box
        begin(home, box, now_s)
        request = request_of(home)
        assert request is not None
        _, bundle = self.ca.sign(request, now_s)
        install(home, bundle, None, None, now_s)
        return Place("clinic", home, home, lambda: box, lambda named: read_secret(named, home))

    def options(self) -> tuple[str, ...]:
        files = ("--ca", "ca.crt", "--cert", "receiver.crt", "--key-file", "receiver.key")
        paths = [str(self.place / one) if "." in one else one for one in files]
        key = ("--key", str(self.place / "receipts" / "receiver.key"))
        return (*paths, *key, "--data-dir", str(self.folder / "data"))


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    assert BINARY is not None
    made = Clinic(tmp_path_factory.mktemp("clinic"))
    (made.folder / "broker").mkdir()
    broker = Mosquitto(made.folder / "broker")
    broker.port = made.port
    broker.write(f"{made.conf()}user root\n" if os.geteuid() == 0 else made.conf())
    with broker:
        yield made


def sink(clinic: Clinic, place: Place) -> MqttSink:
    return MqttSink(Settings(host="localhost", port=clinic.port), place)


def test_an_enrolled_box_sends_and_gets_a_receipt_that_it_can_check(clinic: Clinic) -> None:
    async def main(opened: MqttSink) -> None:
        ends_s = opened.certificate_s()
        assert ends_s is not None
        assert ends_s > datetime.now(UTC).timestamp() + 86400
        await opened.send(opened.pack(item(1).kind, [item(1)]))
        async with asyncio.timeout(20):
            receipt = await opened.receipts.get()
        assert receipt.stored == {item(1).uuid: item(1).digest}
        await opened.close()

    url = f"mqtts://localhost:{clinic.port}"
    with Receiving("--broker", url, *clinic.options()) as receiver:
        receiver.until("listening")
        asyncio.run(main(sink(clinic, clinic.enrol("pi-7"))))
        assert receiver.until("received")["box"] == "pi-7"


def test_a_box_of_another_clinic_is_told_why_and_so_is_its_broker(
    clinic: Clinic, tmp_path: Path
) -> None:
    async def refused(opened: MqttSink) -> str:
        with pytest.raises(SinkError) as error:
            await opened.send(opened.pack(item(1).kind, [item(1)]))
        await opened.close()
        return str(error.value)

    other = Clinic(tmp_path)
    stranger = other.enrol("pi-8")
    assert "another CA" in asyncio.run(refused(sink(clinic, stranger)))
    # It believes our broker, and our broker does not believe it.
    (stranger.sync_dir / "ca.crt").write_bytes((clinic.place / "ca.crt").read_bytes())
    assert "certificate" in asyncio.run(refused(sink(clinic, stranger)))
    named = Settings(host="127.0.0.1", port=clinic.port)
    mine = clinic.enrol("pi-9")
    said = asyncio.run(refused(MqttSink(named, mine)))
    assert "another address" in said or "another name" in said


def test_over_https_a_box_is_who_its_certificate_says(clinic: Clinic) -> None:
    async def post(port: int, box: str, context: ssl.SSLContext) -> int:
        body = wire.pack(box, [item(1, box)], NOW)[0]
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        head = f"POST /v1/{box} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
        return int(answer.split()[1])

    home = clinic.enrol("pi-5").sync_dir
    ca = clinic.place / "ca.crt"
    context = client_context(ca, home / "box.crt", home / "box.key")
    gone = clinic.enrol("pi-4").sync_dir
    clinic.ca.revoke("pi-4", datetime.now(UTC).timestamp())
    taken_back = client_context(ca, gone / "box.crt", gone / "box.key")
    crl = ("--crl", str(clinic.place / "crl.pem"))
    # Not on this machine alone: nobody is believed for where they call from.
    with Receiving("--listen", "0.0.0.0:0", *crl, *clinic.options()) as receiver:
        port = int(receiver.said[0]["listen"].rpartition(":")[2])
        assert asyncio.run(post(port, "pi-5", context)) == 200
        assert asyncio.run(post(port, "pi-6", context)) == 403
        assert asyncio.run(post(port, "pi-5", client_context(ca))) == 403
        with pytest.raises((OSError, EOFError)):
            asyncio.run(post(port, "pi-4", taken_back))


def test_a_receiver_whose_key_others_can_read_does_not_start(tmp_path: Path) -> None:
    signing_key(tmp_path / "receiver.key")
    (tmp_path / "receiver.key").chmod(0o644)
    words = ["--listen", "127.0.0.1:0", "--key", str(tmp_path / "receiver.key")]
    done = subprocess.run(
        [sys.executable, "-m", "edge", "receive", *words, "--data-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
