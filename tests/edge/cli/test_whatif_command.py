"""`homeward whatif` as people call it, on simulated patients and on packet logs."""

from __future__ import annotations

import json
import xml.dom.minidom
from pathlib import Path

import msgspec
import pytest

from edge.alerts import Answer
from edge.events import PERSON
from edge.packetlog import PacketLogWriter
from edge.pipeline import ANSWER, START, Start
from edge.readers import simulated
from edge.records import Packet
from edge.whatif.nights import WARM_UP_S, from_logs
from tests.edge.cli.box import Box
from tests.edge.vault.kit import Clock, write

DIPS = """\
title = "Two dips"
duration_s = 400
seed = 5
[patient]
spo2_pct = 96
[[events]]
kind = "desaturation"
at_s = 60
for_s = 60
spo2_pct = 86.5
[[events]]
kind = "desaturation"
at_s = 220
for_s = 60
spo2_pct = 84
"""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    (tmp_path / "dips.toml").write_text(DIPS)
    box = Box(tmp_path)
    box.config.write_text("[model]\nenabled = false\n")
    return box


def facts(done):
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stderr
    *lines, last = map(json.loads, done.stdout.splitlines())
    return lines, last


def ask(box, *words):
    return facts(box.call("whatif", "--simulate", str(box.folder / "dips.toml"), "--json", *words))


def test_a_laxer_limit_says_what_is_missed_later_and_not_told(box):
    lines, last = ask(box, "--set", "alarms.low_spo2.limit_pct=85")
    rule = next(one for one in lines if one["record"] == "rule" and one["rule"] == "low_spo2")
    assert (rule["n_before"], rule["n_after"], rule["n_missed"], rule["n_kept"]) == (2, 1, 1, 1)
    assert rule["later_most_s"] > 0.0
    spans = [one for one in lines if one["record"] == "untold"]
    assert all(84.0 <= one["worst"] < 88.0 for one in spans)
    assert last["untold_s"] == sum(one["seconds"] for one in spans) >= 40.0
    assert last["set"] == {"low_spo2.limit_pct": [88.0, 85.0]}
    assert last["before"]["alarms"] - last["after"]["alarms"] == last["n_missed"] == 1


def test_nothing_set_changes_nothing(box):
    done = box.call("whatif", "--simulate", str(box.folder / "dips.toml"))
    assert done.returncode == 0
    assert "these limits would have changed nothing" in done.stdout
    lines, last = ask(box)
    assert last["before"] == last["after"]
    assert not [one for one in lines if one.get("change") in ("missed", "new")]


def test_a_stricter_limit_adds_alarms_and_misses_none(box):
    done = box.call(
        "whatif", "--simulate", str(box.folder / "dips.toml"),
        "--set", "low_spo2.limit_pct=95", "--set", "low_spo2.delay_s=0",
    )  # fmt: skip
    assert done.returncode == 0
    assert "missed" in done.stdout
    assert "would not tell" not in done.stdout


def test_a_sweep_has_a_line_for_each_value_that_the_single_question_confirms(box):
    lines, _ = ask(box, "--sweep", "alarms.low_spo2.limit_pct=84..92")
    rows = [one for one in lines if one["record"] == "sweep"]
    assert [row["value"] for row in rows] == [84.0, 85.0, 86.0, 87.0, 88.0, 89.0, 90.0, 91.0, 92.0]
    assert [row["in_force"] for row in rows].index(True) == 4
    for value in (85, 92):
        _, single = ask(box, "--set", f"alarms.low_spo2.limit_pct={value}")
        row = rows[value - 84]
        assert row["n_all"] == single["after"]["alarms"]
        assert (row["n_missed"], row["n_new"]) == (single["n_missed"], single["n_new"])
        assert row["untold_s"] == single["untold_s"]
    table = box.call(
        "whatif",
        "--simulate",
        str(box.folder / "dips.toml"),
        "--sweep",
        "low_spo2.limit_pct=87..89",
    )
    assert "88 %" in table.stdout
    assert "<- in force" in table.stdout


