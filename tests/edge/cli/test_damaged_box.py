"""A running monitor whose records are damaged: it alarms on, says so, and recovers what reads."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from edge.alerts import Answer
from edge.clock import BootClock
from edge.control import Acknowledge, Tell
from edge.records import Outcome
from edge.store import DATABASE, History, Run
from edge.store.cipher import PAGE_BYTES
from edge.store.verification import verify
from tests.edge.cli.box import Box, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import START_S, STOP_S
from tests.edge.cli.test_watched_box import alert_of
from tests.edge.store.opened import open_store
from tests.edge.store.test_store import SCORE, alert, summary

CLOCK = BootClock()
ALARMING_S = 30.0
"""Reliability target D6."""


def recorded(path: Path, n: int) -> None:
    """Write records of before."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open_store(path, Run("before", "another-boot", 0.0, "0.1.0", "digest")) as store:
        for number in range(n):
            store.backlog.add(Outcome((alert(number), summary(60.0 * number), SCORE)), 0.0)
            if number % 100 == 99:
                store.flush(1.0)
        store.flush(1.0)


def blot(path: Path, n_pages: int) -> None:
    chance = random.Random(5)  # noqa: S311
    size = path.stat().st_size // PAGE_BYTES
    with path.open("r+b") as file:
        for _ in range(n_pages):
            file.seek(chance.randrange(size // 2, size) * PAGE_BYTES)
            file.write(chance.randbytes(PAGE_BYTES))


def salvage_of(box: Box) -> Any:
    return status_of(box)["store"]["salvage"]


def test_a_monitor_begun_on_damaged_records_alarms_at_once_and_brings_back_what_reads(
    tmp_path: Path,
) -> None:
    box = Box(tmp_path)
    path = box.data_dir / DATABASE
    recorded(path, 400)
    blot(path, 5)
    began_s = CLOCK.now_s()
    running = box.start("--simulate", "demo")
    try:
        wait_for(lambda: status_of(box), START_S, "the start")
        told = wait_for(alert_of(box, "store_damaged"), ALARMING_S, "store_damaged")
        assert told["at_s"] - began_s <= ALARMING_S
        assert (told["priority"], told["kind"], told["patient"]) == ("low", "technical", "")
        # An alarm of now is on the medium before the past is.
        assert box.ask(Tell(Answer("hand_off", by="Ann", to="Bob")))["stored"] is True
        wait_for(lambda: (salvage_of(box) or {}).get("finished"), 60.0, "the recovery")
        assert salvage_of(box)["n_recovered"] > 1_500
        shown = box.call("status").stdout
        assert "the store was damaged and is kept as" in shown
        assert "were recovered" in shown
        looked = box.call("doctor").stdout
        assert "homeward.db.damaged-1" in looked
        assert "rows were recovered" in looked
        box.ask(Acknowledge(told["id"], "Ann"))
        again = wait_for(alert_of(box, "store_damaged"), 5.0, "store_damaged")
        assert again["answered_by"] == "Ann"
    finally:
        errors = stopped(running, STOP_S)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors
    with History.open(path) as history:
        rules = {a.alert.rule for a in history.alerts()}
        ids = [a.alert.id for a in history.alerts()]
    assert "store_damaged" in rules
    assert len(set(ids) & {f"alert-{n}" for n in range(400)}) >= 390
    assert {flaw.what for flaw in verify(path).flaws} == {"break"}
    assert box.call("alerts", "verify").returncode == 1
