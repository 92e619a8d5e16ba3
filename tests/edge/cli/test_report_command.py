"""``homeward report``: the page around one alert."""

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge.__main__ import main
from edge.assemble import assemble, settings_of
from edge.cli._shared import load_config
from edge.clock import WallEntry
from edge.export.paper import MM_MV, MM_S, wave_of
from edge.export.placing import Run
from edge.packetlog import read
from edge.store import DATABASE, Store
from edge.store import Run as StoredRun
from tests.edge.cli.test_export_command import NIGHT, nothing_of_this_box  # noqa: F401

BEGAN = datetime(2026, 11, 22, 22, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def report(*arguments):
    return main(["report", *map(str, arguments), "--data-dir", "box"])


def words(page):
    tree = ET.fromstring(Path(page).read_text(encoding="utf-8"))  # noqa: S314
    return [" ".join(node.itertext()) for node in tree.iter(f"{SVG}text")]


def test_the_page_says_why_who_answered_and_what_it_is_not(capsys):
    assert report("c30f57f6", NIGHT, "--out", "a.svg", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    vitals = {vital["signal"]: vital["value"] for vital in told["vitals"]}
    assert vitals["spo2_pct"] == 83.0
    assert 60 < vitals["hr_bpm"] < 90
    said = words("a.svg")
    assert "SpO2 83 % for 10 s, limit 85 %" in said
    assert "HIGH PRIORITY" in said
    assert "by Ann <nurse> (clinician, handled)" in said
    assert any("not a medical device" in line for line in said)
    assert "+18.8 s" in said
    assert any("wall time unknown" in line for line in said)
    assert "no samples" in said  # the radio was away from +8.7 s to +14.7 s


def test_the_trace_is_drawn_at_25_mm_a_second_and_10_mm_a_millivolt():
    assert report("c30f57f6", NIGHT, "--out", "a.svg") == 0
    svg = Path("a.svg").read_text(encoding="utf-8")
    assert 'width="210mm" height="297mm" viewBox="0 0 210 297"' in svg
    lines = re.findall(r'<polyline points="([^"]+)"', svg)
    points = [tuple(map(float, p.split(","))) for p in lines[0].split()]
    steps = [b[0] - a[0] for a, b in pairwise(points)]
    assert sum(steps) / len(steps) == pytest.approx(MM_S / 250.0, rel=0.02)
    height = max(y for _, y in points) - min(y for _, y in points)
    assert 8.0 < height < 20.0  # the simulated R peak is a little above 1 mV
    assert MM_MV == 10.0


AWAY = """
title = "Every radio is away for a while"
duration_s = 80.0
seed = 3
devices = ["board"]

[[events]]
kind = "radio_loss"
at_s = 30
for_s = 35
device = "all"
"""


def test_an_alert_in_the_midst_of_silence_is_drawn_with_its_silence(capsys):
    Path("away.toml").write_text(AWAY)
    assert report("zzzz", "away.toml", "--out", "a.svg") == 1
    line = next(line for line in capsys.readouterr().err.splitlines() if "signal_lost" in line)
    assert report(line.split()[0], "away.toml", "--out", "a.svg") == 0
    said = words("a.svg")
    assert said.count("no samples") >= 3
    assert "Nobody has answered it, as far as this shows." in said


def test_html_prints_on_a4_and_fetches_nothing():
    assert report("c30f57f6", NIGHT) == 0
    html = Path("alarm-c30f57f6.html").read_text(encoding="utf-8")
    assert "@page{size:210mm 297mm;margin:0}" in html
    assert re.findall(r"https?://[^\"' <]+", html) == ["http://www.w3.org/2000/svg"]
    assert "<nurse>" not in html
    assert "&lt;nurse&gt;" in html
    assert Path("alarm-c30f57f6.html").stat().st_mode & 0o077 == 0


def test_an_unknown_alert_lists_those_there_are(capsys):
    assert report("ffff", NIGHT) == 1
    said = capsys.readouterr().err
    assert "no alert begins with 'ffff'" in said
    assert "c30f57f6" in said
    assert "low_spo2" in said


def test_neither_a_page_nor_another_kind_of_file_is_overwritten(capsys):
    Path("a.svg").write_text("mine")
    assert report("c30f57f6", NIGHT, "--out", "a.svg") == 1
    assert report("c30f57f6", NIGHT, "--out", "a.pdf") == 1
    assert "a browser prints either as a PDF" in capsys.readouterr().err
    assert Path("a.svg").read_text() == "mine"


def test_what_the_store_knows_is_told_with_the_log_of_that_time(capsys):
    """The daemon's records and its log: the id, the story and the wall time are the store's."""
    assert main(["export", NIGHT, "--log", "sim.hwl", "--data-dir", "none"]) == 0
    box = Path("box")
    box.mkdir()
    packets = list(read("sim.hwl"))
    config = load_config(None, box)
    pipeline = assemble(settings_of(config), "export", start_s=0.0)
    store = Store.begin(box / DATABASE, StoredRun("export", "a-boot", 0.0, "1.0", ""))
    store.backlog.add_clock(WallEntry("a-boot", 5.0, BEGAN.timestamp() + 5.0, True))
    waiting = packets
    for second in range(1, 77):
        due = [p for p in waiting if p.arrived_s <= second]
        waiting = waiting[len(due) :]
        store.add(pipeline.advance(due, float(second)), float(second))
    store.flush(80.0)
    (high, *_) = [s.alert for s in store.alerts() if s.alert.rule == "very_low_spo2"]
    store.close()
    capsys.readouterr()
    assert report(high.id, "sim.hwl", "--out", "a.svg", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["alert"]["id"] == high.id
    stages = {line["stage"]: line["after_s"] for line in told["story"]}
    assert stages["detected"] == 0.0
    assert stages["answered"] == pytest.approx(40.0 - high.at_s, abs=0.3)
    assert stages["ended"] > 40.0
    said = words("a.svg")
    assert "2026-11-22 22:00:21 UTC · clock synced" in said
    assert main(["export", "sim.hwl", "--no-alerts", "--edf", "n.edf", "--data-dir", "box"]) == 0
    head = Path("n.edf").read_bytes()[:256].decode()
    assert "22.11.2622.00.00" in head
    assert "clock=holdover" in head  # the clock was read 5 s later


def test_a_wave_that_lies_elsewhere_is_no_wave_of_the_strip():
    run = Run("p", "s", "ecg_mv", "II", 250.0, 100.0, 0.004, _values(250), 0.01)
    assert wave_of([run], "ecg_mv", 0.0, 30.0) is None
    assert wave_of([run], "pleth_au", 90.0, 120.0) is None
    found = wave_of([run], "ecg_mv", 100.5, 130.0)
    assert found is not None
    assert len(found.times_s) == 125


def _values(n):
    return np.zeros(n, np.float32)
