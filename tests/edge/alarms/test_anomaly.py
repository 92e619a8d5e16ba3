"""Several windows of the last minute unlike normal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge.features
from edge.alarms._words import WORDS, describe
from edge.alarms.anomaly import RULE
from edge.discover import discover
from edge.records import Features, Kind, Priority, Score

ADDENDS = {"rmssd_ms": 1.9, "ksqi": -3.0, "mean_rr_ms": 0.4, "cv_rr": 0.9, "sampen": 0.6}
VALUES = {"rmssd_ms": 412.0, "mean_rr_ms": 700.0, "cv_rr": 0.31, "sampen": math.nan}


def score(value, contributions=ADDENDS, threshold=0.5):
    return Score("p1", 0.0, 10.0, value, contributions, threshold, "m1")


def run(values, settings=RULE.settings):
    state, said = RULE.start, []
    for i, value in enumerate(values):
        seen = Features("p1", i * 10.0, 10.0, VALUES)
        told = None if value is None else score(value)
        state, finding = RULE.step(state, seen, told, settings)
        said.append(finding.present)
    return said


def last(scores):
    state = RULE.start
    for i, told in enumerate(scores):
        seen = Features("p1", i * 10.0, 10.0, VALUES)
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


def test_the_reason_names_the_three_strongest_that_spoke_for_it():
    finding = last([score(0.83)] * 3)

    assert finding.reason == (
        "unlike normal in 3 of the last 6 windows, score 0.83: "
        "change from one interval to the next 412 ms (+1.9), "
        "spread of the intervals against their mean 0.31 (+0.9), "
        "how unpredictable the intervals are (sample entropy) unknown (+0.6)"
    )
    assert finding.evidence == {"rmssd_ms": 412.0, "cv_rr": 0.31, "score": 0.83}


def test_between_hits_the_reason_is_that_of_the_last_hit():
    hit = last([score(0.83)] * 3)
    after = last([score(0.83)] * 3 + [score(0.1, {"ksqi": 4.0})])

    assert after.present
    assert after.reason == hit.reason


def test_nothing_speaking_for_it_is_said_plainly():
    finding = last([score(0.83, {"ksqi": -1.0, "cv_rr": 0.0})] * 3)

    assert finding.reason.endswith("score 0.83: no single feature stands out")


def test_equal_addends_are_named_in_order_of_their_names():
    finding = last([score(0.83, {"b": 1.0, "a": 1.0, "d": 1.0, "c": 1.0})] * 3)

    assert finding.reason.endswith(": a unknown (+1.0), b unknown (+1.0), c unknown (+1.0)")


@given(st.lists(st.sampled_from([0.1, 0.9, math.nan, None]), min_size=1, max_size=40))
def test_it_counts_the_last_six(values):
    recent = values[-6:]
    n_hits = recent.count(0.9)
    n_misses = recent.count(0.1)
    expected = True if n_hits >= 3 else False if n_misses > 3 else None

    assert run(values)[-1] is expected


def test_words_are_those_of_the_feature_files():
    families = discover(edge.features, "FEATURES", edge.features.FeatureFamily)
    words = {name: text for family in families for name, text in family.words.items()}

    assert {name: words.get(name, text) for name, text in WORDS.items()} == WORDS
    assert set(WORDS) & set(words), "not one word belongs to a feature"


def test_a_name_without_words_is_shown_as_it_is():
    assert describe("my_own_pct", 3.14159, -0.25) == "my_own_pct 3.142 (-0.2)"