def test_the_picture_is_whole_and_fetches_nothing(box):
    file = box.folder / "p.svg"
    done = box.call(
        "whatif", "--simulate", str(box.folder / "dips.toml"), "--svg", str(file),
        "--set", "low_spo2.limit_pct=85",
    )  # fmt: skip
    assert done.returncode == 3
    text = file.read_text(encoding="utf-8")
    xml.dom.minidom.parseString(text)  # noqa: S318  # our own
    assert text.count("http") == 1  # the name space
    for words in ("in force 88 %", "what if 85 %", "✕", "low spo2: 2 alarms in force, 1 what if"):
        assert words in text


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--set", "alarms.low_spo2.limit_pct=20"), 2, "from 80 to 95"),
        (("--set", "alarms.low_spo.limit_pct=88"), 2, "write low_spo2"),
        (("--set", "alarms.low_spo2.limit=88"), 2, "limit_pct"),
        (("--set", "limit_pct"), 2, "sets no limit"),
        (("--set", "alarms.low_spo2.priority=low"), 2, "is the box's"),
        (
            ("--set", "alarms.low_hr.limit_bpm=60", "--set", "alarms.high_hr.limit_bpm=20"),
            2,
            "from",
        ),
        (("--sweep", "alarms.low_spo2.limit_pct=92..84"), 2, "is no sweep"),
        (("--sweep", "alarms.low_spo2.limit_pct=84..99"), 2, "from 80 to 95"),
        (("--sweep", "alarms.low_spo2.limit_pct=80..95:0.001"), 2, "60 values at most"),
        (("--patient", "nobody"), 1, "there is no patient 'nobody'"),
        (("--svg", "/no/such/folder/p.svg"), 1, "there is no folder"),
        (("--log", "/no/such.hwl"), 1, "no such"),
        (("--span", "0s"), 2, "longer than nothing"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason(box, words, code, why):
    source = () if words[0] == "--log" else ("--simulate", "quiet")
    done = box.call("whatif", *source, *words)
    assert done.returncode == code, done.stderr
    assert why.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_without_a_past_it_says_how_to_get_one(box):
    done = box.call("whatif", "--set", "low_spo2.limit_pct=86")
    assert done.returncode == 1
    assert "there is no past to ask" in done.stderr
    assert "[vault]" in done.stderr


def night_log(path, run_id, scenario, *, at_s=1000.0, answers=()):
    shifted = [
        msgspec.structs.replace(p, arrived_s=p.arrived_s + at_s)
        for p in simulated.packets(simulated.Settings(scenario=str(scenario)))
    ]
    said = [
        Packet(PERSON, ANSWER, at_s + when_s, msgspec.json.encode(Answer(**answer)))
        for when_s, answer in answers
    ]
    start = Packet("box", START, at_s, msgspec.json.encode(Start(run_id)))
    with PacketLogWriter(path) as log:
        for packet in sorted([start, *shifted, *said], key=lambda p: p.arrived_s):
            log.append(packet)


def test_several_runs_in_several_logs_are_nights_of_their_own(box):
    one, two = box.folder / "a.hwl", box.folder / "b.hwl"
    night_log(one, "run-1", box.folder / "dips.toml")
    night_log(one, "run-2", box.folder / "dips.toml", at_s=50.0)  # after a boot, in the same file
    night_log(two, "run-3", box.folder / "dips.toml", at_s=3000.0)
    logs = ("--log", str(one), "--log", str(two))
    _, last = facts(box.call("whatif", *logs, "--set", "low_spo2.limit_pct=85", "--json"))
    assert last["nights"] == 3
    assert last["before"]["alarms"] == last["n_missed"] + last["after"]["alarms"]
    assert last["n_missed"] == 3
    _, short = facts(box.call("whatif", *logs, "--span", "5min", "--json"))
    assert (short["nights"], round(short["watched_h"] * 60)) == (1, 5)


def test_the_past_that_the_monitor_keeps_is_found_without_a_path(box):
    given = simulated.packets(simulated.Settings(scenario=str(box.folder / "dips.toml")))
    write(box.data_dir, given, Clock(0.0))
    _, last = facts(box.call("whatif", "--set", "low_spo2.limit_pct=85", "--json"))
    _, simulated_too = ask(box, "--set", "low_spo2.limit_pct=85")
    assert last["before"]["alarms"] == simulated_too["before"]["alarms"]
    assert last["n_missed"] == simulated_too["n_missed"] == 1


def test_a_span_from_the_middle_is_led_up_to_and_counts_from_there(tmp_path):
    log = tmp_path / "long.hwl"
    with PacketLogWriter(log) as writer:
        writer.append(Packet("box", START, 0.0, msgspec.json.encode(Start("long"))))
        for second in range(5000):
            writer.append(Packet("clip", "somebody's", second + 0.5, b""))
    (night,) = from_logs([log], 1000.0)
    found = list(night.packets)
    assert (night.begin_s, night.end_s, night.run_id) == (3999.5, 4999.5, "long")
    assert found[0].stream == START
    assert found[0].arrived_s == found[1].arrived_s == night.begin_s - WARM_UP_S
    assert len(found) == 1 + 1601
