"""``homeward enrol`` and ``homeward receive ca``: from nothing to a certificate, as typed."""

import json
import socket
import threading

import pytest
from cryptography import x509

from edge.__main__ import main
from edge.receive.signing import signing_key
from edge.sync.identity import public_key
from tests.rigs.net.pki import BOX, Pki
from tests.rigs.net.tls_faults import Serving, lax_server


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEWARD_CONFIG", str(tmp_path / "homeward.toml"))
    monkeypatch.delenv("HOMEWARD_CA_PASSPHRASE_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "homeward.toml").write_text("")
    return tmp_path


@pytest.fixture
def run(home, capsys):
    def call(*arguments, code=0, words=""):
        given = [*arguments]
        if arguments[0] == "enrol":
            given += ["--data-dir", str(home / "box")]
        else:
            given += ["--folder", str(home / "ca")]
        ended = main(given)
        told = capsys.readouterr()
        assert ended == code, told.out + told.err
        assert words in " ".join((told.out + told.err).split())
        assert "PRIVATE" not in told.out + told.err
        return told.out

    return call


@pytest.fixture
def receipt_key(home):
    signing_key(home / "receipts.key")  # as `homeward receive` makes it
    return str(home / "receiver.pub")


def facts(text):
    return json.loads(text.splitlines()[-1])


def test_from_nothing_to_a_certificate(run, home, receipt_key):
    run("receive", "ca", "init", "--receipt-key", receipt_key, words="fingerprint")
    asked = facts(run("enrol", "--box", BOX, "--json"))
    assert asked["state"] == "waiting"
    assert asked["topics"] == {
        "up": f"homeward/v1/{BOX}/up",
        "receipt": f"homeward/v1/{BOX}/receipt",
    }
    (home / "request").write_text(asked["request"])
    run("receive", "ca", "sign", "request", "--fingerprint", asked["fingerprint"])
    installed = facts(run("enrol", "--install", f"{BOX}.pem", "--json"))
    assert (installed["state"], installed["receipts"]) == ("installed", True)
    ours = signing_key(home / "receipts.key").public_key()
    assert public_key(home / "box/sync/receiver.pub") == ours
    status = facts(run("enrol", "--status", "--json"))
    assert (status["state"], status["trouble"]) == ("enrolled", "")
    assert status["days_left"] == pytest.approx(397, abs=1)
    run("enrol", words="can be believed")
    listed = run("receive", "ca", "list", "--json")
    assert facts(listed) == {"record": "certificates", "n": 1, "n_valid": 1}
    run("receive", "ca", "revoke", BOX, words="taken back")
    run("receive", "ca", "list", words="revoked")


def test_asked_again_it_shows_the_same_request(run):
    first = run("enrol", "--box", BOX)
    assert run("enrol") == first
    assert run("enrol", "--box", BOX) == first
    run("enrol", "--box", "box-2", code=1, words="--new gives it up")
    assert run("enrol", "--new") != first


def test_a_renewal_keeps_the_name_and_can_be_taken_back(run, receipt_key):
    run("receive", "ca", "init", "--receipt-key", receipt_key)
    for turn in ("--new", "--renew"):
        asked = facts(run("enrol", turn, *(["--box", BOX] if turn == "--new" else []), "--json"))
        assert asked["box"] == BOX
        run("receive", "ca", "sign", "box/sync/next/box.csr", "--yes", "--again")
        run("enrol", "--install", f"{BOX}.pem", words="in force until")
    assert facts(run("enrol", "--status", "--json"))["previous_kept"]
    assert facts(run("enrol", "--back", "--json"))["state"] == "back_in_force"
    run("enrol", "--back", code=1, words="no earlier certificate")


def test_a_refused_chain_changes_nothing_and_says_why(run, home):
    pki = Pki(home)
    run("enrol", "--box", BOX)
    given = ["--install", str(pki.client().chain), "--ca", str(pki.ca.file)]
    run("enrol", *given, code=1, words="is of this box's key")
    run("enrol", "--install", "nowhere", code=1, words="cannot be read")
    assert facts(run("enrol", "--status", "--json"))["state"] == "waiting"


def test_what_ends_soon_ends_with_3(run, home):
    pki = Pki(home)
    run("enrol", "--box", BOX)
    request = x509.load_pem_x509_csr((home / "box/sync/next/box.csr").read_bytes())
    chain = pki.sign(None, BOX, "nearly_over", public=request.public_key()).chain
    run("enrol", "--install", str(chain), "--ca", str(pki.ca.file))
    run("enrol", "--status", code=3, words="! the certificate of this box ends in 19 days")
    assert "ends in 19 days" in facts(run("enrol", "--status", "--json", code=3))["trouble"]


def test_a_broker_is_tried(run, home):
    pki = Pki(home)
    run("enrol", "--box", BOX)
    request = x509.load_pem_x509_csr((home / "box/sync/next/box.csr").read_bytes())
    chain = pki.sign(None, BOX, public=request.public_key()).chain
    run("enrol", "--check", "localhost:1", code=1, words="no certificate yet")
    run("enrol", "--install", str(chain), "--ca", str(pki.ca.file))
    with Serving(lax_server(pki.server(), clients=pki.ca.file), answer=None) as server:
        run("enrol", "--check", f"localhost:{server.port}", words="it takes this box's certificate")
    with Serving(lax_server(pki.server(), clients=pki.rogue.file), answer=None) as server:
        address = f"localhost:{server.port}"
        run("enrol", "--check", address, code=1, words="does not know the CA")
        assert not facts(run("enrol", "--check", address, "--json", code=1))["taken"]
    run("enrol", "--check", address, code=1, words="refused")
    run("enrol", "--check", "localhost:70000", code=2)


def test_the_monitor_says_what_the_box_is_called(run, home):
    (home / "homeward.toml").write_text(f'[box]\nsocket = "{home}/control.sock"\n')
    run("enrol", code=1, words="--box NAME")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "sync.sock"))
        listener.listen()

        def answer():
            peer, _ = listener.accept()
            with peer:
                assert b'"sync_wait"' in peer.recv(4096)
                peer.sendall(b'{"ok":true,"answer":{"box":"box-of-monitor"}}\n')

        thread = threading.Thread(target=answer)
        thread.start()
        asked = facts(run("enrol", "--json"))
        thread.join()
    assert asked["box"] == "box-of-monitor"


