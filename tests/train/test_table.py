"""The table is what the monitor computes, kept and labelled."""

import numpy as np
import pytest

from edge.records import WINDOW_S, Beat, Features
from tests.train.synthetic import make_table
from train.recordings import Recording, find_recordings
from train.table import (
    build_table,
    code_digest,
    collect_runs,
    input_names,
    load_table,
    run_of,
    windows_of,
)

RECORDS = (
    Beat("p", 1.0, None, "s", "II", 360),
    Features("p", 0.0, 1.0, {"hr_bpm": 60.0}),
    Features("p", 0.0, WINDOW_S, {"a": 0.1, "b": np.inf, "more": 1.0}),
    Beat("p", 2.0, 1000.0, "strap", "", -1),
    Features("p", 10.0, WINDOW_S, {"a": np.nan}),
)


def test_a_run_holds_scored_windows_and_beats_with_a_sample():
    run = run_of(RECORDS, ("a", "b"))
    assert run.beat_idx.tolist() == [360]
    assert run.starts_s.tolist() == [0.0, 10.0]
    assert run.values.dtype == np.float32
    assert run.values[0, 0] == np.float32(0.1)
    assert np.isnan(run.values[0, 1])
    assert np.isnan(run.values[1]).all()


def test_a_recording_is_replayed_once(tmp_path):
    recordings = [Recording("a", "a", "made", "a"), Recording("b", "b", "made", "b")]
    replayed = []

    def source(recording):
        replayed.append(recording.name)
        return RECORDS

    for _ in range(2):
        runs = collect_runs(recordings, ("a", "b"), tmp_path, source=source)
    assert replayed == ["a", "b"]
    assert runs["b"].starts_s.tolist() == [0.0, 10.0]
    collect_runs(recordings, ("a",), tmp_path, source=source)
    assert replayed == ["a", "b", "a", "b"], "other inputs are another table"


def test_an_interrupted_table_goes_on_where_it_stopped(tmp_path):
    recordings = [Recording("a", "a", "made", "a"), Recording("b", "b", "made", "b")]

    def cut(recording):
        yield RECORDS[2]
        if recording.name == "b":
            raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        collect_runs(recordings, ("a",), tmp_path, source=cut)
    again = []
    collect_runs(recordings, ("a",), tmp_path, source=lambda r: again.append(r.name) or RECORDS)
    assert again == ["b"]


def test_a_saved_table_is_the_same_table(tmp_path):
    table = make_table(n_subjects=2, n_each=10)
    table.save(tmp_path / "deep" / "table.npz")
    found = load_table(tmp_path / "deep" / "table.npz")
    assert found.names == table.names
    np.testing.assert_array_equal(found.values, table.values)
    assert found.subject.tolist() == table.subject.tolist()


def test_inputs_are_named_once_and_the_digest_follows_them():
    names = input_names()
    assert len(set(names)) == len(names) > 30
    assert code_digest(names) != code_digest(names[::-1])


def test_a_real_recording_gives_a_labelled_window_every_ten_seconds(recordings_root, tmp_path):
    recording = next(r for r in find_recordings(recordings_root) if r.name == "106")
    names = input_names()
    runs = collect_runs([recording], names, tmp_path)
    table = build_table([recording], runs, names)
    assert table.starts_s.tolist() == list(np.arange(180) * 10.0)
    assert np.isfinite(table.values[1:]).mean() > 0.95
    assert np.count_nonzero(table.anomalous) == 98
    first = next(iter(windows_of(recording)))
    assert np.float32(first.values["mean_rr_ms"]) == table.values[0, names.index("mean_rr_ms")]
