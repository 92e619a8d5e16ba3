"""Every bad certificate is refused, in words that say what to do, and nothing leaves in clear."""

import http.client
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as how

from edge.fetch import tls
from edge.tls import TlsError, client_context, server_context, tls_words
from tests.rigs.net.pki import CLIENTS, SERVERS, Pki
from tests.rigs.net.tls_faults import (
    Meddler,
    Serving,
    Silent,
    lax_client,
    lax_server,
    only_handshakes,
)

WORDS = {
    "expired": "has expired",
    "not_yet_valid": "is the clock of this box right?",
    "wrong_ca": "another CA",
    "wrong_name": "for another name",
    "self_signed": "vouches for itself",
    "weak_key": "too weak",
    "for_clients": "not made for a server",
    "no_identifiers": "Key Identifier",
    "sloppy_ca": "key usage",
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


def asked(port, context, host="localhost"):
    """Return the reply to one request, or raise what kept it from being one."""
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=5.0)
    try:
        connection.request("POST", "/in", body=b"homeward")
        return connection.getresponse().status
    finally:
        connection.close()


def refused(port, context, host="localhost"):
    with pytest.raises((OSError, http.client.HTTPException)) as told:
        asked(port, context, host)
    return tls_words(told.value)


def test_a_good_server_is_asked(pki):
    with Serving(lax_server(pki.server())) as server:
        assert asked(server.port, client_context(pki.ca.file)) == 200
        assert asked(server.port, client_context(pki.ca.file), "127.0.0.1") == 200
    assert all(map(only_handshakes, server.seen))
    assert all(b"homeward" in clear for clear in server.clear)


@pytest.mark.parametrize("fault", SERVERS)
def test_a_bad_server_is_refused_in_words_and_told_nothing(pki, fault):
    with Serving(lax_server(pki.server(fault))) as server:
        assert WORDS[fault] in refused(server.port, client_context(pki.ca_of(fault)))
        assert asked(server.port, lax_client()) == 200  # the rig itself works
    assert only_handshakes(server.seen[0])
    assert len(server.clear) == 1  # of the lax one


def test_without_a_ca_of_its_own_a_clinic_s_server_is_refused(pki):
    with Serving(lax_server(pki.server())) as server:
        assert "another CA" in refused(server.port, client_context())


def test_with_a_ca_of_its_own_nobody_else_is_believed(pki):
    assert len(client_context(pki.ca.file).get_ca_certs()) == 1


def test_an_old_server_is_refused(pki):
    with Serving(lax_server(pki.server(), old=True)) as server:
        why = refused(server.port, client_context(pki.ca.file))
        assert why == "it speaks no TLS 1.2 or later"
        assert asked(server.port, lax_client(old=True)) == 200
    assert only_handshakes(server.seen[0])


def test_a_client_that_is_old_is_refused(pki):
    with (
        Serving(server_context(*pki.server(), pki.ca.file)) as server,
        pytest.raises(ssl.SSLError),
    ):
        asked(server.port, lax_client(old=True))


def test_a_man_in_the_middle_hears_nothing(pki):
    with Serving(lax_server(pki.server())) as server:
        inner = (server.port, client_context(pki.ca.file))
        with Meddler(pki.server("wrong_ca"), inner) as meddler:
            assert "another CA" in refused(meddler.port, client_context(pki.ca.file))
            assert meddler.clear == []
            assert asked(meddler.port, client_context(pki.rogue.file)) == 200
            assert b"homeward" in meddler.clear[0]


def test_a_handshake_that_hangs_ends_and_told_nothing(pki):
    with Silent() as server:
        connection = http.client.HTTPSConnection(
            "localhost", server.port, context=client_context(pki.ca.file), timeout=0.5
        )
        with pytest.raises(TimeoutError) as told:
            connection.request("POST", "/in", body=b"homeward")
        connection.close()
    assert tls_words(told.value) == "it did not answer in time"
    assert only_handshakes(server.seen[0])


@pytest.mark.parametrize("fault", CLIENTS)
def test_a_bad_client_is_refused(pki, fault):
    with Serving(server_context(*pki.server(), pki.ca.file)) as server:
        why = refused(server.port, client_context(pki.ca.file, *pki.client(fault)))
        assert "this box" in why, why
        assert asked(server.port, client_context(pki.ca.file, *pki.client())) == 200
    assert len(server.clear) == 1


def test_no_client_certificate_is_told_as_such(pki):
    with Serving(server_context(*pki.server(), pki.ca.file)) as server:
        assert "homeward enrol" in refused(server.port, client_context(pki.ca.file))


def test_a_server_that_wants_no_certificate_gets_no_worse_a_check(pki):
    with Serving(server_context(*pki.server())) as server:
        assert asked(server.port, client_context(pki.ca.file, *pki.client())) == 200


def test_what_speaks_no_tls_is_told_as_such(pki):
    class Plain(Silent):
        def talk(self, peer, seen):
            seen += peer.recv(4096)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Plain() as server:
        assert "no TLS" in refused(server.port, client_context(pki.ca.file))
    assert only_handshakes(server.seen[0])


def test_keys_that_others_can_read_are_not_used(pki):
    pair = pki.client()
    pair.key.chmod(0o640)
    with pytest.raises(TlsError, match="chmod 600"):
        client_context(pki.ca.file, *pair)


def test_what_does_not_fit_is_told(pki, tmp_path):
    one, other = pki.client(), pki.client()
    with pytest.raises(TlsError, match="does not belong"):
        client_context(pki.ca.file, one.chain, other.key)
    with pytest.raises(TlsError, match="is not there"):
        client_context(tmp_path / "none")
    with pytest.raises(TlsError, match="no certificate"):
        client_context(one.key)
    with pytest.raises(TlsError, match="cannot be read"):
        client_context(pki.ca.file, one.chain, tmp_path / "none")
    with pytest.raises(TlsError, match="cannot be read"):
        client_context(pki.ca.file, tmp_path / "none", one.key)
    (tmp_path / "junk").touch(mode=0o600)
    with pytest.raises(TlsError, match="cannot be used"):
        client_context(pki.ca.file, one.chain, tmp_path / "junk")


def test_a_key_under_a_passphrase_asks_nobody(pki, tmp_path):
    pair = pki.client()
    key = how.load_pem_private_key(pair.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.touch(mode=0o600)
    locked.write_bytes(
        key.private_bytes(
            how.Encoding.PEM, how.PrivateFormat.PKCS8, how.BestAvailableEncryption(b"x")
        )
    )
    with pytest.raises(TlsError, match="no passphrase"):
        client_context(pki.ca.file, pair.chain, locked)


@pytest.mark.parametrize("make", ["client", "server", "fetch"])
def test_nothing_below_tls_1_2_is_ever_spoken(pki, make):
    made = {
        "client": lambda: client_context(pki.ca.file),
        "server": lambda: server_context(*pki.server()),
        "fetch": lambda: tls(Path(pki.ca.file)),
    }[make]()
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "x"), EOFError(), OSError(), ValueError("odd")]
)
def test_there_are_words_for_everything(error):
    assert tls_words(error)
