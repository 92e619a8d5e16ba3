"""Of several sensors of one patient the worst counts, for as long as it would count alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dsp.several import EARLY_S, NUMBER_S, SAID_S, Several

SIGNALS = ("spo2_pct", "pulse_bpm", "hr_bpm", "resp_brpm", "contact_flag", "lead_off_flag")


@pytest.mark.parametrize(
    ("signal", "one", "other", "counts"),
    [
        ("spo2_pct", 97.0, 80.0, 80.0),
        ("pulse_bpm", 72.0, 160.0, 160.0),
        ("pulse_bpm", 72.0, 35.0, 35.0),
        ("hr_bpm", 60.0, 0.0, 0.0),
        ("pulse_bpm", 72.0, 5e-324, 5e-324),
        ("resp_brpm", 14.0, 35.0, 35.0),
        ("resp_brpm", 14.0, 6.0, 6.0),
        ("contact_flag", 1.0, 0.0, 0.0),
        ("lead_off_flag", 0.0, 1.0, 1.0),
    ],
)
def test_the_worst_counts_whoever_speaks_last(signal, one, other, counts):
    for first, second in ((one, other), (other, one)):
        several = Several()
        assert several.worst(signal, "a", 0.0, first) == first
        assert several.worst(signal, "b", 0.5, second) == counts


@pytest.mark.parametrize(
    ("signal", "bad", "good", "span_s"),
    [("spo2_pct", 80.0, 97.0, NUMBER_S), ("lead_off_flag", 1.0, 0.0, SAID_S)],
)
def test_what_a_silent_sensor_said_counts_as_long_as_it_would_alone(signal, bad, good, span_s):
    several = Several()
    several.worst(signal, "a", 0.0, bad)

    assert several.worst(signal, "b", span_s, good) == bad
    assert several.worst(signal, "b", span_s + 0.1, good) == good


def test_a_number_that_is_not_known_or_not_true_hides_no_other():
    several = Several()
    several.worst("pulse_bpm", "a", 0.0, 38.0)

    assert math.isnan(several.worst("pulse_bpm", "b", 1.0, math.nan))
    assert several.worst("pulse_bpm", "b", 1.0, 65535.0) == 65535.0  # counted where it is taken
    assert several.worst("pulse_bpm", "b", 2.0, 70.0) == 38.0


def test_a_sensor_that_was_taken_away_counts_no_more():
    several = Several()
    several.worst("spo2_pct", "a", 0.0, 80.0)
    several.forget("a")

    assert several.worst("spo2_pct", "b", 1.0, 97.0) == 97.0


@given(
    signal=st.sampled_from([*SIGNALS, "temp_degc", "any_au"]),
    told=st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(allow_nan=True)), max_size=20),
)
def test_one_sensor_alone_is_taken_at_its_word(signal, told):
    several, now_s = Several(), 0.0
    for step_s, value in told:
        now_s += step_s
        counts = several.worst(signal, "a", now_s, value)
        assert counts == value or (math.isnan(counts) and math.isnan(value))


def test_sensors_that_say_the_same_are_counted_while_it_stands():
    several = Several()
    for source, value in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        several.worst("contact_flag", source, 10.0, value)

    assert several.count("contact_flag", 10.0 + SAID_S, 0.0) == 2
    assert several.count("contact_flag", 10.1 + SAID_S, 0.0) == 0
    assert several.count("any_au", 10.0, 0.0) == 0


def test_the_last_word_of_a_silent_sensor_is_kept_until_it_speaks_or_is_taken_away():
    several = Several()
    several.worst("spo2_pct", "a", 0.0, 80.0)
    assert several.last_words(3600.0) == []  # nobody else's good number could end anything

    several.worst("spo2_pct", "b", NUMBER_S - EARLY_S, 97.0)
    assert several.last_words(NUMBER_S - EARLY_S) == []
    assert several.last_words(NUMBER_S) == [("spo2_pct", "a", 80.0, NUMBER_S)]

    several.worst("spo2_pct", "a", 20.0, math.nan)
    assert ("spo2_pct", "a", 80.0, 20.0) in several.last_words(20.0)
    several.worst("spo2_pct", "a", 21.0, 96.0)
    assert several.last_words(21.0) == [("spo2_pct", "b", 97.0, 13.0)]
    several.forget("b")
    assert several.last_words(40.0) == []


def test_flags_and_batteries_have_no_last_word():
    several = Several()
    for signal in ("contact_flag", "lead_off_flag", "battery_pct"):
        several.worst(signal, "a", 0.0, 0.0)
        several.worst(signal, "b", 0.0, 1.0)

    assert several.last_words(3600.0) == []
