"""Which sound when, to the sample, measured from what comes out."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.annunciators import Quiet
from edge.annunciators import _melody as melody
from edge.annunciators._sequencer import BETWEEN_S, CUT_S, REST_S, Cue, Sequencer, cue_of
from edge.records import Priority
from tests.edge.annunciators.sound_analysis import (
    FS_HZ,
    INTERVAL_S,
    bursts_of,
    faults_of,
    pulses_of,
)

HIGH, MEDIUM, LOW = Cue(3, "general"), Cue(2, "general"), Cue(1, "general")
MEDIUM_OXYGEN = Cue(2, "oxygenation")
REMINDER = Cue(0, "general")


def sequencer(level_dbfs=0.0):
    return Sequencer(lambda _high: level_dbfs)


def take_s(player, span_s):
    """Take samples as the thread does, in blocks; at full scale 1.0."""
    n = round(span_s * FS_HZ)
    blocks = [player.take(min(960, n - k)) for k in range(0, n, 960)]
    return np.concatenate([*blocks, np.zeros(0, np.int16)]) / 32767


def onset_s(samples):
    loud = np.flatnonzero(samples)
    return loud[0] / FS_HZ if len(loud) else None


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.MEDIUM, Priority.LOW])
def test_bursts_repeat_at_the_interval_of_their_priority(priority):
    player = sequencer()
    player.want(Cue(priority.rank, "cardiovascular"))
    bursts = bursts_of(pulses_of(take_s(player, 75)))
    assert len(bursts) >= 3
    for burst in bursts[:-1]:
        assert faults_of(burst, priority.value) == []
    low_s, high_s = INTERVAL_S[priority.value]
    for before, after in pairwise(bursts):
        apart_s = after[0].up_s - before[-1].down_s
        assert low_s < apart_s < high_s
        # The set interval is from the last sample to the first: a rise and a fall less.
        assert apart_s == pytest.approx(melody.INTERVAL_S[priority], abs=0.15)


def test_an_alarm_begins_with_the_next_sample():
    player = sequencer()
    take_s(player, 5)
    player.want(LOW)
    assert onset_s(take_s(player, 1)) < 0.001


def test_a_higher_priority_cuts_a_running_burst_at_once():
    player = sequencer()
    player.want(MEDIUM)
    take_s(player, 0.1)  # in the first pulse
    player.want(HIGH)
    after = take_s(player, 4)
    expected = melody.burst(Priority.HIGH, "general")
    n_cut = round(CUT_S * FS_HZ)
    assert np.abs(after[n_cut : n_cut + len(expected)] - expected).max() < 1e-4


@pytest.mark.parametrize("wait_s", [0.0, 0.1, 1.0, 2.0])
def test_a_high_alarm_does_not_wait_for_the_rest_before_a_medium_one(wait_s):
    # One high alarm was answered, a medium one is left and rests; then comes another high one.
    player = sequencer()
    player.want(HIGH)
    take_s(player, 0.5)
    player.want(MEDIUM)
    take_s(player, wait_s)
    player.want(HIGH)

    assert onset_s(take_s(player, 3)[round(CUT_S * FS_HZ) :]) <= REST_S + 0.001


def test_wherever_a_burst_is_cut_there_is_no_click():
    steepest = np.abs(np.diff(melody.burst(Priority.HIGH, "general"))).max()
    for k in range(40):
        player = sequencer()
        player.want(HIGH)
        before = player.take(3000 + 29 * k) / 32767
        player.want(None)
        out = np.concatenate([before[-1:], take_s(player, 0.1)])
        assert np.abs(np.diff(out)).max() < 1.1 * steepest


def test_a_higher_priority_between_two_bursts_begins_at_once():
    player = sequencer()
    player.want(MEDIUM)
    take_s(player, 3)
    player.want(HIGH)
    assert onset_s(take_s(player, 1)) < 0.001


def test_another_melody_of_the_same_priority_waits_for_the_end_of_the_burst():
    player = sequencer()
    player.want(MEDIUM)
    first = take_s(player, 0.5)
    player.want(MEDIUM_OXYGEN)
    bursts = bursts_of(pulses_of(np.concatenate([first, take_s(player, 6)])))
    assert [[pulse.note for pulse in burst] for burst in bursts] == [
        ["C4", "C4", "C4"],
        ["C5", "B4", "A4"],
    ]
    assert bursts[1][0].up_s - bursts[0][-1].down_s == pytest.approx(BETWEEN_S, abs=0.15)


def test_a_lower_priority_cuts_the_higher_and_rests():
    player = sequencer()
    player.want(HIGH)
    take_s(player, 1)
    player.want(MEDIUM)
    after = take_s(player, 6)
    n_cut = round(CUT_S * FS_HZ)
    assert not after[n_cut : round(BETWEEN_S * FS_HZ)].any()
    assert faults_of(pulses_of(after[n_cut:]), "medium") == []


def test_a_higher_priority_does_not_wait_for_the_rest_of_a_lower_one_that_has_yet_to_begin():
    player = sequencer()
    player.want(HIGH)
    take_s(player, 1)
    player.want(LOW)
    assert not take_s(player, 1)[FS_HZ // 10 :].any()  # it rests
    player.want(HIGH)

    assert onset_s(take_s(player, 1)) <= 0.03


def test_a_pause_is_heard_at_once_and_for_as_long_as_it_lasts():
    player = sequencer()
    player.want(HIGH)
    take_s(player, 1)
    player.want(None)
    assert not take_s(player, 120)[round(CUT_S * FS_HZ) :].any()
    assert player.quiet


def test_a_new_alarm_after_a_pause_is_heard_within_half_a_second():
    player = sequencer()
    player.want(HIGH)
    take_s(player, 1)
    player.want(None)
    take_s(player, 0.02)
    player.want(HIGH)
    assert onset_s(take_s(player, 1)) == pytest.approx(REST_S, abs=0.03)


def test_the_same_signal_again_changes_nothing():
    asked, told_once = sequencer(), sequencer()
    for player in (asked, told_once):
        player.want(HIGH)
    once = take_s(told_once, 10)
    again = []
    for _ in range(40):  # every tick of a quarter second
        asked.want(Cue(3, "general"))
        again.append(take_s(asked, 0.25))
    np.testing.assert_array_equal(np.concatenate(again), once)


def test_the_reminder_is_heard_whole_and_again():
    player = sequencer()
    player.want(REMINDER)
    first = take_s(player, 0.1)
    player.want(None)  # the engine may say it in one tick only
    assert len(pulses_of(np.concatenate([first, take_s(player, 2)]))) == 1
    player.want(REMINDER)
    pulses = pulses_of(take_s(player, 130))
    assert len(pulses) == 3
    assert pulses[1].up_s - pulses[0].up_s == pytest.approx(melody.REMINDER_S, abs=0.5)


def test_an_alarm_cuts_the_tone_of_the_self_test():
    player = sequencer()
    assert player.play_once(melody.test_tone()) > 0
    take_s(player, 0.1)
    player.want(LOW)
    after = take_s(player, 2)[round(CUT_S * FS_HZ) :]
    assert faults_of(pulses_of(after), "low") == []


def test_the_tone_of_the_self_test_is_as_loud_as_it_is_told():
    player = sequencer()
    assert player.play_once(melody.test_tone(), -20.0) > 0
    assert player.tests
    peaks = [pulse.peak_dbfs for pulse in pulses_of(take_s(player, 2))]
    assert peaks == pytest.approx([-20.0] * 4, abs=0.2)
    player.want(LOW)
    assert not player.tests


def test_the_self_test_never_disturbs_an_alarm():
    player = sequencer()
    player.want(LOW)
    take_s(player, 10)  # between two bursts
    assert player.play_once(melody.test_tone()) == 0


def test_the_level_is_asked_at_every_burst():
    levels = iter([0.0, -20.0])
    player = Sequencer(lambda _high: next(levels))
    player.want(HIGH)
    bursts = bursts_of(pulses_of(take_s(player, 10)))
    assert [burst[0].peak_dbfs for burst in bursts] == pytest.approx([0.0, -20.0], abs=0.2)


def test_what_was_wanted_counts_as_given_when_it_comes_out():
    player = sequencer()
    player.want(MEDIUM)
    assert (player.n_wanted, player.n_given) == (1, 0)
    take_s(player, 0.1)
    assert player.n_given == 1
    player.want(MEDIUM_OXYGEN)
    take_s(player, 1)
    assert player.n_given == 1  # the first burst runs on
    take_s(player, 3.5)
    assert player.n_given == 2
    player.want(None)
    assert player.n_given == 3


@pytest.mark.parametrize(
    ("signal", "cue"),
    [
        (Quiet(), None),
        (Quiet(priority=Priority.HIGH, category="oxygenation"), None),  # not audible
        (
            Quiet(priority=Priority.HIGH, category="oxygenation", audible=True),
            Cue(3, "oxygenation"),
        ),
        (Quiet(priority=Priority.LOW, category="tides", audible=True), Cue(1, "general")),
        (Quiet(priority=Priority.INFORMATION, audible=True), None),
        (Quiet(audible=True), None),
        (Quiet(priority=Priority.HIGH, reminder=True, paused=True), REMINDER),
        (Quiet(priority=Priority.HIGH, audible=True, reminder=True), HIGH),
    ],
    ids=str,
)
def test_a_signal_sounds_as(signal, cue):
    assert cue_of(signal) == cue


CUES = st.sampled_from([None, HIGH, MEDIUM, MEDIUM_OXYGEN, LOW, REMINDER, Cue(3, "oxygenation")])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CUES, st.floats(0.02, 4.0)), min_size=1, max_size=8))
def test_whatever_comes_before_it_a_high_alarm_is_heard_whole(changes):
    player = sequencer()
    n = 0
    for cue, span_s in changes:
        player.want(cue)
        n += len(player.take(round(span_s * FS_HZ)))
    player.want(None)
    n += len(player.take(round(REST_S * FS_HZ) + 960))
    player.want(HIGH)
    out = player.take(4 * FS_HZ) / 32767
    expected = melody.burst(Priority.HIGH, "general")
    begin = int(np.argmax(out != 0)) - int(np.argmax(np.rint(expected * 32767) != 0))
    assert np.abs(out[begin : begin + len(expected)] - expected).max() < 1e-4
    # A reminder or a test that was running may fade first; nothing else holds it up.
    assert begin <= round(0.5 * FS_HZ)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(CUES, st.integers(1, 90_000)), min_size=1, max_size=6), st.data())
def test_what_is_heard_does_not_depend_on_the_pieces_it_is_taken_in(changes, data):
    whole, pieces = sequencer(), sequencer()
    for cue, n in changes:
        whole.want(cue)
        pieces.want(cue)
        first = data.draw(st.integers(0, n))
        parts = np.concatenate([pieces.take(first), pieces.take(n - first)])
        np.testing.assert_array_equal(parts, whole.take(n))
