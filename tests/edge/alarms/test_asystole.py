"""No beat, and an ECG that could show one."""

import pytest

from edge.alarms.asystole import RULE
from edge.records import Features, Kind, Priority

USABLE = {"ecg_age_s": 0.5, "ecg_quality": 0.9, "ecg_off_flag": 0.0}


def say(values, settings=RULE.settings):
    return RULE.step(RULE.start, Features("p1", 10.0, 1.0, values), None, settings)[1]


def test_it_is_high_latching_and_physiological():
    assert (RULE.kind, RULE.priority, RULE.latching) == (
        Kind.PHYSIOLOGICAL,
        Priority.HIGH,
        True,
    )


@pytest.mark.parametrize(
    ("age_s", "present"), [(0.0, False), (3.99, False), (4.0, True), (9, True)]
)
def test_four_seconds_without_a_beat_are_enough(age_s, present):
    assert say({**USABLE, "beat_age_s": age_s}).present is present


def test_the_reason_tells_the_time_and_the_limit():
    finding = say({**USABLE, "beat_age_s": 5.25})

    assert finding.reason == "no heart beat for 5.2 s, limit 4 s"
    assert finding.evidence == {"beat_age_s": 5.25, "limit_s": 4.0, "ecg_quality": 0.9}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ecg_age_s": 3.01}, "no ECG"),
        ({"ecg_age_s": float("nan")}, "no ECG"),
        ({"ecg_off_flag": 1.0}, "ECG lead off"),
        ({"ecg_quality": 0.29}, "ECG too poor to see a beat"),
        ({"ecg_quality": float("nan")}, "ECG too poor to see a beat"),
        ({"beat_age_s": float("nan")}, "no beat seen yet"),
    ],
)
@pytest.mark.parametrize("age_s", [0.1, 60.0])
def test_an_ecg_that_cannot_show_a_beat_tells_nothing(change, why, age_s):
    finding = say({**USABLE, "beat_age_s": age_s, **change})

    assert (finding.present, finding.reason) == (None, why)


@pytest.mark.parametrize("change", [{"ecg_age_s": 3.0}, {"ecg_quality": 0.3}])
def test_an_ecg_just_good_enough_is_believed(change):
    assert say({**USABLE, "beat_age_s": 4.0, **change}).present


def test_a_sensor_without_lead_detection_is_believed():
    values = {"ecg_age_s": 0.5, "ecg_quality": 0.9, "beat_age_s": 4.0}

    assert say(values).present
    assert say({**values, "ecg_off_flag": float("nan")}).present


def test_a_flat_line_is_not_excused():
    assert say({**USABLE, "beat_age_s": 8.0, "ecg_frozen_s": 8.0}).present
