"""A clinic of ours: mosquitto with the settings we print, boxes with the certificates we sign.

Each box has its own topics and no others, nobody without a certificate gets in, and against every
bad broker not a byte of MQTT leaves.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import ssl
import time
import warnings

import paho.mqtt.client as mqtt
import pytest

from edge.enrol.authority import Authority
from edge.enrol.handshake import refusal
from edge.tls import client_context, tls_words
from tests.rigs.net.clinic import (
    MOSQUITTO,
    WAIT_S,
    A,
    B,
    Client,
    Clinic,
    broker,
    free_port,
    is_taken,
    now_s,
    refused,
)
from tests.rigs.net.pki import SERVERS, Pki
from tests.rigs.net.tls_faults import Meddler, Relay, Silent, lax_client, only_handshakes

pytestmark = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto is missing: apt install mosquitto"
)
QUIET_S = 1.0
"""Within this, what was let through would have come."""


@pytest.fixture(autouse=True)
def _collected():
    """paho leaves the socket of a handshake that failed to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def clinic(tmp_path):
    made = Clinic(tmp_path, free_port())
    with broker(made.conf(), tmp_path, made.port) as made.running:
        yield made


def test_each_box_has_its_own_topics_and_no_others(clinic):
    with (
        clinic.client("receiver", "$share/homeward/homeward/v1/+/up/#") as receiver,
        clinic.client(A, f"homeward/v1/{A}/receipt", f"homeward/v1/{B}/receipt") as a,
        clinic.client(B, "#", "homeward/v1/+/up/#", f"homeward/v1/{B}/receipt") as b,
    ):
        for topic in (
            f"homeward/v1/{B}/up/alert",
            f"homeward/v1/{B}/receipt",
            f"homeward/v1/{A}/receipt",
            f"homeward/v1/{A}/down",
            "homeward/v1/up/alert",
            "anything",
        ):
            a.say(topic, b"forged")
        a.say(f"homeward/v1/{A}/up/alert", b"a")
        assert receiver.waits_for(1) == [(f"homeward/v1/{A}/up/alert", b"a")]
        receiver.say(f"homeward/v1/{A}/receipt", b"to a")
        receiver.say(f"homeward/v1/{B}/receipt", b"to b")
        assert a.waits_for(1) == [(f"homeward/v1/{A}/receipt", b"to a")]
        # B listens to everything, once for each of its subscriptions that match, and hears its own.
        assert set(b.waits_for(1)) == {(f"homeward/v1/{B}/receipt", b"to b")}
        receiver.say(f"homeward/v1/{A}/up/alert", b"not a receiver's")
        time.sleep(QUIET_S)
        assert [len(receiver.got), len(a.got)] == [1, 1]
        assert {payload for _, payload in b.got} == {b"to b"}


def test_no_box_puts_another_off_the_line(clinic):
    with clinic.client(A, f"homeward/v1/{A}/receipt") as a:
        with clinic.client(B, client_id=A):
            time.sleep(QUIET_S)
            assert not a.lost.is_set()
        with clinic.client("receiver") as receiver:
            receiver.say(f"homeward/v1/{A}/receipt")
        assert a.waits_for(1)


def test_nobody_gets_in_without_a_certificate_of_the_clinic(clinic, tmp_path):
    (tmp_path / "pki").mkdir()
    pki, ca = Pki(tmp_path / "pki"), clinic.folder / "ca/ca.crt"
    shown = {"": (), "good": pki.client(), "alone": pki.client("self_signed")}
    shown["receiver"] = pki.client(name="receiver")  # in its name, by another authority
    for fault, pair in shown.items():
        context = client_context(ca, *pair)
        # With TLS 1.3 paho sees but a connection that ends; a handshake of our own sees why.
        words = refused(clinic.port, context)
        assert "this box" in words or words == "hung up"
        words = asyncio.run(refusal("localhost", clinic.port, context))
        assert ("this box's certificate" if fault else "homeward enrol") in words
    assert asyncio.run(refusal("localhost", clinic.port, clinic.context(A))) == ""
    with pytest.raises(ssl.SSLError):
        Client(clinic.port, lax_client(old=True), A)
    plain = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    plain.connect("localhost", clinic.port)
    until = time.monotonic() + WAIT_S
    while plain.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
        assert not plain.is_connected()
        assert time.monotonic() < until


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_that_are_good_are_taken(clinic, version):
    context = clinic.context(A)
    context.minimum_version = context.maximum_version = version
    with Client(clinic.port, context, A) as client:
        client.say(f"homeward/v1/{A}/up/alert")


