"""The story of one alarm in a running monitor with a loudspeaker, and the proof of it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from edge.control import ControlError, Delivered
from edge.control.client import ControlClient
from edge.store import DATABASE
from tests.edge.annunciators.sound_card import SoundCard
from tests.edge.cli.box import QUICK_ALARM, Box, status_of, wait_for
from tests.edge.cli.test_heard_box import WITHOUT_SOUND
from tests.edge.cli.test_running_box import ALARM_S, START_S, STOP_S
from tests.edge.store.opened import behind
from tests.edge.store.test_chain import live

FALL = """\
title = "Oxygen falls while the sound is paused, and comes back"
duration_s = 600
[patient]
spo2_pct = 97
[[events]]
kind = "desaturation"
at_s = 8
for_s = 22
spo2_pct = 80
fall_s = 2
rise_s = 2
"""
END_S = 60.0

pytestmark = pytest.mark.skipif(
    shutil.which("aplay") is None, reason="aplay is missing: apt-get install alsa-utils"
)


def lines(box: Box, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in box.call(*words, "--json").stdout.splitlines()]


def report(box: Box, alert_id: str, stage: Any, at_s: float) -> Any:
    with ControlClient(box.data_dir / "control.sock") as client:
        return client.ask(Delivered(alert_id, stage, "ntfy", at_s, "id 7"))


def test_one_alarm_is_told_from_its_detection_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "fall.toml").write_text(FALL)
    box, card = Box(tmp_path), SoundCard(tmp_path)
    quick = QUICK_ALARM.replace(WITHOUT_SOUND, "") + "\n[alerts]\nclear_s = 1\n"
    box.config.write_text(quick)
    monitor = box.start(
        "--simulate", str(tmp_path / "fall.toml"), ALSA_CONFIG_PATH=str(card.config)
    )
    try:
        wait_for(lambda: status_of(box), START_S, "the start")
        paused = box.call("pause", "--for", "100s", "--up-to", "high", "--by", "Ann")
        assert paused.returncode == 0, paused.stderr
        found = wait_for(lambda: very_low(box), START_S + ALARM_S, "the alarm")
        alert_id, at_s = found["id"], found["at_s"]
        assert report(box, alert_id, "queued", at_s + 0.1) == {"stored": True}
        assert report(box, alert_id, "sent", at_s + 0.2) == {"stored": True}
        assert report(box, alert_id, "sent", at_s + 0.2) == {"stored": True}  # said again
        assert report(box, alert_id, "received", at_s + 0.3) == {"stored": True}
        with pytest.raises(ControlError, match="there is no alert 'other' to report on"):
            report(box, "other", "sent", at_s)
        with pytest.raises(ControlError, match="CLOCK_BOOTTIME"):
            report(box, alert_id, "sent", at_s + 9999.0)
        assert box.call("pause", "--resume", "--by", "Ann").returncode == 0
        wait_for(lambda: "sounded" in reached(box, alert_id), ALARM_S, "the sound in the story")
        assert (
            box.call("ack", alert_id, "--by", "Bob", "--as", "carer", "--handled").returncode == 0
        )
        wait_for(lambda: reached(box, alert_id).get("ended"), END_S, "the end in the story")
        # The notifier was slow, and the alert is over: it is known all the same.
        assert report(box, alert_id, "received", at_s + 0.4) == {"stored": True}
        assert box.call("alerts", "verify").returncode == 0  # while it runs
    finally:
        monitor.send_signal(signal.SIGTERM)
        _, errors = monitor.communicate(timeout=STOP_S)
    assert monitor.returncode == 0, errors
    assert "Traceback" not in errors
    check_story(box, alert_id)
    check_proof(box)


def very_low(box: Box) -> Any:
    alerts = status_of(box)["live"]["alerts"]
    return next((alert for alert in alerts if alert["rule"] == "very_low_spo2"), None)


def reached(box: Box, alert_id: str) -> dict[str, float]:
    return dict(lines(box, "alerts", "show", alert_id)[-1]["after_s"])


def check_story(box: Box, alert_id: str) -> None:
    *rows, last = lines(box, "alerts", "show", alert_id[:13])
    stages = [row["stage"] for row in rows]
    wanted = ["raised", "not_sounded", "rearmed", "sounded", "acknowledged", "ended"]
    assert [stage for stage in stages if stage in wanted] == wanted
    assert [row["stage"] for row in rows if row["by"] == "ntfy"] == [
        *("queued", "sent", "received", "received")
    ]
    by = {row["stage"]: row["by"] for row in rows}
    assert (by["not_sounded"], by["sounded"], by["acknowledged"]) == ("Ann", "sound", "Bob")
    assert by["shown"] == "status"
    after_s = [row["after_s"] for row in rows]
    assert after_s == sorted(after_s)
    assert after_s[0] == 0.0
    assert (last["record"], last["ended"], last["rule"]) == ("story", True, "very_low_spo2")
    shown = box.call("alerts", "show", alert_id).stdout
    for text in ("very_low_spo2 of patient-1, high priority", "NOT sounded", "carer handled"):
        assert text in shown
    listed = box.call("alerts").stdout
    assert listed.index("audio paused") < listed.index("very_low_spo2")
    assert listed.index("very_low_spo2") < listed.index("rearmed of audio paused")
    acts = [line["act"] for line in lines(box, "alerts") if line["record"] == "alarm_event"]
    assert acts[:2] == ["audio_paused", "rearmed"]


def check_proof(box: Box) -> None:
    whole = lines(box, "alerts", "verify")[-1]
    assert (whole["whole"], whole["head_file"]) == (True, "same")
    written_down = whole["head"][:25]
    again = box.call("alerts", "verify", "--expect", written_down)
    assert again.returncode == 0
    assert "the head that was written down is in it" in again.stdout
    with behind(box.data_dir / DATABASE) as connection:
        connection.execute("DROP TRIGGER alerts_are_not_edited")
        connection.execute("UPDATE alerts SET answered_by = 'Eve' WHERE state = 'acknowledged'")
    connection.close()
    broken = box.call("alerts", "verify")
    assert broken.returncode == 1
    assert "BROKEN" in broken.stdout
    flaw, last = lines(box, "alerts", "verify")
    assert (flaw["table"], flaw["what"], last["whole"]) == ("alerts", "edited", False)
    assert last["first_broken"] == flaw["row"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("alerts", "show"), "which alert?"),
        (("alerts", "show", "nobody"), "no alert begins with 'nobody'"),
        (("alerts", "verify", "abc"), "takes no id"),
        (("alerts", "verify", "--expect", "12"), "write COUNT:HASH"),
    ],
)
def test_what_cannot_be_asked_says_what_can(
    tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    box = Box(tmp_path)
    box.data_dir.mkdir(mode=0o700)
    live(box.data_dir / DATABASE, 2)
    ended = box.call(*words)
    assert ended.returncode == 1
    assert why in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_recorded_is_nothing_to_verify(tmp_path: Path) -> None:
    ended = Box(tmp_path).call("alerts", "verify")
    assert ended.returncode == 1
    assert "nothing has been recorded yet" in ended.stderr
