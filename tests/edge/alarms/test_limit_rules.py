"""The six rules that hold one number against one limit."""

import math
from typing import NamedTuple

import pytest

from edge.alarms import Rule, high_hr, low_hr, low_spo2, very_high_hr, very_low_hr, very_low_spo2
from edge.records import Features, Kind, Priority


class Fact(NamedTuple):
    """One line of the table in clinical.md 6.3."""

    rule: Rule
    feature: str
    fine: float
    beyond: float
    delay_s: int
    priority: Priority


FACTS = [
    Fact(low_spo2.RULE, "spo2_pct", 88.0, 87.9, 15, Priority.MEDIUM),
    Fact(very_low_spo2.RULE, "spo2_pct", 85.0, 84.9, 10, Priority.HIGH),
    Fact(low_hr.RULE, "hr_bpm", 50.0, 49.9, 30, Priority.MEDIUM),
    Fact(very_low_hr.RULE, "hr_bpm", 40.0, 39.9, 10, Priority.HIGH),
    Fact(high_hr.RULE, "hr_bpm", 120.0, 120.1, 30, Priority.MEDIUM),
    Fact(very_high_hr.RULE, "hr_bpm", 150.0, 150.1, 10, Priority.HIGH),
]
every_limit = pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.rule.name)


def run(rule, feature, values, first_s=0.0, state=None):
    said = []
    for i, value in enumerate(values):
        seen = Features("p1", first_s + i, 1.0, {feature: value})
        state, finding = rule.step(state, seen, None, rule.settings)
        said.append(finding)
    return said


@every_limit
def test_the_limit_itself_is_fine_for_ever(fact):
    assert {f.present for f in run(fact.rule, fact.feature, [fact.fine] * 3600)} == {False}


@every_limit
def test_beyond_the_limit_is_found_exactly_at_the_delay(fact):
    said = run(fact.rule, fact.feature, [fact.fine, fact.fine] + [fact.beyond] * 60)
    # First seen beyond at 3 s, the end of the third second.
    due_s = 3.0 + fact.delay_s

    # Fine, then too early to say, then found.
    assert [f.present for f in said[:2]] == [False, False]
    assert [f.present for f in said[2:]] == [f.at_s >= due_s or None for f in said[2:]]


@every_limit
def test_one_good_value_before_the_delay_begins_the_count_anew(fact):
    nearly = [fact.beyond] * fact.delay_s
    said = run(fact.rule, fact.feature, [*nearly, fact.fine, *nearly])

    pending = [None] * fact.delay_s
    assert [f.present for f in said] == [*pending, False, *pending]


@every_limit
def test_kind_priority_and_latching_are_those_of_the_table(fact):
    rule = fact.rule

    assert (rule.kind, rule.priority) == (Kind.PHYSIOLOGICAL, fact.priority)
    assert not rule.latching


def test_the_reason_and_the_evidence_hold_the_numbers_that_decided():
    said = run(low_spo2.RULE, "spo2_pct", [84.0] * 16)

    assert said[12].reason == "SpO2 84 % for 12 s, limit 88 %"
    assert said[15].present
    assert said[15].evidence == {"spo2_pct": 84.0, "limit_pct": 88.0, "lasted_s": 15.0}


def test_a_heart_rate_is_told_to_a_tenth():
    assert run(high_hr.RULE, "hr_bpm", [131.26])[0].reason == (
        "heart rate 131.3 bpm for 0 s, limit 120 bpm"
    )


def test_a_trembling_value_stays_present_in_between():
    said = run(low_spo2.RULE, "spo2_pct", [87.0] * 16 + [88.0, 87.0] * 10)

    assert [f.present for f in said[15:]] == [True] + [False, True] * 10


def test_a_condition_that_comes_back_after_the_hold_waits_its_delay_again():
    said = run(low_spo2.RULE, "spo2_pct", [87.0] * 16 + [88.0] * 10 + [87.0] * 16)

    assert [f.present for f in said[-17:]] == [False] + [None] * 15 + [True]


def test_a_condition_that_comes_back_just_within_the_hold_is_present_at_once():
    said = run(low_spo2.RULE, "spo2_pct", [87.0] * 16 + [88.0] * 9 + [87.0])

    assert said[-1].present
    assert said[-1].reason == "SpO2 87 % for 0 s, limit 88 %"


def test_a_short_loss_of_the_reading_does_not_begin_the_count_anew():
    said = run(low_spo2.RULE, "spo2_pct", [84.0] * 6 + [math.nan] * 9 + [84.0])

    assert [f.present for f in said[6:15]] == [None] * 9
    assert said[-1].present
    assert said[-1].reason == "SpO2 84 % for 15 s, limit 88 %"


def test_a_long_loss_of_the_reading_begins_the_count_anew():
    said = run(low_spo2.RULE, "spo2_pct", [84.0] * 6 + [math.nan] * 10 + [84.0] * 16)

    assert [f.present for f in said[16:]] == [None] * 15 + [True]


def test_losing_the_sensor_cures_no_one():
    said = run(low_spo2.RULE, "spo2_pct", [84.0] * 16 + [math.nan] * 3600 + [84.0])

    assert said[-1].present
    assert said[-1].reason == "SpO2 84 % for 0 s, limit 88 %"


def test_a_loss_between_two_good_values_does_not_carry_an_old_condition_on():
    values = [84.0] * 16 + [95.0] + [math.nan] * 20 + [84.0]

    assert run(low_spo2.RULE, "spo2_pct", values)[-1].present is None


def test_a_boot_clock_that_went_back_begins_the_count_anew():
    state = None
    for start_s in (1000.0, 1001.0, 5.0):
        seen = Features("p1", start_s, 1.0, {"spo2_pct": 84.0})
        state, finding = low_spo2.RULE.step(state, seen, None, low_spo2.RULE.settings)

    assert finding.reason == "SpO2 84 % for 0 s, limit 88 %"


def test_settings_replace_the_defaults():
    settings = {**low_spo2.RULE.settings, "limit_pct": 90.0, "delay_s": 0.0}
    seen = Features("p1", 0.0, 1.0, {"spo2_pct": 89.0})
    _, finding = low_spo2.RULE.step(None, seen, None, settings)

    assert finding.present
    assert finding.reason == "SpO2 89 % for 0 s, limit 90 %"
