"""Silence makes findings too."""

import pytest

from edge.alarms.signal_lost import AGES, RULE
from edge.records import Features, Kind, Priority


def say(values, settings=RULE.settings):
    return RULE.step(RULE.start, Features("p1", 10.0, 1.0, values), None, settings)[1]


def test_it_is_technical_and_medium():
    assert (RULE.kind, RULE.priority) == (Kind.TECHNICAL, Priority.MEDIUM)


@pytest.mark.parametrize(("name", "setting", "word"), AGES, ids=[name for name, _, _ in AGES])
def test_every_signal_is_missed_just_after_its_limit(name, setting, word):
    limit_s = RULE.settings[setting]
    late = say({name: limit_s + 0.25})

    assert say({name: limit_s}).present is False
    assert late.present
    assert late.reason == f"no {word} for {limit_s + 0.25:.0f} s"
    assert late.evidence == {name: limit_s + 0.25}


def test_all_missing_signals_are_named():
    finding = say({"ecg_age_s": 9.0, "spo2_age_s": 12.0, "hr_age_s": 1.0})

    assert finding.reason == "no ECG for 9 s, no SpO2 for 12 s"
    assert finding.evidence == {"ecg_age_s": 9.0, "spo2_age_s": 12.0}


def test_data_that_stop_are_missed_within_ten_seconds():
    stopped_s = 100.0
    # The signal stages see a sample up to 1 s late and look once a second.
    found_s = next(
        now_s for now_s in range(101, 200) if say({"ecg_age_s": now_s - stopped_s}).present
    )

    assert found_s - stopped_s + 1.0 <= 10.0


def test_a_signal_that_never_was_is_not_missed():
    assert say({}).present is None
    assert say({"ecg_age_s": float("nan")}).present is None
    assert say({"ecg_age_s": float("nan"), "spo2_age_s": 1.0}).present is False


def test_the_age_of_a_beat_is_not_the_age_of_a_signal():
    assert say({"beat_age_s": 60.0, "ecg_age_s": 0.5}).present is False


def test_a_thermometer_has_its_own_limit():
    assert say({"temp_age_s": 299.0}).present is False
    assert say({"temp_age_s": 301.0}).present
