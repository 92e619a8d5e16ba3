"""Oximetry over a window: mean, lowest, slope, and agreement with the ECG."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge.features.oximetry import compute
from edge.records import Samples, Window

AT_S = np.arange(60.5, 100.0)


def signal(name: str, values: np.ndarray, at_s: np.ndarray = AT_S) -> Samples:
    return Samples(name, float(at_s[0]), 0.0, np.asarray(values, np.float32), times_s=at_s)


def window_of(*signals: Samples) -> Window:
    return Window("p", 90.0, 10.0, 30.0, {s.signal: s for s in signals}, {}, {}, {})


def test_mean_and_lowest_are_of_the_window_and_the_slope_of_window_and_context():
    values = compute(window_of(signal("spo2_pct", 97.0 - 0.1 * (AT_S - AT_S[0]))))
    assert values["spo2_mean_pct"] == pytest.approx(97.0 - 0.1 * 34.5)
    assert values["spo2_min_pct"] == pytest.approx(97.0 - 0.1 * 39.0)
    assert values["spo2_slope_pct_per_min"] == pytest.approx(-6.0, rel=1e-4)
    assert values["spo2_valid_frac"] == 1.0


def test_invalid_values_are_left_out_and_counted():
    spo2 = np.full(AT_S.size, 95.0)
    spo2[-5:] = np.nan
    values = compute(window_of(signal("spo2_pct", spo2)))
    assert values["spo2_mean_pct"] == 95.0
    assert values["spo2_valid_frac"] == 0.5
    values = compute(window_of(signal("spo2_pct", np.full(AT_S.size, np.nan))))
    assert values["spo2_valid_frac"] == 0.0
    assert math.isnan(values["spo2_mean_pct"])
    assert math.isnan(values["spo2_slope_pct_per_min"])


def test_no_slope_from_a_few_seconds():
    values = compute(window_of(signal("spo2_pct", np.arange(90.0, 100.0), AT_S[-10:])))
    assert math.isnan(values["spo2_slope_pct_per_min"])
    assert values["spo2_mean_pct"] == pytest.approx(94.5)


def test_pulse_is_held_against_the_rate_of_the_ecg():
    beats_s = np.arange(60.2, 100.0, 0.75)
    rr = signal("rr_ms", np.full(beats_s.size, 750.0), beats_s)
    spo2, pulse = (
        signal(n, np.full(AT_S.size, v)) for n, v in (("spo2_pct", 96), ("pulse_bpm", 40))
    )
    values = compute(window_of(spo2, pulse, rr))
    assert values["pulse_mean_bpm"] == 40.0
    assert values["pulse_hr_diff_bpm"] == pytest.approx(-40.0)
    assert math.isnan(compute(window_of(spo2, pulse))["pulse_hr_diff_bpm"])
    assert math.isnan(compute(window_of(spo2, rr))["pulse_mean_bpm"])


def test_a_fixed_rate_signal_gives_the_same_as_one_with_times():
    spo2 = 97.0 - 0.05 * np.arange(AT_S.size)
    fixed = Samples("spo2_pct", float(AT_S[0]), 1.0, spo2.astype(np.float32))
    assert compute(window_of(fixed)) == pytest.approx(
        compute(window_of(signal("spo2_pct", spo2))), nan_ok=True
    )
