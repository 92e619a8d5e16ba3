"""What NEWS2 takes for each parameter, and what it never takes."""

import math

import numpy as np
import pytest

from edge.features.news2 import FEATURES
from edge.records import Samples, Window

END_S = 1000.0
KNOWN = {"held_years_au": 70.0, "held_pregnant_flag": 0.0, "held_spo2_scale_au": 1.0}


def series(signal, values, *, last_s=END_S - 0.5, step_s=1.0):
    values = np.asarray(values, np.float32)
    times_s = last_s - step_s * np.arange(len(values))[::-1]
    return Samples(signal, float(times_s[0]), 0.0, values, times_s=times_s)


def held(signal, value, age_s=1800.0):
    return series(f"held_{signal}", [value], last_s=END_S - age_s)


def score(*signals, quality=None):
    facts = [series(name, [value], last_s=0.0) for name, value in KNOWN.items()]
    return dict(
        FEATURES.compute(
            Window(
                patient="p",
                start_s=END_S - 1.0,
                length_s=1.0,
                context_s=30.0,
                signals={s.signal: s for s in (*facts, *signals)},
                quality={} if quality is None else {"ecg_mv": quality},
                age_s={},
                frozen_s={},
            )
        )
    )


def test_skin_is_not_body():
    found = score(series("skin_degc", [34.0] * 20), series("probe_degc", [34.0] * 20))

    assert math.isnan(found["news2_temp_points"])
    assert found["news2_n_missing"] == 7.0


def test_a_fresh_value_of_a_sensor_counts_before_what_was_entered():
    found = score(series("resp_brpm", [26.0] * 5), held("resp_brpm", 16.0))
    assert found["news2_resp_points"] == 3.0
    assert found["news2_age_s"] == 0.5


def test_what_was_entered_counts_when_the_sensor_is_silent_and_tells_its_age():
    found = score(series("resp_brpm", [26.0] * 5, last_s=END_S - 11.0), held("resp_brpm", 16.0))

    assert found["news2_resp_points"] == 0.0
    assert found["news2_age_s"] == 1800.0


def test_breaths_in_a_wave_make_a_rate():
    found = score(series("breath_brpm", [24.0] * 8, step_s=2.5))

    assert found["news2_resp_points"] == 2.0


def test_an_old_saturation_is_missing():
    assert math.isnan(
        score(series("spo2_pct", [88.0] * 5, last_s=END_S - 10.5))["news2_spo2_points"]
    )


def test_one_wild_value_does_not_move_the_score():
    values = [97.0] * 20 + [40.0] + [97.0] * 5

    assert score(series("spo2_pct", values))["news2_spo2_points"] == 0.0


def test_a_bigeminy_has_its_true_rate():
    rr_ms = [500.0, 1100.0] * 9 + [500.0]  # 75 a minute; the median would say 120

    assert score(series("rr_ms", rr_ms, step_s=0.8), quality=0.9)["news2_pulse_points"] == 0.0


@pytest.mark.parametrize(("quality", "points"), [(0.9, 3.0), (0.2, 1.0)])
def test_beats_of_an_unusable_ecg_are_not_believed(quality, points):
    ecg = series("rr_ms", [400.0] * 20, step_s=0.4)
    strap = series("hr_bpm", [100.0] * 5)

    assert score(ecg, strap, quality=quality)["news2_pulse_points"] == points


def test_an_oximeter_tells_the_pulse_where_nothing_else_does():
    assert score(series("pulse_bpm", [45.0] * 5))["news2_pulse_points"] == 1.0


def test_oxygen_and_consciousness_are_missing_until_somebody_says():
    assert math.isnan(score()["news2_oxygen_points"])
    found = score(held("oxygen_flag", 1.0), held("acvpu_au", 1.0))

    assert (found["news2_oxygen_points"], found["news2_acvpu_points"]) == (2.0, 3.0)
    assert (found["news2_lower"], found["news2_n_red"], found["news2_n_missing"]) == (5.0, 1.0, 5.0)
