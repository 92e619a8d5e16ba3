"""Whose rate counts: the ECG's or a strap's, and an oximeter's pulse where there is neither."""

import math

import pytest

from edge.alarms import high_hr, low_hr, very_high_hr, very_low_hr
from edge.records import Features

RULES = [
    (low_hr.RULE, 49.0, 70.0),
    (very_low_hr.RULE, 39.0, 70.0),
    (high_hr.RULE, 121.0, 70.0),
    (very_high_hr.RULE, 151.0, 70.0),
]
every_rate = pytest.mark.parametrize(("rule", "beyond", "fine"), RULES, ids=lambda x: str(x)[:20])


def run(rule, rates):
    """Step the rule over ``[(hr_bpm, pulse_bpm, seconds), ...]``."""
    state, said, at_s = rule.start, [], 0.0
    for hr, pulse, length_s in rates:
        for _ in range(length_s):
            values = {"hr_bpm": hr, "pulse_bpm": pulse}
            state, found = rule.step(state, Features("p1", at_s, 1.0, values), None, rule.settings)
            said.append(found)
            at_s += 1.0
    return said


@every_rate
def test_an_oximeter_alone_raises_and_ends_a_heart_rate_alarm(rule, beyond, fine):
    delay = int(rule.settings["delay_s"])
    said = run(rule, [(math.nan, fine, 5), (math.nan, beyond, delay + 5), (math.nan, fine, 20)])

    assert [f.present for f in said[:5]] == [False] * 5
    assert [f.present for f in said[5 + delay : 10 + delay]] == [True] * 5
    assert [f.present for f in said[-20:]] == [False] * 20


def test_the_reason_says_whose_rate_it_was():
    said = run(high_hr.RULE, [(math.nan, 131.0, 31)])

    assert said[-1].reason == "pulse of the oximeter (no ECG) 131 bpm for 30 s, limit 120 bpm"
    assert said[-1].evidence == {"pulse_bpm": 131.0, "limit_bpm": 120.0, "lasted_s": 30.0}


@every_rate
def test_the_heart_rate_counts_before_the_pulse(rule, beyond, fine):
    assert {f.present for f in run(rule, [(fine, beyond, 120)])} == {False}
    assert run(rule, [(beyond, fine, 120)])[-1].present is True


@every_rate
def test_a_normal_pulse_ends_nothing_while_the_ecg_has_only_just_been_lost(rule, beyond, fine):
    said = run(rule, [(beyond, fine, 60), (math.nan, fine, 100)])

    assert [f.present for f in said[60:119]] == [None] * 59
    assert {f.present for f in said[119:]} == {False}


@every_rate
def test_the_count_goes_on_from_the_ecg_to_the_pulse(rule, beyond, fine):
    delay = int(rule.settings["delay_s"])
    said = run(rule, [(beyond, fine, delay - 2), (math.nan, beyond, 3)])

    assert said[-1].present is True
    assert "pulse" in said[-1].reason


def test_neither_is_no_answer():
    said = run(high_hr.RULE, [(150.0, math.nan, 60), (math.nan, math.nan, 200)])

    assert {f.present for f in said[60:]} == {None}


def test_a_boot_clock_that_went_back_does_not_keep_an_ecg_that_is_gone():
    rule = low_hr.RULE
    state, _ = rule.step(None, Features("p1", 9000.0, 1.0, {"hr_bpm": 70.0}), None, rule.settings)
    _, found = rule.step(state, Features("p1", 5.0, 1.0, {"pulse_bpm": 70.0}), None, rule.settings)

    assert found.present is False
