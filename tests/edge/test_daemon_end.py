"""The end of the monitor: what stands is kept first, and a disk that hangs is not waited for."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from edge.clock import BootClock
from edge.daemon import Daemon, Places
from edge.daemon import recorder as recorder_module
from edge.daemon.intake import Link
from edge.pipeline import Pipeline, PipelineSettings
from edge.readers import Reader, Rim
from edge.records import Outcome
from edge.store import DATABASE, History, Run
from tests.edge.cli.box import wait_for
from tests.edge.cli.test_running_box import ALARM_S, SCENARIO, START_S, STOP_S, low_box, standing
from tests.edge.store.opened import behind
from tests.edge.store.test_store import alert
from tests.edge.test_daemon import NoSettings, until

CLOCK = BootClock()
RUN = Run("run-1", CLOCK.boot_id, 0.0, "0.1.0", "digest")


def daemon(folder: Path) -> Daemon:
    async def run(_: Any, _rim: Rim) -> None:
        await asyncio.Event().wait()

    pipeline = Pipeline(PipelineSettings(), [], [], [], None, "run-1", CLOCK.now_s())
    link = Link("test", Reader("test", NoSettings, run), NoSettings())
    places = Places(folder / DATABASE, folder / "control.sock")
    return Daemon(pipeline, [link], RUN, CLOCK, places)


@pytest.mark.parametrize("hangs", [True, False])
def test_the_end_does_not_wait_for_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(recorder_module, "CLOSE_S", 0.5)

    async def live() -> float:
        monitor = daemon(tmp_path)
        running = asyncio.create_task(monitor.run())
        await until(lambda: not monitor._recorder.report().trouble)
        disk = threading.Event()
        if hangs:
            monitor._recorder._thread.submit(disk.wait)  # as a write that does not return
        monitor._recorder.add([], Outcome((alert(1),)), CLOCK.now_s())
        await asyncio.sleep(0.1)
        began_s = time.monotonic()
        monitor._stop.set()
        assert await running == 0
        took_s = time.monotonic() - began_s
        assert monitor.hangs is hangs
        disk.set()
        monitor._recorder._thread.shutdown()  # the store is closed when the disk is back
        return took_s

    assert asyncio.run(live()) < 3.0


def test_sigterm_in_an_alarm_keeps_what_stands_as_the_last_thing(tmp_path: Path) -> None:
    box = low_box(tmp_path)
    monitor = box.start("--simulate", str(box.folder / SCENARIO))
    try:
        stood = wait_for(lambda: standing(box), START_S + ALARM_S, "the alarm")
        told_s = CLOCK.now_s()
    finally:
        monitor.send_signal(signal.SIGTERM)
        _, errors = monitor.communicate(timeout=STOP_S)
    assert monitor.returncode == 0, errors
    assert "n_unwritten=0" in errors
    with History.open(box.data_dir / DATABASE) as history:
        kept = history.kept_alerts()
        stored = {one.alert.id for one in history.alerts()}
    assert kept is not None
    assert kept.at.boot_s >= told_s
    assert {one["id"] for one in stood} <= stored


def test_sigterm_with_a_store_somebody_holds_ends_in_time(tmp_path: Path) -> None:
    box = low_box(tmp_path)
    monitor = box.start("--simulate", str(box.folder / SCENARIO))
    try:
        wait_for(lambda: standing(box), START_S + ALARM_S, "the alarm")
        hog = behind(box.data_dir / DATABASE, isolation_level=None)
        hog.execute("BEGIN IMMEDIATE")
    finally:
        monitor.send_signal(signal.SIGTERM)
        _, errors = monitor.communicate(timeout=recorder_module.CLOSE_S + STOP_S)
    hog.close()
    assert "stopped" in errors
    assert "Traceback" not in errors
