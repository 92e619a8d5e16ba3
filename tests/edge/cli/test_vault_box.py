"""The vault of a running monitor: the night replays as it was, and without a vault it alarms on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import msgspec
import pytest

from edge.control import ControlError, VaultAside, VaultBack, VaultStay
from edge.keys import new_key, open_keys
from edge.keys.keyfile import STICK_FILE, shared, under_passphrase, write_key_file
from edge.keys.ring import NAME
from edge.records import Alert, Summary, encode_record
from edge.store import DATABASE, History
from tests.edge.cli.box import Box, killed, status_of, stopped, wait_for

UP_S, ALARM_S, STOP_S = 40.0, 60.0, 30.0
SCENARIO = """\
title = "A dip"
duration_s = 600
seed = 5
[patient]
spo2_pct = 96
[[events]]
kind = "desaturation"
at_s = 12
for_s = 60
spo2_pct = 80
"""
SUMMED = "\n[summaries]\nperiod_s = 10\n"
PASSPHRASE = "correct horse battery"  # noqa: S105  # of this test


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path)
    box.config.write_text(box.config.read_text() + SUMMED)
    (tmp_path / "dip.toml").write_text(SCENARIO)
    box.data_dir.mkdir(mode=0o700)
    return box


def started(box, **more):
    process = box.start("--simulate", str(box.folder / "dip.toml"), **more)
    try:
        wait_for(lambda: status_of(box), UP_S, "the start")
    except BaseException:
        killed(process)
        raise
    return process


def standing(box, rule):
    status = status_of(box)
    return status and [a for a in status["live"]["alerts"] if a["rule"] == rule]


def recorded(box, run_id=None):
    """Return the lines of all alerts and summaries that a run recorded, sorted."""
    keys = partial(open_keys, box.data_dir, passphrase=lambda: PASSPHRASE, make=False)
    with History.open(box.data_dir / DATABASE, keys) as history:
        stored = [(s.run_id, s.alert) for s in history.alerts()]
        stored += [(s.run_id, s.summary) for s in history.summaries()]
    return sorted(encode_record(one) for run, one in stored if run_id in {None, run})


def replayed(box, source="vault:"):
    """Return what the replay prints of alerts and summaries, sorted; and its last line."""
    done = box.call("replay", source, "--json")
    assert done.returncode in (0, 3), done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = {Alert.__struct_config__.tag, Summary.__struct_config__.tag}
    told = done.stdout.splitlines()
    # As the store reads them: it knows no difference between 6 and 6.0.
    found = [
        encode_record(msgspec.json.decode(raw, type=Alert | Summary))
        for raw, line in zip(told, lines, strict=True)
        if line["record"] in wanted
    ]
    return sorted(found), lines[-1]


def runs(box):
    with History.open(box.data_dir / DATABASE) as history:
        return [run.run_id for run in sorted(history.runs(), key=lambda run: run.started_s)]


def test_a_whole_run_replays_from_the_vault_byte_for_byte_and_nothing_raw_lies_in_clear(box):
    process = started(box)
    try:
        wait_for(lambda: standing(box, "very_low_spo2"), ALARM_S, "the alarm")
        done = box.call("ack", standing(box, "very_low_spo2")[0]["id"], "--by", "Ann")
        assert done.returncode == 0, done.stderr
        time.sleep(12.0)
        status = box.call("status")
        assert "vault" in status.stdout
        assert "whoever takes the card" in status.stdout.replace("\n", " ")
        facts = [json.loads(x) for x in box.call("status", "--json").stdout.splitlines()]
        (vault,) = [fact for fact in facts if fact["record"] == "vault"]
        assert (vault["trouble"], vault["protection"]) == ("", "file")
    finally:
        stopped(process, STOP_S)
    expected = recorded(box)
    assert len(expected) >= 4
    found, last = replayed(box)
    assert found == expected
    assert last["record"] == "replay"
    assert box.call("vault", "verify").returncode == 0
    # Nothing of a packet but in the vault, and that is noise.
    for path in box.data_dir.rglob("*"):
        if path.is_file() and path.name != DATABASE:
            assert b"uart:simulated" not in path.read_bytes(), path
            assert b"simulated:" not in path.read_bytes(), path
    # The same past is what other commands ask.
    done = box.call("export", "--csv", str(box.folder / "csv"), "--json")
    assert done.returncode == 0, done.stderr
    done = box.call("whatif", "--set", "low_spo2.limit_pct=85", "--json")
    assert done.returncode in (0, 3), done.stderr
    alert_id = json.loads(next(x for x in expected if b"very_low_spo2" in x))["id"]
    done = box.call("report", alert_id[:8], "--out", str(box.folder / "page.html"))
    assert done.returncode == 0, done.stderr


def test_after_a_kill_both_runs_replay_as_they_were_recorded(box):
    process = started(box)
    try:
        wait_for(lambda: standing(box, "very_low_spo2"), ALARM_S, "the alarm")
        wait_for(lambda: b"very_low_spo2" in b"".join(recorded(box)), 10.0, "the record")
        time.sleep(1.5)
    finally:
        process.send_signal(signal.SIGKILL)
        killed(process)
    process = started(box)
    try:
        time.sleep(8.0)
    finally:
        stopped(process, STOP_S)
    first, second = runs(box)
    for run in (first, second):
        kept = [line for line in recorded(box, run) if b'"record":"alert"' in line]
        found, _ = replayed(box, f"vault:{run}")
        assert [line for line in found if b'"record":"alert"' in line] == kept
    found, _ = replayed(box)
    assert found == recorded(box, second)
    assert box.call("vault", "verify").returncode == 0


# root may write where nobody may
READ_ONLY = () if os.geteuid() == 0 else ("read-only",)


@pytest.mark.parametrize("fault", ["gone", *READ_ONLY, "a file", "open to all"])
def test_what_cannot_be_kept_is_told_within_seconds_and_the_alarms_fire(box, fault):
    vault = box.data_dir / "vault"
    if fault == "gone":
        process = started(box)
        wait_for(lambda: status_of(box)["vault"]["n_failures"] == 0, 5.0, "the vault")
        wait_for(lambda: list(vault.glob("*.hwv")), 30.0, "a segment")
        stopped(process, STOP_S)
        (box.data_dir / NAME).unlink()
    elif fault == "read-only":
        vault.mkdir(mode=0o500)
    elif fault == "a file":
        vault.write_text("in the way")
    else:
        (box.data_dir / NAME).write_text("00" * 32)
        (box.data_dir / NAME).chmod(0o644)
    began_s = time.monotonic()
    process = started(box)
    up_s = time.monotonic() - began_s
    try:
        (alert,) = wait_for(lambda: standing(box, "vault_down"), 30.0, "the technical alert")
        # From when the monitor was there; the machine of a test may be slow at starting it.
        status = status_of(box)
        assert alert["since_s"] - status["monitor"]["started_s"] < 10.0 + up_s
        assert alert["priority"] == "low"
        wait_for(lambda: standing(box, "very_low_spo2"), ALARM_S, "the alarm")
        done = box.call("status")
        assert "raw data are not kept" in done.stdout.replace("\n", " ")
        # Without the key the records wait too, and that is told.
        assert bool(standing(box, "cannot_record")) == (fault in ("gone", "open to all"))
    finally:
        words = stopped(process, STOP_S)
    assert "Traceback" not in words
    if fault not in ("gone", "open to all"):
        assert recorded(box)


def test_a_passphrase_is_typed_while_it_runs_and_nothing_of_the_run_is_missing(box):
    write_key_file(box.data_dir / NAME, under_passphrase(new_key(), PASSPHRASE))
    process = started(box)
    typed = box.folder / "typed"
    try:
        wait_for(lambda: standing(box, "vault_down"), 30.0, "the technical alert")
        typed.write_text("not that\n")
        box.environment["HOMEWARD_PASSPHRASE_FILE"] = str(typed)
        done = box.call("unlock", "--by", "Ann")
        assert done.returncode == 1
        assert "not the passphrase" in done.stderr
        typed.write_text(f"{PASSPHRASE}\n")
        done = box.call("unlock", "--by", "Ann")
        assert done.returncode == 0, done.stderr
        assert "raw data are kept" in done.stdout
        wait_for(lambda: not standing(box, "vault_down"), 90.0, "the end of the alert")
    finally:
        words = stopped(process, STOP_S)
    assert PASSPHRASE not in words
    assert replayed(box)[0] == recorded(box)
    assert not any(PASSPHRASE.encode() in p.read_bytes() for p in box.data_dir.rglob("*.db*"))


def test_a_stick_that_is_plugged_in_later_is_found(box):
    stick = box.folder / "stick"
    stick.mkdir()
    mine, theirs = shared(new_key(), stick)
    write_key_file(box.data_dir / NAME, mine)
    process = started(box)
    try:
        wait_for(lambda: standing(box, "vault_down"), 30.0, "the technical alert")
        assert "plug it in" in status_of(box)["vault"]["trouble"]
        write_key_file(stick / STICK_FILE, theirs)
        wait_for(lambda: not status_of(box)["vault"]["trouble"], 15.0, "the vault")
    finally:
        stopped(process, STOP_S)
    assert replayed(box)[0] == recorded(box)


def test_a_span_a_key_and_everything_are_changed_while_it_runs_and_the_ledger_says_who(box):
    process = started(box)
    try:
        wait_for(lambda: status_of(box)["live"]["sources"], UP_S, "packets")
        time.sleep(3.0)
        done = box.call("vault", "forget", "--span", "1h", "--yes", "--by", "Ann", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["n_packets"] > 0
        time.sleep(2.0)
        before = (box.data_dir / NAME).read_bytes()
        done = box.call("vault", "rotate-key", "--by", "Ann")
        assert done.returncode == 0, done.stderr
        assert (box.data_dir / NAME).read_bytes() != before
        time.sleep(2.0)
        done = box.call("vault", "forget", "--all", "--yes", "--by", "Bo")
        assert done.returncode == 0, done.stderr
        time.sleep(3.0)
        assert not status_of(box)["vault"]["trouble"]
        assert not standing(box, "vault_down")
    finally:
        stopped(process, STOP_S)
    assert box.call("vault", "verify").returncode == 0
    replayed(box)
    with History.open(box.data_dir / DATABASE) as history:
        rows = history.ledger_of("vault")
    assert [(row.stage, row.by) for row in rows] == [
        (f"{act}_{stage}", by)
        for act, by in (("forget", "Ann"), ("rotate_key", "Ann"), ("forget_all", "Bo"))
        for stage in ("begun", "done")
    ]


def test_a_key_that_gets_a_passphrase_while_it_runs_is_open_at_once(box):
    process = started(box)
    try:
        wait_for(lambda: status_of(box)["vault"]["protection"], UP_S, "the key")
        typed = box.folder / "typed"
        typed.write_text(f"{PASSPHRASE}\n")
        box.environment["HOMEWARD_PASSPHRASE_FILE"] = str(typed)
        done = box.call("vault", "rotate-key", "--passphrase")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: status_of(box)["vault"]["protection"] == "passphrase", 10.0, "the new key")
    finally:
        stopped(process, STOP_S)
    assert replayed(box)[0] == recorded(box)


def test_a_command_that_goes_away_does_not_keep_the_vault(box):
    process = started(box)
    try:
        lease = box.ask(VaultAside("forget", "Ann"))["lease"]
        assert status_of(box)["vault"]["aside"]
        with pytest.raises(ControlError, match="another command"):
            box.ask(VaultAside("forget", "Bo"))
        assert box.ask(VaultStay(lease)) == {"lease": lease}
        with pytest.raises(ControlError, match="taken the vault back"):
            box.ask(VaultStay(lease + 1))
        box.ask(VaultBack(lease, done=False))
        assert not status_of(box)["vault"]["aside"]
        with pytest.raises(ControlError, match="taken the vault back"):
            box.ask(VaultBack(lease, done=True))
    finally:
        stopped(process, STOP_S)


def test_no_vault_is_kept_where_none_is_wanted(box):
    box.config.write_text(box.config.read_text() + "\n[vault]\nenabled = false\n")
    process = started(box)
    try:
        assert status_of(box)["vault"] is None
        assert "enabled = false" in box.call("status").stdout.replace("\n", " ")
    finally:
        stopped(process, STOP_S)
    assert not (box.data_dir / "vault").exists()


def test_a_full_disk_of_its_own_holds_no_alarm_up(tmp_path):
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small file system")
    box = Box(tmp_path)
    (tmp_path / "dip.toml").write_text(SCENARIO)
    (box.data_dir / "vault").mkdir(parents=True, mode=0o700)
    box.data_dir.chmod(0o700)
    words = f"mount -t tmpfs -o size=64k,mode=700 none {box.data_dir / 'vault'}"
    if os.system(f"{words} 2>/dev/null"):  # noqa: S605
        pytest.skip("no file system can be mounted here")
    try:
        (box.data_dir / "vault" / "else").write_bytes(bytes(48 * 1024))
        process = started(box)
        try:
            wait_for(lambda: standing(box, "very_low_spo2"), ALARM_S, "the alarm")
            wait_for(lambda: standing(box, "vault_down"), ALARM_S, "the technical alert")
            (box.data_dir / "vault" / "else").unlink()
            wait_for(lambda: not status_of(box)["vault"]["trouble"], 30.0, "the vault")
        finally:
            stopped(process, STOP_S)
        assert recorded(box)
    finally:
        os.system(f"umount -l {Path(box.data_dir) / 'vault'}")  # noqa: S605
