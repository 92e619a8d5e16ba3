"""A running monitor whose own parts fail: it says so, aloud, within ten seconds, and stops when
they are mended."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.alerts import Answer
from edge.clock import BootClock
from edge.control import Tell
from edge.packetlog import read
from edge.store import DATABASE, History
from tests.edge.alarms.box_night import DUE_S
from tests.edge.annunciators.sound_card import SoundCard
from tests.edge.cli.box import QUICK_ALARM, Box, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import START_S, STOP_S
from tests.edge.store.opened import behind

CLOCK = BootClock()
MENDED_S = 40.0
"""A store is tried again after 2 s, a loudspeaker after 8 s and proven in 6 s; then ``clear_s``."""
SOUND = "\n[annunciators.sound]\nenabled = false\n"


@contextmanager
def monitor(box: Box, *words: str, **more: str) -> Iterator[None]:
    running = box.start("--simulate", "quiet", *words, **more)
    try:
        wait_for(lambda: status_of(box), START_S, "the start")
        yield
    finally:
        errors = stopped(running, STOP_S)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors


def alert_of(box: Box, rule: str) -> Callable[[], Any]:
    def find() -> Any:
        status = status_of(box)
        alerts = status["live"]["alerts"] if status else []
        return next((alert for alert in alerts if alert["rule"] == rule), None)

    return find


def test_a_store_that_cannot_be_written_is_told_aloud_and_ends_when_it_can(tmp_path: Path) -> None:
    box = Box(tmp_path)
    log = tmp_path / "all.hwl"
    with monitor(box, "--log", str(log)):
        wait_for(lambda: not status_of(box)["store"]["trouble"], START_S, "the open store")
        assert alert_of(box, "cannot_record")() is None
        hog = behind(box.data_dir / DATABASE, isolation_level=None)
        hog.execute("BEGIN IMMEDIATE")
        # From here on nothing that happens is stored.
        cause_s = CLOCK.now_s()
        said = threading.Thread(
            target=box.ask, args=(Tell(Answer("hand_off", by="Ann", to="Bob")),)
        )
        said.start()
        alert = wait_for(alert_of(box, "cannot_record"), 2 * DUE_S, "cannot_record")
        said.join()
        assert 0.0 < alert["at_s"] - cause_s <= DUE_S
        assert (alert["patient"], alert["priority"], alert["kind"]) == ("", "medium", "technical")
        live = status_of(box)["live"]
        assert live["signal"]["audible"] is True
        assert live["signal"]["alert_id"] == alert["id"]
        shown = box.call("status")
        assert shown.returncode == 3
        assert "the box" in shown.stdout
        assert "% of the disk free" in shown.stdout
        hog.execute("ROLLBACK")
        hog.close()
        wait_for(lambda: alert_of(box, "cannot_record")() is None, MENDED_S, "the end")
        listed = box.call("alerts")
        assert "cannot_record" in listed.stdout
        assert "the box" in listed.stdout
        assert [p["patient"] for p in status_of(box)["live"]["patients"]] == ["patient-1"]
    with History.open(box.data_dir / DATABASE) as history:
        story = [a.alert.state.value for a in history.alerts() if a.alert.rule == "cannot_record"]
        assert {s.summary.patient for s in history.summaries()} <= {"patient-1"}
    assert story[0] == "raised"
    assert story[-1] == "ended"
    assert "box:health" in {packet.stream for packet in read(log)}


def room_of(box: Box) -> Any:
    return status_of(box)["store"]["room"]


def fill(film: Path) -> None:
    with suppress(OSError), film.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(65536))


def test_a_disk_that_is_full_is_told_aloud_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    box = Box(tmp_path)
    rules = QUICK_ALARM.replace("[alarms.disk_low]\nenabled = false\n", "")
    box.config.write_text(rules)
    box.data_dir.mkdir(mode=0o700)
    folder = str(box.data_dir)
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be mounted only as root")
    try:
        with monitor(box):
            wait_for(lambda: not status_of(box)["store"]["trouble"], START_S, "the open store")
            wait_for(lambda: room_of(box)["ballast_bytes"], START_S, "the ballast")
            cause_s = CLOCK.now_s()
            fill(box.data_dir / "film")
            low = wait_for(alert_of(box, "disk_low"), 2 * DUE_S, "disk_low")
            assert low["at_s"] - cause_s <= DUE_S
            assert status_of(box)["live"]["signal"]["audible"] is True
            wait_for(lambda: room_of(box)["ballast_bytes"] == 0, DUE_S, "the release")
            assert room_of(box)["floor"] == "full"
            assert "the disk is full: alarms are recorded" in box.call("status").stdout
            assert status_of(box)["store"]["trouble"] == ""
            with History.open(box.data_dir / DATABASE) as history:
                assert "disk_low" in {a.alert.rule for a in history.alerts()}
            cause_s = CLOCK.now_s()
            fill(box.data_dir / "film")  # what was given up is gone too
            alert = wait_for(alert_of(box, "cannot_record"), 2 * DUE_S, "cannot_record")
            assert alert["at_s"] - cause_s <= DUE_S
            (box.data_dir / "film").unlink()
            wait_for(lambda: not status_of(box)["live"]["alerts"], MENDED_S, "the end")
        with History.open(box.data_dir / DATABASE) as history:
            states = {(a.alert.rule, a.alert.state.value) for a in history.alerts()}
        assert {("cannot_record", "raised"), ("cannot_record", "ended")} <= states
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_missing_loudspeaker_is_told_within_ten_seconds_of_the_start(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.config.write_text(
        QUICK_ALARM.replace(SOUND, '\n[annunciators.sound]\ndevice = "no-such-card"\n')
    )
    with monitor(box):
        opened_s = wait_for(lambda: status_of(box)["annunciators"], START_S, "the sound")[0][
            "since_s"
        ]
        alert = wait_for(alert_of(box, "cannot_be_heard"), 2 * DUE_S, "cannot_be_heard")
        assert alert["at_s"] - opened_s <= DUE_S
        assert alert["priority"] == "high"
        assert "the loudspeaker does not work" in alert["reason"]
        assert status_of(box)["live"]["signal"]["visual"] == "high"


@pytest.mark.skipif(shutil.which("aplay") is None, reason="aplay is missing: alsa-utils")
def test_a_loudspeaker_that_is_pulled_out_is_told_and_is_over_when_it_is_back(
    tmp_path: Path,
) -> None:
    box, card = Box(tmp_path), SoundCard(tmp_path)
    box.config.write_text(QUICK_ALARM.replace(SOUND, ""))
    with monitor(box, ALSA_CONFIG_PATH=str(card.config)):
        wait_for(lambda: status_of(box)["annunciators"][0]["works"], START_S, "the proven card")
        wait_for(lambda: alert_of(box, "cannot_be_heard")() is None, MENDED_S, "quiet")
        cause_s = CLOCK.now_s()
        card.unplug()
        alert = wait_for(alert_of(box, "cannot_be_heard"), 2 * DUE_S, "cannot_be_heard")
        assert alert["at_s"] - cause_s <= DUE_S
        card.plug_in()
        wait_for(lambda: alert_of(box, "cannot_be_heard")() is None, MENDED_S, "the end")


def test_a_night_with_a_failing_box_replays_with_it(tmp_path: Path) -> None:
    """The log of a monitor whose loudspeaker was missing gives the alert again."""
    box = Box(tmp_path)
    box.config.write_text(
        QUICK_ALARM.replace(SOUND, '\n[annunciators.sound]\ndevice = "no-such-card"\n')
    )
    log = tmp_path / "all.hwl"
    with monitor(box, "--log", str(log)):
        alert = wait_for(alert_of(box, "cannot_be_heard"), 2 * DUE_S, "cannot_be_heard")
    again = box.call("replay", "--json", str(log))
    assert alert["id"] in again.stdout
