"""An alert nobody answers is carried to the next, and to who has the watch."""

import math

import pytest

from edge.alerts import AlertEngine, AlertSettings, Answer, Steps
from edge.live import WatchLive
from edge.records import AlarmAct, AlertState, Finding, Priority, Role, Step
from tests.edge.alerts.world import RULES

LOW_SPO2, VERY_LOW, PAUSE = "low_spo2", "very_low_spo2", "asystole"


def engine(**times):
    return AlertEngine("run", RULES, AlertSettings(**times))


def find(on, rule=VERY_LOW, at_s=0.0, present=True, priority=None):
    return on.step([Finding("p", rule, at_s, present, "reason", {"x": 1.0}, priority)], at_s)


def live(on, until_s, since_s=0.0):
    """Let seconds pass; return (time, step, to) of all that was carried on."""
    events = []
    for second in range(int(since_s), int(until_s) + 1):
        events += on.elapse(float(second))
    return [(e.at_s, e.step, e.to) for e in events if e.act is AlarmAct.ESCALATED]


def answer(on, at_s, role=Role.CARER):
    return on.answer(Answer("acknowledge", on.standing()[0].id, "Ann", role), at_s)


FIRST, SECOND = Step.FIRST_CARER, Step.SECOND_CARER


@pytest.mark.parametrize(
    ("rule", "priority", "first_s", "second_s"),
    [
        (VERY_LOW, None, 15.0, 90.0),
        (LOW_SPO2, None, 60.0, 300.0),
        ("score", None, 600.0, 3600.0),
        ("score", Priority.HIGH, 15.0, 90.0),
    ],
)
def test_an_unanswered_alert_reaches_both_carers(rule, priority, first_s, second_s):
    on = engine()
    on.elapse(0.0)
    find(on, rule, priority=priority)

    assert on.signal(0.0).step is Step.PAGE
    assert live(on, 4000) == [(first_s, FIRST, ""), (second_s, SECOND, "")]
    assert on.signal(4000.0).step is SECOND


def test_the_record_says_which_alert_and_why():
    on = engine()
    on.elapse(0.0)
    (alert,) = find(on)
    event = next(e for s in range(20) for e in on.elapse(float(s)) if e.step is FIRST)

    assert (event.alert_id, event.priority, event.by) == (alert.id, Priority.HIGH, "")
    assert event.reason == "nobody has answered very_low_spo2 for 15 s: the first carer is told"


def test_the_page_can_wait_too():
    on = engine(high=Steps(5.0, 15.0, 90.0))
    on.elapse(0.0)
    find(on)

    assert on.signal(0.0).step is Step.BOX
    assert live(on, 20) == [(5.0, Step.PAGE, ""), (15.0, FIRST, "")]


def test_a_carer_can_be_told_at_once():
    on = engine(high=Steps(0.0, 0.0, 90.0))
    find(on, at_s=5000.0)

    assert [e.step for e in on.elapse(5000.0)] == [FIRST]


def test_an_answer_ends_the_steps():
    on = engine()
    on.elapse(0.0)
    find(on)
    live(on, 20)
    answer(on, 20.0)

    assert live(on, 1000, 21) == []
    assert on.signal(1000.0).step is Step.BOX


def test_the_end_of_the_condition_ends_the_steps():
    on = engine(clear_s=0.0)
    on.elapse(0.0)
    find(on)
    find(on, at_s=1.0, present=False)

    assert live(on, 1000) == []


def test_a_latched_alert_is_carried_on():
    on = engine(clear_s=0.0)
    on.elapse(0.0)
    find(on, PAUSE)
    find(on, PAUSE, 1.0, present=False)

    assert on.standing()[0].state is AlertState.LATCHED
    assert [step for _, step, _ in live(on, 100)] == [FIRST, SECOND]


def test_the_patients_own_answer_quietens_the_box_but_a_high_alert_is_carried_on():
    on = engine()
    on.elapse(0.0)
    find(on)
    answer(on, 1.0, Role.PATIENT)

    assert not on.signal(1.0).audible
    assert [step for _, step, _ in live(on, 100)] == [FIRST, SECOND]
    answer(on, 101.0)
    assert on.signal(101.0).step is Step.BOX


def test_the_patients_own_answer_is_enough_for_what_is_not_high():
    on = engine()
    on.elapse(0.0)
    find(on, LOW_SPO2)
    answer(on, 0.0, Role.PATIENT)

    assert live(on, 1000) == []


def test_a_pause_stops_the_clock_of_the_steps_and_sound_that_is_off_does_not():
    on = engine()
    on.elapse(0.0)
    find(on, LOW_SPO2)
    live(on, 30)
    on.answer(Answer("pause_audio", by="Ann"), 30.0)
    assert [at_s for at_s, *_ in live(on, 500, 31)] == [179.0, 419.0]

    on = engine()
    on.elapse(0.0)
    find(on, LOW_SPO2)
    on.answer(Answer("audio_off", by="Ann"), 0.0)
    assert [at_s for at_s, *_ in live(on, 500)] == [60.0, 300.0]


