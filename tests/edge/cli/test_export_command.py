"""``homeward export``, as a person calls it."""

import csv
import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edge.__main__ import main
from edge.packetlog import PacketLogWriter, read
from edge.records import Packet
from tests.edge.export.drifting import drifting
from tests.edge.vault.kit import Clock, write

pyedflib = pytest.importorskip("pyedflib", reason="reads EDF+ as others do")
wfdb = pytest.importorskip("wfdb", reason="reads WFDB as others do")

ROOT = Path(__file__).parents[3]
NIGHT = str(ROOT / "tests/edge/export/night.toml")


@pytest.fixture(autouse=True)
def nothing_of_this_box(tmp_path, monkeypatch):
    (tmp_path / "box.toml").write_text("[model]\nenabled = false\n")
    monkeypatch.setenv("HOMEWARD_CONFIG", str(tmp_path / "box.toml"))
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    yield
    os.umask(before)


def export(*arguments):
    return main(["export", *map(str, arguments), "--data-dir", "box"])


def log_of(path, packets):
    with PacketLogWriter(path) as writer:
        for packet in packets:
            writer.append(packet)
    return path


def test_a_night_in_every_format_at_once_with_its_alerts_and_answers(tmp_path, capsys):
    targets = ("--edf", "n.edf", "--wfdb", "w", "--csv", "c", "--fhir", "n.json", "--log", "n.hwl")
    assert export(NIGHT, *targets, "--beats", "--json") == 0
    *channels, told = map(json.loads, capsys.readouterr().out.splitlines())
    assert told["record"] == "export"
    assert told["length_s"] == pytest.approx(75.0, abs=1.5)
    assert {c["signal"] for c in channels} >= {"ecg_mv", "resp_au", "spo2_pct", "rr_ms"}
    assert all(Path(file).is_file() for file in told["files"])

    with pyedflib.EdfReader("n.edf") as edf:
        labels = edf.getSignalLabels()
        onsets, _, texts = edf.readAnnotations()
        saturation = edf.readSignal(labels.index("SpO2"))
    assert labels[:2] == ["ECG II", "Resp"]
    assert "rr_ms" not in labels
    said = {text: onset for text, onset in zip(texts, onsets, strict=True) if text != "beat"}
    assert said["alarm, high priority, very_low_spo2: SpO2 83 % for 10 s, limit 85 %"] == 21.25
    assert said["answered by Ann <nurse> (clinician, handled): very_low_spo2"] == 40.0
    assert said["no samples: ecg_mv II of sim:board"] == pytest.approx(30.0, abs=0.2)
    assert 75 < sum(text == "beat" for text in texts) < 110
    assert np.min(saturation[15:40]) == pytest.approx(83.0, abs=0.01)

    beats = wfdb.rdann(str(tmp_path / "w" / "night_250hz"), "hwd")
    episodes = wfdb.rdann(str(tmp_path / "w" / "night_250hz"), "hwe")
    assert len(beats.sample) == sum(text == "beat" for text in texts)
    assert any("very_low_spo2" in note for note in episodes.aux_note)

    with (tmp_path / "c" / "rr_ms_sim_strap.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(row["uncertainty_s"] == "" for row in rows)  # timed by arrival: nobody knows

    assert export("n.hwl", "--edf", "again.edf", "--span", "..70s") == 0
    with pyedflib.EdfReader("again.edf") as edf:
        assert "answered by Ann <nurse> (clinician, handled): very_low_spo2" in list(
            edf.readAnnotations()[2]
        )


def test_a_log_of_a_span_holds_its_packets_and_no_others(tmp_path):
    packets = drifting(30.0)
    log_of(tmp_path / "all.hwl", packets)
    assert export("all.hwl", "--span", "10s..20s", "--log", "part.hwl") == 0
    start_s = packets[0].arrived_s
    expected = [p for p in packets if 10.0 <= p.arrived_s - start_s < 20.0]
    assert list(read("part.hwl")) == expected


def test_only_the_owner_may_read_what_was_exported(tmp_path):
    log_of(tmp_path / "n.hwl", drifting(5.0))
    assert export("n.hwl", "--no-alerts", "--edf", "n.edf", "--csv", "c") == 0
    made = [tmp_path / "n.edf", tmp_path / "c", *(tmp_path / "c").iterdir()]
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made)
    assert {path.name for path in tmp_path.iterdir()} == {"box.toml", "n.hwl", "n.edf", "c"}


def test_nothing_is_overwritten_and_nothing_is_left_of_what_failed(tmp_path, capsys):
    log_of(tmp_path / "n.hwl", drifting(5.0))
    (tmp_path / "n.edf").write_text("mine")
    assert export("n.hwl", "--no-alerts", "--edf", "n.edf") == 1
    assert "there already" in capsys.readouterr().err
    assert (tmp_path / "n.edf").read_text() == "mine"
    assert export("n.hwl", "--no-alerts", "--edf", "no/folder.edf") == 1
    assert "there is no folder" in capsys.readouterr().err
    assert export("n.hwl", "--no-alerts") == 1
    assert "name at least one" in capsys.readouterr().err
    assert export("n.hwl", "--no-alerts", "--edf", "e.edf", "--span", "2h..3h") == 1
    assert "no samples lie in this span" in capsys.readouterr().err
    assert not (tmp_path / "e.edf").exists()
    assert export("n.hwl", "--edf", "e.edf", "--span", "3h") == 2
    assert "FROM..TO" in capsys.readouterr().err


