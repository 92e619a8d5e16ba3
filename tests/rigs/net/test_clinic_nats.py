"""The same clinic on nats-server: its MQTT listener with the settings we print."""

from __future__ import annotations

import gc
import json
import socket
import time
import warnings

import pytest

from edge.__main__ import main
from edge.enrol.authority import Authority
from edge.tls import client_context
from tests.rigs.net.clinic import NATS, A, B, Clinic, free_port, is_taken, nats, now_s, refused
from tests.rigs.net.pki import Pki

pytestmark = pytest.mark.skipif(
    NATS is None, reason="nats-server is missing: apt install nats-server"
)
QUIET_S = 1.0


@pytest.fixture
def clinic(tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        made = Clinic(tmp_path, free_port())
        made.plain = free_port()
        made.printed = lambda: printed(made, tmp_path, capsys)
        with nats(made.printed(), tmp_path, made.port) as made.running:
            yield made
        gc.collect()  # paho leaves the socket of a handshake that failed to it


def printed(clinic, folder, capsys):
    capsys.readouterr()
    given = ["--folder", str(folder / "ca"), "--state", str(folder), "--port", str(clinic.port)]
    assert main(["receive", "ca", "nats", *given]) == 0
    conf = capsys.readouterr().out
    return conf.replace("0.0.0.0:", "127.0.0.1:").replace(":4222", f":{clinic.plain}")


def test_each_box_has_its_own_topics_and_no_others(clinic):
    with (
        clinic.client("receiver", "homeward/v1/+/up/#") as receiver,
        clinic.client(A, f"homeward/v1/{A}/receipt", f"homeward/v1/{B}/receipt") as a,
        clinic.client(B, "#", "homeward/v1/+/up/#", f"homeward/v1/{B}/receipt") as b,
    ):
        a.say(f"homeward/v1/{A}/up/alert", b"a")
        assert receiver.waits_for(1) == [(f"homeward/v1/{A}/up/alert", b"a")]
        receiver.say(f"homeward/v1/{A}/receipt", b"to a")
        receiver.say(f"homeward/v1/{B}/receipt", b"to b")
        assert a.waits_for(1) == [(f"homeward/v1/{A}/receipt", b"to a")]
        assert b.waits_for(1) == [(f"homeward/v1/{B}/receipt", b"to b")]
        for topic in (f"homeward/v1/{B}/up/alert", f"homeward/v1/{B}/receipt", "anything"):
            a.paho.publish(topic, b"forged", qos=1)
        time.sleep(QUIET_S)
        assert [len(receiver.got), len(a.got), len(b.got)] == [1, 1, 1]


def test_nobody_gets_in_without_a_certificate_of_the_clinic(clinic, tmp_path):
    (tmp_path / "pki").mkdir()
    pki, ca = Pki(tmp_path / "pki"), clinic.folder / "ca/ca.crt"
    for pair in ((), pki.client(), pki.client(name="receiver"), pki.client("self_signed")):
        words = refused(clinic.port, client_context(ca, *pair))
        assert "this box" in words or words == "hung up"
    assert is_taken(clinic, A)


def test_nobody_gets_in_by_a_name_at_nats_s_own_port(clinic):
    """Users have no password there: without TLS on it, any program could be the receiver."""
    with socket.create_connection(("127.0.0.1", clinic.plain), 5.0) as peer:
        told = json.loads(peer.recv(65536).removeprefix(b"INFO "))
        assert told["tls_required"]
        assert told["tls_verify"]
        peer.sendall(b'CONNECT {"user":"receiver","pass":"","verbose":true}\r\nPING\r\n')
        peer.settimeout(5.0)
        heard = b""
        try:
            while piece := peer.recv(4096):
                heard += piece
        except OSError as error:
            assert not isinstance(error, TimeoutError)  # noqa: PT017  # it may hang up either way
    assert b"+OK" not in heard
    assert b"PONG" not in heard


def test_a_box_that_was_taken_back_is_no_user_any_more(clinic):
    assert is_taken(clinic, A)
    Authority(clinic.folder / "ca", str).revoke(A, now_s())
    conf = clinic.printed()
    assert f'"{A}"' not in conf
    assert f'"{B}"' in conf
