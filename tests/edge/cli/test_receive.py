"""``homeward receive`` on the command line: try it out, and look at what has come."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.sync import wire
from tests.edge.receive.running import ROOT, Receiving, post
from tests.edge.sync.entries import erase, heartbeat, item

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def homeward(*words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "edge", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_demo_prints_what_comes_and_keeps_nothing(tmp_path: Path) -> None:
    with Receiving("--demo", "--data-dir", str(tmp_path)) as demo:
        port = int(demo.said[0]["listen"].rpartition(":")[2])
        assert demo.said[0]["listen"].startswith("127.0.0.1:")
        assert post(port, "pi-7", wire.pack("pi-7", [item(1)], NOW)[0])[0] == 200
        said = demo.until("received")
        assert (said["box"], said["kind"], said["seq"], said["new"]) == ("pi-7", "alert", 1, True)
        assert said["content"][0]["code"]["text"] == "SpO2 84 %"
        kept = Path(demo.said[0]["receipt_key_file"]).parent
        assert demo.stop() == 0
    time.sleep(0.1)
    assert not kept.exists()
    assert list(tmp_path.iterdir()) == []
    assert demo.said[-1] == {
        "record": "receive", "n_new": 1, "n_copies": 0, "n_refused": 0, "n_heartbeats": 0,
    }  # fmt: skip


def test_what_has_come_is_listed_and_a_silent_box_is_found(tmp_path: Path) -> None:
    home = ("--data-dir", str(tmp_path))
    with Receiving("--listen", "127.0.0.1:0", "--silence-s", "1", *home) as receiver:
        port = int(receiver.said[0]["listen"].rpartition(":")[2])
        post(port, "pi-7", wire.pack("pi-7", [item(1), item(2)], NOW)[0])
        post(port, "pi-7", wire.pack("pi-7", [erase(3, (item(1).uuid,))], NOW)[0])
        post(port, "pi-7", wire.pack_heartbeat(heartbeat("pi-7"), NOW))
        receiver.until("silence")
        receiver.stop()
    code, out, _ = homeward("receive", "list", "--alerts", "--json", *home)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(line["seq"], line["content"] is None) for line in lines[:-1]] == [
        (1, True),
        (2, False),
    ]
    assert lines[1]["content"][0]["status"] == "active"
    code, out, _ = homeward("receive", "boxes", "--json", *home)
    box, summary = (json.loads(line) for line in out.splitlines())
    assert code == 3
    assert (box["n_entries"], summary["n_silent"]) == (3, 1)
    assert box["heartbeat"]["n_unsent"] == 3
    for what in ("list", "boxes"):
        shown = homeward("receive", what, *home)[1]
        assert "pi-7" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing to listen to"),
        (("--broker", "mqtt://clinic.example"), "open to everybody in the network"),
        (("--broker", "mqtts://clinic.example"), "--ca"),
        (("--broker", "mqtts://anne:secret@clinic.example"), "--password-file"),
        (("--broker", "http://clinic.example"), "must begin with mqtts://"),
        (("--broker", "mqtt://127.0.0.1", "--shared", "a/b"), "none of"),
        (("--listen", "127.0.0.1:http"), "HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "HOST:PORT"),
        (("--listen", "127.0.0.1:0", "--store", "/proc/nowhere/x.db"), "cannot be opened"),
    ],
)
def test_what_cannot_work_is_said_and_how_to_mend_it(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    code, _, error = homeward("receive", *options, "--data-dir", str(tmp_path))
    assert code == 1
    assert said in error
    assert "secret@" not in error


def test_nothing_received_yet_is_said(tmp_path: Path) -> None:
    code, _, error = homeward("receive", "list", "--data-dir", str(tmp_path))
    assert code == 1
    assert "nothing was received" in error
    assert not (tmp_path / "receive").exists()
