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


READ, NAN = {"ecg_quality": 0.9, "ecg_age_s": 0.2}, math.nan
BEATS = {**READ, "beat_age_s": 0.4, "last_beat_age_s": 0.6}


def waited(beat_age_s, last_beat_age_s=NAN):
    """Return a usable second without a beat since it became usable."""
    return {**READ, "beat_age_s": beat_age_s, "last_beat_age_s": last_beat_age_s}


def test_a_quality_that_trembles_about_its_limit_is_told_within_nine_seconds():
    poor = {**READ, "ecg_quality": 0.28, "beat_age_s": NAN}
    good = [waited(NAN), waited(NAN), waited(0.5), waited(1.5)]
    said = run([poor, *good] * 4)

    assert [f.present for f in said] == [None] * 8 + [True] * 12
    assert said[9].reason == ("ECG shows neither a beat nor a standstill for 9 s: too poor to read")


def test_a_lead_that_begins_is_not_poor_while_its_first_beats_are_awaited():
    assert [f.present for f in run([waited(NAN)] * 6 + [BEATS] * 3)] == [None] * 6 + [False] * 3


def test_a_standstill_from_the_start_is_left_to_asystole():
    ages = [NAN] * 4 + [0.5 + n for n in range(20)]
    for last_beat_s in (NAN, 100.0):
        said = run([waited(age_s, last_beat_s + n) for n, age_s in enumerate(ages)])

        assert [f.present for f in said] == [None] * 8 + [False] * 16


def test_beats_end_it_and_a_pause_of_a_heart_that_was_seen_does_not_begin_it():
    blind = [waited(NAN, 50.0 + n) for n in range(12)]
    pauses = [{**BEATS, "beat_age_s": 0.4 + n, "last_beat_age_s": 0.6 + n} for n in range(20)]
    said = run([*blind, *pauses])

    assert [f.present for f in said] == [None] * 8 + [True] * 4 + [False] * 20