def test_the_patients_own_pause_does_not_stop_a_high_alert():
    on = engine()
    on.elapse(0.0)
    find(on)
    on.answer(Answer("pause_audio", by="Max", role=Role.PATIENT), 0.0)

    assert not on.signal(1.0).audible
    assert [at_s for at_s, *_ in live(on, 100)] == [15.0, 90.0]


def test_an_answered_alert_that_gets_worse_begins_anew():
    on = engine()
    on.elapse(0.0)
    find(on, "score")
    answer(on, 0.0)
    live(on, 100)
    (worse,) = find(on, "score", 100.0, priority=Priority.HIGH)

    assert (worse.state, worse.priority, worse.answered_by) == (
        AlertState.ACTIVE,
        Priority.HIGH,
        "",
    )
    assert on.signal(100.0).audible
    assert [at_s for at_s, *_ in live(on, 300, 101)] == [115.0, 190.0]


def test_an_alert_eases_only_when_it_was_seen_to_for_ten_seconds():
    on = engine()
    find(on, "score", priority=Priority.HIGH)
    said = [find(on, "score", float(s), priority=Priority.MEDIUM) for s in range(1, 12)]

    assert [len(alerts) for alerts in said] == [0] * 10 + [1]
    assert said[-1][0].priority is Priority.MEDIUM
    (again,) = find(on, "score", 12.0, priority=Priority.HIGH)
    assert again.priority is Priority.HIGH


def test_a_priority_that_flaps_after_an_answer_does_not_sound_again():
    on = engine()
    find(on, "score", priority=Priority.HIGH)
    answer(on, 0.0)
    for second in range(1, 600):
        worse = Priority.HIGH if second % 9 == 0 else Priority.LOW
        find(on, "score", float(second), priority=worse)
        assert not on.signal(float(second)).audible


# --- the watch


def hand(on, at_s, to, **how):
    return on.answer(Answer("hand_off", by="Ann", to=to, **how), at_s)


def test_who_has_the_watch_is_told_first():
    on = engine()
    (event, *none) = hand(on, 0.0, "Grandma", lasts_s=3600.0)
    on.elapse(0.0)
    find(on)

    assert not none
    assert (event.act, event.to, event.until_s) == (AlarmAct.HANDED_OFF, "Grandma", 3600.0)
    assert on.watches(5.0) == (WatchLive("", "Grandma", 3600.0),)
    assert live(on, 100) == [(15.0, FIRST, "Grandma"), (90.0, SECOND, "")]


def test_a_watch_ends_by_itself_and_that_is_logged():
    on = engine()
    hand(on, 0.0, "Grandma", lasts_s=10.0)
    on.elapse(0.0)
    find(on)
    events = [e for s in range(20) for e in on.elapse(float(s))]
    over = next(e for e in events if e.act is AlarmAct.WATCH_OVER)

    assert (over.at_s, over.to) == (10.0, "Grandma")
    assert [e.to for e in events if e.step is FIRST] == [""]
    assert on.watches(20.0) == ()


def test_who_takes_the_watch_is_told_what_waits():
    on = engine()
    on.elapse(0.0)
    find(on)
    live(on, 20)
    (handed, told) = hand(on, 20.0, "Bob")

    assert (handed.until_s, handed.reason) == (20.0 + 12 * 3600.0, "Bob has the watch")
    assert (told.act, told.step, told.to) == (AlarmAct.ESCALATED, FIRST, "Bob")


def test_a_watch_over_one_patient_stands_above_that_over_all():
    on = engine()
    hand(on, 0.0, "Bob", patient="p")
    hand(on, 1.0, "Grandma")
    on.elapse(1.0)
    find(on, at_s=1.0)

    assert live(on, 20, 1) == [(16.0, FIRST, "Bob")]


def test_the_watch_can_be_given_back():
    on = engine()
    hand(on, 0.0, "Bob")
    (event,) = hand(on, 1.0, "")

    assert (event.to, event.until_s) == ("", None)
    assert on.watches(1.0) == ()


# --- settings


@pytest.mark.parametrize("times", [(5.0, 4.0, 9.0), (0.0, 9.0, 8.0), (-1.0, 0.0, 0.0)])
def test_steps_in_the_wrong_order_are_refused(times):
    with pytest.raises(ValueError, match="before the one before it"):
        Steps(*times)


def test_a_step_that_never_comes():
    assert Steps(0.0, 5.0).reached(1e12) is FIRST
    assert Steps(math.inf).reached(1e12) is Step.BOX


@pytest.mark.parametrize(
    "times", [{"pause_s": 121.0}, {"signal_delay_s": 11.0}, {"watch_s": 0.0}, {"pause_s": 0.0}]
)
def test_times_that_are_not_safe_are_refused(times):
    with pytest.raises(ValueError, match=next(iter(times))):
        engine(**times)
