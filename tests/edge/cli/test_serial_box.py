"""``homeward run --uart``: a board at a cable, from its crystal to the numbers of the status."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from edge.virtual.nordic_uart import Board
from tests.edge.cli.box import Box, status_of, wait_for
from tests.rigs.serial.cable import Cable

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

START_S, SEEN_S, STOP_S = 30.0, 60.0, 10.0


class CablePort:
    """A board's end of a cable, in real time."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable

    def now_s(self) -> float:
        return time.monotonic()

    async def sleep(self, span_s: float) -> None:
        await asyncio.sleep(span_s)

    def subscribed(self, uuid: str) -> bool:
        return self._cable.is_in and bool(uuid)

    async def send(self, uuid: str, payload: bytes) -> bool:
        self._cable.write(payload)
        return bool(uuid)


class LiveBoard:
    """A board of its own thread, so that it keeps its time."""

    def __init__(self, cable: Cable) -> None:
        self.board = Board(5, chunk_bytes=200)
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self.board.run(CablePort(cable)))
        self._thread = threading.Thread(target=self._live)

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    cable = Cable(tmp_path / "usb-Rig_ECG_0001-if00")
    cable.plug()
    yield cable
    cable.unplug()


def sensor(box: Box) -> Any:
    status = status_of(box)
    return next(iter(status["live"]["sensors"]), None) if status else None


def heart_rate(box: Box) -> Any:
    status = status_of(box)
    patients = status["live"]["patients"] if status else ()
    return patients[0]["vitals"].get("hr_bpm") if patients else None


def test_a_board_at_a_cable_is_watched_and_its_plug_is_missed(tmp_path: Path, cable: Cable) -> None:
    box = Box(tmp_path)
    with LiveBoard(cable) as live:
        monitor = box.start("--uart", str(cable.name))
        try:
            rate_bpm = wait_for(lambda: heart_rate(box), START_S + SEEN_S, "a heart rate")
            time.sleep(5.0)
            rate_bpm = heart_rate(box)
            assert abs(rate_bpm - live.board.rate_bpm) < 1.5
            shown = box.call("status", "--json")
            facts = [json.loads(line) for line in shown.stdout.splitlines()]
            source = next(fact for fact in facts if fact["record"] == "source")
            assert (source["stream"], source["n_broken"], source["n_lost"]) == (
                "uart:homeward_line",
                0,
                0,
            )
            seen = sensor(box)
            assert (seen["state"], seen["security"]) == ("connected", "wired")
            assert "Homeward board" in box.call("status").stdout

            cable.unplug()
            wait_for(lambda: sensor(box)["state"] == "lost", 5.0, "the missing plug")
            wait_for(lambda: "device plugged in" in sensor(box)["reason"], 5.0, "what to do")
            wait_for(lambda: lost_signal(box), 15.0, "the alert")
            cable.plug()
            wait_for(lambda: sensor(box)["state"] == "connected", 5.0, "the return")
        finally:
            monitor.send_signal(signal.SIGTERM)
            _, errors = monitor.communicate(timeout=STOP_S)
    assert monitor.returncode == 0, errors
    assert "Traceback" not in errors


def lost_signal(box: Box) -> bool:
    return any(alert["rule"] == "signal_lost" for alert in status_of(box)["live"]["alerts"])


def test_a_port_that_is_not_there_ends_the_command_in_words(tmp_path: Path) -> None:
    ended: subprocess.CompletedProcess[str] = Box(tmp_path).call("run", "--uart", "/dev/no-such")

    assert ended.returncode == 1
    assert "there is no /dev/no-such: `homeward scan --serial` lists" in ended.stderr
