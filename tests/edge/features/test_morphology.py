"""Shape features on beats drawn to measure, and on recordings with annotated beats."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edge.features.morphology import compute, cut_beats
from edge.records import Samples, Window

DATA = Path(os.environ.get("HOMEWARD_DATA", "../shared/data"))
BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ?")

NARROW = ((-0.16, 0.15, 0.020), (0.0, 1.0, 0.010), (0.25, 0.25, 0.040))
WIDE = ((0.0, 1.3, 0.040), (0.28, -0.4, 0.050))
INVERTED = ((-0.16, 0.15, 0.020), (0.0, -1.0, 0.010), (0.25, 0.25, 0.040))


def draw(
    shapes: list[tuple[tuple[float, float, float], ...]],
    fs_hz: float = 360.0,
    gain: float = 1.0,
    noise_mv: float = 0.002,
) -> Window:
    """40 s of beats 0.8 s apart; the window is the last 10 s."""
    rng = np.random.default_rng(1)
    at_s = 200.0 + np.arange(round(40.0 * fs_hz)) / fs_hz
    beats_s = 200.5 + 0.8 * np.arange(len(shapes))
    ecg_mv = rng.normal(0.0, noise_mv, at_s.size)
    for beat_s, shape in zip(beats_s, shapes, strict=True):
        for middle_s, height_mv, width_s in shape:
            ecg_mv += height_mv * np.exp(-0.5 * ((at_s - beat_s - middle_s) / width_s) ** 2)
    return window_over((gain * ecg_mv).astype(np.float32), fs_hz, beats_s, 200.0)


def window_over(ecg_mv: np.ndarray, fs_hz: float, beats_s: np.ndarray, begin_s: float) -> Window:
    rr_ms = np.diff(beats_s, prepend=np.nan) * 1000.0
    signals = {
        "ecg_mv": Samples("ecg_mv", begin_s, fs_hz, ecg_mv),
        "rr_ms": Samples(
            "rr_ms", float(beats_s[0]), 0.0, rr_ms.astype(np.float32), times_s=beats_s
        ),
    }
    end_s = begin_s + ecg_mv.size / fs_hz
    return Window("p", end_s - 10.0, 10.0, 30.0, signals, {}, {}, {})


def with_ecg(window: Window, values: np.ndarray) -> Window:
    ecg = window.signals["ecg_mv"]
    signals = dict(window.signals)
    signals["ecg_mv"] = Samples("ecg_mv", ecg.start_s, ecg.fs_hz, values.astype(np.float32))
    return Window("p", window.start_s, 10.0, 30.0, signals, {}, {}, {})


def steady() -> list[tuple[tuple[float, float, float], ...]]:
    return [NARROW] * 49


def one_odd(shape: tuple[tuple[float, float, float], ...]) -> Mapping[str, float]:
    shapes = steady()
    shapes[42] = shape
    return compute(draw(shapes))


def test_beats_all_alike_are_like_their_middle_beat():
    values = compute(draw(steady()))
    assert values["corr_min"] > 0.995
    assert values["resid_max"] < 0.1
    assert values["p_corr_min"] > 0.9
    for name in ("amp_max_ratio", "amp_min_ratio", "area_max_ratio", "slope_max_ratio"):
        assert values[name] == pytest.approx(1.0, abs=0.1), name
    assert values["polarity_frac"] == 0.0
    assert values["width_range_ms"] <= 10.0


def test_one_wide_beat_is_unlike_wider_and_slower():
    usual, values = compute(draw(steady())), one_odd(WIDE)
    assert values["corr_min"] < 0.7
    assert values["corr_p10"] > 0.9
    assert values["width_max_ms"] > usual["width_max_ms"] + 60.0
    assert values["slope_min_ratio"] < 0.5
    assert values["area_max_ratio"] > 2.0
    assert values["p_corr_min"] < 0.5


def test_one_beat_upside_down_points_the_other_way():
    values = one_odd(INVERTED)
    assert 0.0 < values["polarity_frac"] < 0.2
    assert values["corr_min"] < 0.0


def test_a_small_and_a_tall_beat_show_in_the_amplitudes():
    assert one_odd(tuple((m, 0.3 * a, s) for m, a, s in NARROW))["amp_min_ratio"] < 0.4
    assert one_odd(tuple((m, 2.0 * a, s) for m, a, s in NARROW))["amp_max_ratio"] > 1.8


def test_the_gain_and_direction_of_the_lead_change_nothing():
    shapes = steady()
    shapes[42] = WIDE
    usual = compute(draw(shapes))
    for gain in (0.3, 4.0, -1.0):
        assert compute(draw(shapes, gain=gain)) == pytest.approx(usual, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("fs_hz", [125.0, 130.0, 250.0, 500.0, 1000.0])
def test_the_sampling_rate_changes_little(fs_hz):
    shapes = steady()
    shapes[42] = WIDE
    usual = compute(draw(shapes, noise_mv=0.0))
    other = compute(draw(shapes, fs_hz=fs_hz, noise_mv=0.0))
    for name in ("corr_min", "corr_mean", "amp_max_ratio", "amp_min_ratio", "t_amp_max_ratio"):
        assert other[name] == pytest.approx(usual[name], abs=0.12), name
    for name in ("width_max_ms", "width_median_ms"):
        assert other[name] == pytest.approx(usual[name], abs=15.0), name


def test_a_beat_with_a_hole_in_it_is_left_out():
    shapes = steady()
    shapes[42] = WIDE
    window = draw(shapes)
    values = window.signals["ecg_mv"].values.copy()
    middle = round((0.5 + 0.8 * 42) * 360.0)
    values[middle - 5 : middle + 5] = np.nan
    assert compute(window)["corr_min"] < 0.7
    assert compute(with_ecg(window, values))["corr_min"] > 0.9


def test_a_beat_whose_t_wave_is_yet_to_come_belongs_to_the_next_window():
    shapes = steady()
    shapes[48] = WIDE  # at 38.9 s of 40: inside; cut the ECG 0.3 s after it
    window = draw(shapes)
    assert compute(window)["corr_min"] < 0.7
    ecg = window.signals["ecg_mv"]
    cut = ecg.values[: round(39.2 * 360.0)]
    earlier = window_over(cut, 360.0, window.signals["rr_ms"].times_s.copy(), ecg.start_s)
    assert compute(earlier)["corr_min"] > 0.9


def test_cut_beats_are_whole_and_on_one_grid():
    window = draw(steady())
    ecg, times_s = window.signals["ecg_mv"], window.signals["rr_ms"].times_s
    beats, at_s = cut_beats(ecg, times_s)
    assert beats.shape == (140, len(at_s))
    assert len(at_s) == len(times_s)
    np.testing.assert_allclose(beats.argmax(axis=0), 52, atol=2)  # R, and the filter's own delay


def test_too_few_beats_or_too_slow_a_lead_say_nothing():
    window = draw(steady())
    signals = dict(window.signals)
    last = window.signals["rr_ms"].times_s[-3:-1].copy()
    signals["rr_ms"] = Samples("rr_ms", 0.0, 0.0, np.full(2, 800.0, np.float32), times_s=last)
    few = Window("p", window.start_s, 10.0, 30.0, signals, {}, {}, {})
    assert all(math.isnan(value) for value in compute(few).values())
    slow = draw(steady(), fs_hz=60.0)
    assert all(math.isnan(value) for value in compute(slow).values())


def test_ventricular_beats_of_a_recording_stand_out():
    if not (DATA / "mitdb" / "119.hea").exists():
        pytest.skip("no recordings: set HOMEWARD_DATA to the folder that holds mitdb/")
    wfdb = pytest.importorskip("wfdb")
    record = wfdb.rdrecord(str(DATA / "mitdb" / "119"), sampto=360 * 600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wfdb 4.3 calls pandas in a way pandas 3 warns of
        marks = wfdb.rdann(str(DATA / "mitdb" / "119"), "atr", sampto=360 * 600)
    is_beat = [symbol in BEAT_SYMBOLS for symbol in marks.symbol]
    beats_s = marks.sample[is_beat] / 360.0
    wide = np.array([s == "V" for s in marks.symbol])[is_beat]
    ecg_mv = record.p_signal[:, 0].astype(np.float32)
    found: dict[bool, list[float]] = {True: [], False: []}
    for start_s in range(30, 590, 10):
        begin, end = (start_s - 30) * 360, (start_s + 10) * 360
        inside = (beats_s >= start_s - 30) & (beats_s < start_s + 10)
        own = (beats_s >= start_s - 0.46) & (beats_s < start_s + 9.54)
        window = window_over(ecg_mv[begin:end], 360.0, beats_s[inside], start_s - 30.0)
        found[bool(wide[own].any())].append(compute(window)["corr_min"])
    assert len(found[True]) > 10
    assert max(found[True]) < min(found[False])
