"""``homeward sync`` as a process: a real socket, a real file, signals and kills."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.control.server import ControlServer
from edge.control.syncing import SYNC_SOCKET
from tests.edge.sync.standing_in import SINK, Monitor, a_summary, an_alert, entry_uuid

ROOT = Path(__file__).parents[3]
CALL_S = 60.0
MOST_MB = 64


class Clinic:
    """A box with a file as its sink, and a monitor's socket served by a thread."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.data_dir.mkdir(mode=0o700)
        self.config = folder / "box.toml"
        self.config.write_text(f'[[sinks]]\nsink = "stick"\nname = "{SINK}"\n[sync]\nbatch_s = 1\n')
        self.held = self.data_dir / "held.jsonl"
        self.monitor = Monitor()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server = ControlServer(self.data_dir / SYNC_SOCKET, self.monitor.answer)

    def serve(self) -> None:
        self._thread.start()
        self.do(self._server.start())

    def stop(self) -> None:
        if self._thread.is_alive():
            self.do(self._server.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10.0)
        self._loop.close()

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10.0)

    async def add(self, *entries: Any) -> None:
        self.monitor.add(*entries)

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        common = ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        skipped = {"HOMEWARD_CONFIG", "HOMEWARD_DATA_DIR", "NOTIFY_SOCKET"}
        known = {name: value for name, value in os.environ.items() if name not in skipped}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.edge.sync.with_more_sinks", "sync", *common, *words],
            cwd=ROOT,
            env={**known, "PYTHONWARNINGS": "error", **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        told, errors = process.communicate(timeout=CALL_S)
        return process.returncode, told, errors

    def seqs(self) -> list[int]:
        lines = self.held.read_text().splitlines() if self.held.exists() else []
        return [record["seq"] for record in map(json.loads, lines) if "seq" in record]

    def until(self, condition: Any, what: str, limit_s: float = 30.0) -> None:
        end_s = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end_s, what
            time.sleep(0.05)


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path)
    yield made
    made.stop()


def test_once_sends_all_that_waits_and_says_so(clinic: Clinic) -> None:
    clinic.monitor.add(*(an_alert(seq) for seq in range(1, 40)), a_summary(40))
    clinic.serve()
    code, told, errors = clinic.call("--once", "--json")
    assert code == 0, errors
    records = [json.loads(line) for line in told.splitlines()]
    assert records[-1] == {"record": "sync", "n_sinks": 1, "n_stored": 40, "n_waiting": 0}
    assert {record["record"] for record in records} == {"sent", "receipt", "sink", "sync"}
    assert clinic.seqs() == [*range(1, 41)]
    assert clinic.monitor.settled.keys() == {entry_uuid(seq) for seq in range(1, 41)}
    told_of = {uuid for what in clinic.monitor.left for uuid in what.known_as.split()}
    assert told_of == {*clinic.monitor.settled}
    assert clinic.monitor.became["sent"] == clinic.monitor.became["received"] > 0
    assert clinic.monitor.state is not None
    assert (clinic.data_dir / "sync").stat().st_mode & 0o777 == 0o700
    assert {path.name for path in (clinic.data_dir / "sync").iterdir()} == {
        "budget.json",
        "sync.lock",
    }


def test_once_says_what_is_left_and_fails(clinic: Clinic) -> None:
    clinic.held.mkdir()
    clinic.monitor.add(an_alert(1))
    clinic.serve()
    code, told, _ = clinic.call("--once")
    assert code == 1
    assert "1 waiting" in told
    assert "cannot be written" in told


def test_once_with_nothing_waiting_ends_at_once(clinic: Clinic) -> None:
    clinic.serve()
    assert clinic.call("--once")[:2] == (0, f"{SINK}: 0 stored there, 0 waiting\n")


def test_without_a_monitor_it_says_what_to_do(clinic: Clinic) -> None:
    code, _, errors = clinic.call("--once")
    assert code == 1
    assert "homeward run" in errors


def test_without_sinks_it_says_what_to_do(clinic: Clinic) -> None:
    clinic.config.write_text("")
    code, _, errors = clinic.call()
    assert code == 1
    assert "[[sinks]]" in errors
    assert "Traceback" not in errors


def test_check_says_what_would_go_where_without_a_monitor(clinic: Clinic) -> None:
    code, told, errors = clinic.call("--check", "--json")
    assert code == 0, errors
    plan, summary = map(json.loads, told.splitlines())
    assert plan["goes"] == ["alerts", "summaries"]
    assert plan["withheld"] == ["heartbeats"]
    assert summary == {"record": "sync_check", "n_sinks": 1, "troubles": []}
    assert not clinic.held.exists()
    clinic.config.write_text('[[sinks]]\nsink = "stick"\npath = ""\n')
    code, told, _ = clinic.call("--check")
    assert code == 3
    assert "no file is named" in told


def test_it_runs_small_until_it_is_told_to_end(clinic: Clinic, tmp_path: Path) -> None:
    clinic.serve()
    systemd = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(systemd))
        listening.settimeout(30.0)
        process = clinic.start(NOTIFY_SOCKET=str(systemd), WATCHDOG_USEC="1000000")
        assert listening.recv(100) == b"READY=1"
        assert clinic.call("--once")[0] == 1, "two would send everything twice"
        clinic.do(clinic.add(*(an_alert(seq) for seq in range(1, 2001))))
        clinic.until(lambda: not clinic.monitor.waiting, "all is stored")
        assert listening.recv(100) == b"WATCHDOG=1"
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak_mb = int(status.split("VmHWM:")[1].split()[0]) / 1024
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10.0)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert peak_mb < MOST_MB
    assert clinic.seqs() == [*range(1, 2001)]
    print(f"peak {peak_mb:.0f} MB")


def test_killed_again_and_again_everything_is_there_once_by_its_id(clinic: Clinic) -> None:
    clinic.serve()
    for n, wait_s in enumerate((0.05, 0.1, 0.2, 0.15)):
        before = len(clinic.seqs())
        clinic.do(clinic.add(*(an_alert(seq) for seq in range(500 * n + 1, 500 * n + 501))))
        process = clinic.start()
        clinic.until(lambda before=before: len(clinic.seqs()) > before, "something left")
        time.sleep(wait_s)
        process.kill()
        process.communicate()
    code, told, errors = clinic.call("--once")
    assert code == 0, told + errors
    found = Counter(clinic.seqs())
    assert found.keys() == {*range(1, 2001)}
    assert len(clinic.monitor.settled) == 2000
    assert sum(found.values()) - 2000 <= 4 * 200, "no more than what was under way at each kill"
