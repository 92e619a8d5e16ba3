"""Pauses end, hide nothing worse than they were given for, and are logged."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.alerts import AlertEngine, AlertSettings, Answer, AnswerError, Restart
from edge.alerts.silence import MAX_KEPT
from edge.live import MuteLive, Signal
from edge.records import (
    AlarmAct,
    AlertState,
    Category,
    Finding,
    Priority,
    Role,
    Step,
    encode_record,
)
from tests.edge.alerts.world import RULES

HIGH, MEDIUM, LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW
LOW_SPO2, VERY_LOW, LOST = "low_spo2", "very_low_spo2", "signal_lost"


def engine(**times):
    return AlertEngine("run", RULES, AlertSettings(**times))


def find(on, rule, at_s=0.0, present=True, patient="p"):
    return on.step([Finding(patient, rule, at_s, present, "reason", {"x": 1.0})], at_s)


def say(on, action, at_s, **how):
    return on.answer(Answer(action, by="Ann", **how), at_s)


def heard(on, at_s, patient=""):
    signal = on.signal(at_s, patient)
    return signal.priority if signal.audible else None


def test_with_no_alert_there_is_no_signal():
    assert engine().signal(5.0) == Signal()


def test_the_worst_alert_speaks_with_its_own_category():
    on = engine()
    find(on, LOST)
    find(on, VERY_LOW, 1.0)
    signal = on.signal(1.0)

    assert (signal.priority, signal.visual, signal.audible) == (HIGH, HIGH, True)
    assert signal.category is Category.OXYGENATION
    assert (signal.patient, signal.n_waiting) == ("p", 2)
    assert signal.alert_id == on.standing()[0].id


def test_an_answered_alert_keeps_its_light_and_leaves_the_sound_to_the_next():
    on = engine()
    find(on, LOST)
    find(on, VERY_LOW, 1.0)
    on.answer(Answer("acknowledge", on.standing()[0].id, "Ann"), 2.0)
    signal = on.signal(2.0)

    assert (signal.priority, signal.visual) == (MEDIUM, HIGH)
    assert signal.category is Category.EQUIPMENT


def test_information_makes_no_signal():
    on = engine()
    on.step([Finding("p", "score", 0.0, True, "r", {"x": 1.0}, Priority.INFORMATION)], 0.0)

    assert on.signal(1.0) == Signal()
    assert on.elapse(10_000.0) == []


def test_a_pause_is_two_minutes_ends_by_itself_and_both_are_logged():
    on = engine()
    find(on, LOW_SPO2)
    (begun,) = say(on, "pause_audio", 10.0)

    assert (begun.act, begun.priority, begun.until_s) == (AlarmAct.AUDIO_PAUSED, MEDIUM, 130.0)
    assert (begun.by, begun.role) == ("Ann", Role.CARER)
    assert begun.reason == "sound paused for 120 s up to medium priority"
    assert heard(on, 129.75) is None
    assert on.signal(129.75).paused
    assert on.signal(129.75).audio_paused_until_s == 130.0
    assert on.signal(129.75).visual is MEDIUM
    assert heard(on, 130.0) is MEDIUM  # before anybody has noticed that it is over
    assert not on.signal(130.0).paused
    (over,) = on.elapse(130.0)
    assert (over.act, over.of, over.at_s) == (AlarmAct.REARMED, AlarmAct.AUDIO_PAUSED, 130.0)
    assert on.elapse(131.0) == []


def test_a_pause_covers_what_sounded_and_not_what_is_worse():
    on = engine()
    find(on, LOW_SPO2)
    say(on, "pause_audio", 1.0)
    find(on, LOST, 2.0)
    assert heard(on, 2.0) is None
    find(on, VERY_LOW, 3.0)
    assert heard(on, 3.0) is HIGH


def test_a_pause_in_quiet_times_covers_no_high_priority():
    on = engine()
    (begun,) = say(on, "pause_alarms", 0.0)

    assert begun.priority is MEDIUM


def test_paused_alarms_give_no_light_but_are_marked_and_recorded():
    on = engine()
    (begun,) = say(on, "pause_alarms", 0.0, lasts_s=60.0)
    (raised,) = find(on, LOW_SPO2, 1.0)
    signal = on.signal(1.0)

    assert raised.rule == LOW_SPO2
    assert (signal.audible, signal.visual) == (False, None)
    assert signal.alarms_paused_until_s == begun.until_s == 60.0
    assert on.signal(60.0).visual is MEDIUM


def test_sound_that_is_off_stays_off_is_marked_and_never_high():
    on = engine()
    find(on, VERY_LOW)
    (begun,) = say(on, "audio_off", 1.0)
    find(on, LOST, 2.0)

    assert (begun.priority, begun.until_s) == (MEDIUM, None)
    assert heard(on, 2.0) is HIGH
    on.answer(Answer("acknowledge", on.standing()[0].id, "Ann"), 3.0)
    signal = on.signal(1e7)
    assert (signal.audible, signal.reminder, signal.off_upto) == (False, True, MEDIUM)
    assert not signal.paused
    (over,) = say(on, "resume", 1e7)
    assert (over.act, over.of, over.by) == (AlarmAct.REARMED, AlarmAct.AUDIO_OFF, "Ann")
    assert heard(on, 1e7) is MEDIUM
    assert not on.signal(1e7).reminder


def test_a_new_pause_takes_the_place_of_the_last():
    on = engine()
    say(on, "pause_audio", 0.0, priority=HIGH)
    say(on, "pause_audio", 100.0, priority=LOW)

    assert on.mutes(100.0) == (MuteLive(AlarmAct.AUDIO_PAUSED, "", LOW, "Ann", 220.0),)


def test_one_patients_pause_leaves_the_other_alone():
    on = engine()
    find(on, LOW_SPO2, patient="p1")
    find(on, LOW_SPO2, patient="p2")
    say(on, "pause_audio", 1.0, patient="p1")

    assert heard(on, 2.0, "p1") is None
    assert heard(on, 2.0, "p2") is MEDIUM
    assert heard(on, 2.0) is MEDIUM
    assert on.signal(2.0).patient == "p2"
    say(on, "pause_audio", 2.0)
    assert heard(on, 3.0) is None
    # To hear one patient again also the pause for all must go.
    assert len(say(on, "resume", 4.0, patient="p1")) == 2
    assert heard(on, 4.0, "p1") is MEDIUM


def test_only_so_many_pauses_are_kept():
    on = engine()
    for number in range(MAX_KEPT):
        say(on, "pause_audio", 0.0, patient=f"p{number}")
    with pytest.raises(AnswerError, match="resume first"):
        say(on, "pause_audio", 0.0, patient="one more")


def test_the_delay_of_the_signal_is_for_sound_only_and_never_for_high():
    on = engine(signal_delay_s=5.0)
    find(on, LOW_SPO2)
    assert (heard(on, 4.75), on.signal(4.75).visual) == (None, MEDIUM)
    assert heard(on, 5.0) is MEDIUM
    find(on, VERY_LOW, 6.0)
    assert heard(on, 6.0) is HIGH


@pytest.mark.parametrize(
    ("restart", "left_s"),
    [
        (Restart(1040.0, 1010.0, same_boot=True), 70.0),
        (Restart(7.0, 1010.0, same_boot=False, away_s=30.0), 70.0),
        (Restart(7.0, 1010.0, same_boot=False, away_s=100.0), 0.0),
        (Restart(7.0, 1010.0, same_boot=False, away_s=3e7), 0.0),
        (Restart(7.0, 1010.0, same_boot=False, away_s=None), 0.0),
        (Restart(7.0, 1010.0, same_boot=False, away_s=-5.0), 0.0),
        (Restart(2000.0, 1010.0, same_boot=False, away_s=None), 0.0),
    ],
)
def test_a_pause_ends_in_time_on_the_clock_of_the_next_start(restart, left_s):
    on = engine()
    find(on, LOW_SPO2, 900.0)
    say(on, "pause_audio", 990.0 + 0.0)
    say(on, "audio_off", 1000.0, priority=LOW)
    after = engine()
    events = after.restore(on.state(), restart)
    now_s = restart.now_s

    assert [e.of for e in events] == ([] if left_s else [AlarmAct.AUDIO_PAUSED])
    assert after.signal(now_s).audible is not bool(left_s)
    assert after.signal(now_s).reminder  # "off" was for no time, and still is
    assert heard(after, now_s + left_s) is MEDIUM
    if left_s:
        assert heard(after, now_s + left_s - 0.5) is None
    if restart.away_s is None and not restart.same_boot:
        assert "does not know for how long" in events[0].reason


def test_an_alert_stands_as_long_on_the_next_clock_and_says_that_nothing_was_heard():
    on = engine()
    find(on, LOW_SPO2, 900.0)
    after = engine()
    after.restore(on.state(), Restart(7.0, 1010.0, same_boot=False, away_s=30.0))
    (alert,) = after.standing()
    assert alert.since_s == 7.0 - 30.0 - 110.0

    said = after.step([], 60.0)
    assert said[0].reason.startswith("reason; cannot tell for 53 s: nothing heard since the mon")
    assert said[0].since_s == alert.since_s


def answered_before(restart):
    """Return an engine that goes on where a high alert had been answered at 1 s."""
    on = engine()
    find(on, VERY_LOW)
    on.answer(Answer("acknowledge", on.standing()[0].id, "Ann"), 1.0)
    after = engine()
    after.restore(on.state(), restart)
    return after


@pytest.mark.parametrize(
    "restart",
    [Restart(3.0, 5.0, same_boot=False, away_s=60.0), Restart(100.0, 5.0, same_boot=True)],
)
def test_what_was_answered_is_answered_after_a_restart(restart):
    after = answered_before(restart)

    assert heard(after, restart.now_s) is None
    assert find(after, VERY_LOW, restart.now_s + 4.0) == []
    assert heard(after, restart.now_s + 4.0) is None
    assert after.standing()[0].answered_by == "Ann"


@pytest.mark.parametrize(
    "restart",
    [
        Restart(3.0, 5.0, same_boot=False, away_s=28_800.0),
        Restart(28_800.0, 5.0, same_boot=True),
        # Nobody knows for how long the box was off: in doubt it sounds, as with pauses.
        Restart(3.0, 5.0, same_boot=False),
    ],
)
def test_an_answer_of_the_evening_does_not_hide_what_is_found_in_the_morning(restart):
    after = answered_before(restart)

    assert heard(after, restart.now_s) is None
    (again,) = find(after, VERY_LOW, restart.now_s + 4.0)
    assert (again.state, again.answered_by) == (AlertState.ACTIVE, "")
    assert heard(after, restart.now_s + 4.0) is Priority.HIGH
    assert after.elapse(restart.now_s + 4.0) == []
    assert [e.step for e in after.elapse(restart.now_s + 30.0)] == [Step.FIRST_CARER]


@pytest.mark.parametrize(("blind_s", "sounds"), [(120.0, None), (121.0, Priority.HIGH)])
def test_an_answer_stands_over_a_short_blindness_only(blind_s, sounds):
    on = engine()
    find(on, VERY_LOW)
    on.answer(Answer("acknowledge", on.standing()[0].id, "Ann"), 0.0)
    for second in range(1, int(blind_s)):
        find(on, VERY_LOW, float(second), None)
    assert heard(on, blind_s) is None
    find(on, VERY_LOW, blind_s)

    assert heard(on, blind_s) is sounds


def test_who_answers_while_the_sensor_is_off_is_not_called_again_when_it_is_back():
    on = engine()
    find(on, VERY_LOW)
    find(on, VERY_LOW, 1.0, None)
    on.answer(Answer("acknowledge", on.standing()[0].id, "Ann"), 600.0)
    find(on, VERY_LOW, 660.0)

    assert heard(on, 660.0) is None


def test_steps_go_on_after_a_power_cut_where_they_were():
    on = engine()
    find(on, VERY_LOW)
    on.elapse(0.0)
    on.elapse(60.0)
    after = engine()
    after.restore(on.state(), Restart(500.0, 60.0, same_boot=False, away_s=28_800.0))

    assert after.elapse(501.0) == []  # the night without power does not count
    assert [e.step for e in after.elapse(530.0)] == [Step.SECOND_CARER]


def test_a_monitor_that_dies_every_ten_seconds_still_carries_its_alerts_on():
    on, steps = engine(), []
    find(on, VERY_LOW)
    for start_s in range(0, 100, 10):
        for second in range(5):
            steps += [(e.at_s, e.step) for e in on.elapse(float(start_s + second))]
        state = on.state()
        on = engine()
        on.restore(state, Restart(start_s + 10.0, start_s + 5.0, same_boot=True))

    assert steps == [(20.0, Step.FIRST_CARER), (90.0, Step.SECOND_CARER)]


@pytest.mark.parametrize("muted", [False, True])
def test_flapping_ten_times_a_second_for_an_hour_suppresses_nothing_of_another_kind(muted):
    on, n_raised, heard_high = engine(), {}, 0
    for tick in range(36_000):
        at_s = tick / 10
        if muted and tick % 1200 == 600:
            say(on, "pause_audio", at_s, priority=MEDIUM)
        said = find(on, LOW_SPO2, at_s, present=tick % 2 == 0)
        said += find(on, LOST, at_s, present=tick % 3 == 0)
        if tick == 18_000:
            said += find(on, VERY_LOW, at_s)
        on.elapse(at_s)
        for alert in said:
            n_raised[alert.rule] = n_raised.get(alert.rule, 0) + (alert.state == "raised")
        assert len(on.standing()) <= 3
        heard_high += heard(on, at_s) is HIGH

    assert n_raised == {LOW_SPO2: 1, LOST: 1, VERY_LOW: 1}
    assert heard_high == 18_000


SPOILT = st.sampled_from([math.nan, math.inf, -math.inf, -1e308, 1e308, 1e18, -1.0, 0.0])


def spoil(kept, draw):
    """Return a state with some numbers put in that cannot be true."""
    match kept:
        case dict():
            return {name: spoil(value, draw) for name, value in kept.items()}
        case list():
            return [spoil(value, draw) for value in kept]
        case float():
            return draw(SPOILT) if draw(st.integers(0, 6)) == 0 else kept
        case "audio_off" | "audio_paused" | "alarms_paused":
            return draw(st.sampled_from(["audio_off", "audio_paused", "alarms_paused"]))
        case "medium" | "low":
            return draw(st.sampled_from(["high", kept]))
        case _:
            return kept


@settings(max_examples=300, deadline=None)
@given(data=st.data(), same_boot=st.booleans(), away_s=st.none() | SPOILT, kept_s=SPOILT)
def test_a_state_with_any_numbers_neither_raises_nor_silences_for_ever(
    data, same_boot, away_s, kept_s
):
    on = engine()
    find(on, LOST)
    find(on, VERY_LOW, 1.0)
    on.answer(Answer("acknowledge", on.standing()[1].id, "Ann"), 2.0)
    for action in ("pause_audio", "pause_alarms", "audio_off", "hand_off"):
        say(on, action, 3.0, **({"to": "Bob"} if action == "hand_off" else {}))
    spoilt = spoil(msgspec.msgpack.decode(on.state()), data.draw)
    after = engine()
    after.restore(msgspec.msgpack.encode(spoilt), Restart(5000.0, kept_s, same_boot, away_s))
    for second in range(5001, 5125):
        said = find(after, VERY_LOW, float(second)) + after.elapse(float(second))
        assert all(encode_record(record) for record in said)
    msgspec.json.encode((after.mutes(second), after.watches(second), after.standing()))

    assert heard(after, 5124.0) is HIGH
