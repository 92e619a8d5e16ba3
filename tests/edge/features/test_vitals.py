"""The vital signs of a second: EC13's rhythms and steps, and what is too old to be true."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

from edge.features.vitals import FEATURES, SETTLE_S, compute
from edge.records import Samples, Window


def one_by_one(signal: str, times_s: Iterable[float], values: Iterable[float]) -> Samples:
    times = np.asarray(list(times_s), dtype=np.float64)
    return Samples(
        signal, float(times[0]), 0.0, np.asarray(list(values), dtype=np.float32), times_s=times
    )


def beats(rr_ms: Iterable[float], first_s: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rr = np.asarray(list(rr_ms), dtype=np.float64)
    return first_s + np.cumsum(rr) / 1000.0, rr


def window_at(
    end_s: float,
    *samples: Samples,
    quality: float | None = 0.9,
    ecg_age_s: float | None = 0.0,
    ages: dict[str, float] | None = None,
) -> Window:
    signals = {}
    for s in samples:
        inside = (s.times_s >= end_s - 31.0) & (s.times_s < end_s)
        if inside.any():
            signals[s.signal] = one_by_one(s.signal, s.times_s[inside], s.values[inside])
    age_s = dict(ages or {})
    if ecg_age_s is not None:
        age_s["ecg_mv"] = ecg_age_s
    return Window(
        patient="p",
        start_s=end_s - 1.0,
        length_s=1.0,
        context_s=30.0,
        signals=signals,
        quality={} if quality is None else {"ecg_mv": quality},
        age_s=age_s,
        frozen_s={},
    )


def rates(rr_ms: Iterable[float], since_s: float, step_s: float = 0.25) -> dict[float, float]:
    """Heart rate at every quarter of a second from `since_s` to the last beat."""
    at_s, rr = beats(rr_ms)
    rr_ms = one_by_one("rr_ms", at_s, rr)
    ends = np.arange(since_s, at_s[-1], step_s)
    return {float(end): compute(window_at(float(end), rr_ms))["hr_bpm"] for end in ends}


@pytest.mark.parametrize("rate_bpm", [20, 30, 40, 60, 80, 120, 200, 300])
def test_a_steady_rhythm_reads_its_rate(rate_bpm):
    got = rates([60000.0 / rate_bpm] * (rate_bpm + 2), since_s=20.0)
    assert list(got.values()) == pytest.approx([rate_bpm] * len(got), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "pattern_ms", "rate_bpm"),
    [
        ("3a bigeminy", (500.0, 1000.0), 80.0),
        ("3b slow alternating bigeminy", (700.0, 700.0, 1300.0, 1300.0), 60.0),
        ("3c fast alternating bigeminy", (350.0, 650.0), 120.0),
        ("3d bidirectional systoles", (600.0, 733.33), 90.0),
    ],
)
def test_the_irregular_rhythms_of_ec13_read_within_ten_percent(name, pattern_ms, rate_bpm):
    got = rates(pattern_ms * 30, since_s=20.0)
    assert all(abs(rate - rate_bpm) <= 0.1 * rate_bpm for rate in got.values()), name


@pytest.mark.parametrize(("to_bpm", "most_s"), [(120, 4.0), (40, 8.0)])
def test_a_step_from_80_is_read_within_8_s(to_bpm, most_s):
    got = rates([750.0] * 40 + [60000.0 / to_bpm] * 40, since_s=29.0)
    wrong = [end_s for end_s, rate in got.items() if abs(rate - to_bpm) > 5.0]
    assert max(wrong) - 30.0 < most_s


@pytest.mark.parametrize("odd", ["missed", "false"])
def test_one_missed_or_false_beat_moves_the_rate_by_less_than_a_tenth(odd):
    odd_ms = [1600.0] if odd == "missed" else [300.0, 500.0]
    got = rates([800.0] * 30 + odd_ms + [800.0] * 30, since_s=20.0)
    assert all(abs(rate - 75.0) < 7.5 for rate in got.values())


def test_unknown_intervals_are_passed_over():
    at_s, rr = beats([800.0] * 30)
    rr[-2::-3] = np.nan
    window = window_at(float(at_s[-1]) + 0.1, one_by_one("rr_ms", at_s, rr))
    assert compute(window)["hr_bpm"] == pytest.approx(75.0)


def test_no_heart_rate_from_beats_older_than_5_s():
    at_s, rr = beats([800.0] * 30)
    signal = one_by_one("rr_ms", at_s, rr)
    assert compute(window_at(at_s[-1] + 4.9, signal))["hr_bpm"] == pytest.approx(75.0)
    assert math.isnan(compute(window_at(at_s[-1] + 5.1, signal))["hr_bpm"])


def test_beats_of_an_unusable_ecg_are_not_believed_and_the_strap_takes_over():
    at_s, rr = beats([800.0] * 30)
    signal = one_by_one("rr_ms", at_s, rr)
    end_s = float(at_s[-1]) + 0.1
    assert math.isnan(compute(window_at(end_s, signal, quality=0.29))["hr_bpm"])
    strap = one_by_one("hr_bpm", [end_s - 1.0], [91.0])
    assert compute(window_at(end_s, signal, strap, quality=0.29))["hr_bpm"] == 91.0
    assert compute(window_at(end_s, signal, strap))["hr_bpm"] == pytest.approx(75.0)


def test_intervals_of_a_strap_without_an_ecg_give_a_rate_but_no_word_on_standstill():
    at_s, rr = beats([800.0] * 30)
    window = window_at(at_s[-1] + 2.0, one_by_one("rr_ms", at_s, rr), quality=None, ecg_age_s=None)
    values = compute(window)
    assert values["hr_bpm"] == pytest.approx(75.0)
    assert math.isnan(values["beat_age_s"])


def qualities(since_s: float, end_s: float, value: float = 0.9) -> Samples:
    at_s = np.arange(since_s + 0.5, end_s)
    return one_by_one("ecg_quality_au", at_s, np.full(at_s.size, value))


def test_beat_age_counts_from_the_last_beat():
    at_s, rr = beats([1000.0] * 40)
    for after_s in (0.5, 4.0, 12.0):
        window = window_at(40.0 + after_s, one_by_one("rr_ms", at_s, rr), qualities(0.0, 50.0))
        assert compute(window)["beat_age_s"] == pytest.approx(after_s)


def test_standstill_longer_than_the_window_reaches_is_still_told():
    window = window_at(100.0, qualities(0.0, 99.0), ages={"rr_ms": 45.0})
    assert compute(window)["beat_age_s"] >= 30.0 - SETTLE_S
    assert compute(window_at(100.0, ages={"rr_ms": 45.0}))["beat_age_s"] == pytest.approx(45.0)


def test_a_gap_in_the_ecg_is_no_time_without_a_beat():
    at_s, rr = beats([1000.0] * 40)
    rhythm = one_by_one("rr_ms", at_s, rr)
    before, after = qualities(0.0, 40.0), qualities(50.0, 70.0)
    both = one_by_one(
        "ecg_quality_au",
        np.concatenate((before.times_s, after.times_s)),
        np.concatenate((before.values, after.values)),
    )
    assert math.isnan(compute(window_at(52.0, rhythm, both))["beat_age_s"])
    assert compute(window_at(60.0, rhythm, both))["beat_age_s"] == pytest.approx(10.0 - SETTLE_S)


def test_a_burst_of_noise_is_no_time_without_a_beat():
    at_s, rr = beats([1000.0] * 40)
    quality = qualities(0.0, 60.0)
    quality.values[45:48] = 0.1
    window = window_at(56.0, one_by_one("rr_ms", at_s, rr), quality)
    assert compute(window)["beat_age_s"] == pytest.approx(56.0 - 48.0 - SETTLE_S)


def test_beats_found_after_a_gap_count_from_themselves():
    at_s, rr = beats([1000.0] * 5, first_s=50.0)
    window = window_at(57.5, one_by_one("rr_ms", at_s, rr), qualities(50.0, 57.0))
    assert compute(window)["beat_age_s"] == pytest.approx(2.5)


@pytest.mark.parametrize(
    "parts", [{"quality": 0.29}, {"quality": None}, {"ecg_age_s": 3.5}, {"ecg_age_s": None}]
)
def test_without_a_usable_ecg_nothing_is_said_of_the_absence_of_beats(parts):
    at_s, rr = beats([1000.0] * 40)
    window = window_at(46.0, one_by_one("rr_ms", at_s, rr), qualities(0.0, 45.0), **parts)
    assert math.isnan(compute(window)["beat_age_s"])


def test_time_not_yet_seen_is_not_counted():
    at_s, rr = beats([1000.0] * 40)
    window = window_at(44.0, one_by_one("rr_ms", at_s, rr), qualities(0.0, 43.0), ecg_age_s=1.5)
    assert compute(window)["beat_age_s"] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("signal", "limit_s"),
    [
        ("spo2_pct", 10.0),
        ("pulse_bpm", 10.0),
        ("temp_degc", 60.0),
        ("skin_degc", 60.0),
        ("lead_off_flag", 15.0),
        ("ecg_off_flag", 15.0),
        ("contact_flag", 15.0),
    ],
)
def test_a_slow_value_is_given_while_it_is_young_and_never_after(signal, limit_s):
    limit_s = min(limit_s, 29.0)
    samples = one_by_one(signal, [90.0, 100.0], [1.0, 37.0])
    assert compute(window_at(99.9 + limit_s, samples))[signal] == 37.0
    if limit_s < 29.0:
        assert math.isnan(compute(window_at(100.1 + limit_s, samples))[signal])


def test_an_invalid_value_falls_back_on_the_valid_one_before_while_that_is_young():
    at_s = np.arange(90.0, 100.0)
    samples = one_by_one("spo2_pct", at_s, [97.0] * 6 + [math.nan] * 4)
    assert compute(window_at(100.0, samples))["spo2_pct"] == 97.0
    late = one_by_one("spo2_pct", at_s + 6.0, [97.0] + [math.nan] * 9)
    assert math.isnan(compute(window_at(106.5, late))["spo2_pct"])


def test_a_fixed_rate_signal_is_read_like_one_with_times():
    samples = Samples("spo2_pct", 70.0, 2.0, np.r_[np.full(59, 96.0), 91.0].astype(np.float32))
    window = Window("p", 99.0, 1.0, 30.0, {"spo2_pct": samples}, {}, {}, {})
    assert compute(window)["spo2_pct"] == 91.0
    assert math.isnan(
        compute(Window("p", 110.0, 1.0, 30.0, {"spo2_pct": samples}, {}, {}, {}))["spo2_pct"]
    )


def test_ages_and_frozen_times_are_handed_on_and_the_youngest_of_a_kind_counts():
    ages = {"spo2_pct": 3.0, "pleth_ir_au": 7.0, "pleth_red_au": 2.0, "resp_brpm": 9.0}
    window = Window("p", 99.0, 1.0, 30.0, {}, {}, ages | {"ecg_quality_au": 0.0}, {"ecg_mv": 12.0})
    values = compute(window)
    assert values["spo2_age_s"] == 3.0
    assert values["pleth_age_s"] == 2.0
    assert values["resp_age_s"] == 9.0
    assert math.isnan(values["ecg_age_s"])
    assert values["ecg_frozen_s"] == 12.0


def test_a_patient_without_sensors_has_no_vital_signs():
    values = compute(Window("p", 99.0, 1.0, 30.0, {}, {}, {}, {}))
    assert set(values) == set(FEATURES.names)
    assert all(math.isnan(value) for value in values.values())
