"""R peaks: what may be done to a signal without its beats moving, and what must give none."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import resample

from edge.dsp.beats import BeatDetector
from train.ec57 import BeatCounts, compare, reference_beats

FS_HZ = 250.0
RECORDINGS = Path(
    os.environ.get("HOMEWARD_DATA", Path(__file__).parents[3].parent / "shared" / "data")
)

Ecg = NDArray[np.float32]


def waves(at_s: list[float], fs_hz: float, length_s: float) -> Ecg:
    """P, QRS and T as sums of bells at the given R peaks, mV."""
    t_s = np.arange(round(length_s * fs_hz)) / fs_hz
    ecg = np.zeros(len(t_s))
    for r_s in at_s:
        for late_s, width_s, mv in (
            (-0.17, 0.022, 0.12),
            (-0.022, 0.009, -0.12),
            (0.0, 0.011, 1.1),
            (0.026, 0.010, -0.25),
            (0.26, 0.045, 0.28),
        ):
            ecg += mv * np.exp(-0.5 * ((t_s - r_s - late_s) / width_s) ** 2)
    return ecg.astype(np.float32)


def rhythm(length_s: float, rr_s: float = 0.8, seed: int = 7) -> list[float]:
    rng = np.random.default_rng(seed)
    at, r_peaks = 0.6, []
    while at < length_s - 0.6:
        r_peaks.append(at)
        at += rr_s * (1.0 + 0.05 * rng.standard_normal())
    return r_peaks


def noisy(length_s: float, fs_hz: float = FS_HZ, mv: float = 0.01) -> tuple[Ecg, NDArray[np.int64]]:
    r_s = rhythm(length_s)
    rng = np.random.default_rng(3)
    noise = (mv * rng.standard_normal(round(length_s * fs_hz))).astype(np.float32)
    return waves(r_s, fs_hz, length_s) + noise, np.round(np.array(r_s) * fs_hz).astype(np.int64)


def beats_of(ecg: Ecg, fs_hz: float = FS_HZ, cuts: list[int] | None = None) -> list[int]:
    """Push in blocks of the given sizes (then the rest) and half a second more to let it finish."""
    detector = BeatDetector(fs_hz)
    whole = np.concatenate([ecg, np.full(round(0.6 * fs_hz), ecg[-1], np.float32)])
    found: list[int] = []
    at = 0
    for size in cuts or []:
        found += detector.push(whole[at : at + size])
        at += size
    found += detector.push(whole[at:])
    assert detector.n_pushed == len(whole)
    return found


# ---- every beat, where it is ------------------------------------------------------------


@pytest.mark.parametrize("fs_hz", [100.0, 125.0, 128.0, 250.0, 360.0, 500.0, 1000.0])
@pytest.mark.parametrize("polarity", [1, -1])
def test_every_beat_is_found_within_a_sample_of_its_extremum(fs_hz: float, polarity: int) -> None:
    r_s = rhythm(40.0)
    found = beats_of(polarity * waves(r_s, fs_hz, 40.0), fs_hz)
    assert len(found) == len(r_s)
    assert np.abs(np.array(found) - np.array(r_s) * fs_hz).max() <= 1.0


def test_a_beat_sits_on_the_extremum_of_the_raw_signal() -> None:
    ecg, r_idx = noisy(60.0, mv=0.02)
    found = beats_of(ecg)
    assert len(found) == len(r_idx)
    for idx in found:
        qrs = np.abs(ecg[idx - 15 : idx + 16] - np.median(ecg[idx - 60 : idx + 60]))
        assert abs(int(qrs.argmax()) - 15) <= 1


def test_beats_come_within_the_stated_delay() -> None:
    ecg, r_idx = noisy(60.0)
    detector = BeatDetector(FS_HZ)
    late_s = []
    for n, value in enumerate(ecg, 1):
        late_s += [(n - idx) / FS_HZ for idx in detector.push(np.array([value])) if n > 6 * FS_HZ]
    assert len(late_s) > len(r_idx) / 2
    assert max(late_s) <= detector.delay_s < 0.6


@pytest.mark.parametrize("rr_s", [0.25, 0.33, 0.5, 1.0, 1.5])
def test_slow_and_fast_rhythms_are_followed(rr_s: float) -> None:
    r_s = [0.6 + rr_s * k for k in range(int(40 / rr_s))]
    t_s = np.arange(round(41 * FS_HZ)) / FS_HZ
    ecg = sum(np.exp(-0.5 * ((t_s - r) / 0.016) ** 2) for r in r_s)
    found = beats_of(np.asarray(ecg, np.float32))
    assert len(found) >= len(r_s) - 1


def test_small_beats_after_large_ones_are_found_in_bigeminy() -> None:
    small, large = waves([0.5 + 1.4 * k for k in range(30)], FS_HZ, 43), np.zeros(0)
    t_s = np.arange(len(small)) / FS_HZ
    large = sum(
        2.2 * np.exp(-0.5 * ((t_s - 1.0 - 1.4 * k) / 0.04) ** 2)
        - 0.7 * np.exp(-0.5 * ((t_s - 1.25 - 1.4 * k) / 0.07) ** 2)
        for k in range(29)
    )
    found = beats_of((small + large).astype(np.float32))
    assert len(found) >= 58


def test_after_a_pause_the_next_beat_is_found() -> None:
    r_s = [k * 0.8 for k in range(1, 30)] + [28.0 + k * 0.8 for k in range(20)]
    ecg = waves(r_s, FS_HZ, 44.5)
    assert len(beats_of(ecg)) == len(r_s)


# ---- what does not matter ---------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=25), st.integers(0, 5))
def test_blocks_of_any_size_give_the_same_beats(cuts: list[int], seed: int) -> None:
    ecg, _ = noisy(30.0, mv=0.05)
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(ecg), 5).tolist():
        ecg[at : at + int(rng.choice([1, 10, 25, 26, 60, 700]))] = np.nan
    assert beats_of(ecg, cuts=cuts) == beats_of(ecg)


@pytest.mark.parametrize("size", [1, 18, 100, 360])
def test_blocks_of_one_size_give_the_same_beats_through_gaps(size: int) -> None:
    ecg, _ = noisy(40.0, mv=0.05)
    ecg[0:30] = ecg[3000:3020] = ecg[4000:4026] = ecg[5000:8000] = np.nan
    assert beats_of(ecg, cuts=[size] * (len(ecg) // size)) == beats_of(ecg)


@pytest.mark.parametrize("gain", [0.1, 0.5, 3.0, 10.0])
def test_gain_does_not_matter(gain: float) -> None:
    ecg, _ = noisy(40.0, mv=0.03)
    assert beats_of((gain * ecg).astype(np.float32)) == beats_of(ecg)


def test_polarity_does_not_matter() -> None:
    ecg, _ = noisy(40.0, mv=0.03)
    assert beats_of(-ecg) == beats_of(ecg)


def test_an_offset_and_slow_drift_do_not_matter() -> None:
    ecg, r_idx = noisy(40.0)
    drift = 2.0 + np.sin(np.arange(len(ecg)) * 2 * np.pi * 0.2 / FS_HZ)
    found = beats_of((ecg + drift).astype(np.float32))
    assert len(found) == len(r_idx)
    assert np.abs(found - r_idx).max() <= 1


@pytest.mark.parametrize("lead_in", ["silence", "missing"])
def test_what_comes_before_the_signal_only_shifts_the_beats(lead_in: str) -> None:
    ecg, r_idx = noisy(40.0)
    n = round(20 * FS_HZ)
    before = np.full(n, ecg[0] if lead_in == "silence" else np.nan, np.float32)
    found = beats_of(np.concatenate([before, ecg]))
    assert [idx - n for idx in found] == beats_of(ecg)
    assert len(found) == len(r_idx)


# ---- gaps -------------------------------------------------------------------------------


def test_a_short_gap_between_beats_changes_nothing() -> None:
    ecg, r_idx = noisy(40.0)
    cut = ecg.copy()
    cut[r_idx[20] + 110 : r_idx[20] + 130] = np.nan
    assert beats_of(cut) == beats_of(ecg)


@pytest.mark.parametrize("gap_s", [0.2, 0.5, 3.0, 20.0])
@pytest.mark.parametrize("offset_mv", [0.0, 2.0])
def test_no_beat_lies_in_a_gap_or_comes_from_its_edges(gap_s: float, offset_mv: float) -> None:
    ecg, r_idx = noisy(50.0)
    for first in range(3000, 3200, 47):
        n = round(gap_s * FS_HZ)
        cut = ecg + np.float32(offset_mv) * (np.arange(len(ecg)) >= first)
        cut[first : first + n] = np.nan
        found = np.array(beats_of(cut.astype(np.float32)))
        assert not ((found >= first) & (found < first + n)).any()
        assert [idx for idx in found if np.abs(r_idx - idx).min() > 3] == []
        # All others are still there, but for those the gap swallowed or left no edge.
        kept = r_idx[(r_idx < first - 40) | (r_idx > first + n + 40)]
        missed = [idx for idx in kept if np.abs(found - idx).min() > 3]
        assert len(missed) <= 1


def test_a_swapped_electrode_is_learned_anew_after_a_long_gap() -> None:
    ecg, r_idx = noisy(60.0, mv=0.0005)
    half = len(ecg) // 2
    ecg[half:] *= 0.05
    ecg[half : half + round(11 * FS_HZ)] = np.nan
    found = np.array(beats_of(ecg))
    after = r_idx[r_idx > half + 12 * FS_HZ]
    assert (found > half).sum() >= len(after)


def test_infinite_values_count_as_missing() -> None:
    ecg, _ = noisy(30.0)
    gone, wild = ecg.copy(), ecg.copy()
    gone[3000:3100], wild[3000:3100] = np.nan, np.inf
    assert beats_of(wild) == beats_of(gone)


def test_missing_samples_alone_give_nothing() -> None:
    assert beats_of(np.full(round(30 * FS_HZ), np.nan, np.float32)) == []


# ---- no heart, no beats -----------------------------------------------------------------

N_SILENT = round(100 * FS_HZ)
T_S = np.arange(N_SILENT) / FS_HZ
NO_HEART = {
    "flat line": np.zeros(N_SILENT),
    "amplifier noise of 10 uV": 0.01 * np.random.default_rng(1).standard_normal(N_SILENT),
    "one step of a converter": np.round(np.random.default_rng(2).random(N_SILENT)) * 0.005,
    "50 Hz hum": 1.0 * np.sin(2 * np.pi * 50 * T_S),
    "60 Hz hum": 1.0 * np.sin(2 * np.pi * 60 * T_S),
    "slow drift": np.sin(2 * np.pi * 0.3 * T_S),
    "rail": np.full(N_SILENT, 5.0),
    "rail to rail": np.where(T_S % 20 < 10, 5.0, -5.0),
    "random walk": np.cumsum(0.01 * np.random.default_rng(4).standard_normal(N_SILENT)),
}


@pytest.mark.parametrize("kind", NO_HEART)
def test_no_heart_gives_no_beats(kind: str) -> None:
    assert beats_of(NO_HEART[kind].astype(np.float32)) == []


@pytest.mark.parametrize("kind", NO_HEART)
def test_asystole_gives_no_beats(kind: str) -> None:
    ecg, r_idx = noisy(60.0)
    found = beats_of(np.concatenate([ecg, NO_HEART[kind].astype(np.float32)]))
    assert len([idx for idx in found if idx < len(ecg)]) == len(r_idx)
    # One beat may be seen where the line breaks off; the hum of the test's end is not counted.
    late = [idx for idx in found if len(ecg) + FS_HZ < idx < len(ecg) + N_SILENT - FS_HZ]
    assert late == []


def test_a_heart_that_stops_while_it_is_learned_shows_no_beats_in_noise() -> None:
    false, n_at = 0, 0
    for stop_s in np.arange(0.3, 6.0, 0.1):
        for seed in range(4):
            rng = np.random.default_rng([seed, round(stop_s * 10)])
            n_at += 1
            mv = 0.02 * rng.standard_normal(round(15 * FS_HZ))
            # White noise, smoothed: its energy is where a QRS has it.
            mv = np.convolve(mv, [0.2, 0.3, 0.3, 0.2], "same").astype(np.float32)
            beats = beats_of(waves([r for r in rhythm(10.0) if r < stop_s], FS_HZ, 15.0) + mv)
            false += sum(beat / FS_HZ > stop_s + 0.5 for beat in beats)

    assert (false, n_at) == (0, 228)


def test_noise_from_the_start_gives_no_beats() -> None:
    with_beats = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        noise = np.convolve(rng.standard_normal(2500), [0.2, 0.3, 0.3, 0.2], "same")
        mv = (0.003, 0.01, 0.03, 0.1)[seed % 4]
        with_beats += bool(beats_of((mv * noise).astype(np.float32)))

    assert with_beats == 0


def test_p_waves_of_ventricular_standstill_are_no_beats_for_two_minutes() -> None:
    ecg, _ = noisy(60.0, mv=0.003)
    p_waves = 0.1 * np.exp(-0.5 * (((T_S % 0.8) - 0.4) / 0.022) ** 2)[: round(110 * FS_HZ)]
    noise = 0.003 * np.random.default_rng(5).standard_normal(len(p_waves))
    found = beats_of(np.concatenate([ecg, p_waves + noise]).astype(np.float32))
    assert [idx for idx in found if idx > len(ecg) + FS_HZ] == []


@pytest.mark.parametrize("gain", [0.5, 0.25, 0.15])
def test_a_rhythm_that_became_small_is_found_within_seconds(gain: float) -> None:
    ecg, r_idx = noisy(60.0, mv=0.002)
    found = np.array(beats_of(np.concatenate([ecg, np.float32(gain) * ecg])))
    again = r_idx[r_idx > 6 * FS_HZ] + len(ecg)
    assert all(np.abs(found - idx).min() <= 3 for idx in again)


def test_a_large_artefact_while_learning_does_not_hide_the_beats_for_ever() -> None:
    ecg, r_idx = noisy(60.0)
    burst = 8.0 * np.sin(2 * np.pi * 9 * np.arange(round(3 * FS_HZ)) / FS_HZ)
    ecg[: len(burst)] += burst.astype(np.float32)
    found = np.array(beats_of(ecg))
    assert all(np.abs(found - idx).min() <= 3 for idx in r_idx[r_idx > 20 * FS_HZ])


# ---- bookkeeping ------------------------------------------------------------------------


def test_what_is_settled_stays_settled() -> None:
    ecg, _ = noisy(60.0, mv=0.15)
    ecg[5000:5400] = np.nan
    detector = BeatDetector(FS_HZ)
    settled, last = 0, -1
    for at in range(0, len(ecg), 25):
        found = detector.push(ecg[at : at + 25])
        assert all(idx >= settled for idx in found)
        assert found == sorted(set(found))
        assert not found or found[0] > last
        last = found[-1] if found else last
        assert detector.settled_idx >= settled
        settled = detector.settled_idx
    assert settled > len(ecg) - 3 * FS_HZ
    assert detector.n_pushed == len(ecg)


def test_silence_settles_too() -> None:
    ecg, _ = noisy(30.0)
    detector = BeatDetector(FS_HZ)
    detector.push(np.concatenate([ecg, np.full(round(4 * FS_HZ), ecg[-1], np.float32)]))
    assert detector.settled_idx > len(ecg) + 3 * FS_HZ


def test_an_empty_block_changes_nothing() -> None:
    detector = BeatDetector(FS_HZ)
    assert detector.push(np.zeros(0, np.float32)) == []
    assert detector.n_pushed == detector.settled_idx == 0


@pytest.mark.parametrize("fs_hz", [0.0, 50.0, 99.0, 1001.0, float("nan")])
def test_a_sampling_rate_out_of_range_is_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="100 to 1000 Hz"):
        BeatDetector(fs_hz)


# ---- real recordings --------------------------------------------------------------------


@functools.cache
def recording(record: str) -> tuple[Ecg, list[int], list[tuple[float, float]]]:
    path = RECORDINGS / "mitdb" / record
    if not path.with_suffix(".dat").exists():
        pytest.skip(f"MIT-BIH record {record} is not in HOMEWARD_DATA ({RECORDINGS})")
    wfdb = pytest.importorskip("wfdb", reason="wfdb reads the recordings")
    ecg = wfdb.rdrecord(str(path), channels=[0]).p_signal[:, 0].astype(np.float32)
    notes = wfdb.rdann(str(path), "atr")
    beats, flutter = reference_beats(notes.sample.tolist(), notes.symbol)
    return ecg, beats, [(begin / 360, end / 360) for begin, end in flutter]


@pytest.mark.parametrize(
    ("record", "least_se", "least_ppv"),
    [("208", 0.993, 0.994), ("203", 0.990, 0.988), ("108", 0.994, 0.980), ("119", 0.999, 0.999)],
)
def test_hard_recordings_stay_within_their_figures(
    record: str, least_se: float, least_ppv: float
) -> None:
    ecg, reference, flutter_s = recording(record)
    counts: BeatCounts = compare(reference, beats_of(ecg, 360.0), 360.0, excluded_s=flutter_s)
    assert counts.se >= least_se
    assert counts.ppv >= least_ppv


@pytest.mark.parametrize("record", ["119", "208"])
def test_real_beats_survive_gain_polarity_and_blocks(record: str) -> None:
    ecg = recording(record)[0][: 120 * 360]
    found = beats_of(ecg, 360.0)
    assert beats_of((4 * ecg).astype(np.float32), 360.0) == found
    assert beats_of(-ecg, 360.0) == found
    assert beats_of(ecg, 360.0, cuts=[97] * (len(ecg) // 97)) == found


@pytest.mark.parametrize("fs_hz", [128.0, 250.0, 500.0])
def test_real_beats_survive_resampling(fs_hz: float) -> None:
    ecg, reference, _ = recording("119")
    ecg = ecg[: 120 * 360]
    found = beats_of(resample(ecg, round(len(ecg) * fs_hz / 360)).astype(np.float32), fs_hz)
    there = [round(idx * fs_hz / 360) for idx in reference if idx < len(ecg)]
    counts = compare(there, found, fs_hz, tolerance_s=0.1, start_s=0.0)
    assert counts.fn <= 2
    assert counts.fp <= 2
