import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from edge.cli._annotations import write_annotations
from edge.cli._shared import CommandError

wfdb = pytest.importorskip("wfdb", reason="needs pip install 'homeward[recordings]'")

ROOT = Path(__file__).parents[3]


@pytest.fixture(name="folder", scope="module")
def a_folder_with_a_recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    t_s = np.arange(40 * 250) / 250
    ecg = 1.2 * np.exp(-(((t_s % 0.8 - 0.4) / 0.02) ** 2)) - 0.02 * np.sin(t_s)
    lines = ["time_s,ecg_mv"] + [f"{t:.3f},{v:.4f}" for t, v in zip(t_s, ecg, strict=True)]
    (folder / "calm.csv").write_text("\n".join(lines))
    (folder / "box.toml").write_text("[model]\nenabled = false\n")
    return folder


def replay(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "edge", "replay", *map(str, arguments), "--config", "box.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def facts(done):
    assert done.returncode in {0, 3}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_records_come_as_json_lines_with_a_summary_last(folder):
    *records, told = facts(replay(folder, "calm.csv", "--json"))
    assert told["record"] == "replay"
    assert told["recording"] == "calm"
    assert told["duration_s"] == 40.0
    assert told["beats"] == sum(r["record"] == "beat" for r in records)
    assert 46 <= told["beats"] <= 50
    assert told["windows"] == sum(r["record"] == "features" for r in records) == 4
    assert told["gaps"] == told["broken"] == 0
    assert len(told["records_sha256"]) == 64


def test_the_records_do_not_depend_on_the_packets_nor_on_the_way_through_a_log(folder):
    hashes = set()
    for options in (["--chunk", "all", "--log", "calm.hwl"], ["--chunk", "37"], ["--speed", "500"]):
        (told,) = facts(replay(folder, "calm.csv", "--summary", *options))
        hashes.add(told["records_sha256"])
    (told,) = facts(replay(folder, "calm.hwl", "--summary"))
    assert {told["records_sha256"]} == hashes


def test_beats_become_annotations_that_the_library_reads(folder):
    assert replay(folder, "calm.csv", "--annotations", "found").returncode == 0
    found = wfdb.rdann(str(folder / "found" / "calm"), "hwd")
    assert set(found.symbol) == {"N"}
    peaks_idx = found.sample % 200  # one beat in 0.8 s, its peak in the middle
    assert np.abs(peaks_idx - 100).max() <= 4


def test_wrong_use_is_told_in_one_line(folder):
    (folder / "there.hwl").touch()
    for arguments, says in [
        (["none"], "no recording none"),
        (["calm.csv", "--chunk", "few"], "neither a number"),
        (["calm.csv", "--from", "5h"], "40.0 s long"),
        (["calm.csv", "--from", "20s", "--to", "10s"], "cannot be replayed"),
        (["calm.csv", "--log", "there.hwl"], "there already"),
        (["calm.csv", "--signal", "ecg_mv"], "CHANNEL=SIGNAL"),
    ]:
        done = replay(folder, *arguments)
        assert done.returncode in {1, 2}
        assert says in done.stderr
        assert done.stdout == ""


def test_beats_and_episodes_read_back_equal(tmp_path):
    episodes = [(1.0, "(asystole high"), (2.5, "asystole)"), (2.5, "(low_hr é" + "x" * 300)]
    files = write_annotations(tmp_path / "new", "rec 1", 360.0, [100, 460, 900], episodes)
    assert files == [tmp_path / "new" / "rec_1.hwd", tmp_path / "new" / "rec_1.hwe"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        beats = wfdb.rdann(str(tmp_path / "new" / "rec_1"), "hwd")
        found = wfdb.rdann(str(tmp_path / "new" / "rec_1"), "hwe")
    assert (beats.sample.tolist(), beats.symbol) == ([100, 460, 900], ["N"] * 3)
    assert (beats.fs, found.fs) == (360, 360)
    assert (found.sample.tolist(), found.symbol) == ([360, 900, 900], ['"'] * 3)
    notes = [note.rstrip("\x00") for note in found.aux_note]
    assert notes[0] == "(asystole high"
    assert notes[1].startswith("(low_hr ?xxx")
    assert notes[2] == "asystole)"


def test_a_second_run_leaves_nothing_of_the_first(tmp_path):
    write_annotations(tmp_path, "rec", 360.0, [100], [(1.0, "(asystole high")])
    files = write_annotations(tmp_path, "rec", 360.0, [100, 460], [])
    assert files == [tmp_path / "rec.hwd"]
    assert not (tmp_path / "rec.hwe").exists()


def test_nothing_to_annotate_and_a_folder_that_cannot_be_made_say_so(tmp_path):
    with pytest.raises(CommandError, match="nothing was annotated"):
        write_annotations(tmp_path, "rec", 360.0, [], [])
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="name another folder"):
        write_annotations(tmp_path / "file" / "x", "rec", 360.0, [1], [])
