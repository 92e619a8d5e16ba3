"""Slow, fast and absent breathing."""

import math

import pytest

from edge.alarms import high_resp, low_resp, no_breath, very_high_resp, very_low_resp
from edge.records import Features, Kind, Priority

FACTS = [
    (low_resp.RULE, 10.0, 9.9, Priority.MEDIUM),
    (very_low_resp.RULE, 8.0, 7.9, Priority.HIGH),
    (high_resp.RULE, 24.0, 24.1, Priority.MEDIUM),
    (very_high_resp.RULE, 30.0, 30.1, Priority.HIGH),
]
every_limit = pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact[0].name)


def run(rule, values):
    state, said = rule.start, []
    for i, seen in enumerate(values):
        state, finding = rule.step(state, Features("p1", float(i), 1.0, seen), None, rule.settings)
        said.append(finding)
    return said


def rates(rule, values):
    return [f.present for f in run(rule, [{"resp_brpm": value} for value in values])]


@every_limit
def test_the_limit_itself_is_fine_and_beyond_it_is_found_after_fifteen_seconds(fact):
    rule, fine, beyond, priority = fact

    assert rates(rule, [fine] * 600) == [False] * 600
    assert rates(rule, [beyond] * 20) == [None] * 15 + [True] * 5
    assert (rule.kind, rule.priority, rule.latching) == (Kind.PHYSIOLOGICAL, priority, False)


@every_limit
def test_no_rate_is_no_answer(fact):
    assert rates(fact[0], [math.nan] * 5) == [None] * 5


def ages(ages_s, **also):
    return [{"breath_age_s": age_s, "last_breath_age_s": age_s, **also} for age_s in ages_s]


def test_no_breath_is_found_at_thirty_seconds_and_latches():
    said = run(no_breath.RULE, ages(range(20, 35)))

    assert [f.present for f in said] == [False] * 10 + [True] * 5
    assert said[10].reason == "no breath for 30 s, limit 30 s"
    assert (no_breath.RULE.priority, no_breath.RULE.latching) == (Priority.HIGH, True)


def test_without_a_breathing_wave_nothing_is_said_whatever_rate_a_sensor_tells():
    seen = [{"resp_brpm": 0.0, "breath_age_s": math.nan}] * 5

    assert {f.present for f in run(no_breath.RULE, seen)} == {None}


def test_an_electrode_that_is_off_is_no_standstill_and_the_absence_counts_from_when_it_is_on():
    off = ages([40.0] * 5, lead_off_flag=1.0)
    on = ages([45.0 + i for i in range(40)], lead_off_flag=0.0)
    said = [f.present for f in run(no_breath.RULE, off + on)]

    assert said[:5] == [None] * 5
    assert said[5:34] == [None] * 29  # on again, and no breath seen through it yet
    assert set(said[34:]) == {True}


def test_a_hole_in_the_wave_does_not_end_a_pause_in_breathing():
    # Three seconds are missing, 40 s into a pause: the absence counts anew, but nobody breathed.
    before = ages(range(25, 40))
    after = [{"breath_age_s": i, "last_breath_age_s": 43.0 + i} for i in range(40)]
    breath = ages([0.0])
    said = [f.present for f in run(no_breath.RULE, [*before, {}, *after, *breath])]

    assert said[:15] == [False] * 5 + [True] * 10
    assert said[15:46] == [None] * 31
    assert said[46:] == [True] * 10 + [False]
