"""The small authority: what it signs everybody takes, and what it must not sign it does not."""

import random
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from edge.enrol import EnrolError
from edge.enrol.authority import Authority, create
from edge.enrol.chain import certificates, troubles
from edge.enrol.installing import begin, install, request_of
from edge.enrol.naming import fingerprint
from edge.enrol.request import fingerprint_of, request_pem
from edge.tls import client_context, server_context
from tests.rigs.net.pki import BOX

NOW_S = datetime.now(UTC).timestamp()
DAY_S = 86400.0


@pytest.fixture
def authority(tmp_path):
    return create(tmp_path / "ca", "A clinic", "", NOW_S)


def a_request(name=BOX, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def test_what_it_signs_a_box_takes(authority, tmp_path):
    sync = tmp_path / "sync"
    note = begin(sync, BOX, NOW_S)
    issued, bundle = authority.sign(request_of(sync), NOW_S, fingerprint=note.fingerprint)
    assert install(sync, bundle, None, None, NOW_S).serial == issued.serial
    leaf = certificates(bundle, "x")[0]
    assert troubles(leaf, BOX) == []
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=398)
    assert leaf.serial_number.bit_length() > 100
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).critical


def test_openssl_takes_it_by_its_strict_rules(authority, tmp_path):
    _, bundle = authority.sign(a_request(), NOW_S)
    (tmp_path / "leaf").write_bytes(bundle)
    authority.equip("broker", ["localhost", "10.0.0.1"], NOW_S)
    for purpose, file in (("sslclient", "leaf"), ("sslserver", "ca/broker.crt")):
        subprocess.run(
            [
                *("openssl", "verify", "-x509_strict", "-crl_check", "-purpose", purpose),
                *("-CAfile", tmp_path / "ca/ca.crt", "-CRLfile", tmp_path / "ca/crl.pem"),
                tmp_path / file,
            ],
            check=True,
            capture_output=True,
        )


@pytest.mark.parametrize(
    "name",
    ["Box", "a/b", "+", "#", "../x", "receiver", "receiver-2", "broker", "a" * 64, "%u", "x\n"],
)
def test_a_name_that_is_no_box_s_is_refused(authority, name):
    with pytest.raises(EnrolError, match="is no name for a box"):
        authority.sign(a_request(name), NOW_S)
    assert authority.issued() == []


def test_two_names_are_none(authority):
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, one) for one in (BOX, "receiver")]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    pem = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(EnrolError, match="is no name for a box"):
        authority.sign(pem, NOW_S)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP192R1())],  # noqa: S505
)
def test_a_weak_key_is_refused(authority, key):
    with pytest.raises(EnrolError, match="is refused"):
        authority.sign(a_request(key=key), NOW_S)


