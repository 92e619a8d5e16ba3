"""When lamps are lit and the buzzer sounds, measured from what is on at each moment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.annunciators import Quiet
from edge.annunciators._blinking import OFF, OUTPUTS, patterns_of
from edge.records import Priority
from tests.edge.annunciators.sound_analysis import INTERVAL_S, LIMITS

STEP_S = 0.001
# clinical.md §6.2, written out again.
BLINKS = {Priority.HIGH: ("red", 1.4, 2.8), Priority.MEDIUM: ("yellow", 0.4, 0.8)}


def lit(pattern, span_s=30.0):
    return np.array([pattern.is_on(k * STEP_S) for k in range(round(span_s / STEP_S))])


def spans_s(on):
    """Lengths of what is on, and of the pauses between."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
    begins, ends = edges[::2] * STEP_S, edges[1::2] * STEP_S
    return ends - begins, begins[1:] - ends[:-1]


@pytest.mark.parametrize("priority", BLINKS)
def test_a_lamp_blinks_at_its_rate_and_is_lit_for_its_part(priority):
    colour, low_hz, high_hz = BLINKS[priority]
    lamps = patterns_of(Quiet(visual=priority), cyan_lamp=True)
    on = lit(lamps[colour])
    n_begun = np.count_nonzero(np.diff(on.astype(int)) == 1)
    assert low_hz <= n_begun / 30.0 <= high_hz
    assert 0.2 <= on.mean() <= 0.6
    assert [name for name in OUTPUTS if lamps[name] != OFF] == [colour]


@pytest.mark.parametrize(("cyan_lamp", "colour"), [(True, "cyan"), (False, "yellow")])
def test_low_is_steady(cyan_lamp, colour):
    lamps = patterns_of(Quiet(visual=Priority.LOW), cyan_lamp=cyan_lamp)
    assert lit(lamps[colour]).all()
    assert [name for name in OUTPUTS if lamps[name] != OFF] == [colour]


def test_the_light_stays_while_the_sound_is_paused():
    paused = patterns_of(
        Quiet(priority=Priority.HIGH, visual=Priority.HIGH, paused=True), cyan_lamp=False
    )
    assert paused["red"] != OFF
    assert paused["buzzer"] == OFF


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.MEDIUM, Priority.LOW])
def test_the_buzzer_has_the_pulses_of_its_priority(priority):
    signal = Quiet(priority=priority, audible=True)
    on_s, off_s = spans_s(lit(patterns_of(signal, cyan_lamp=False)["buzzer"], 70.0))
    low_s, high_s = INTERVAL_S[priority.value]
    is_between = off_s > 2.0
    n_first = int(np.argmax(is_between)) + 1
    assert n_first in LIMITS[priority.value]["n"]
    low_ms, high_ms = LIMITS[priority.value]["duration_ms"]
    assert ((on_s * 1000 >= low_ms - 1) & (on_s * 1000 <= high_ms + 1)).all()
    assert ((off_s[is_between] > low_s) & (off_s[is_between] < high_s)).all()


def test_a_reminder_is_one_short_beep_a_minute():
    on_s, off_s = spans_s(lit(patterns_of(Quiet(reminder=True), cyan_lamp=False)["buzzer"], 130))
    assert on_s == pytest.approx([0.2] * 3, abs=0.002)
    assert off_s == pytest.approx([59.8] * 2, abs=0.002)


@pytest.mark.parametrize("signal", [Quiet(), Quiet(visual=Priority.INFORMATION)], ids=str)
def test_nothing_to_show_is_dark_and_quiet(signal):
    assert set(patterns_of(signal, cyan_lamp=False).values()) == {OFF}


@given(st.sampled_from([p for p in Priority if p.rank]), st.floats(0.0, 1e5))
def test_nothing_changes_before_the_next_change_and_something_does_then(priority, age_s):
    signal = Quiet(priority=priority, visual=priority, audible=True)
    for pattern in patterns_of(signal, cyan_lamp=False).values():
        change_s, now = pattern.next_change_s(age_s), pattern.is_on(age_s)
        assert change_s > age_s
        until_s = min(change_s, age_s + 100.0)
        for part in (0.01, 0.5, 0.99):
            assert pattern.is_on(age_s + part * (until_s - age_s - 2e-6)) is now
        if math.isfinite(change_s):
            assert pattern.is_on(change_s + 2e-6) is not now
