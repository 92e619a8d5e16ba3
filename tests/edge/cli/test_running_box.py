"""A real monitor in a process of its own, asked and answered by the real commands."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.control import Acknowledge, ControlError, Status, Trace
from edge.control.client import ControlClient
from edge.events import FACTS
from edge.packetlog import read
from edge.pipeline import START
from edge.records import AlertState
from edge.store import DATABASE, History
from tests.edge.cli.box import QUICK_ALARM, Box, killed, status_of, stopped, wait_for

START_S = 30.0
ALARM_S = 30.0
STOP_S = 10.0

SCENARIO = "low.toml"
LOW_SPO2 = """\
title = "A patient whose oxygen is too low from the start"
duration_s = 600
[patient]
spo2_pct = 80
"""


class Watched(msgspec.Struct, frozen=True):
    """A monitor that runs, and the alert that stands in it."""

    box: Box
    monitor: subprocess.Popen[str]
    alert: dict[str, Any]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return low_box(tmp_path)


def low_box(folder: Path) -> Box:
    """Return a box whose `scenario` is a patient who alarms."""
    (folder / SCENARIO).write_text(LOW_SPO2)
    return Box(folder)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    box = low_box(tmp_path_factory.mktemp("box"))
    monitor = box.start("--simulate", str(box.folder / SCENARIO))
    try:
        alerts = wait_for(lambda: standing(box), START_S + ALARM_S, "the alarm")
        yield Watched(box, monitor, alerts[0])
    finally:
        errors = stopped(monitor, STOP_S)
    assert monitor.returncode == 0, errors
    assert "Traceback" not in errors


def standing(box: Box) -> Any:
    status = status_of(box)
    return status and status["live"]["alerts"]


def test_status_shows_patient_alert_sources_and_store(watched: Watched) -> None:
    shown = watched.box.call("status")
    assert shown.returncode == 3  # an alert stands
    for text in ("very_low_spo2", watched.alert["id"], "sim:board", "80 %", DATABASE):
        assert text in shown.stdout
    assert "alarms make no sound" in shown.stdout  # this box has its loudspeaker switched off
    *facts, last = map(json.loads, watched.box.call("status", "--json").stdout.splitlines())
    assert (last["record"], last["pid"]) == ("status", watched.monitor.pid)
    assert last["n_alerts"] >= 1
    kinds = {"patient", "alert", "source", "link", "store", "vault", "limits"}
    assert {fact["record"] for fact in facts} == kinds


def test_a_trace_is_the_last_seconds_of_a_signal(watched: Watched) -> None:
    wait_for(lambda: status_of(watched.box)["live"]["patients"][0]["n_beats"] > 4, ALARM_S, "ECG")
    trace = watched.box.ask(Trace("ecg_mv", 2.0))
    assert trace["fs_hz"] == 250.0
    assert len(trace["values"]) in {500, 501}  # both ends may fall on a sample
    known = [value for value in trace["values"] if value is not None]
    assert max(known) - min(known) > 0.5  # millivolts: R peaks are in it


def test_an_answer_that_was_said_to_be_stored_is_stored(watched: Watched) -> None:
    box, alert_id = watched.box, watched.alert["id"]
    unknown = box.call("ack", "no-such-alert", "--by", "Ann")
    assert unknown.returncode == 1
    assert "no standing alert begins with 'no-such-alert'" in unknown.stderr
    answered = box.call("ack", alert_id, "--by", "Ann")
    assert answered.returncode == 0, answered.stderr
    assert "seen by Ann" in answered.stdout
    with History.open(box.data_dir / DATABASE) as history:
        story = [a.alert for a in history.alerts() if a.alert.id == alert_id]
    assert story[0].state is AlertState.RAISED
    assert {a.answered_by for a in story[1:]} >= {"Ann"}
    again = box.call("ack", alert_id, "--by", "Bob")
    assert again.returncode == 1
    assert "acknowledged already, by Ann" in again.stderr
    listed = box.call("alerts", "--json")
    assert listed.returncode == 3  # acknowledged, and standing
    *states, last = map(json.loads, listed.stdout.splitlines())
    assert last["monitor_answers"] is True
    assert alert_id in last["standing"]
    assert {s["sequence"] for s in states if s.get("id") == alert_id} >= {1, 2}


def test_of_two_carers_who_answer_at_once_the_second_is_told_of_the_first(watched: Watched) -> None:
    def unanswered() -> Any:
        return [alert for alert in standing(watched.box) or () if not alert["answered_by"]]

    alert_id = wait_for(unanswered, ALARM_S, "an alert nobody has answered")[0]["id"]
    socket_path = watched.box.data_dir / "control.sock"
    with ControlClient(socket_path) as ann, ControlClient(socket_path) as bob:
        for client, name in ((ann, "Ann"), (bob, "Bob")):
            client._socket.sendall(msgspec.json.encode(Acknowledge(alert_id, name)) + b"\n")
        assert ann._answer()["alert"]["answered_by"] == "Ann"
        with pytest.raises(ControlError, match="acknowledged already, by Ann"):
            bob._answer()


def test_pauses_and_watches_are_carried_out_shown_and_stored(watched: Watched) -> None:
    box = watched.box
    paused = box.call("pause", "--for", "100s", "--up-to", "high", "--by", "Ann", "--json")
    assert paused.returncode == 0, paused.stderr
    event = json.loads(paused.stdout.splitlines()[0])
    assert (event["act"], event["by"], event["role"]) == ("audio_paused", "Ann", "carer")
    assert box.call("handover", "Bob", "--for", "8h", "--by", "Ann").returncode == 0
    shown = box.call("status").stdout
    assert "! SOUND PAUSED up to high priority, everybody, for" in shown
    assert "Bob has the watch over everybody for" in shown
    lines = list(map(json.loads, box.call("status", "--json").stdout.splitlines()))
    assert {"mute", "watch"} <= {line["record"] for line in lines}
    assert lines[-1]["signal"]["audible"] is False
    assert box.call("pause", "--resume").returncode == 0
    with History.open(box.data_dir / DATABASE) as history:
        acts = [stored.event.act for stored in history.alarm_events()]
    wanted = ["audio_paused", "handed_off", "rearmed"]
    assert [act for act in acts if act in wanted] == wanted


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("pause", "--for", "3m"), "at most 120 s"),
        (("pause", "--resume"), "nothing is paused"),
        (("pause", "--off", "--up-to", "high"), "high priority is never off"),
        (("pause", "--alarms", "--as", "patient"), "is for carers"),
        (("pause", "--patient", "nobody"), "nobody here is called 'nobody'"),
        (("pause", "--off", "--alarms"), "give one of"),
        (("ack", "x", "--seen", "--handled"), "give one of"),
        (("handover", "Bob", "--for", "3d"), "at most 86400 s"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_reason(
    watched: Watched, words: tuple[str, ...], why: str
) -> None:
    refused = watched.box.call(*words)
    assert refused.returncode == 1
    assert why in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_a_person_enters_is_stored_and_counts(watched: Watched) -> None:
    box = watched.box
    said = box.call("enter", "oxygen", "oxygen", "--by", "Ann", "--as", "nurse", "--for", "2h")
    assert said.returncode == 0, said.stderr
    assert "oxygen of patient-1 is oxygen, said by Ann; it counts for 2 h" in said.stdout
    for words, told in (
        (("mood", "good"), "what can: oxygen, consciousness"),
        (("temp_degc", "99"), "write a number from 25 to 45"),
        (("consciousness", "asleep"), "write one of A, C, V, P, U"),
        (("oxygen", "air", "--patient", "nobody"), "there is no patient 'nobody'"),
    ):
        refused = box.call("enter", *words, "--by", "Ann")
        assert refused.returncode == 1
        assert told in refused.stderr
    # Without the year of birth it is kept and makes no score.
    vitals = status_of(box)["live"]["patients"][0]["vitals"]
    assert vitals["news2_refusal"] == 1.0
    assert "not computed: the year of birth is not set" in box.call("status").stdout


def test_a_second_monitor_is_refused(watched: Watched) -> None:
    twice = watched.box.call("run", "--simulate", "quiet")
    assert twice.returncode == 1
    assert f"running here already (process {watched.monitor.pid}" in twice.stderr
    assert watched.box.ask(Status())["monitor"]["pid"] == watched.monitor.pid


def test_the_doctor_finds_the_running_monitor(watched: Watched) -> None:
    *checks, last = map(json.loads, watched.box.call("doctor", "--json").stdout.splitlines())
    health = {check["name"]: check["health"] for check in checks}
    assert health["monitor"] == health["store"] == health["data directory"] == "ok"
    assert last["n_ok"] + last["n_warn"] + last["n_fail"] == len(checks)


def test_systemd_is_told_and_sigterm_ends_in_order(box: Box, tmp_path: Path) -> None:
    log = tmp_path / "all.hwl"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(START_S)
        name = systemd.getsockname()
        words = ("--simulate", "quiet", "--log", str(log))
        monitor = box.start(*words, NOTIFY_SOCKET=name, WATCHDOG_USEC="1000000")
        told = [systemd.recv(100) for _ in range(4)]
        assert told.count(b"READY=1") == 1
        assert told.count(b"WATCHDOG=1") == 3  # twice a second, as long as it ticks
        began = time.monotonic()
        errors = stopped(monitor, STOP_S)
        assert time.monotonic() - began < STOP_S
        while (last := systemd.recv(100)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"
    assert monitor.returncode == 0, errors
    assert {packet.stream for packet in read(log)} >= {START, FACTS, "uart:homeward"}
    assert not (box.data_dir / "control.sock").exists()
    nobody = box.call("status")
    assert nobody.returncode == 1
    assert "no monitor is running here" in nobody.stderr


def is_stored(box: Box, alert_id: str) -> bool:
    with History.open(box.data_dir / DATABASE) as history:
        return alert_id in {one.alert.id for one in history.alerts()}


def test_a_monitor_killed_with_minus_9_starts_again_beside_what_it_left(box: Box) -> None:
    first = box.start("--simulate", str(box.folder / SCENARIO))
    try:
        alert = wait_for(lambda: standing(box), START_S + ALARM_S, "the alarm")[0]
        # It stands a moment before it is stored; what is promised is what was stored.
        wait_for(lambda: is_stored(box, alert["id"]), ALARM_S, "the alarm in the store")
    finally:
        killed(first)
    assert (box.data_dir / "control.sock").exists()  # as a dead monitor leaves it
    second = box.start("--simulate", "quiet")
    try:
        run = wait_for(lambda: status_of(box), START_S, "the second start")
        assert run["monitor"]["pid"] == second.pid
        with History.open(box.data_dir / DATABASE) as history:
            assert alert["id"] in {a.alert.id for a in history.alerts()}
            # The status may be answered before the store is open.
            wait_for(lambda: len(history.runs()) == 2, START_S, "the second run in the store")
        stored = box.call("alerts")
        assert alert["id"] in stored.stdout
        # What stood stands again, under its own id, and says that nothing was heard since.
        assert alert["id"] in {one["id"] for one in standing(box)}
    finally:
        stopped(second, STOP_S)
    assert second.returncode == 0


def test_what_was_answered_and_paused_is_so_after_kill_minus_9(box: Box) -> None:
    words = ("--simulate", str(box.folder / SCENARIO))
    first = box.start(*words)
    try:
        alerts = wait_for(lambda: standing(box), START_S + ALARM_S, "the alarm")
        alert = next(a for a in alerts if a["rule"] == "very_low_spo2")
        assert box.call("ack", alert["id"], "--as", "carer", "--handled").returncode == 0
        assert box.call("pause", "--for", "110s", "--up-to", "high").returncode == 0
        assert box.call("handover", "Bob").returncode == 0
        before = status_of(box)["live"]
    finally:
        killed(first)
    second = box.start(*words)
    try:
        after = wait_for(lambda: standing(box) and status_of(box), START_S, "the next start")[
            "live"
        ]
        (same,) = (one for one in after["alerts"] if one["id"] == alert["id"])
        assert (same["state"], same["answered_by"]) == ("acknowledged", "carer")
        assert (same["role"], same["meaning"]) == ("carer", "handled")
        assert same["since_s"] == alert["since_s"]
        assert after["mutes"] == before["mutes"]
        assert after["watches"] == before["watches"]
        assert after["signal"]["audible"] is False
        wait_for(lambda: after_silence(box), START_S + ALARM_S, "the next finding")
        # Its condition is still there, and answered: no second alert of it.
        rules = [one["rule"] for one in standing(box)]
        assert rules.count("very_low_spo2") == 1
    finally:
        stopped(second, STOP_S)


def test_what_was_entered_counts_after_kill_minus_9_and_so_does_news2(box: Box) -> None:
    box.config.write_text(QUICK_ALARM + '[[patients]]\nid = "patient-1"\nbirth_year = 1950\n')
    words = ("--simulate", str(box.folder / SCENARIO))

    def score() -> tuple[Any, ...] | None:
        status = status_of(box)
        seen = status["live"]["patients"] if status else []
        values = seen[0]["vitals"] if seen else {}
        # Breaths and temperature may come late; what was entered and the oximeter make this up.
        parts = ("oxygen", "acvpu", "nibp_sys", "spo2")
        found = tuple(values.get(f"news2_{part}_points") for part in parts)
        return None if None in found else found

    first = box.start(*words)
    try:
        wait_for(lambda: status_of(box) and after_silence(box), START_S + ALARM_S, "the oximeter")
        for what, value in (
            ("oxygen", "oxygen"),
            ("consciousness", "C"),
            ("nibp_sys_mmhg", "105"),
        ):
            assert box.call("enter", what, value, "--by", "Ann").returncode == 0
        before = wait_for(score, ALARM_S, "the score")
        assert before == (2.0, 3.0, 1.0, 3.0)
    finally:
        killed(first)
    second = box.start(*words)
    try:
        assert wait_for(score, START_S + ALARM_S, "the score after the restart") == before
    finally:
        stopped(second, STOP_S)


def after_silence(box: Box) -> bool:
    """Return whether the oximeter has sent since this start."""
    patients = status_of(box)["live"]["patients"]
    return any(patient["vitals"].get("spo2_pct") for patient in patients)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config", "{no_bluetooth}"), "there is nothing to watch"),
        (("--simulate", "no-such-scenario"), "no-such-scenario"),
        (("--replay", "no/such/recording"), "there is no recording"),
    ],
)
def test_a_start_that_cannot_work_says_why(box: Box, words: tuple[str, ...], said: str) -> None:
    told = box.data_dir.parent / "told.toml"
    told.write_text("[box]\nbluetooth = false\n")
    ended = box.call("run", *(word.format(no_bluetooth=told) for word in words))
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_commands_without_a_monitor_say_how_to_start_one(box: Box) -> None:
    for words in (("status",), ("ack", "x", "--by", "Ann")):
        ended = box.call(*words)
        assert ended.returncode == 1
        assert "start it with `homeward run`" in ended.stderr
    nothing = box.call("alerts")
    assert nothing.returncode == 1
    assert "nothing has been recorded yet" in nothing.stderr