def test_a_request_may_ask_for_nothing_but_a_name(authority):
    """What a request asks for besides, other names above all, is not granted."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, BOX)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver")]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    leaf = certificates(authority.sign(pem, NOW_S)[1], "x")[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName(BOX)]
    assert troubles(leaf, BOX) == []


def test_a_forged_request_is_refused(authority):
    content = bytearray(
        x509.load_pem_x509_csr(a_request()).public_bytes(serialization.Encoding.DER)
    )
    content[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(content)).public_bytes(serialization.Encoding.PEM)
    for bad in (forged, b"junk", b""):
        with pytest.raises(EnrolError, match="the request"):
            authority.sign(bad, NOW_S)


def test_another_fingerprint_than_was_read_out_is_refused(authority):
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(EnrolError, match="not from that box"):
        authority.sign(a_request(key=key), NOW_S, fingerprint=fingerprint(b"another"))
    with pytest.raises(EnrolError, match="not from that box"):
        authority.sign(a_request(key=key), NOW_S, fingerprint=fingerprint_of(key)[:20])
    as_typed = fingerprint_of(key).upper().replace(" ", "-")
    assert authority.sign(a_request(key=key), NOW_S, fingerprint=as_typed)


def test_nobody_is_signed_in_the_name_of_another_unasked(authority):
    authority.sign(a_request(), NOW_S)
    with pytest.raises(EnrolError, match="--again"):
        authority.sign(a_request(), NOW_S)
    authority.sign(a_request(), NOW_S, again=True)
    assert len(authority.issued()) == 2
    authority.sign(a_request(), NOW_S + 400 * DAY_S)  # all others have ended


def test_its_key_is_its_own(authority):
    mode = (authority.folder / "ca.key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    (authority.folder / "ca.key").chmod(0o644)
    with pytest.raises(EnrolError, match="chmod 600"):
        authority.sign(a_request(), NOW_S)
    with pytest.raises(EnrolError, match="every box trusts that one"):
        create(authority.folder, "again", "", NOW_S)


def test_a_passphrase_keeps_it(tmp_path):
    create(tmp_path / "ca", "A clinic", "open sesame", NOW_S)
    assert b"ENCRYPTED" in (tmp_path / "ca/ca.key").read_bytes()
    with pytest.raises(EnrolError, match="passphrase is wrong"):
        Authority(tmp_path / "ca", lambda: "wrong").sign(a_request(), NOW_S)
    assert Authority(tmp_path / "ca", lambda: "open sesame").sign(a_request(), NOW_S)


def test_what_was_taken_back_is_in_the_list(authority):
    first, _ = authority.sign(a_request(), NOW_S)
    other, _ = authority.sign(a_request("box-2"), NOW_S)
    assert [one.serial for one in authority.revoke(BOX, NOW_S)] == [first.serial]
    content = (authority.folder / "crl.pem").read_bytes()
    revoked = x509.load_pem_x509_crl(content)
    assert revoked.is_signature_valid(authority.certificate.public_key())
    assert revoked.get_revoked_certificate_by_serial_number(int(first.serial, 16))
    assert revoked.get_revoked_certificate_by_serial_number(int(other.serial, 16)) is None
    assert revoked.next_update_utc == authority.certificate.not_valid_after_utc
    with pytest.raises(EnrolError, match="no valid certificate"):
        authority.revoke(BOX, NOW_S)
    authority.sign(a_request(), NOW_S)  # the name is free again


def test_a_broker_and_a_receiver_get_what_they_need(authority):
    authority.equip("broker", ["localhost", "127.0.0.1", "::1"], NOW_S)
    authority.equip("receiver", [], NOW_S)
    authority.equip("receiver-2", ["hub.example"], NOW_S)
    place = authority.folder
    for name in ("broker", "receiver", "receiver-2"):
        assert stat.S_IMODE((place / f"{name}.key").stat().st_mode) == 0o600
    server_context(place / "broker.crt", place / "broker.key", place / "ca.crt", place / "crl.pem")
    client_context(place / "ca.crt", place / "receiver.crt", place / "receiver.key")
    assert [one.purpose for one in authority.issued()] == ["broker", "receiver", "receiver"]


@pytest.mark.parametrize(
    ("name", "hosts"), [("broker", []), ("box-1", ["x"]), ("receiver", ["ü.example"])]
)
def test_what_is_neither_gets_nothing(authority, name, hosts):
    with pytest.raises(EnrolError):
        authority.equip(name, hosts, NOW_S)
    assert authority.issued() == []


def test_nothing_outlives_the_authority(authority):
    near = NOW_S + 3600 * DAY_S
    issued, _ = authority.sign(a_request(), near)
    assert issued.ends_s <= authority.certificate.not_valid_after_utc.timestamp()
    with pytest.raises(EnrolError, match="has ended"):
        authority.sign(a_request("box-2"), NOW_S + 3700 * DAY_S)


def test_a_record_that_is_damaged_stops_it(authority):
    authority.sign(a_request(), NOW_S)
    (authority.folder / "issued.json").write_bytes(b"junk")
    with pytest.raises(EnrolError, match="backup"):
        authority.sign(a_request("box-2"), NOW_S)


def test_no_authority_is_told(tmp_path):
    with pytest.raises(EnrolError, match="ca init"):
        Authority(tmp_path, str)


def test_a_box_s_own_request_is_one(authority):
    assert authority.sign(request_pem(ec.generate_private_key(ec.SECP256R1()), BOX), NOW_S)


def test_whatever_is_asked_is_signed_or_refused(authority):
    content, chance = a_request(), random.Random(7)  # noqa: S311
    refused = 0
    for _ in range(300):
        spoilt = bytearray(content)
        for _ in range(chance.choice((1, 1, 3, 20))):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        if chance.random() < 0.3:
            del spoilt[chance.randrange(len(spoilt)) :]
        try:
            authority.sign(bytes(spoilt), NOW_S, again=True)
        except EnrolError:
            refused += 1
    assert refused > 200
    assert {one.name for one in authority.issued()} <= {BOX}
