"""Quality features on signals whose spectrum and gaps are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge.features.ecg_quality import compute
from edge.records import Samples, Window

FS_HZ = 250.0
AT_S = np.arange(round(40.0 * FS_HZ)) / FS_HZ


def window_over(ecg_mv: np.ndarray, fs_hz: float = FS_HZ, quality: float = 0.8) -> Window:
    signals = {"ecg_mv": Samples("ecg_mv", 60.0, fs_hz, ecg_mv.astype(np.float32))}
    return Window("p", 90.0, 10.0, 30.0, signals, {"ecg_mv": quality}, {}, {})


def beats() -> np.ndarray:
    ecg_mv = np.zeros(AT_S.size)
    for beat_s in np.arange(0.4, 40.0, 0.8):
        ecg_mv += np.exp(-0.5 * ((AT_S - beat_s) / 0.012) ** 2)
    return ecg_mv


def tone(hz: float, mv: float = 1.0) -> np.ndarray:
    return mv * np.sin(2.0 * np.pi * hz * AT_S)


def test_a_tone_lies_in_the_band_of_its_frequency():
    assert compute(window_over(tone(10.0)))["psqi"] > 0.95
    assert compute(window_over(tone(25.0)))["psqi"] < 0.05
    assert compute(window_over(tone(0.4) + tone(10.0, 0.1)))["bassqi"] < 0.1
    assert compute(window_over(tone(10.0)))["bassqi"] > 0.95
    assert compute(window_over(tone(10.0) + tone(60.0, 0.5)))["hfsqi"] == pytest.approx(
        0.25, rel=0.05
    )


def test_clean_beats_stand_out_and_noise_does_not():
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 1.0, AT_S.size)
    clean, noisy = compute(window_over(beats())), compute(window_over(noise))
    assert clean["ksqi"] > 5.0
    assert abs(noisy["ksqi"]) < 0.5
    assert clean["ssqi"] > 1.5
    assert abs(noisy["ssqi"]) < 0.3
    assert compute(window_over(-beats()))["ssqi"] == pytest.approx(-clean["ssqi"], rel=1e-3)
    assert compute(window_over(tone(10.0)))["ksqi"] == pytest.approx(-1.5, abs=0.02)


def test_offset_and_gain_change_nothing_of_the_spectrum():
    ecg_mv = beats() + tone(0.3, 0.2) + tone(50.0, 0.05)
    usual = compute(window_over(ecg_mv))
    for other in (3.0 * ecg_mv, ecg_mv + 2.0):
        values = compute(window_over(other))
        for name in ("ksqi", "ssqi", "psqi", "bassqi", "hfsqi"):
            assert values[name] == pytest.approx(usual[name], rel=1e-3), name


def test_only_the_window_counts_not_its_context():
    ecg_mv = beats()
    ecg_mv[: round(30.0 * FS_HZ)] = np.nan
    values = compute(window_over(ecg_mv))
    assert values["missing_frac"] == 0.0
    assert values["ksqi"] == pytest.approx(compute(window_over(beats()))["ksqi"])


def test_gaps_are_counted_and_bridged_until_too_much_is_missing():
    ecg_mv = beats() + tone(0.3, 0.2)
    ecg_mv[-1000:-500] = np.nan
    values = compute(window_over(ecg_mv))
    assert values["missing_frac"] == pytest.approx(0.2)
    assert values["ksqi"] > 3.0
    ecg_mv[-1000:-200] = np.nan
    values = compute(window_over(ecg_mv))
    assert values["missing_frac"] == pytest.approx(0.32)
    assert math.isnan(values["ksqi"])
    late = Samples("ecg_mv", 95.0, FS_HZ, beats()[: round(5.0 * FS_HZ)].astype(np.float32))
    window = Window("p", 90.0, 10.0, 30.0, {"ecg_mv": late}, {}, {}, {})
    assert compute(window)["missing_frac"] == pytest.approx(0.5)


def test_a_dead_and_a_clipped_line_are_told():
    dead = compute(window_over(np.full(AT_S.size, 0.3)))
    assert dead["flat_frac"] == 1.0
    assert dead["clip_frac"] == 1.0
    assert math.isnan(dead["ksqi"])
    clipped = compute(window_over(np.clip(tone(2.0), -0.5, 0.5)))
    assert clipped["clip_frac"] == pytest.approx(2.0 / 3.0, abs=0.05)
    assert compute(window_over(tone(2.0)))["flat_frac"] == 0.0
    half = beats() + tone(5.0, 0.1)
    half[-round(5.0 * FS_HZ) :] = 0.0
    assert compute(window_over(half))["flat_frac"] == pytest.approx(0.5, abs=0.02)


def test_the_quality_of_the_window_is_handed_on():
    assert compute(window_over(beats(), quality=0.4))["quality"] == 0.4


def test_a_slow_lead_has_no_high_frequencies_to_judge():
    slow = window_over(beats()[::4], fs_hz=FS_HZ / 4.0)
    assert math.isnan(compute(slow)["hfsqi"])
    assert compute(slow)["psqi"] > 0.0
