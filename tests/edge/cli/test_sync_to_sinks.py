"""A whole box and its sender: alarms end on a stick, numbers on a display."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.sync import wire
from edge.sync.fhir.reading import facts
from edge.sync.signed_lines import Marker, key_of, verified
from tests.edge.cli.box import ROOT, Box, killed, stopped, wait_for
from tests.edge.cli.test_running_box import (
    ALARM_S,
    SCENARIO,
    START_S,
    STOP_S,
    low_box,
    standing,
)
from tests.edge.sync.sinks.test_home_assistant import House, mosquitto, needs_mosquitto


def lines(stick: Path) -> list[wire.Envelope]:
    """Return what is on the stick, each line checked with the key beside it."""
    found: list[wire.Envelope] = []
    for folder in stick.glob("homeward-*"):
        own = msgspec.json.decode((folder / "box.json").read_bytes(), type=Marker)
        key = key_of(own, pinned=own.public_key)
        for file in sorted(folder.glob("*.jsonl")):
            found += [wire.opened(line, own.box) for line in verified(file.read_bytes(), key)]
    return found


def sending(box: Box) -> subprocess.Popen[str]:
    return subprocess.Popen(
        box.arguments("sync"),
        cwd=ROOT,
        env=box.environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ledger(box: Box) -> list[dict[str, Any]]:
    told = box.call("ledger", "--json")
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


@needs_mosquitto
def test_an_alarm_ends_on_the_stick_and_numbers_on_the_display(tmp_path: Path) -> None:
    box = low_box(tmp_path)
    stick = tmp_path / "stick"
    stick.mkdir()
    with mosquitto(tmp_path, "allow_anonymous true") as port:
        with box.config.open("a") as config:
            config.write(
                f"\n[consent]\nalerts = true\nsummaries = true\nnumbers = true\n"
                f"\n[sync]\nbatch_s = 1.0\n"
                f'\n[[sinks]]\nsink = "folder"\npath = "{stick}"\nsame_disk = true\n'
                f"keep_free_mb = 0.0\n"
                f'\n[[sinks]]\nsink = "home_assistant"\nhost = "127.0.0.1"\nport = {port}\n'
                f'tls = false\ncontent = ["numbers"]\n'
            )
        house = House(port)
        monitor = box.start("--simulate", str(box.folder / SCENARIO))
        sender = None
        try:
            wait_for(lambda: standing(box), START_S + ALARM_S, "the alarm")
            sender = sending(box)
            written = wait_for(lambda: lines(stick), 60.0, "an alert on the stick")
            wait_for(
                lambda: [t for t, said, _ in house.heard if '"spo2_pct":80' in said],
                60.0,
                "a number on the display",
            )
            rows = ledger(box)
            errors = stopped(sender, STOP_S)
            assert sender.returncode == 0, errors
            assert "Traceback" not in errors
        finally:
            if sender is not None:
                killed(sender)
            house.close()
            errors = stopped(monitor, STOP_S)
        assert "Traceback" not in errors
    told = facts(written[0].entries[0].resources)
    assert told.box == written[0].box
    assert told.rule == "very_low_spo2"
    assert written[0].entries[0].uuid in {known for row in rows for known in _known(row)}
    topics = {topic for topic, _, _ in house.heard}
    states = {topic for topic in topics if topic.endswith("/state")}
    configs = {topic for topic in topics if topic.endswith("/config")}
    assert len(states) == len(configs) == 1
    shown = [json.loads(said) for topic, said, _ in house.heard if topic in states]
    assert {one["alarm"] for one in shown} <= {"clear", "low", "medium", "high"}
    assert "high" in {one["alarm"] for one in shown}
    everything = "".join(topic + said for topic, said, _ in house.heard)
    for canary in ("very_low_spo2", "ecg", "reason", "A patient whose"):
        assert canary not in everything


def _known(row: dict[str, Any]) -> list[str]:
    return str(row.get("known_as", "")).split()


@pytest.mark.parametrize("gone", [True, False])
def test_without_its_stick_nothing_is_lost_and_the_reason_is_told(
    tmp_path: Path, gone: bool
) -> None:
    box = low_box(tmp_path)
    stick = tmp_path / "stick"
    if not gone:
        stick.mkdir()
    with box.config.open("a") as config:
        config.write(
            f"\n[consent]\nalerts = true\n\n[sync]\nbatch_s = 1.0\n"
            f'\n[[sinks]]\nsink = "folder"\npath = "{stick}"\n'
            f"same_disk = {str(gone).lower()}\nkeep_free_mb = 0.0\n"
        )
    monitor = box.start("--simulate", str(box.folder / SCENARIO))
    try:
        wait_for(lambda: standing(box), START_S + ALARM_S, "the alarm")
        told = box.call("sync", "--once", "--json")
        assert told.returncode == 1, told.stdout + told.stderr
        assert "plugged in" in told.stdout + told.stderr
        assert not stick.exists() or not list(stick.iterdir())
        if gone:
            stick.mkdir()
            again = box.call("sync", "--once", "--json")
            assert again.returncode == 0, again.stdout + again.stderr
            assert lines(stick)
    finally:
        errors = stopped(monitor, STOP_S)
    assert "Traceback" not in errors
