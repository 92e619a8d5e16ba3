"""Is the ECG usable: drawn signals, recordings, and what must never be called useless."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge.dsp.quality import ECG_USABLE, EcgQuality

DATA = Path(os.environ.get("HOMEWARD_DATA", "../shared/data"))
RATES_HZ = (125.0, 130.0, 250.0, 360.0, 500.0, 1000.0)
each_rate = pytest.mark.parametrize("fs_hz", RATES_HZ)


def read(folder: str, record: str, n_s: int, lead: str | int = 0) -> tuple[np.ndarray, float]:
    path = DATA / folder / record
    if not path.with_suffix(".hea").exists():
        pytest.skip(f"no recordings: set HOMEWARD_DATA to the folder that holds {folder}/")
    wfdb = pytest.importorskip("wfdb")
    fs_hz = float(wfdb.rdheader(str(path)).fs)
    ecg = wfdb.rdrecord(str(path), sampto=round(n_s * fs_hz))
    column = ecg.sig_name.index(lead) if isinstance(lead, str) else lead
    return ecg.p_signal[:, column].astype(np.float32), fs_hz


def beats(n_s: int, fs_hz: float, rate_bpm: float = 75.0, noise_mv: float = 0.005) -> np.ndarray:
    rng = np.random.default_rng(1)
    at_s = np.arange(round(n_s * fs_hz)) / fs_hz
    ecg_mv = 0.1 * np.sin(2.0 * np.pi * 0.25 * at_s) + rng.normal(0.0, noise_mv, at_s.size)
    bumps = ((-0.16, 0.12, 0.025), (0.0, 1.2, 0.010), (0.03, -0.3, 0.012), (0.25, 0.3, 0.05))
    for beat_s in np.arange(0.5, n_s, 60.0 / rate_bpm):
        for middle_s, height_mv, width_s in bumps:
            ecg_mv += height_mv * np.exp(-0.5 * ((at_s - beat_s - middle_s) / width_s) ** 2)
    return ecg_mv


def scores(ecg_mv: np.ndarray, fs_hz: float, meter: EcgQuality | None = None) -> np.ndarray:
    meter = meter or EcgQuality(fs_hz)
    n = round(fs_hz)
    ecg_mv = np.asarray(ecg_mv, dtype=np.float32)
    return np.array([meter.push(ecg_mv[i : i + n]) for i in range(0, ecg_mv.size - n + 1, n)])


@each_rate
@pytest.mark.parametrize("rate_bpm", [30, 75, 200])
def test_a_clean_ecg_is_good(fs_hz, rate_bpm):
    assert scores(beats(30, fs_hz, rate_bpm), fs_hz).min() > 0.8


@each_rate
@pytest.mark.parametrize("level_mv", [0.0, 0.7, 5.0, -2.4])
def test_a_constant_line_is_useless_within_three_seconds(fs_hz, level_mv):
    ecg_mv = beats(20, fs_hz)
    off = round(10.3 * fs_hz)  # the electrode comes off in the middle of a block
    ecg_mv[off:] = level_mv
    got = scores(ecg_mv, fs_hz)
    assert got[9] > 0.8
    assert got[12:].max() < 0.2


@each_rate
def test_a_line_that_jumps_between_the_rails_is_useless(fs_hz):
    at_s = np.arange(round(20 * fs_hz)) / fs_hz
    rails = np.where(np.sin(2.0 * np.pi * 0.7 * at_s) > 0.0, 5.0, -5.0)
    assert scores(rails, fs_hz)[3:].max() < 0.2
    clipped = np.clip(40.0 * np.sin(2.0 * np.pi * 50.0 * at_s + 1.0), -5.0, 5.0)
    assert scores(clipped, fs_hz)[3:].max() < 0.2


@each_rate
@pytest.mark.parametrize("noise_uv", [5.0, 10.0, 40.0])
def test_standstill_with_the_noise_of_the_input_is_not_poor_signal(fs_hz, noise_uv):
    rng = np.random.default_rng(2)
    ecg_mv = beats(20, fs_hz)
    still = round(8.4 * fs_hz)
    ecg_mv[still:] = rng.normal(0.0, noise_uv / 1000.0, ecg_mv.size - still)
    assert scores(ecg_mv, fs_hz).min() > 0.5


@each_rate
@pytest.mark.parametrize("hz", [3.0, 5.0, 7.0])
def test_coarse_fibrillation_is_not_poor_signal(fs_hz, hz):
    rng = np.random.default_rng(3)
    at_s = np.arange(round(20 * fs_hz)) / fs_hz
    waves = 0.5 * np.sin(2.0 * np.pi * hz * at_s + 2.0 * np.sin(at_s))
    assert scores(waves + rng.normal(0.0, 0.01, at_s.size), fs_hz).min() > 0.5


@each_rate
def test_noise_as_strong_as_the_ecg_is_poor(fs_hz):
    rng = np.random.default_rng(4)
    ecg_mv = beats(60, fs_hz)
    noise = rng.normal(0.0, float(ecg_mv.std()), ecg_mv.size)
    assert np.median(scores(ecg_mv + 2.0 * noise, fs_hz)) < 0.1
    assert np.median(scores(ecg_mv + noise, fs_hz)[5:]) < 0.4
    assert np.median(scores(ecg_mv + 0.25 * noise, fs_hz)[5:]) > 0.7


@pytest.mark.parametrize("fs_hz", [250.0, 360.0, 500.0])
@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_mains_that_a_beat_detector_does_not_mind_is_not_poor(fs_hz, mains_hz):
    ecg_mv = beats(30, fs_hz)
    at_s = np.arange(ecg_mv.size) / fs_hz
    assert scores(ecg_mv + 0.2 * np.sin(2.0 * np.pi * mains_hz * at_s), fs_hz).min() > 0.6


@each_rate
def test_missing_samples_cost_quality_and_none_at_all_is_zero(fs_hz):
    ecg_mv = beats(30, fs_hz)
    holes = ecg_mv.copy()
    holes[::3] = np.nan
    assert 0.2 < scores(holes, fs_hz)[-1] < 0.6
    gone = ecg_mv.copy()
    gone[round(10 * fs_hz) :] = np.nan
    got = scores(gone, fs_hz)
    assert got[9] > 0.8
    assert got[11] == 0.0
    assert EcgQuality(fs_hz).push(np.empty(0, dtype=np.float32)) == 0.0


def test_a_swing_no_heart_makes_is_useless():
    assert scores(25.0 * beats(10, 360.0), 360.0).max() < 0.2


def test_trust_is_lost_in_two_seconds_and_won_back_in_five():
    ecg_mv = beats(30, 360.0)
    ecg_mv[10 * 360 : 14 * 360] = 0.0
    got = scores(ecg_mv, 360.0)
    assert got[11] < ECG_USABLE
    assert got[14] < 0.5
    assert got[19] > 0.8


def test_restart_forgets_the_past():
    meter = EcgQuality(360.0)
    scores(np.zeros(3600), 360.0, meter)
    meter.restart()
    assert scores(beats(1, 360.0), 360.0, meter)[0] > 0.8


def test_offset_and_direction_change_nothing():
    usual = scores(beats(20, 360.0, noise_mv=0.08), 360.0)
    assert 0.3 < usual.mean() < 0.99
    np.testing.assert_allclose(scores(-beats(20, 360.0, noise_mv=0.08), 360.0), usual, atol=1e-3)
    offset = scores(beats(20, 360.0, noise_mv=0.08) + 3.0, 360.0)
    np.testing.assert_allclose(offset, usual, atol=1e-2)


@pytest.mark.parametrize("record", ["101", "119", "201", "208", "220"])
def test_seconds_of_a_recording_are_usable(record):
    ecg_mv, fs_hz = read("mitdb", record, 600)
    got = scores(ecg_mv, fs_hz)
    assert np.mean(got > 0.8) > 0.97
    assert np.mean(got < ECG_USABLE) < 0.005


def test_noise_added_to_a_recording_lowers_its_quality_step_by_step():
    ecg_mv, fs_hz = read("mitdb", "101", 120)
    rng = np.random.default_rng(5)
    noise = rng.normal(0.0, float(np.std(ecg_mv)), ecg_mv.size)
    medians = [np.median(scores(ecg_mv + k * noise, fs_hz)) for k in (0.0, 0.25, 0.5, 1.0, 2.0)]
    assert medians == sorted(medians, reverse=True)
    assert medians[0] > 0.9
    assert medians[3] < 0.4
    assert medians[4] < 0.1


@pytest.mark.parametrize("record", ["a203l", "a372s", "a385l", "a442s", "a604s", "a754s"])
def test_true_standstill_is_usable_when_the_alarm_comes(record):
    ecg_mv, fs_hz = read("cinc2015/records", record, 300, lead="II")
    assert scores(ecg_mv, fs_hz)[-8:].min() > 0.5


def test_a_dead_lead_that_set_off_a_false_asystole_alarm_is_unusable():
    ecg_mv, fs_hz = read("cinc2015/records", "a123l", 300, lead="II")
    assert scores(ecg_mv, fs_hz)[-4:].max() < ECG_USABLE
