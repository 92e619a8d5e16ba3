"""A value that is repeated exactly for too long."""

import pytest

from edge.alarms.frozen_value import REPEATS, RULE
from edge.records import Features, Kind, Priority


def say(values, settings=RULE.settings):
    return RULE.step(RULE.start, Features("p1", 10.0, 1.0, values), None, settings)[1]


def test_it_is_technical_and_medium():
    assert (RULE.kind, RULE.priority) == (Kind.TECHNICAL, Priority.MEDIUM)


@pytest.mark.parametrize(
    ("name", "setting", "age", "word"), REPEATS, ids=[name for name, _, _, _ in REPEATS]
)
def test_every_value_may_repeat_up_to_its_limit(name, setting, age, word):
    limit_s = RULE.settings[setting]
    late = say({name: limit_s + 1.0, age: 1.0})

    assert say({name: limit_s, age: 1.0}).present is False
    assert late.present
    assert late.reason == f"{word} exactly the same for {limit_s + 1:.0f} s, limit {limit_s:g} s"
    assert late.evidence == {name: limit_s + 1.0}


def test_all_frozen_values_are_named():
    finding = say({"ecg_frozen_s": 6.0, "spo2_frozen_s": 601.0, "temp_frozen_s": 5.0})

    assert finding.reason == (
        "ECG exactly the same for 6 s, limit 5 s, SpO2 exactly the same for 601 s, limit 600 s"
    )
    assert set(finding.evidence) == {"ecg_frozen_s", "spo2_frozen_s"}


def test_a_signal_that_does_not_arrive_is_not_frozen():
    assert say({"ecg_frozen_s": 30.0, "ecg_age_s": 10.0}).present
    assert say({"ecg_frozen_s": 30.0, "ecg_age_s": 10.1}).present is None
    lost_and_fine = {"ecg_frozen_s": 30.0, "ecg_age_s": 30.0, "spo2_frozen_s": 1.0}
    assert say(lost_and_fine).present is None


def test_a_lost_signal_does_not_hide_a_frozen_one():
    finding = say({"ecg_frozen_s": 30.0, "ecg_age_s": 30.0, "pulse_frozen_s": 121.0})

    assert finding.present
    assert set(finding.evidence) == {"pulse_frozen_s"}


def test_nothing_to_see_tells_nothing():
    assert say({}).present is None
    assert say({"ecg_frozen_s": float("nan")}).present is None


def test_an_open_electrode_is_one_fault_not_two():
    railed = {"ecg_frozen_s": 30.0, "ecg_age_s": 0.1}

    assert say({**railed, "ecg_off_flag": 1.0}).present is False
    assert say({**railed, "ecg_off_flag": 0.0}).present