def test_the_samples_of_two_patients_never_go_into_one_file(tmp_path, capsys):
    assign = Packet("box", "box:assign", 19.0, b'{"source":"uart:other","patient":"p2"}')
    other = [Packet("uart:other", p.stream, p.arrived_s, p.payload) for p in drifting(10.0)]
    both = sorted([assign, *drifting(10.0), *other], key=lambda packet: packet.arrived_s)
    log_of(tmp_path / "n.hwl", both)
    assert export("n.hwl", "--no-alerts", "--csv", "c") == 1
    assert "--patient p2 or patient-1" in capsys.readouterr().err
    assert export("n.hwl", "--no-alerts", "--csv", "d", "--patient", "p2", "--json") == 0
    *channels, told = map(json.loads, capsys.readouterr().out.splitlines())
    assert told["patient"] == "p2"
    assert [channel["source"] for channel in channels] == ["uart:other"]


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    log_of(tmp_path / "n.hwl", drifting(60.0))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000)); "
        "from edge.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = ["export", "n.hwl", "--no-alerts", "--edf", "n.edf", "--csv", "c"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "nothing of it was kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["box.toml", "n.hwl"]


def test_of_a_log_with_several_runs_one_is_chosen(tmp_path, capsys):
    """Each run has its own boot clock: they are never put one after the other."""
    runs = []
    for name in ("first", "second"):
        start = Packet("box", "box:start", 19.5, json.dumps({"run_id": name}).encode())
        runs += [start, *drifting(6.0 if name == "first" else 9.0)]
    folder = tmp_path / "box" / "packets"
    folder.mkdir(parents=True)
    log_of(folder / "1.hwl", runs)
    for source in (str(folder), str(folder / "1.hwl")):
        assert export(source, "--no-alerts", "--csv", "c") == 1
        assert "second: 9 s from 20 s" in capsys.readouterr().err
    assert export(str(folder), "--no-alerts", "--csv", "c", "--run", "sec", "--json") == 0
    channel, told = map(json.loads, capsys.readouterr().out.splitlines())
    assert told["source"] == "second"
    assert channel["samples"] == pytest.approx(9.0 * 250, abs=30)


def test_of_the_vault_the_last_run_a_named_one_or_a_span_is_taken(tmp_path, capsys):
    clock = Clock(19.5)
    runs = []
    for name, length_s in (("first", 6.0), ("second", 9.0)):
        start = Packet("box", "box:start", 19.5, json.dumps({"run_id": name}).encode())
        runs += [start, *drifting(length_s)]
    write(tmp_path / "box", runs, clock)
    wanted = (
        ((), "second", 9.0),
        (("vault:",), "second", 9.0),
        (("vault:first",), "first", 6.0),
        (("vault:", "--run", "fir"), "first", 6.0),
        (("vault:4s",), "second", 4.0),
        (("vault:4s", "--span", "1s..3s"), "second", 2.0),
    )
    for number, (source, name, length_s) in enumerate(wanted):
        words = (*source, "--no-alerts", "--csv", f"c{number}", "--json")
        assert export(*words) == 0, capsys.readouterr().err
        channel, told = map(json.loads, capsys.readouterr().out.splitlines())
        assert told["source"] == name
        assert channel["samples"] == pytest.approx(length_s * 250, abs=60), source
    assert export("vault:third", "--no-alerts", "--csv", "x") == 1
    assert "there is first, second" in capsys.readouterr().err


def test_a_damaged_log_gives_its_good_part_and_says_what_is_gone(tmp_path, capsys):
    path = log_of(tmp_path / "n.hwl", drifting(60.0))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    assert export("n.hwl", "--no-alerts", "--csv", "c", "--json") == 0
    said = capsys.readouterr()
    channel, _ = map(json.loads, said.out.splitlines())
    assert 0 < channel["samples"] < 60 * 250 - 250
    assert channel["gaps"] == 1
    assert "n.hwl" in said.err


def test_without_the_library_for_annotations_the_signals_are_written_all_the_same(
    capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "wfdb", None)
    assert export(NIGHT, "--wfdb", "w") == 0
    assert "homeward[recordings]" in capsys.readouterr().err
    assert Path("w/night_250hz.hea").is_file()
    assert not list(Path("w").glob("*.hwe"))


def test_a_start_that_was_given_is_told_as_given(tmp_path):
    log_of(tmp_path / "n.hwl", drifting(10.0))
    start = ("--start", "2026-11-22T23:30:00+01:00")
    assert export("n.hwl", "--no-alerts", "--edf", "n.edf", *start) == 0
    head = (tmp_path / "n.edf").read_bytes()[:256].decode()
    assert "22.11.2622.30.00" in head
    assert "clock=given" in head


def test_what_may_open_a_network_connection_cannot_import_exports():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = [c for c in settings["contracts"] if "never see raw data" in c["name"]]
    assert "edge.export" in contract["forbidden_modules"]
    assert {"edge.notices", "edge.sync", "edge.web"} <= set(contract["source_modules"])


def test_an_import_of_exports_by_the_sender_would_be_seen():
    grimp = pytest.importorskip("grimp", reason="import-linter's own graph")
    graph = grimp.build_graph("edge", cache_dir=None)
    for who in ("edge.notices", "edge.sync", "edge.web"):
        assert graph.find_shortest_chains(importer=who, imported="edge.export") == set()
    # The control: an import that is there is found, and one that is made is too.
    assert graph.find_shortest_chains(importer="edge.cli", imported="edge.export")
    graph.add_import(importer="edge.notices.sender", imported="edge.export.edfplus")
    assert graph.find_shortest_chains(importer="edge.notices", imported="edge.export")
