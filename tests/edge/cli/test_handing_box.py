"""A real monitor and a sender of a few lines: fetched, told, settled, restarted, never again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from edge.control import ControlError, Leaves
from edge.control.client import ControlClient
from edge.control.syncing import (
    SYNC_SOCKET,
    SinkState,
    SyncFetch,
    SyncReject,
    SyncSettle,
    SyncState,
    SyncWait,
)
from edge.egress.allowed import ALLOWED, Content
from edge.egress.departure import Departure
from edge.store import DATABASE, History
from edge.store.verification import verify
from tests.edge.cli.box import Box, killed, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import LOW_SPO2, SCENARIO

START_S, ALARM_S, STOP_S, STALE_S = 40.0, 60.0, 15.0, 150.0
PATIENT = "zz-patient"
SETTINGS = f"""
[alarms.sync_stale]
bad_s = 60
margin_s = 1

[[patients]]
id = "{PATIENT}"

[[sinks]]
sink = "folder"
name = "clinic"
path = "FOLDER/clinic"
same_disk = true

[[sinks]]
sink = "folder"
name = "stick"
content = ["alerts"]
path = "FOLDER/stick"
same_disk = true
"""


class Far:
    """The far end and the sender in one: it holds what it says it holds."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.held: list[str] = []

    def ask(self, request: Any) -> Any:
        with ControlClient(self.box.data_dir / SYNC_SOCKET) as client:
            return client.ask(request)

    def fetch(self, sink: str = "clinic", kind: Any = "alert") -> list[Any]:
        return list(self.ask(SyncFetch(sink, kind))["entries"])

    def send(self, entries: list[Any], sink: str = "clinic", kind: Any = Content.ALERT) -> None:
        body = msgspec.json.encode(entries)
        uuids = [one["uuid"] for one in entries]
        refs = tuple({one["alert"]["id"] for one in entries if one["alert"]})
        at_s = self.ask(SyncWait())["now_s"]
        version = ALLOWED[kind].version
        told = (str(uuid4()), at_s, "sync", sink, "far.example", kind, version)
        self.ask(Leaves(Departure(*told, known_as=" ".join(uuids), refs=refs, body=body)))
        self.held += uuids

    def settle(self, entries: list[Any], sink: str = "clinic") -> Any:
        return self.ask(SyncSettle(sink, tuple(one["uuid"] for one in entries)))


def started(box: Box) -> subprocess.Popen[str]:
    monitor = box.start("--simulate", str(box.folder / SCENARIO))
    wait_for(lambda: (status_of(box) or {"sync": {"box": ""}})["sync"]["box"], START_S, "its box")
    return monitor


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    folder = tmp_path_factory.mktemp("synced")
    (folder / SCENARIO).write_text(LOW_SPO2)
    box = Box(folder)
    box.config.write_text(box.config.read_text() + SETTINGS.replace("FOLDER", str(folder)))
    return box


def check_shown(far: Far, name: str, alert_id: str) -> None:
    """Check what people are told: a destination with an old certificate, one that refuses."""
    box = far.box
    told = SinkState("clinic", "folder", True, 1.0, received_s=1.0, certificate_s=1.0)
    far.ask(SyncState(1, (told,)))
    wait_for(lambda: status_of(box)["sync"]["sinks"][1]["n_rejected"], START_S, "the rejected one")
    shown = box.call("status").stdout
    assert f"receivers call this box {name}" in shown
    assert "record clinic: works, last receipt" in shown
    assert "record stick has refused 1 entries, the last because: no room for it" in shown
    assert "the certificate for clinic has ended: homeward enrol --renew" in shown
    report = box.call("doctor").stdout
    assert "homeward enrol --renew" in report
    assert "record stick: 1 records were refused: no room for it" in report
    assert "received" in box.call("alerts", "show", alert_id).stdout


def drain(far: Far, sink: str) -> None:
    while rest := far.fetch(sink):
        far.send(rest, sink)
        far.settle(rest, sink)


def test_what_a_receiver_holds_never_leaves_again_whatever_dies(box: Box) -> None:
    far = Far(box)
    monitor = started(box)
    try:
        first = wait_for(far.fetch, ALARM_S, "an alert in the outbox")
        assert PATIENT not in json.dumps(first)
        name = far.ask(SyncWait())["box"]
        assert far.settle(first)["n_unknown"] == len(first)  # it has not left
        far.send(first)
        killed(monitor)  # before the receipt
        monitor = started(box)
        again = wait_for(far.fetch, START_S, "the outbox")
        assert again[: len(first)] == first
        assert far.settle(first)["n"] == len(first)
        assert far.ask(SyncWait())["box"] == name
        killed(monitor)
        monitor = started(box)
        left = {one["uuid"] for one in far.fetch()}
        assert left.isdisjoint(far.held)
        assert {one["uuid"] for one in far.fetch("stick")} >= set(far.held)
        far.ask(SyncReject("stick", first[0]["uuid"], "no room for it"))
        check_shown(far, name, first[0]["alert"]["id"])
        with pytest.raises(ControlError, match="a socket of its own"):
            box.ask(SyncWait())
        alerts = wait_for(lambda: stale(box), STALE_S, "sync_stale")
        assert "to leave the box" in alerts["reason"]
        for sink in ("stick", "clinic"):
            drain(far, sink)
        wait_for(lambda: not stale(box), START_S, "the end of sync_stale")
        assert far.fetch("stick", "summary") == []
        periods = wait_for(lambda: far.fetch(kind="summary"), STALE_S, "a summary")
        far.send(periods, kind=Content.SUMMARY)
        assert far.settle(periods)["n"] == len(periods)
    finally:
        errors = stopped(monitor, STOP_S)
    assert monitor.returncode == 0, errors
    assert "Traceback" not in errors
    assert verify(box.data_dir / DATABASE).whole


def test_forgetting_asks_who_holds_it_to_delete_it(box: Box) -> None:
    with History.open(box.data_dir / DATABASE) as history:
        sent = {
            uuid for one in history.sent() for uuid in one.known_as.split() if one.kind == "summary"
        }
    told = box.call("forget", "--patient", PATIENT, "--by", "Ann", "--yes")
    assert told.returncode in (0, 3), told.stderr  # alerts that stand stay
    monitor = started(box)
    far = Far(box)
    try:
        asked = wait_for(lambda: far.fetch(kind="erase"), START_S, "the request to delete")
        held = {uuid for one in asked for uuid in one["erase"]["uuids"]}
        assert held == sent
        assert far.settle(asked)["n"] == len(asked)
        assert far.fetch(kind="erase") == []
        assert far.fetch("stick", "erase") == []
    finally:
        stopped(monitor, STOP_S)


def test_homeward_sync_drains_it(box: Box) -> None:
    for name in ("clinic", "stick"):
        (Path(box.folder) / name).mkdir(exist_ok=True)
    monitor = started(box)
    far = Far(box)
    try:
        wait_for(far.fetch, ALARM_S, "an alert in the outbox")
        told = box.call("sync", "--once")
        assert told.returncode in (0, 1), told.stderr  # new ones may have come meanwhile
        with History.open(box.data_dir / DATABASE) as history:
            received = [
                row
                for one in history.alerts()
                for row in history.ledger_of(one.alert.id)
                if row.stage == "received" and row.by == "clinic"
            ]
        assert received
    finally:
        errors = stopped(monitor, STOP_S)
    assert "Traceback" not in errors
    assert verify(box.data_dir / DATABASE).whole


def stale(box: Box) -> Any:
    alerts = status_of(box)["live"]["alerts"]
    return next((one for one in alerts if one["rule"] == "sync_stale"), None)
