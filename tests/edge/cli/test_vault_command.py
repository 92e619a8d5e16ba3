"""``homeward vault`` on a vault: seen, checked, forgotten in part and whole, its key changed."""

import json
import time
from datetime import datetime

import pytest

from edge.keys.ring import NAME
from edge.readers import simulated
from edge.vault.folder import segments
from tests.edge.cli.box import Box
from tests.edge.vault.kit import Clock, assign, start, wave, write

BEGAN_S = 1000.0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Box(tmp_path_factory.mktemp("vault"))


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path)
    box.data_dir.mkdir(mode=0o700)
    return box


def fill(box, packets, *, close=True):
    """Write as if it had begun a quarter of an hour ago."""
    return write(box.data_dir, packets, Clock(BEGAN_S, time.time() - 900.0), close=close)  # noqa: TID251


def a_night(box):
    played = simulated.packets(simulated.Settings(scenario="demo", duration_s=200.0))
    shifted = [type(p)(p.source, p.stream, p.arrived_s + BEGAN_S, p.payload) for p in played]
    packets = [start("run-7"), assign(), *shifted]
    fill(box, packets)
    return packets


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_vault_is_listed_verified_replayed_and_asked(box):
    packets = a_night(box)
    listed = lines(box.call("vault", "list", "--json"))
    assert [row["record"] for row in listed] == ["segment", "vault"]
    assert listed[-1]["packets"] == len(packets)
    assert listed[-1]["protection"] == "file"
    shown = box.call("vault")
    assert "00000001-0" in shown.stdout
    assert "takes the card" in shown.stdout
    verified = box.call("vault", "verify", "--json")
    assert verified.returncode == 0, verified.stderr
    assert lines(verified)[-1]["whole"] is True
    by_vault = lines(box.call("replay", "vault:", "--summary"))[-1]
    by_name = lines(box.call("replay", "vault:run-7", "--summary"))[-1]
    assert by_vault["records_sha256"] == by_name["records_sha256"]
    assert by_vault["alerts"] > 0
    span = lines(box.call("replay", "vault:60s", "--summary"))[-1]
    assert 59.0 < span["duration_s"] < 61.0
    assert 0 < span["beats"] < by_vault["beats"]
    asked = box.call("whatif", "--set", "low_spo2.limit_pct=80", "--json")
    assert asked.returncode in (0, 3), asked.stderr
    assert lines(asked)[-1]["nights"] == 1
    nothing = box.call("replay", "vault:no-such-run")
    assert nothing.returncode == 1
    assert "run-7" in nothing.stderr


def test_a_vault_that_was_never_written_is_whole_and_has_nothing(box):
    assert box.call("vault", "verify").returncode == 0
    assert lines(box.call("vault", "--json"))[-1]["segments"] == 0
    replayed = box.call("replay", "vault:")
    assert replayed.returncode == 1
    assert "no key yet" in replayed.stderr


def test_damage_is_found_with_and_without_the_key(box):
    fill(box, [start(), *wave(2000)])
    (segment,) = segments(box.data_dir / "vault")
    raw = bytearray(segment.path.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.path.write_bytes(raw)
    found = box.call("vault", "verify", "--json")
    assert found.returncode == 1
    assert lines(found)[-1]["n_damaged"] == 1
    (box.data_dir / NAME).rename(box.data_dir / "away")
    found = box.call("vault", "verify")
    assert found.returncode == 1
    assert "1 damaged places" in found.stdout
    assert "the key of this box is gone" in found.stdout.replace("\n", " ")


def test_a_span_is_forgotten_and_the_rest_stays(box):
    fill(box, [start(), *wave(6000)])
    asked = box.call("vault", "forget", "--span", "2h")
    assert asked.returncode == 1
    assert "--yes" in asked.stderr
    begin = datetime.fromtimestamp(time.time() - 900.0 + 100.0).astimezone()  # noqa: TID251
    span = f"{begin.isoformat(timespec='seconds')}/100s"
    done = box.call("vault", "forget", "--span", span, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = lines(done)
    assert told["n_packets"] == 1000
    assert lines(box.call("vault", "list", "--json"))[-1]["packets"] == 5001
    assert box.call("vault", "verify").returncode == 0


def test_all_is_forgotten_with_its_key(box):
    fill(box, [start(), *wave(100)])
    done = box.call("vault", "forget", "--all", "--yes")
    assert done.returncode == 0, done.stderr
    assert not (box.data_dir / NAME).exists()
    assert lines(box.call("vault", "list", "--json"))[-1]["segments"] == 0


def test_the_key_is_changed_to_a_passphrase_and_to_a_stick(box):
    fill(box, [start(), *wave(100)])
    words = box.folder / "words"
    words.write_text("correct horse battery\n")
    box.environment["HOMEWARD_PASSPHRASE_FILE"] = str(words)
    done = box.call("vault", "rotate-key", "--passphrase")
    assert done.returncode == 0, done.stderr
    assert "passphrase only" in done.stdout
    assert box.call("vault", "verify").returncode == 0
    words.write_text("another one\n")
    wrong = box.call("vault", "verify")
    assert wrong.returncode == 1
    assert "not the passphrase" in wrong.stdout.replace("\n", " ")
    words.write_text("correct horse battery\n")
    stick = box.folder / "stick"
    stick.mkdir()
    assert box.call("vault", "rotate-key", "--stick", str(stick)).returncode == 0
    del box.environment["HOMEWARD_PASSPHRASE_FILE"]
    assert box.call("vault", "verify").returncode == 0
    stick.rename(box.folder / "pulled")
    pulled = box.call("vault", "verify")
    assert pulled.returncode == 1
    assert "plug it in" in pulled.stdout.replace("\n", " ")


def test_while_a_monitor_writes_the_key_and_all_stay(box):
    writer = fill(box, [start(), *wave(100)], close=False)
    for words in (("rotate-key",), ("forget", "--all", "--yes")):
        done = box.call("vault", *words)
        assert done.returncode == 1
        assert "another process writes" in done.stderr
    writer.close()
    assert box.call("vault", "verify").returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ("forget",),
        ("forget", "--span", "2h", "--all"),
        ("forget", "--span", "yesterday", "--yes"),
        ("forget", "--span", "2026-11-21T22:00/2026-11-21T21:00", "--yes"),
        ("list", "--all"),
        ("verify", "--passphrase"),
    ],
)
def test_wrong_use_is_told(made, words):
    done = made.call("vault", *words)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
