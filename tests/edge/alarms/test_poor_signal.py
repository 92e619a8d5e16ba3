"""An ECG too poor to be read."""

import math

from edge.alarms.poor_signal import RULE
from edge.records import Features, Kind, Priority


def run(nights):
    state, said = RULE.start, []
    for start_s, values in enumerate(nights):
        state, finding = RULE.step(state, Features("p1", start_s, 1.0, values), None, RULE.settings)
        said.append(finding)
    return said


def test_it_is_technical_and_low():
    assert (RULE.kind, RULE.priority) == (Kind.TECHNICAL, Priority.LOW)


def test_poor_is_strictly_below_the_limit_for_six_seconds():
    said = run([{"ecg_quality": 0.3}] * 60 + [{"ecg_quality": 0.29}] * 8)

    assert [f.present for f in said] == [False] * 60 + [None] * 6 + [True] * 2
    assert said[66].reason == "ECG too poor to read for 6 s: quality 0.29, limit 0.3"
    assert said[66].evidence == {"ecg_quality": 0.29, "quality_au": 0.3, "lasted_s": 6.0}


def test_a_good_second_begins_the_count_anew():
    said = run([{"ecg_quality": 0.1}] * 6 + [{"ecg_quality": 0.9}] + [{"ecg_quality": 0.1}] * 6)

    assert not any(f.present for f in said)


def test_a_lead_that_is_off_is_another_rules_business():
    said = run([{"ecg_quality": 0.0, "ecg_off_flag": 1.0}] * 30)

    assert {f.present for f in said} == {None}


def test_no_ecg_tells_nothing_and_ends_nothing():
    said = run([{"ecg_quality": 0.1}] * 7 + [{"ecg_quality": math.nan}] * 60 + [{"ecg_quality": 0}])

    assert [f.present for f in said[6:]] == [True] + [None] * 60 + [True]
