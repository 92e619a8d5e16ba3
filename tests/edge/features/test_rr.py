"""RR features against their formulas written out, and against rhythms whose answer is known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from edge.features.rr import compute
from edge.records import Samples, Window


def window_of(rr_ms: list[float] | np.ndarray, length_s: float = 10.0) -> Window:
    """The window whose end lies just after the last beat."""
    rr = np.asarray(rr_ms, dtype=np.float64)
    times_s = 500.0 + np.cumsum(np.nan_to_num(rr, nan=800.0)) / 1000.0
    end_s = float(times_s[-1]) + 0.01
    keep = times_s >= end_s - length_s - 30.0
    samples = Samples(
        "rr_ms", times_s[keep][0], 0.0, rr[keep].astype(np.float32), times_s=times_s[keep]
    )
    return Window("p", end_s - length_s, length_s, 30.0, {"rr_ms": samples}, {}, {}, {})


def sample_entropy(rr_ms: np.ndarray, tolerance_ms: float) -> float:
    """Sample entropy with m = 1 by counting, as its definition says."""
    n = len(rr_ms)
    ones = twos = 0
    for i in range(n - 1):
        for j in range(i + 1, n - 1):
            if abs(rr_ms[i] - rr_ms[j]) <= tolerance_ms:
                ones += 1
                twos += abs(rr_ms[i + 1] - rr_ms[j + 1]) <= tolerance_ms
    return -math.log(max(twos, 0.5) / ones)


def test_a_steady_rhythm_has_no_spread_and_no_odd_beat():
    values = compute(window_of([800.0] * 60))
    assert values["n_beats"] == 13
    assert values["hr_median_bpm"] == 75.0
    for name in ("sdrr_ms", "rmssd_ms", "pnn50_pct", "cv_rr", "sd1_ms", "sd2_ms", "irregular_frac"):
        assert values[name] == 0.0, name
    for name in ("rr_min_ratio", "rr_max_ratio", "prematurity", "pause_ratio"):
        assert values[name] == 1.0, name
    assert values["sampen"] == pytest.approx(0.0, abs=0.05)


def test_numbers_are_those_of_the_formulas():
    rng = np.random.default_rng(3)
    rr = np.round(rng.normal(800.0, 90.0, 80))
    window = window_of(rr)
    times_s, rr = window.signals["rr_ms"].times_s, window.signals["rr_ms"].values.astype(float)
    own = rr[times_s >= window.start_s]
    change = np.diff(own)
    values = compute(window)
    assert values["n_beats"] == own.size
    assert values["mean_rr_ms"] == pytest.approx(own.mean())
    assert values["hr_median_bpm"] == pytest.approx(60000.0 / np.median(own))
    assert values["sdrr_ms"] == pytest.approx(own.std())
    assert values["cv_rr"] == pytest.approx(own.std() / own.mean())
    assert values["rmssd_ms"] == pytest.approx(np.sqrt(np.mean(change**2)))
    assert values["pnn50_pct"] == pytest.approx(100.0 * np.mean(np.abs(change) > 50.0))
    assert values["rr_min_ratio"] == pytest.approx(own.min() / np.median(own))
    assert values["rr_max_ratio"] == pytest.approx(own.max() / np.median(own))
    assert values["max_drr_ratio"] == pytest.approx(np.abs(change).max() / np.median(own))
    assert values["sd1_ms"] == pytest.approx(change.std() / math.sqrt(2.0))
    sd2 = math.sqrt(2.0 * own.var() - change.var() / 2.0)
    assert values["sd2_ms"] == pytest.approx(sd2)
    longer = rr[times_s >= window.end_s - 30.0]
    entropy = sample_entropy(longer, 30.0)
    assert values["sampen"] == pytest.approx(entropy)
    assert values["cosen"] == pytest.approx(entropy + math.log(60.0) - math.log(longer.mean()))
    turns = [a * b < 0.0 for a, b in pairwise(np.diff(longer))]
    assert values["turning_point_ratio"] == pytest.approx(np.mean(turns))
    before = [np.median(rr[i - 12 : i]) for i in range(rr.size - own.size, rr.size)]
    ratio = own / before
    assert values["prematurity"] == pytest.approx(ratio.min())
    assert values["pause_ratio"] == pytest.approx(ratio.max())
    assert values["irregular_frac"] == pytest.approx(np.mean(np.abs(ratio - 1.0) > 0.12))


def test_one_early_beat_shows_as_early_with_its_pause():
    values = compute(window_of([800.0] * 40 + [480.0, 1120.0] + [800.0] * 4))
    assert values["prematurity"] == pytest.approx(0.6)
    assert values["pause_ratio"] == pytest.approx(1.4)
    assert values["irregular_frac"] == pytest.approx(2 / values["n_beats"])


def test_chance_intervals_are_less_predictable_than_a_slow_swing():
    rng = np.random.default_rng(4)
    fibrillation = compute(window_of(np.round(rng.uniform(400.0, 1000.0, 80))))
    swing = compute(window_of(800.0 + 60.0 * np.sin(np.arange(80) * 2.0 * np.pi / 12.0)))
    assert fibrillation["sampen"] > swing["sampen"] + 0.5
    assert fibrillation["turning_point_ratio"] == pytest.approx(2 / 3, abs=0.15)
    assert swing["turning_point_ratio"] < 0.25
    assert fibrillation["sd1_sd2"] > 2.0 * swing["sd1_sd2"]


def test_an_unknown_interval_joins_nothing():
    known = compute(window_of([800.0] * 40 + [1000.0] * 6))
    rr = [800.0] * 40 + [math.nan] + [1000.0] * 5
    values = compute(window_of(rr))
    # The step from 800 to 1000 ms lies across the unknown interval: no change between neighbours.
    assert known["rmssd_ms"] > 0.0
    assert values["rmssd_ms"] == 0.0
    assert values["rr_max_ratio"] > 1.0


def test_twice_as_fast_leaves_the_ratios_as_they_are():
    rng = np.random.default_rng(5)
    rr = 10.0 * np.round(rng.normal(100.0, 12.0, 60))
    slow, fast = compute(window_of(rr, 10.0)), compute(window_of(rr / 2.0, 5.0))
    ratios = ("cv_rr", "rr_min_ratio", "rr_max_ratio", "max_drr_ratio", "prematurity")
    for name in (*ratios, "pause_ratio", "irregular_frac", "n_beats"):
        assert fast[name] == pytest.approx(slow[name], rel=1e-6), name
    assert fast["sdrr_ms"] == pytest.approx(slow["sdrr_ms"] / 2.0)


def test_too_few_beats_give_nan_and_their_number():
    values = compute(window_of([9000.0, 9000.0]))
    assert values["n_beats"] == 2
    assert values["hr_median_bpm"] == pytest.approx(60000.0 / 9000.0)
    assert math.isnan(values["sampen"])
    assert math.isnan(values["prematurity"])
    values = compute(window_of([math.nan]))
    assert values.pop("n_beats") == 1
    assert all(math.isnan(value) for value in values.values())
