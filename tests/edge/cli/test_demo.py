"""The demo as people use it: its screen, its keys, its sound, and a night in fast motion."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge.records import AlarmAct, AlertState
from edge.store import History
from tests.edge.annunciators.sound_card import SoundCard
from tests.edge.cli.box import ROOT

ACTS = """
title = "Low from the start, killed after a while"
begins = "22:00"
duration_s = 100
devices = ["clip"]
[patient]
spo2_pct = 80
[[acts]]
kind = "answer"
at_s = 3
action = "hand_off"
by = "Ann"
to = "Bob"
[[acts]]
kind = "monitor_killed"
at_s = 40
away_s = 5
"""


def demo(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "edge", "demo", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def low(tmp_path):
    path = tmp_path / "low.toml"
    path.write_text(ACTS)
    return str(path)


def test_without_a_terminal_it_tells_line_by_line_and_lives_through_a_killed_monitor(low, tmp_path):
    ended = demo("--scenario", low, "--speed", "1000", "--data-dir", str(tmp_path))

    assert ended.returncode == 0, ended.stderr
    for told in (
        "handed_off: Bob has the watch (Ann)",
        "raised !!! high very_low_spo2: SpO2 80 %",
        "very_low_spo2 for 15 s: Bob is told",
        "SOUNDS: high priority, oxygenation",
        "NEWS2 3-",
        "2 alerts raised and 0 ended",  # and none anew after the monitor was killed
    ):
        assert told in ended.stdout
    with History.open(tmp_path / "demo.db") as history:
        assert [run.run_id for run in history.runs()] == ["demo", "demo-2"]


def test_json_ends_with_what_it_was(low):
    lines = [
        json.loads(line)
        for line in demo("--scenario", low, "--speed", "1000", "--json").stdout.splitlines()
    ]

    assert lines[-1] == {**lines[-1], "record": "demo", "alerts_raised": 2}
    assert {"alert", "alarm_event", "features"} <= {line["record"] for line in lines}


def test_a_picture_shows_who_was_told_what_sounds_and_news2(low, tmp_path):
    picture = tmp_path / "demo.svg"
    demo("--scenario", low, "--speed", "1000", "--for", "35s", "--picture", str(picture))
    drawn = re.sub(r"<[^>]*>", "\n", picture.read_text()).replace("&#160;", " ")

    for text in ("22:00:35", "NEWS2", "told: first carer Bob", "SOUNDS: high", "Bob has the watch"):
        assert text in drawn
    assert "@font-face" not in picture.read_text()


def in_a_terminal(words, presses):
    """Run it in a terminal of its own; press each key once its text has been shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["COLUMNS"] = "120"
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "edge", "demo", *words])  # noqa: S606
    shown, end = "", time.monotonic() + 90.0
    presses = list(presses)
    while time.monotonic() < end:
        try:
            shown += os.read(terminal, 65536).decode(errors="ignore")
        except OSError:  # Linux says so when the other end is closed
            break
        if presses and presses[0][0] in shown:
            os.write(terminal, presses.pop(0)[1].encode())
            shown = ""
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(status), presses


def test_keys_acknowledge_and_pause(low, tmp_path):
    words = ["--scenario", low, "--speed", "4", "--for", "38s", "--data-dir", str(tmp_path)]
    presses = [("SOUNDS: high", "p"), ("paused up to high", "a"), ("seen by you", "p")]
    shown, code, left = in_a_terminal(words, presses)

    assert (code, left) == (0, []), shown
    with History.open(tmp_path / "demo.db") as history:
        acts = [stored.event for stored in history.alarm_events()]
        answered = [
            stored.alert
            for stored in history.alerts()
            if stored.alert.state is AlertState.ACKNOWLEDGED
        ]
    assert [(a.act, a.by) for a in acts if a.by == "you"] == [
        (AlarmAct.AUDIO_PAUSED, "you"),
        (AlarmAct.REARMED, "you"),
    ]
    assert answered[0].answered_by == "you"


def test_it_is_silent_unless_asked_and_says_when_it_cannot_be_heard(low, tmp_path):
    words = ("--scenario", low, "--speed", "20", "--for", "20s")
    assert "could not be heard" not in demo(*words).stderr
    nothing = tmp_path / "bin"
    nothing.mkdir()
    ended = demo(*words, "--sound", PATH=str(nothing))

    assert ended.returncode == 0
    assert "homeward: the alarms could not be heard: " in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(shutil.which("aplay") is None, reason="aplay is missing: alsa-utils")
def test_its_alarms_are_heard_with_sound(low, tmp_path):
    card = SoundCard(tmp_path)
    words = ("--scenario", low, "--speed", "4", "--for", "32s", "--sound")
    ended = demo(*words, ALSA_CONFIG_PATH=str(card.config))

    assert ended.returncode == 0, ended.stderr
    assert np.any(card.samples())


def test_the_scenarios_of_the_help_are_there():
    folder = Path(ROOT) / "edge" / "readers" / "scenarios"
    help_text = demo("--help").stdout
    assert all(path.stem in help_text for path in folder.glob("*.toml"))
