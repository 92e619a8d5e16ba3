"""A real monitor and a real sender: an alarm reaches a folder once, and the ledger tells of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.edge.cli.box import ROOT, Box, killed, status_of, stopped, wait_for
from tests.edge.cli.test_notified_box import LOW_SPO2

START_S, ALARM_S = 40.0, 60.0


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.data_dir.mkdir(mode=0o700)
    (tmp_path / "low.toml").write_text(LOW_SPO2)
    (tmp_path / "stick").mkdir()
    made.config.write_text(
        made.config.read_text()
        + f"""
[[sources]]
reader = "simulated"
scenario = "{tmp_path}/low.toml"

[sync]
batch_s = 1

[[sinks]]
sink = "folder"
name = "stick"
path = "{tmp_path}/stick"
same_disk = true
"""
    )
    return made


def sender(box: Box) -> subprocess.Popen[str]:
    return subprocess.Popen(
        box.arguments("sync"),
        cwd=ROOT,
        env=box.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def held(box: Box) -> list[str]:
    """Return the ids of all entries on the stick, in the order of its files."""
    found: list[str] = []
    for path in sorted((box.folder / "stick").glob("homeward-*/*.jsonl")):
        for line in path.read_text().splitlines():
            entries: list[dict[str, Any]] = json.loads(line).get("entries", [])
            found += [entry["uuid"] for entry in entries]
    return found


def test_an_alarm_reaches_a_folder_once_over_kills_and_the_ledger_tells_of_it(box: Box) -> None:
    monitor = box.start()
    first = None
    try:
        wait_for(lambda: status_of(box), START_S, "the monitor")
        first = sender(box)
        wait_for(lambda: held(box), ALARM_S, "an alert on the stick")
        wait_for(lambda: _sinks_work(box), START_S, "the status")
        assert stopped(first, 15.0).count("Traceback") == 0
        assert first.returncode == 0
        first = sender(box)
        time.sleep(1.5)
        killed(first)
        once = box.call("sync", "--once", "--json")
        assert once.returncode == 0, once.stdout + once.stderr
        assert json.loads(once.stdout.splitlines()[-1])["n_waiting"] == 0
        told = box.call("ledger", "--json")
        assert told.returncode in (0, 3), told.stderr
        rows = [json.loads(line) for line in told.stdout.splitlines()]
        known_as = {uuid for row in rows for uuid in (row.get("known_as") or "").split()}
        assert known_as >= {*held(box)}
        assert max(Counter(held(box)).values()) == 1
    finally:
        if first is not None:
            killed(first)
        stopped(monitor, 30.0)


def _sinks_work(box: Box) -> bool:
    status = status_of(box)
    sinks = (status or {}).get("sync", {}).get("sinks", [])
    return bool(sinks) and all(one.get("works") for one in sinks)
