"""Which windows of a recording are anomalous, from annotations made up for the purpose."""

from types import SimpleNamespace

import numpy as np
import pytest

from train.recordings import (
    CLASS_OF,
    Annotations,
    DataError,
    Why,
    _flutter,
    _rhythms,
    _unreadable,
    data_root,
    find_alarms,
    find_recordings,
    label_windows,
    read_annotations,
)

FS_HZ = 100.0
STARTS_S = np.arange(6) * 10.0


def labels(**fields):
    given = {
        "beat_idx": np.array([], np.int64),
        "beat_class": np.array([], np.str_),
        "rhythms": (),
        "unreadable": (),
        "flutter": (),
    } | fields
    return label_windows(Annotations(FS_HZ, 6000, **given), STARTS_S, 10.0).tolist()


def test_a_beat_counts_for_the_window_it_lies_in_and_no_other():
    at = np.array([999, 1000, 2500, 4000], np.int64)
    found = labels(beat_idx=at, beat_class=np.array(["V", "S", "N", "F"]))
    assert found == [Why.V, Why.S, 0, 0, Why.F, 0]


def test_another_rhythm_counts_from_more_than_a_second():
    assert labels(rhythms=(("(N", 0, 900), ("(B", 900, 1100), ("(SBR", 1100, 6000))) == [0] * 6
    found = labels(rhythms=(("(N", 0, 899), ("(B", 899, 1101), ("(N", 1101, 6000)))
    assert found == [Why.RHYTHM, Why.RHYTHM, 0, 0, 0, 0]


def test_flutter_of_the_atria_has_a_mark_of_its_own():
    assert labels(rhythms=(("(AFIB", 4000, 6000),)) == [0, 0, 0, 0, *[Why.AF | Why.RHYTHM] * 2]


def test_any_flutter_wave_counts_and_half_a_window_unreadable_does():
    found = labels(flutter=((990, 1001),), unreadable=((2000, 2501), (3000, 3500)))
    assert found == [Why.FLUTTER_WAVES, Why.FLUTTER_WAVES, Why.UNREADABLE, 0, 0, 0]


def marks(symbols, samples, notes=None, subtypes=None):
    n = len(symbols)
    return SimpleNamespace(
        symbol=symbols,
        sample=np.array(samples),
        aux_note=notes or [""] * n,
        subtype=np.array(subtypes or [0] * n),
    )


def test_annotated_changes_hold_until_the_next_one():
    found = _rhythms(marks(["+", "N", "+"], [10, 20, 300], ["(N\x00", "", "(VT"]), 1000)
    assert found == (("(N", 10, 300), ("(VT", 300, 1000))
    assert _flutter(marks(["[", "!", "]", "["], [5, 6, 9, 20]), 30) == ((5, 9), (20, 30))
    assert _unreadable(marks(["~"] * 4, [0, 10, 20, 30], subtypes=[1, -1, 2, 0x10]), 40) == (
        (10, 20),
        (30, 40),
    )
    assert _rhythms(marks([], []), 10) == ()


def test_escape_beats_are_normal_and_premature_ones_are_not():
    assert {CLASS_OF[s] for s in "ej"} == {"N"}
    assert {CLASS_OF[s] for s in "AaJS"} == {"S"}
    assert CLASS_OF["E"] == "V"


def test_a_missing_folder_says_how_to_give_one(tmp_path):
    with pytest.raises(DataError, match="HOMEWARD_DATA"):
        data_root(tmp_path / "nowhere")
    with pytest.raises(DataError, match="MIT-BIH"):
        find_recordings(tmp_path)
    assert find_alarms(tmp_path) == ()


def test_people_with_pacemakers_are_left_out_and_one_person_is_one_subject(tmp_path):
    (tmp_path / "mitdb").mkdir()
    for name in ("101", "102", "201", "202"):
        (tmp_path / "mitdb" / f"{name}.hea").touch()
        (tmp_path / "mitdb" / f"{name}.atr").touch()
    found = {r.name: r.subject for r in find_recordings(tmp_path)}
    assert found == {"101": "101", "201": "201", "202": "201"}
    assert len(find_recordings(tmp_path, paced=True)) == 4
    assert len(find_recordings(tmp_path / "mitdb")) == 3


def test_alarms_are_read_with_their_kind_and_truth(tmp_path):
    (tmp_path / "cinc2015").mkdir()
    (tmp_path / "cinc2015" / "ALARMS").write_text("v100s,Asystole,0\na1l,Tachycardia,1\n")
    first, second = find_alarms(tmp_path)
    assert (first.recording.name, first.kind, first.true) == ("a1l", "Tachycardia", True)
    assert (second.recording.subject, second.true, second.at_s) == ("v100", False, 300.0)


def test_real_annotations_are_read(recordings_root):
    recording = next(r for r in find_recordings(recordings_root) if r.name == "207")
    found = read_annotations(recording)
    assert found.fs_hz == 360.0
    assert len(found.beat_idx) == 86 + 105 + 1457 + 105 + 107
    assert len(found.flutter) == 6
    why = label_windows(found, np.arange(180) * 10.0, 10.0)
    assert np.count_nonzero(why & int(Why.FLUTTER_WAVES)) == 18
