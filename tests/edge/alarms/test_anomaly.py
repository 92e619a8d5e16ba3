"""Several windows of the last minute unlike normal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarms.anomaly import RULE
from edge.records import Features, Kind, Priority, Score

TOLD = ("earliest beat 0.7 (+2.1)", "shortest interval 412 ms (+1.9)")


def score(value, strongest=TOLD, threshold=0.5):
    return Score("p1", 0.0, 10.0, value, {}, threshold, "m1", strongest)


def run(values, settings=RULE.settings):
    state, said = RULE.start, []
    for i, value in enumerate(values):
        seen = Features("p1", i * 10.0, 10.0, {})
        told = None if value is None else score(value)
        state, finding = RULE.step(state, seen, told, settings)
        said.append(finding.present)
    return said


def last(scores):
    state = RULE.start
    for i, told in enumerate(scores):
        seen = Features("p1", i * 10.0, 10.0, {})
        state, finding = RULE.step(state, seen, told, RULE.settings)
    return finding


def test_a_model_only_advises():
    assert (RULE.kind, RULE.priority, RULE.latching) == (Kind.PHYSIOLOGICAL, Priority.LOW, False)


def test_the_third_hit_of_six_windows_is_found():
    assert run([0.1] * 6 + [0.9, 0.1, 0.9, 0.1, 0.1, 0.9]) == [None] * 3 + [False] * 8 + [True]


def test_the_third_hit_of_seven_windows_is_not():
    assert run([0.1] * 6 + [0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9])[-1] is False


def test_the_threshold_itself_is_a_hit():
    assert run([0.5] * 3)[-1] is True
    assert run([0.499] * 6)[-1] is False


def test_the_threshold_is_that_of_the_score():
    assert last([score(0.3, threshold=0.25)] * 3).present


def test_a_window_without_a_score_is_neither_a_hit_nor_a_miss():
    assert run([0.9, math.nan, 0.9, math.nan, None, 0.9])[-1] is True
    assert run([0.1] * 6 + [math.nan] * 2)[-1] is False
    assert run([0.1] * 6 + [math.nan] * 3)[-1] is None


def test_no_model_and_abstaining_are_told_apart():
    assert last([None]).reason == "no model"
    assert last([score(math.nan)]).reason == "too few windows could be scored"


@pytest.mark.parametrize(("n_windows", "n_needed"), [(1.0, 1.0), (2.0, 2.0), (6.0, 1.0)])
def test_the_counts_can_be_set(n_windows, n_needed):
    settings = {"n_windows": n_windows, "n_needed": n_needed}

    assert run([0.1] * 6 + [0.9] * int(n_needed), settings)[-2:] == [False, True]


def test_more_hits_than_windows_cannot_silence_the_rule():
    assert run([0.9] * 2, {"n_windows": 2.0, "n_needed": 5.0}) == [None, True]


def test_the_reason_names_what_spoke_for_it():
    finding = last([score(0.83)] * 3)

    assert finding.reason == (
        "unlike normal in 3 of the last 6 windows, score 0.83: "
        "earliest beat 0.7 (+2.1), shortest interval 412 ms (+1.9)"
    )
    assert finding.evidence == {"score": 0.83, "n_hits": 3.0}


def test_between_hits_the_reason_is_that_of_the_last_hit():
    hit = last([score(0.83)] * 3)
    after = last([score(0.83)] * 3 + [score(0.1, ("something else",))])

    assert after.present
    assert after.reason == hit.reason


def test_nothing_speaking_for_it_is_said_plainly():
    finding = last([score(0.83, ())] * 3)

    assert finding.reason.endswith("score 0.83: no single feature stands out")


@given(st.lists(st.sampled_from([0.1, 0.9, math.nan, None]), min_size=1, max_size=40))
def test_it_counts_the_last_six(values):
    recent = values[-6:]
    n_hits = recent.count(0.9)
    n_misses = recent.count(0.1)
    expected = True if n_hits >= 3 else False if n_misses > 3 else None

    assert run(values)[-1] is expected
