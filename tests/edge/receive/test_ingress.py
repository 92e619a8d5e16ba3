"""Boxes over HTTP: stored before answered, bounded, and nobody else's word is taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.receive.sqlite import Sqlite
from edge.receive.store import Store
from edge.sync import wire
from edge.sync.parcel import Item
from tests.edge.receive.running import ROOT, Receiving, post, raw
from tests.edge.sync.entries import erase, heartbeat, item

NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Clinic:
    """A receiver that listens on this machine, and what it may be asked."""

    def __init__(self, folder: Path) -> None:
        secrets = folder / "secrets"
        secrets.mkdir()
        (secrets / "pi-9.secret").write_text("a shared secret\n")
        self.path = folder / "data" / "receive" / "received.db"
        self.receiving = Receiving(
            "--listen", "127.0.0.1:0", "--data-dir", str(folder / "data"), "--secrets", str(secrets)
        )
        said = self.receiving.start()
        self.port = int(said["listen"].rpartition(":")[2])
        self.public = Ed25519PublicKey.from_public_bytes(base64.b64decode(said["receipt_key"]))

    def send(self, box: str, *items: Item) -> dict[str, str]:
        status, body = post(self.port, box, wire.pack(box, items, NOW)[0])
        assert status == 200, body
        return dict(wire.checked(body, self.public, box).stored)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = Clinic(tmp_path_factory.mktemp("clinic"))
    with made.receiving:
        yield made


def test_what_is_posted_is_stored_and_answered_with_a_signed_receipt(clinic: Clinic) -> None:
    items = [item(1, "a"), item(2, "a")]
    assert clinic.send("pi-1", *items) == {one.uuid: one.digest for one in items}
    assert clinic.send("pi-1", *items) == {one.uuid: one.digest for one in items}
    wish = erase(3, (items[0].uuid,), "a")
    assert clinic.send("pi-1", wish) == {wish.uuid: wish.digest}
    store = Store(Sqlite(clinic.path))
    assert [(row[2], row[6] is None) for row in store.entries("pi-1")] == [(1, True), (2, False)]
    store.close()


def test_a_heartbeat_needs_no_receipt(clinic: Clinic) -> None:
    body = wire.pack_heartbeat(heartbeat("pi-2"), NOW)
    assert post(clinic.port, "pi-2", body) == (200, b"{}")


def test_a_box_with_a_secret_has_to_sign(clinic: Clinic) -> None:
    body = wire.pack("pi-9", [item(1)], NOW)[0]
    assert post(clinic.port, "pi-9", body)[0] == 403
    for secret, status in ((b"a shared secret", 200), (b"another", 403)):
        mac = hmac.new(secret, b"1763780000." + body, hashlib.sha256).hexdigest()
        headers = {"X-Homeward-Signature": f"t=1763780000,sha256={mac}"}
        assert post(clinic.port, "pi-9", body, headers)[0] == status
    assert post(clinic.port, "pi-9", body + b" ", headers)[0] == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/pi-1 HTTP/1.1\r\n\r\n", 405),
        (b"POST /v1/../pi-1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 404),
        (b"POST /v1/PI%2f1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 404),
        (b"POST /v1/pi-1 HTTP/1.1\r\n\r\n", 411),
        (b"POST /v1/pi-1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (b"POST /v1/pi-1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /v1/pi-1 HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n", 413),
        (b"POST /v1/pi-1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 422),
        (b"POST /v1/pi-1 HTTP/9\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"\x16\x03\x01 nothing\r\n\r\n", 400),
        (b"POST /v1/pi-1 HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 400),
        (b"x" * 70_000, 400),
    ],
)
def test_what_is_no_message_is_refused(clinic: Clinic, sent: bytes, status: int) -> None:
    assert raw(clinic.port, sent)[0] == status


def test_a_message_in_the_name_of_another_box_is_refused(clinic: Clinic) -> None:
    assert post(clinic.port, "pi-1", wire.pack("pi-3", [item(1)], NOW)[0])[0] == 422


def test_slow_and_many_connections_hold_nobody_up_for_long(clinic: Clinic) -> None:
    slow = [socket.create_connection(("127.0.0.1", clinic.port)) for _ in range(80)]
    for peer in slow:
        peer.sendall(b"POST /v1/pi-1 HTTP/1.1\r\n")
    begun = time.monotonic()
    ended = 0
    for peer in slow:  # not one of them is served for longer than 10 s, whatever it sends
        peer.settimeout(20.0)
        with peer, suppress(ConnectionResetError):
            assert peer.recv(10) == b""
        ended += 1
    assert ended == 80
    assert time.monotonic() - begun < 15.0
    assert clinic.send("pi-1", item(7, "a"))


def test_only_this_machine_may_do_without_tls(tmp_path: Path) -> None:
    options = ["--listen", "0.0.0.0:0", "--data-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "edge", "receive", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "would read everything" in done.stderr
