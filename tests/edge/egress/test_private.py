"""Blurred summaries: the bound holds, means come out right, and nothing is blurred unasked."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.egress import EgressError
from edge.egress.noise import Bits, draw
from edge.egress.private import (
    RANGES,
    Number,
    Told,
    blur,
    medians,
    numbers_of,
    release,
    share_of_day,
    shares_of,
    spent,
    unbiased,
)
from edge.egress.summary import CoverageOut, SummaryOut, Vital, VitalOut
from tests.edge.sync.fhir.made import SUMMARY, summaries

SEED = b"thirty-two bytes of this box onl"
SCORE = Number("news2_lower p50", 0.0, 1.0, 20, 1)
N = 20_000
replace = msgspec.structs.replace


def released(value, share, n=N):
    """How often each number came out, of so many summaries."""
    found = Counter(
        release(SCORE, value, Fraction(share), Bits(SEED, f"{value}{share} {i}")) for i in range(n)
    )
    assert found.total() == n
    return found


def worst_ratio(share):
    """The most one input makes any output likelier than another; of outputs that came often."""
    low, high = released(0.0, share), released(20.0, share)
    often = [at for at in low | high if low[at] + high[at] >= 400]
    assert len(often) >= 10
    return max(max(low[at], high[at]) / max(1, min(low[at], high[at])) for at in often)


def test_no_output_is_more_than_e_to_the_epsilon_times_as_likely_from_another_input():
    # Nor is there more noise than it takes.
    assert math.e / 1.15 <= worst_ratio(1) <= math.e * 1.15
    # Control: half the noise is found.
    assert worst_ratio(2) > math.e * 1.5


@pytest.mark.parametrize("scale", [Fraction(1, 3), Fraction(5, 2), Fraction(40)])
def test_the_noise_has_the_distribution_it_is_said_to_have(scale):
    found = Counter(draw(scale, Bits(SEED, f"{scale} {i}")) for i in range(N))
    alpha = math.exp(-1 / scale)
    reach = math.ceil(3 * scale)
    for k in range(-reach, reach + 1):
        expected = (1 - alpha) / (1 + alpha) * alpha ** abs(k)
        error = math.sqrt(expected * (1 - expected) / N)
        assert abs(found[k] / N - expected) < 5 * error + 1e-9, k


@pytest.mark.parametrize("value", [0.0, 3.0, 20.0])
@pytest.mark.parametrize("share", [Fraction(1, 2), Fraction(8)])
def test_the_mean_over_many_is_the_truth_although_numbers_stop_at_their_range(value, share):
    found = released(value, share)
    plain = sum(at * n for at, n in found.items()) / N
    told = {at: unbiased(SCORE, at, share) for at in found}
    mean = sum(told[at] * n for at, n in found.items()) / N
    sd = math.sqrt(sum((told[at] - mean) ** 2 * n for at, n in found.items()) / N)
    assert abs(mean - value) < 4 * sd / math.sqrt(N)
    if share < 1 and value != 10.0:
        assert abs(plain - value) > 1.0  # control: without that the ends pull it to the middle


def test_the_medians_of_many_boxes_have_the_right_mean():
    def day(n):
        vital = VitalOut("temp_degc", 80_000, 36.0, 36.2, 36.6, 37.0, 37.4)
        return SummaryOut(
            *(str(UUID(int=n)), "b", "p", None, None, 86400.0, 90_000, 0, 0), (vital,)
        )

    found = [medians(blur(day(n), 40.0, SEED))["temp_degc"] for n in range(1500)]
    assert abs(sum(found) / len(found) - 36.6) < 0.05


@given(summaries.filter(lambda one: not one.epsilon), st.sampled_from([1e-6, 0.01, 1.0, 100.0]))
@settings(deadline=None, max_examples=60)
def test_any_summary_can_be_blurred_keeps_its_bounds_and_its_quantiles_are_in_order(plain, epsilon):
    told = blur(plain, epsilon, SEED)
    assert told.epsilon == epsilon
    assert (told.uuid, told.length_s, told.start_utc) == (
        plain.uuid,
        plain.length_s,
        plain.start_utc,
    )
    assert [v.name for v in told.vitals] == [v.name for v in plain.vitals]
    assert [c.signal for c in told.coverage] == [c.signal for c in plain.coverage]
    assert told.alerts == ()
    for vital in told.vitals:
        low, high, _ = RANGES[vital.name]
        assert low <= vital.min <= vital.p10 <= vital.p50 <= vital.p90 <= vital.max <= high
    assert set(medians(told)) == {v.name for v in told.vitals}


def test_the_budget_of_all_numbers_together_is_never_more_than_the_summarys():
    for epsilon in (1e-9, 0.1, 0.3, 1.0, 7.77, 100.0):
        numbers = numbers_of(SUMMARY)
        shares = shares_of(numbers, epsilon)
        assert len(shares) == len(numbers)
        assert Fraction(epsilon) - Fraction(2, 10**9) <= sum(shares.values()) <= Fraction(epsilon)


def test_without_a_budget_a_summary_is_the_same_to_the_bit():
    assert blur(SUMMARY, 0.0, b"") is SUMMARY
    assert medians(SUMMARY) == {one.name: one.p50 for one in SUMMARY.vitals}


def test_the_same_summary_has_the_same_noise_and_another_box_or_summary_has_another():
    told = blur(SUMMARY, 20.0, SEED)
    assert blur(SUMMARY, 20.0, SEED) == told
    assert blur(SUMMARY, 20.0, SEED[::-1]) != told
    other = replace(SUMMARY, uuid=str(UUID(int=5)))
    assert replace(blur(other, 20.0, SEED), uuid=SUMMARY.uuid) != told


def test_every_number_has_noise_of_its_own():
    same = [VitalOut(name, 30, 20.0, 20.0, 20.0, 20.0, 20.0) for name in ("hr_bpm", "pulse_bpm")]
    told = [
        blur(replace(SUMMARY, uuid=str(UUID(int=n)), vitals=tuple(same)), 20.0, SEED)
        for n in range(60)
    ]
    pairs = [tuple(v.p50 for v in one.vitals) for one in told]
    assert sum(a == b for a, b in pairs) < 40  # both often lie on an end of the range
    assert len(set(pairs)) > 5


def test_a_number_out_of_its_range_counts_as_its_end_and_none_is_beyond_the_list():
    assert set(RANGES) == set(get_args(Vital))
    assert SCORE.index(-5.0) == 0
    assert SCORE.index(99.0) == 20
    assert SCORE.index(math.nan) == 0


@pytest.mark.parametrize(
    ("summary", "epsilon", "seed", "said"),
    [
        (SUMMARY, 1.0, b"short", "secret"),
        (SUMMARY, 1e-12, SEED, "budget"),
        (SUMMARY, 101.0, SEED, "budget"),
        (SUMMARY, -1.0, SEED, "budget"),
        (SUMMARY, math.nan, SEED, "budget"),
        (replace(SUMMARY, epsilon=1.0), 1.0, SEED, "again"),
        (replace(SUMMARY, vitals=SUMMARY.vitals[:1] * 2), 1.0, SEED, "twice"),
    ],
)
def test_what_would_break_the_promise_is_refused(summary, epsilon, seed, said):
    with pytest.raises(EgressError, match=said):
        blur(summary, epsilon, seed)


def test_a_days_summaries_together_spend_the_days_budget():
    for period_s in (60.0, 3600.0, 86400.0):
        n = int(86400.0 / period_s)
        assert n * share_of_day(1.0, period_s) == pytest.approx(1.0)
    assert share_of_day(1.0, 30.0) < share_of_day(1.0, 60.0)
    assert share_of_day(0.0, 60.0) == 0.0


def test_what_was_sent_twice_is_spent_once_and_days_and_patients_are_apart():
    sent = [
        Told("a", "2026-11-22", "hw-1", 0.25),
        Told("a", "2026-11-22", "hw-1", 0.25),
        Told("b", "2026-11-22", "hw-1", 0.5),
        Told("c", "2026-11-22", "hw-2", 0.0),
        Told("d", "2026-11-23", "hw-1", 1.0),
    ]
    assert [(s.day, s.patient, s.epsilon, s.n_blurred, s.n_exact) for s in spent(sent)] == [
        ("2026-11-22", "hw-1", 0.75, 2, 0),
        ("2026-11-22", "hw-2", 0.0, 0, 1),
        ("2026-11-23", "hw-1", 1.0, 1, 0),
    ]
    assert spent([]) == ()


def test_a_blurred_share_stays_a_share():
    told = blur(replace(SUMMARY, coverage=(CoverageOut("ecg_mv", 0.5),)), 100.0, SEED)
    assert 0.0 <= told.coverage[0].share <= 1.0
