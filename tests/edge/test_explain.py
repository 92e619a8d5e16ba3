"""A score says why, in words with numbers."""

import math

from edge.explain import describe, name_strongest
from edge.records import Features, Score

WORDS = {
    "rmssd_ms": "change from one interval to the next, ms",
    "cv_rr": "spread of the intervals against their mean",
    "sampen": "how unpredictable the intervals are, sample entropy",
}
ADDENDS = {"rmssd_ms": 1.9, "ksqi": -3.0, "mean_rr_ms": 0.4, "cv_rr": 0.9, "sampen": 0.6}
VALUES = {"rmssd_ms": 412.0, "mean_rr_ms": 700.0, "cv_rr": 0.31, "sampen": math.nan}


def told(addends, values=VALUES):
    score = Score("p1", 0.0, 10.0, 0.9, addends, 0.5, "m1")
    return name_strongest(score, Features("p1", 0.0, 10.0, values), WORDS).strongest


def test_the_three_strongest_that_spoke_for_it_are_named_in_their_order():
    assert told(ADDENDS) == (
        "change from one interval to the next 412 ms (+1.9)",
        "spread of the intervals against their mean 0.31 (+0.9)",
        "how unpredictable the intervals are (sample entropy) unknown (+0.6)",
    )


def test_what_spoke_against_it_is_not_named():
    assert told({"ksqi": -1.0, "cv_rr": 0.0}) == ()


def test_equal_addends_are_named_in_order_of_their_names():
    assert told({"b": 1.0, "a": 1.0, "d": 1.0, "c": 1.0}, {}) == (
        "a unknown (+1.0)",
        "b unknown (+1.0)",
        "c unknown (+1.0)",
    )


def test_a_name_without_words_is_shown_as_it_is():
    assert describe("my_own_pct", 3.14159, -0.25, WORDS) == "my_own_pct 3.142 (-0.2)"
