"""Figures on windows whose answer can be counted on the fingers."""

import numpy as np
import pytest

from train.metrics import (
    Scored,
    auroc,
    brier,
    by_subject,
    calibration,
    false_episodes_per_h,
    false_rate_per_h,
    sensitivity,
    sensitivity_at,
    threshold_at,
)


def scored(scores, anomalous, subject=None):
    n = len(scores)
    return Scored(
        np.array(scores, float),
        np.array(anomalous, bool),
        np.array(subject or ["a"] * n),
        10.0,
    )


def test_auroc_counts_pairs_and_halves_ties():
    assert auroc(scored([1, 2, 3, 4], [0, 0, 1, 1])) == 1.0
    assert auroc(scored([1, 2, 2, 4], [0, 0, 1, 1])) == 0.875
    assert np.isnan(auroc(scored([1.0], [1])))


@pytest.mark.parametrize("false_per_h", [0.0, 1.0, 6.0, 60.0])
def test_a_threshold_keeps_its_promise_and_could_not_be_lower(false_per_h):
    rng = np.random.default_rng(0)
    windows = scored(rng.normal(size=1800), np.arange(1800) < 360)  # 4 h normal
    limit = threshold_at(windows, false_per_h)
    assert false_rate_per_h(windows, limit) == pytest.approx(false_per_h)
    assert false_rate_per_h(windows, np.nextafter(limit, -np.inf)) > false_per_h
    assert sensitivity_at(windows, false_per_h) == sensitivity(windows, limit)


def test_ties_do_not_break_the_promise():
    windows = scored([0.5] * 360 + [0.5], [0] * 360 + [1])
    assert false_rate_per_h(windows, threshold_at(windows, 1.0)) == 0.0
    with pytest.raises(ValueError, match="no normal window"):
        threshold_at(scored([1.0], [1]), 1.0)


def test_an_interval_over_people_holds_the_figure_and_is_wide_where_people_differ():
    rng = np.random.default_rng(1)
    subject = [f"s{i // 40}" for i in range(400)]
    anomalous = np.arange(400) % 2 == 0
    alike = scored(rng.normal(size=400) + 2 * anomalous, anomalous, subject)
    weak = np.repeat(rng.choice([0.0, 4.0], 10), 40)
    unlike = scored(rng.normal(size=400) + weak * anomalous, anomalous, subject)
    narrow, wide = by_subject(auroc, alike, 200), by_subject(auroc, unlike, 200)
    for found in (narrow, wide):
        assert found.low <= found.value <= found.high
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert by_subject(auroc, alike, 200) == narrow


def test_calibration_and_brier_of_a_sure_and_right_model():
    p, y = np.array([0.0, 0.05, 1.0]), np.array([False, False, True])
    assert calibration(p, y) == [(0.025, 0.0, 2), (1.0, 1.0, 1)]
    assert brier(p, y) == pytest.approx(0.0025 / 3)


def test_false_episodes_begin_only_where_nothing_was_anomalous():
    hits = np.zeros(720)
    hits[[10, 12, 14]] = 1.0  # three of six, all normal: one false episode
    hits[[100, 101]] = 1.0  # two are not enough
    hits[200:206] = 1.0  # anomalous: a true one
    anomalous = np.zeros(720, bool)
    anomalous[202] = True
    record = np.repeat(["a", "b"], 360)
    windows = scored(hits, anomalous)
    found = false_episodes_per_h(windows, record, 0.5, 3, 6)
    assert found == pytest.approx(1.0 / (719 / 360))
