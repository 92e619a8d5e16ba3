"""The real sinks over TLS: an enrolled box reaches its clinic, and no bad server hears a word.

Every refusal says that nothing arrived: so what was to leave stays queued, and is sent again.
"""

from __future__ import annotations

import asyncio
import gc
import warnings
from datetime import UTC, datetime

import msgspec
import pytest

from edge.egress.allowed import Content
from edge.secret import read_secret
from edge.sync import wire
from edge.sync.parcel import Receipt
from edge.sync.sinks import Place, SinkError, fhir_rest, mqtt, webhook
from edge.tls import client_context
from tests.edge.sync.sinks.far_off import items, secret_file
from tests.rigs.net.clinic import MOSQUITTO, A, B, Clinic, broker, free_port
from tests.rigs.net.pki import BOX, SERVERS, Pki
from tests.rigs.net.tls_faults import Meddler, Serving, lax_server, only_handshakes

NETWORK = {"mqtt": mqtt.SINK, "fhir_rest": fhir_rest.SINK, "webhook": webhook.SINK}
every_sink = pytest.mark.parametrize("name", NETWORK)
WORDS = {
    "expired": "expired",
    "not_yet_valid": "clock",
    "wrong_ca": "another CA",
    "wrong_name": "another name",
    "self_signed": "vouches for itself",
    "weak_key": "too weak",
    "for_clients": "not made for a server",
    "no_identifiers": "Key Identifier",
    "sloppy_ca": "key usage",
    "old": "TLS 1.2",
}


@pytest.fixture(autouse=True)
def _collected():
    """paho leaves the socket of a handshake that failed to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def pki(tmp_path):
    (tmp_path / "pki").mkdir()
    return Pki(tmp_path / "pki")


def enrolled(tmp_path, pki, ca, fault=""):
    """Return where a box stands that trusts `ca` and shows a certificate with a fault."""
    folder = tmp_path / "sync"
    folder.mkdir(exist_ok=True)
    pair = pki.client(fault)
    for name, source in (("ca.crt", ca), ("box.crt", pair.chain), ("box.key", pair.key)):
        (folder / name).write_bytes(source.read_bytes())
    (folder / "box.key").chmod(0o600)
    (folder / "receiver.pub").write_bytes(b"A" * 43 + b"=\n")  # nobody's: nothing is received
    return Place("far", tmp_path, folder, lambda: BOX, lambda named: read_secret(named, tmp_path))


def opened(name, place, port):
    sink = NETWORK[name]
    chosen = {
        "mqtt": lambda: {"host": "localhost", "port": port},
        "fhir_rest": lambda: {"url": f"https://localhost:{port}/fhir", "certificate": True},
        "webhook": lambda: {
            "url_file": secret_file(
                place.data_dir, "hook", f"https://localhost:{port}/x", "0123456789abcdef" * 2
            ),
            "certificate": True,
        },
    }[name]()
    known = {field.name for field in msgspec.structs.fields(sink.settings)}
    settings = sink.settings(**{key: chosen[key] for key in chosen if key in known})
    return sink.open(settings, place)


def refused(name, place, port):
    """Send one entry, which has to fail; return why, in the sink's words."""

    async def once():
        sink = opened(name, place, port)
        with pytest.raises(SinkError) as told:
            await sink.send(sink.pack(Content.ALERT, items(1)))
        await sink.close()
        assert not told.value.arrived
        assert not told.value.refused
        assert sink.receipts.empty()
        return str(told.value)

    return asyncio.run(once())


@every_sink
@pytest.mark.parametrize("fault", [*SERVERS, "old"])
def test_no_bad_server_hears_a_word(tmp_path, pki, name, fault):
    place = enrolled(tmp_path, pki, pki.ca_of(fault))
    shown = pki.server("" if fault == "old" else fault)
    with Serving(lax_server(shown, old=fault == "old")) as server:
        assert WORDS[fault] in refused(name, place, server.port)
    assert server.clear == []
    assert server.seen
    assert all(map(only_handshakes, server.seen))


@every_sink
def test_a_man_in_the_middle_hears_nothing(tmp_path, pki, name):
    place = enrolled(tmp_path, pki, pki.ca.file)
    with Serving(lax_server(pki.server())) as server:
        inner = (server.port, client_context(pki.ca.file))
        with Meddler(pki.server("wrong_ca"), inner) as meddler:
            assert "another CA" in refused(name, place, meddler.port)
            assert meddler.clear == []
        assert server.seen == []


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is missing: apt install mosquitto")
def test_an_enrolled_box_is_settled_by_its_clinic(tmp_path):
    """Everything as it is printed and signed: certificate, broker, topics, receipt key."""
    clinic = Clinic(tmp_path, free_port())
    place = Place(
        "far", tmp_path, tmp_path / A, lambda: A, lambda named: read_secret(named, tmp_path)
    )
    sent = items(2)

    async def settled(sink, receiver):
        await sink.send(sink.pack(Content.ALERT, sent))
        topic, payload = (await asyncio.to_thread(receiver.waits_for, 1))[0]
        assert topic == f"homeward/v1/{A}/up/alert"
        held = {entry.uuid: entry.digest for entry in wire.opened(payload, A).entries}
        said = wire.sign(A, Receipt(held), datetime.now(UTC), clinic.key)
        receiver.say(wire.receipt_topic(B), said)  # to another: nobody hears it here
        receiver.say(wire.receipt_topic(A), said)
        async with asyncio.timeout(20):
            receipt = await sink.receipts.get()
        await sink.close()
        return receipt

    with (
        broker(clinic.conf(), tmp_path, clinic.port),
        clinic.client("receiver", "homeward/v1/+/up/#") as receiver,
    ):
        receipt = asyncio.run(settled(opened("mqtt", place, clinic.port), receiver))
    assert receipt.stored == {one.uuid: one.digest for one in sent}


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is missing: apt install mosquitto")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "this box's certificate has expired: `homeward enrol --renew`"),
        ("not_yet_valid", "is its clock right?"),
        ("wrong_ca", "does not know the CA of this box's certificate"),
        ("self_signed", "this box's certificate"),
        ("for_servers", "not made for a client"),
    ],
)
def test_a_broker_that_refuses_this_box_leaves_all_of_it_queued(tmp_path, pki, fault, words):
    clinic = Clinic(tmp_path, free_port())
    # The clinic's own authority, so that nothing but the fault is wrong.
    pki.ca.key, pki.ca.certificate = clinic.ca._key(), clinic.ca.certificate
    place = enrolled(tmp_path, pki, clinic.folder / "ca/ca.crt", fault)
    with (
        broker(clinic.conf(), tmp_path, clinic.port),
        clinic.client("receiver", "homeward/v1/+/up/#") as receiver,
    ):
        assert words in refused("mqtt", place, clinic.port)
        assert receiver.got == []
