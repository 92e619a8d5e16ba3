"""A chain is put in force when it stands up to everything, whole, and what was before is kept."""

import os
import random
import shutil
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from edge.enrol import EnrolError, installing
from edge.enrol.chain import rehearse
from edge.enrol.folder import (
    CA,
    CHAIN,
    CURRENT,
    KEY,
    NEXT,
    PREVIOUS,
    RECEIVER,
    REQUEST,
    note_of,
    set_at,
    trouble_of,
    waiting,
    write_file,
)
from edge.enrol.installing import begin, go_back, install, prove, receiver_of, request_of
from edge.tls import client_context
from tests.rigs.net.pki import BOX, Pki

NOW_S = datetime.now(UTC).timestamp()
DAY_S = 86400.0


@pytest.fixture
def pki(tmp_path):
    folder = tmp_path / "pki"
    folder.mkdir()
    return Pki(folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "box" / "sync"


def signed(pki, folder, fault="", name=BOX):
    """Return what a clinic hands back for the request that waits."""
    request = x509.load_pem_x509_csr(request_of(folder))
    return pki.sign(None, name, fault, public=request.public_key()).chain.read_bytes()


def enrolled(pki, folder, fault=""):
    begin(folder, BOX, NOW_S)
    return install(folder, signed(pki, folder, fault), pki.ca.file.read_bytes(), None, NOW_S)


def everything(folder):
    """Return every file and link below a folder."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_a_request_asks_for_the_box_s_name_and_its_key_is_its_own(folder):
    note = begin(folder, BOX, NOW_S)
    request = x509.load_pem_x509_csr(request_of(folder))
    assert request.subject.rfc4514_string() == f"CN={BOX}"
    assert isinstance(request.public_key().curve, ec.SECP256R1)
    assert note.box == BOX
    assert (folder / NEXT / KEY).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert b"PRIVATE" not in request_of(folder)
    assert note_of(folder) is None
    assert trouble_of(folder, NOW_S) == ""


@pytest.mark.parametrize(
    "name", ["", "Box", "a/b", "+", "#", "a b", "receiver", "receiver-2", "x" * 64]
)
def test_names_that_would_open_other_topics_are_refused(folder, name):
    with pytest.raises(EnrolError, match="is no name for a box"):
        begin(folder, name, NOW_S)
    assert not folder.exists()


def test_a_good_chain_is_put_in_force(pki, folder):
    note = enrolled(pki, folder)
    assert note_of(folder) == note
    assert waiting(folder) is None
    assert set_at(folder, PREVIOUS) is None
    assert client_context(folder / CA, folder / CHAIN, folder / KEY)
    assert trouble_of(folder, NOW_S) == ""


def test_a_bundle_is_all_that_is_needed(pki, folder):
    receiver = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = receiver.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    begin(folder, BOX, NOW_S)
    # In no order at all, as people paste it.
    content = pem + pki.ca.file.read_bytes() + b"some words\n" + signed(pki, folder)
    install(folder, content, None, None, NOW_S)
    assert receiver_of(folder) == (folder / RECEIVER).read_bytes() == pem


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        ("expired", BOX, "has expired"),
        ("not_yet_valid", BOX, "is the clock"),
        ("wrong_ca", BOX, "the right CA file"),
        ("no_key_usage", BOX, "keyUsage=digitalSignature"),
        ("for_servers", BOX, "extendedKeyUsage=clientAuth"),
        ("no_identifiers", BOX, "authorityKeyIdentifier"),
        ("is_ca", BOX, "basicConstraints=CA:FALSE"),
        ("", "box-0000", "brokers go by the common name"),
    ],
)
def test_a_bad_chain_is_refused_and_changes_nothing(pki, folder, fault, name, words):
    enrolled(pki, folder)
    begin(folder, BOX, NOW_S)
    before = everything(folder)
    request = x509.load_pem_x509_csr(request_of(folder))
    made = pki.sign(None, name, fault, public=request.public_key(), server=fault == "for_servers")
    with pytest.raises(EnrolError, match=words):
        install(folder, made.chain.read_bytes(), pki.ca.file.read_bytes(), None, NOW_S)
    assert everything(folder) == before


def test_a_sloppy_ca_is_refused_whatever_the_python(pki, folder):
    begin(folder, BOX, NOW_S)
    with pytest.raises(EnrolError, match="key usage"):
        install(folder, signed(pki, folder, "sloppy_ca"), pki.sloppy.file.read_bytes(), None, NOW_S)


def test_a_certificate_of_another_key_is_refused(pki, folder):
    begin(folder, BOX, NOW_S)
    with pytest.raises(EnrolError, match="none of these certificates is of this box's key"):
        install(folder, pki.client().chain.read_bytes(), pki.ca.file.read_bytes(), None, NOW_S)


def test_without_a_ca_it_is_asked_for(pki, folder):
    begin(folder, BOX, NOW_S)
    with pytest.raises(EnrolError, match="--ca FILE"):
        install(folder, signed(pki, folder), None, None, NOW_S)


def test_nobody_else_s_key_is_taken(pki, folder):
    begin(folder, BOX, NOW_S)
    with pytest.raises(EnrolError, match="holds a private key"):
        install(folder, signed(pki, folder) + pki.client().key.read_bytes(), None, None, NOW_S)


def test_a_receipt_key_of_another_kind_is_refused(pki, folder):
    begin(folder, BOX, NOW_S)
    rsa_key = rsa.generate_private_key(65537, 2048).public_key()
    pem = rsa_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    content, ca = signed(pki, folder), pki.ca.file.read_bytes()
    for bad in (pem, b"", b"junk"):
        with pytest.raises(EnrolError, match="the receiver's key"):
            install(folder, content, ca, bad, NOW_S)
    assert note_of(folder) is None


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_junk_is_no_chain(pki, folder, junk):
    begin(folder, BOX, NOW_S)
    with pytest.raises(EnrolError, match="the chain"):
        install(folder, junk, pki.ca.file.read_bytes(), None, NOW_S)


def test_a_renewal_leaves_the_old_one_in_force_until_the_new_one_has_worked(pki, folder):
    old = enrolled(pki, folder)
    new = begin(folder, BOX, NOW_S)
    assert new.fingerprint != old.fingerprint
    assert note_of(folder) == old
    assert trouble_of(folder, NOW_S) == ""
    install(folder, signed(pki, folder), pki.ca.file.read_bytes(), None, NOW_S)
    assert note_of(folder).fingerprint == new.fingerprint
    assert note_of(folder, PREVIOUS) == old
    assert client_context(folder / CA, folder / CHAIN, folder / KEY)
    go_back(folder)
    assert note_of(folder) == old
    assert client_context(folder / CA, folder / CHAIN, folder / KEY)
    with pytest.raises(EnrolError, match="no earlier certificate"):
        go_back(folder)


def test_one_that_worked_makes_the_one_before_go_key_and_all(pki, folder):
    enrolled(pki, folder)
    old = set_at(folder, CURRENT)
    enrolled(pki, folder)
    assert old.exists()
    assert prove(folder)
    assert not old.exists()
    assert not prove(folder)
    assert trouble_of(folder, NOW_S) == ""


def test_one_that_never_worked_is_not_what_is_gone_back_to(pki, folder):
    first = enrolled(pki, folder)
    enrolled(pki, folder)
    enrolled(pki, folder)
    assert note_of(folder, PREVIOUS) == first


def test_a_receiver_s_key_stays_when_a_renewal_brings_none(pki, folder):
    pem = (
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    begin(folder, BOX, NOW_S)
    install(folder, signed(pki, folder), pki.ca.file.read_bytes(), pem, NOW_S)
    enrolled(pki, folder)
    assert receiver_of(folder) == pem


def test_cut_off_anywhere_the_box_has_one_whole_set(pki, folder, monkeypatch, tmp_path):
    """Every write and rename of an installation fails once; what is in force always works."""
    enrolled(pki, folder)
    begin(folder, BOX, NOW_S)
    content, ca = signed(pki, folder), pki.ca.file.read_bytes()
    steps = 0
    for at in range(100):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "copy", symlinks=True)
        left = [at]

        def cut(done, left=left):
            def cutting(*arguments):
                if left[0] == 0:
                    raise OSError("cut off")
                left[0] -= 1
                return done(*arguments)

            return cutting

        with monkeypatch.context() as patched:
            patched.setattr(installing, "write_file", cut(write_file))
            patched.setattr(installing, "point", cut(installing.point))
            patched.setattr(installing, "sweep", cut(installing.sweep))
            try:
                install(tmp_path / "copy", content, ca, None, NOW_S)
                break
            except OSError as error:
                assert str(error) == "cut off"  # noqa: PT017  # the last one ends well
        steps += 1
        place = tmp_path / "copy"
        assert client_context(place / CA, place / CHAIN, place / KEY)
        assert trouble_of(place, NOW_S) == ""
        if waiting(place) is not None:  # it can simply be done again
            install(place, content, ca, None, NOW_S)
        assert note_of(place).fingerprint != note_of(place, PREVIOUS).fingerprint
    assert steps == 7


def test_trouble_is_told_thirty_days_before(pki, folder):
    note = enrolled(pki, folder)
    assert trouble_of(folder, note.ends_s - 31 * DAY_S) == ""
    assert "ends in 29 days" in trouble_of(folder, note.ends_s - 29.5 * DAY_S)
    assert "--renew" in trouble_of(folder, note.ends_s - DAY_S)
    assert "less than a day" in trouble_of(folder, note.ends_s - 60.0)
    assert "ended 2 days ago" in trouble_of(folder, note.ends_s + 2.5 * DAY_S)
    assert "not valid yet" in trouble_of(folder, note.begins_s - 60.0)
    begin(folder, BOX, NOW_S)
    assert "waits for the clinic" in trouble_of(folder, note.ends_s - DAY_S)


def test_an_authority_that_ends_is_told_too(pki, folder):
    enrolled(pki, folder)
    note = note_of(folder)
    assert note.ca_ends_s > note.ends_s
    renewed = msgspec.structs.replace(note, ends_s=1e12)
    write_file(set_at(folder, CURRENT) / "enrol.json", msgspec.json.encode(renewed))
    assert "the clinic's CA ends in" in trouble_of(folder, note.ca_ends_s - 5 * DAY_S)


def test_files_that_went_wrong_are_told(pki, folder):
    enrolled(pki, folder)
    (folder / KEY).chmod(0o644)
    assert "chmod 600" in trouble_of(folder, NOW_S)
    (folder / KEY).chmod(0o600)
    (folder / CHAIN).resolve().unlink()
    assert "cannot be read" in trouble_of(folder, NOW_S)
    (folder / "enrol.json").resolve().write_bytes(b"junk")
    assert "cannot be read" in trouble_of(folder, NOW_S)


def test_files_put_there_by_hand_are_left_alone(folder):
    folder.mkdir(parents=True)
    (folder / KEY).write_text("mine")
    with pytest.raises(EnrolError, match="by hand"):
        begin(folder, BOX, NOW_S)
    assert (folder / KEY).read_text() == "mine"


def test_keys_that_are_given_up_are_gone(folder):
    begin(folder, BOX, NOW_S)
    first = set_at(folder, NEXT)
    begin(folder, BOX, NOW_S)
    assert not first.exists()
    assert len(list((folder / "certs").iterdir())) == 1


def test_nothing_is_ever_open_to_others_whatever_the_umask(pki, folder):
    before = os.umask(0)
    try:
        enrolled(pki, folder)
    finally:
        os.umask(before)
    for path in (folder / "certs").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (folder / REQUEST).exists()


def test_a_rehearsal_says_what_a_strict_server_would(pki):
    good, other = pki.client(), pki.client()
    now = datetime.now(UTC)
    ca = pki.ca.file.read_bytes()
    chain, key = good.chain.read_bytes(), good.key.read_bytes()
    assert rehearse(chain, key, ca, now) == ""
    assert "does not belong" in rehearse(chain, other.key.read_bytes(), ca, now)
    assert "right CA file" in rehearse(chain, key, pki.rogue.file.read_bytes(), now)


def test_whatever_is_handed_back_is_installed_or_refused(pki, folder):
    """Cut off, spoilt, doubled: no byte of it makes anything but a sentence."""
    begin(folder, BOX, NOW_S)
    content = signed(pki, folder) + pki.ca.file.read_bytes()
    chance = random.Random(7)  # noqa: S311
    refused = 0
    for _ in range(400):
        spoilt = bytearray(content)
        for _ in range(chance.choice((1, 1, 3, 20))):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        if chance.random() < 0.3:
            del spoilt[chance.randrange(len(spoilt)) :]
        try:
            install(folder, bytes(spoilt), None, None, NOW_S)
        except EnrolError as error:
            refused += 1
            assert len(str(error)) < 2000  # noqa: PT017  # some are still good
        else:
            assert (
                request_of(folder) is None
            )  # in words between the certificates, where nothing is spoilt
            begin(folder, BOX, NOW_S)
            content = signed(pki, folder) + pki.ca.file.read_bytes()
    assert refused > 200