def test_a_certificate_that_was_taken_back_is_refused(clinic):
    with clinic.client(A) as a:
        a.say(f"homeward/v1/{A}/up/alert")
    Authority(clinic.folder / "ca", str).revoke(A, now_s())
    clinic.write()
    clinic.running.send_signal(signal.SIGHUP)
    until = time.monotonic() + WAIT_S
    while is_taken(clinic, A):
        assert time.monotonic() < until, (clinic.folder / "log").read_text()
        time.sleep(0.05)
    why = asyncio.run(refusal("localhost", clinic.port, clinic.context(A)))
    assert "was revoked" in why
    with clinic.client(B) as b:
        b.say(f"homeward/v1/{B}/up/alert")


def test_what_is_too_large_is_not_taken(clinic):
    with clinic.client("receiver", "homeward/v1/+/up/#") as receiver, clinic.client(A) as a:
        a.paho.publish(f"homeward/v1/{A}/up/summary", bytes(100_000), qos=1)
        assert a.lost.wait(WAIT_S)
        assert receiver.got == []


@pytest.mark.parametrize("fault", [one for one in SERVERS if one != "weak_key"])
def test_a_bad_broker_hears_no_word_of_mqtt(tmp_path, fault):
    """With a key that is too weak mosquitto itself does not start."""
    pki, port = Pki(tmp_path), free_port()
    shown = pki.server(fault)
    conf = (
        f"listener {port} 127.0.0.1\ncafile {pki.ca.file}\ncertfile {shown.chain}\n"
        f"keyfile {shown.key}\nallow_anonymous true\n"
    )
    with broker(conf, tmp_path, port), Relay(port) as relay:
        with pytest.raises(ssl.SSLCertVerificationError) as told:
            Client(relay.port, client_context(pki.ca_of(fault), *pki.client()), A)
        assert tls_words(told.value).startswith("its certificate") or fault == "for_clients"
        with Client(relay.port, lax_client(), A) as control:
            control.say("anything")  # the broker and the relay work
    assert all(map(only_handshakes, relay.seen))
    assert len(relay.seen[0]) < 2000  # a hello and an alert


def test_a_man_in_the_middle_of_mqtt_hears_nothing(clinic, tmp_path):
    (tmp_path / "pki").mkdir()
    pki = Pki(tmp_path / "pki")
    with Meddler(pki.server("wrong_ca"), (clinic.port, clinic.context(A))) as meddler:
        assert "another CA" in refused(meddler.port, clinic.context(A))
        assert meddler.clear == []
        raw = socket.create_connection(("127.0.0.1", meddler.port))
        with client_context(pki.rogue.file).wrap_socket(raw, server_hostname="localhost") as fooled:
            fooled.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x1e\x00\x04box-")
            assert fooled.recv(4) == b"\x20\x02\x00\x00"
        assert b"MQTT" in meddler.clear[0]  # as he would have heard it


def test_a_broker_that_hangs_in_the_handshake_hears_nothing(clinic):
    with Silent() as silent:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=A)
        client.tls_set_context(clinic.context(A))
        client.connect_timeout = 0.5
        with pytest.raises(TimeoutError):
            client.connect("localhost", silent.port)
    assert only_handshakes(silent.seen[0])