@pytest.mark.parametrize(
    "arguments", [["--renew", "--status"], ["--ca", "x"], ["--install", "x", "--back"]]
)
def test_one_thing_at_a_time(run, arguments):
    run("enrol", *arguments, code=2)


def test_nobody_signs_without_comparing(run, home):
    run("receive", "ca", "init")
    run("enrol", "--box", BOX)
    request = str(home / "box/sync/next/box.csr")
    run("receive", "ca", "sign", request, code=1, words="Compare it")
    run("receive", "ca", "sign", request, "--fingerprint", "0000", code=1, words="not from that")
    run("receive", "ca", "sign", request, "--yes", words="holds no receiver's key")


def test_a_passphrase_comes_from_a_file(run, home, monkeypatch):
    run("receive", "ca", "init", "--passphrase", code=1, words="HOMEWARD_CA_PASSPHRASE_FILE")
    (home / "phrase").write_text("open sesame\n")
    monkeypatch.setenv("HOMEWARD_CA_PASSPHRASE_FILE", str(home / "phrase"))
    run("receive", "ca", "init", "--passphrase")
    assert b"ENCRYPTED" in (home / "ca/ca.key").read_bytes()
    run("receive", "ca", "broker", "localhost")
    (home / "phrase").write_text("shut\n")
    run("receive", "ca", "broker", "localhost", code=1, words="the passphrase is wrong")


def test_the_broker_s_settings_are_printed(run):
    run("receive", "ca", "list", code=1, words="ca init")
    run("receive", "ca", "init")
    printed = run("receive", "ca", "mosquitto")
    for line in (
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
        "pattern write homeward/v1/%u/up/#",
    ):
        assert line in printed.splitlines()
    run("receive", "ca", "mosquitto", "--write", "mq", code=1, words="no certificate yet")
