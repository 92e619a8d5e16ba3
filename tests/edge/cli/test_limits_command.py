"""`homeward limits`, with a monitor that runs and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.assemble import assemble, settings_of
from edge.cli._limits import load_to_run
from edge.cli._shared import load_config
from edge.config.kept import FILE, KeptPatient, KeptValue, Who, write_kept
from edge.events import BEGUN_LIMITS, LIMIT
from edge.packetlog import PacketLogWriter, read
from edge.playback import replay_packets
from edge.readers import simulated
from edge.records import AlarmEvent, Alert, SettingChange
from edge.store import DATABASE, History
from tests.edge.cli.box import Box, killed, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import ALARM_S, START_S, STOP_S

SLIGHTLY_LOW = """\
title = "Oxygen between two limits"
duration_s = 600
[patient]
spo2_pct = 86
"""
QUICK = """\
[model]
enabled = false
[annunciators.sound]
enabled = false
[alarms.low_spo2]
delay_s = 1
[alerts]
clear_s = 2
"""
SAID = ("--by", "Dr Lo", "--as", "clinician", "--why", "target 88", "--yes")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "low.toml").write_text(SLIGHTLY_LOW)
    box = Box(tmp_path)
    box.config.write_text(QUICK)
    return box


def standing(box):
    status = status_of(box)
    return {a["rule"]: a for a in status["live"]["alerts"]} if status else {}


def story(box, alert):
    with History.open(box.data_dir / DATABASE) as history:
        return [s.alert.state for s in history.alerts() if s.alert.id == alert["id"]]


def changes(box):
    with History.open(box.data_dir / DATABASE) as history:
        return [stored.change for stored in history.setting_changes()]


def stop(monitor):
    errors = stopped(monitor, STOP_S)
    assert "Traceback" not in errors
    assert monitor.returncode == 0, errors


def test_a_limit_is_changed_live_recorded_kept_and_replayed(box):
    log = box.folder / "all.hwl"
    words = ("--simulate", str(box.folder / "low.toml"), "--log", str(log))
    monitor = box.start(*words)
    try:
        alert = wait_for(lambda: standing(box).get("low_spo2"), START_S + ALARM_S, "the alarm")
        done = box.call("limits", "set", "alarms.low_spo2.limit_pct=85", *SAID, "--json")
        assert done.returncode == 0, done.stderr
        assert "past" not in done.stderr  # the vault has it, and it was asked
        first, last = map(json.loads, done.stdout.splitlines())
        assert (first["key"], first["old"], first["new"]) == (
            "alarms.low_spo2.limit_pct", 88.0, 85.0,
        )  # fmt: skip
        assert (last["live"], last["stored"], last["n_changes"]) == (True, True, 1)
        # The alert that stood ends as any alert does, not at once and not in silence.
        wait_for(lambda: story(box, alert)[-1] == "ended", ALARM_S, "its end")
        assert story(box, alert)[0] == "raised"
        assert "low_spo2" not in standing(box)
        (record,) = changes(box)
        assert (record.by, record.role, record.why) == ("Dr Lo", "clinician", "target 88")
        assert "1 limits of their own" in box.call("status").stdout
        assert box.call("limits", "set", "low_hr.limit_bpm=45", *SAID).returncode == 0
    finally:
        stop(monitor)
    shown = box.call("limits").stdout
    assert "85 %" in shown
    assert "homeward limits, Dr Lo (clinician) on" in shown
    assert "homeward limits, Dr Lo" in box.call("config").stdout
    assert {p.stream for p in read(log)} >= {LIMIT, BEGUN_LIMITS}
    # By now other limits are in force: the log brings those of its time.
    assert_replays_as_recorded(box, log)


def test_a_limit_lasts_over_kill_9_until_it_is_reset(box):
    words = ("--simulate", str(box.folder / "low.toml"))
    first = box.start(*words)
    try:
        wait_for(lambda: status_of(box), START_S, "the start")
        done = box.call("limits", "set", "low_spo2.limit_pct=85", "--no-past", *SAID)
        assert done.returncode == 0, done.stderr
    finally:
        killed(first)
    assert "85 %" in box.call("limits").stdout
    second = box.start(*words)
    try:
        assert wait_for(lambda: spo2(box), START_S + ALARM_S, "SpO2") < 88.0
        # On a slow machine it may have been raised before the limit was set: then it ends now.
        wait_for(lambda: "low_spo2" not in standing(box), ALARM_S, "the end of the alarm")
        assert box.call("limits", "reset", "low_spo2.limit_pct", *SAID).returncode == 0
        wait_for(lambda: standing(box).get("low_spo2"), ALARM_S, "the alarm of the old limit")
    finally:
        stop(second)
    assert [(c.act, c.old, c.new) for c in changes(box)] == [("set", 88, 85), ("reset", 85, 88)]


def spo2(box):
    status = status_of(box)
    patients = status["live"]["patients"] if status else []
    return patients and patients[0]["vitals"].get("spo2_pct")


def assert_replays_as_recorded(box, log):
    kinds = (Alert, AlarmEvent, SettingChange)
    packets = list(read(log))
    runs = []
    for limit_pct in (85.0, 92.0):  # whatever is in force now
        config = load_config(box.config, box.data_dir)
        settings = settings_of(config)
        settings.rules["low_spo2"].values["limit_pct"] = limit_pct
        pipeline = assemble(settings, "x", start_s=int(packets[0].arrived_s))
        records = []
        replay_packets(packets, pipeline, records.append)
        runs.append([r for r in records if isinstance(r, kinds)])
    assert runs[0] == runs[1]
    with History.open(box.data_dir / DATABASE) as history:
        stored = [s.alert for s in history.alerts()]
        made = [s.change for s in history.setting_changes()]
    n = len(stored)
    again = [r for r in runs[0] if isinstance(r, Alert)]
    assert [(a.id, a.state, a.at_s, a.reason) for a in again[:n]] == [
        (a.id, a.state, a.at_s, a.reason) for a in stored
    ]
    assert [r for r in runs[0] if isinstance(r, SettingChange)] == made


def test_a_high_priority_rule_is_switched_off_by_a_clinician_only_and_in_words(box):
    words = ("limits", "set", "very_low_spo2.enabled=false", "--why", "x", "--yes")
    refused = box.call(*words, "--by", "Ann")
    assert refused.returncode == 1
    assert "only a clinician switches it off" in refused.stderr
    done = box.call(*words, "--as", "Lo", "--role", "clinician")
    assert done.returncode == 0
    assert "will NOT ALARM ANY MORE (high priority)" in done.stderr
    assert [(c.key, c.old, c.new) for c in changes(box)] == [
        ("alarms.very_low_spo2.enabled", 1.0, 0.0)
    ]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("set", "low_spo2.limit_pct=20", "--by", "A", "--why", "x"), 2, "from 80 to 95"),
        (("reset", "--by", "A", "--as", "patient", "--why", "x"), 1, "carers"),
        (("set", "low_spo2.limit_pct=86", "--why", "x"), 2, "who changes it"),
        (("set", "low_spo2.limit_pct=86", "--by", "A"), 2, "--why"),
        (("set", "low_spo2.limit_pct=86", "--as", "Ann", "--why", "x"), 2, "is no role"),
        (("set", "--by", "A", "--why", "x"), 1, "nothing to set"),
        (("set", "low_spo2.limit_pct=86", "--by", "A", "--why", "x"), 1, "add --yes"),
        (("set", "low_spo.limit_pct=86", "--by", "A", "--why", "x"), 2, "write low_spo2"),
        (("reset", "low_hr", "--by", "A", "--why", "x"), 1, "is not set by"),
        (("preset", "cold", "--by", "A", "--why", "x"), 1, "there is no preset"),
        (("preset", "--by", "A", "--why", "x"), 2, "which preset"),
        (("scale2", "--by", "A", "--why", "x"), 1, "a clinician's decision"),
        (("scale1", "--by", "A", "--why", "x"), 1, "in use already"),
        (("set", "a.b=1", "--patient", "q", "--by", "A", "--why", "x"), 1, "no patient 'q'"),
        (("log",), 1, "nothing has been recorded"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_refused_and_nothing_is_written(box, words, code, why):
    done = box.call("limits", *words)
    assert done.returncode == code, done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not (box.data_dir / FILE).exists()


def test_a_new_patient_and_scale_2_in_a_running_monitor(box):
    box.config.write_text(QUICK + '[[patients]]\nid = "bed"\nbirth_year = 1950\n')
    monitor = box.start("--simulate", str(box.folder / "low.toml"))
    try:
        wait_for(lambda: standing(box).get("low_spo2"), START_S + ALARM_S, "the alarm")
        assert box.call("limits", "preset", "copd", *SAID).returncode == 0
        assert "SpO2 SCALE 2" not in box.call("status").stdout
        assert box.call("limits", "scale2", *SAID).returncode == 0
        shown = box.call("status").stdout
        assert "! bed: SpO2 SCALE 2 of NEWS2 (88 to 92 %), decided by Dr Lo on" in shown
        assert box.call("enter", "oxygen", "oxygen", "--by", "Ann").returncode == 0
        wait_for(lambda: scale_of(box, 2.0), ALARM_S, "scale 2")
        wait_for(lambda: scale_of(box, 2.0).get("news2_oxygen_points") == 2.0, ALARM_S, "the entry")
        assert box.call("pause", "--for", "100s", "--by", "Ann").returncode == 0
        done = box.call("limits", "new-patient", *SAID)
        assert done.returncode == 0, done.stderr
        wait_for(lambda: not scale_of(box, 2.0), ALARM_S, "the end of scale 2")
        live = status_of(box)["live"]
        vitals = live["patients"][0]["vitals"]
        assert live["mutes"] == []
        assert vitals["news2_refusal"] == 1.0  # the year of birth was the other one's
        assert vitals.get("news2_oxygen_points") is None
    finally:
        stop(monitor)
    acts = [(c.act, c.key) for c in changes(box)]
    assert ("preset", "alarms.low_spo2.limit_pct") in acts
    assert ("scale", "spo2_scale") in acts
    assert ("new_patient", "alarms.low_spo2.limit_pct") in acts
    assert [c.new for c in changes(box) if c.key == "spo2_scale"] == [2.0, 1.0]


def scale_of(box, wanted):
    vitals = status_of(box)["live"]["patients"][0]["vitals"]
    return vitals if vitals.get("news2_scale") == wanted else None


def test_a_new_patient_while_no_monitor_runs_begins_without_what_was_paused(box):
    words = ("--simulate", str(box.folder / "low.toml"))
    first = box.start(*words)
    try:
        alert = wait_for(lambda: standing(box).get("low_spo2"), START_S + ALARM_S, "the alarm")
        assert box.call("ack", alert["id"], "--by", "Ann").returncode == 0
        assert box.call("pause", "--for", "110s", "--by", "Ann").returncode == 0
    finally:
        stop(first)
    assert box.call("limits", "new-patient", "adult", *SAID).returncode == 0
    second = box.start(*words)
    try:
        again = wait_for(lambda: standing(box).get("low_spo2"), START_S + ALARM_S, "a new alarm")
        assert again["id"] != alert["id"]
        assert again["answered_by"] == ""
        assert status_of(box)["live"]["mutes"] == []
    finally:
        stop(second)


def test_a_damaged_file_is_put_aside_and_told_and_the_monitor_runs(box):
    assert box.call("limits", "set", "low_spo2.limit_pct=85", *SAID).returncode == 0
    file = box.data_dir / FILE
    file.write_text(file.read_text().replace("85.0", "81.0"))
    refused = box.call("limits")
    assert refused.returncode == 2
    assert "is not as it was written" in refused.stderr
    monitor = box.start("--simulate", "quiet")
    try:
        wait_for(lambda: status_of(box), START_S, "the start")
        assert "the limits of the settings file are in force" in box.call("status").stdout
    finally:
        stop(monitor)
    assert (box.data_dir / f"{FILE}.damaged").exists()


def test_a_settings_file_that_was_edited_meanwhile_needs_a_restart_first(box):
    monitor = box.start("--simulate", "quiet")
    try:
        wait_for(lambda: status_of(box), START_S, "the start")
        box.config.write_text(QUICK + "[alarms.low_hr]\nlimit_bpm = 47\n")
        refused = box.call("limits", "set", "low_spo2.limit_pct=85", *SAID)
        assert refused.returncode == 1
        assert "restart it, then set the limit" in refused.stderr
    finally:
        stop(monitor)
    assert not (box.data_dir / FILE).exists()


def test_the_past_is_asked_before_a_limit_is_set(box):
    (box.folder / "dips.toml").write_text(SLIGHTLY_LOW.replace("600", "120"))
    log = box.folder / "past.hwl"
    with PacketLogWriter(log) as writer:
        for packet in simulated.packets(simulated.Settings(str(box.folder / "dips.toml"))):
            writer.append(packet)
    done = box.call("limits", "set", "low_spo2.limit_pct=85", *SAID, "--log", str(log))
    assert done.returncode == 0, done.stderr
    assert "0 alarms instead of 1" in done.stdout
    assert "low_spo2 would not tell of" in done.stdout


def test_an_alarm_that_is_off_is_shown_in_the_status_and_switching_it_on_is_said(box):
    monitor = box.start("--simulate", "quiet")
    try:
        wait_for(lambda: status_of(box), START_S, "the start")
        who = ("--by", "Dr Lo", "--as", "clinician", "--why", "palliative", "--yes", "--no-past")
        off, on = (
            ("limits", "set", f"very_low_spo2.enabled={is_on}") for is_on in ("false", "true")
        )
        assert box.call(*off, *who).returncode == 0
        line = "patient-1: SWITCHED OFF, does not alarm: very low spo2 (high priority) by Dr Lo"
        assert line in " ".join(box.call("status").stdout.split())
        assert "very low spo2 ALARMS again (high priority)" in box.call(*on, *who).stderr
        assert "SWITCHED OFF" not in box.call("status").stdout
    finally:
        stop(monitor)


@pytest.mark.parametrize(
    "alarms", [{"gone_rule": {"limit_pct": 80.0}}, {"low_spo2": {"limit_pct": 60.0}}]
)
def test_limits_that_do_not_suit_the_rules_any_more_keep_no_monitor_from_starting(tmp_path, alarms):
    who = Who("Ann", "clinician", "2026-03-01T08:00:00Z", "x")
    values = {
        rule: {key: KeptValue(value, who) for key, value in table.items()}
        for rule, table in alarms.items()
    }
    write_kept(tmp_path, {"patient-1": KeptPatient(alarms=values)})
    settings, trouble = load_to_run(None, tmp_path)
    assert settings.alarms["low_spo2"].settings["limit_pct"] == 88.0
    assert next(iter(alarms)) in trouble
    assert (tmp_path / "limits.json.damaged").exists()
    assert load_to_run(None, tmp_path)[1] == ""
