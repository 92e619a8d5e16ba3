"""The life of an alert."""

import uuid

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.alerts import (
    N_ENDED_KEPT,
    AlertEngine,
    AlertRule,
    AlertSettings,
    Answer,
    AnswerError,
    alert_id,
)
from edge.records import AlertState, Finding, Kind, Priority

LOW, LOST, PAUSE = "low_spo2", "signal_lost", "asystole"
RULES = {
    LOW: AlertRule(Kind.PHYSIOLOGICAL, Priority.MEDIUM, latching=False),
    LOST: AlertRule(Kind.TECHNICAL, Priority.MEDIUM, latching=False),
    PAUSE: AlertRule(Kind.PHYSIOLOGICAL, Priority.HIGH, latching=True),
}
RAISED, ACTIVE, ACKNOWLEDGED, LATCHED, ENDED = AlertState
SOUNDING = {RAISED, ACTIVE, LATCHED}


def engine(**times):
    return AlertEngine("run-1", RULES, AlertSettings(**times))


def find(present, at_s, rule_name=LOW, patient="p1", evidence=None):
    reason = {True: f"SpO2 84 % at {at_s:g}", False: "fine", None: "no SpO2 reading"}[present]
    given_names = {"spo2_pct": 84.0} if evidence is None else evidence
    return Finding(patient, rule_name, at_s, present, reason, given_names if present else {})


def play(on, answers, start_s=0.0, step_s=1.0, **what):
    """Step once for each answer of the rule; return (time, state) of all that was said."""
    said = []
    for i, present in enumerate(answers):
        now_s = start_s + i * step_s
        said += on.step([find(present, now_s, **what)], now_s)
    return [(alert.at_s, alert.state) for alert in said]


def acknowledge(on, now_s, by="Anna"):
    return on.answer(Answer("acknowledge", on.standing()[0].id, by), now_s)


def states(alerts):
    return [alert.state for alert in alerts]


# --- raise, repeat, end


def test_the_first_record_says_what_was_found():
    on = engine()
    (alert,) = on.step([find(True, 5.0)], 5.25)

    assert alert.state is RAISED
    assert (alert.patient, alert.rule, alert.episode) == ("p1", LOW, "p1/low_spo2/1")
    assert (alert.kind, alert.priority) == (Kind.PHYSIOLOGICAL, Priority.MEDIUM)
    assert (alert.since_s, alert.at_s) == (5.0, 5.25)
    assert (alert.reason, alert.evidence) == ("SpO2 84 % at 5", {"spo2_pct": 84.0})
    assert alert.answered_by == ""
    assert on.standing() == (alert,)


@pytest.mark.parametrize("present", [False, None])
def test_what_is_not_there_raises_nothing(present):
    assert play(engine(), [present] * 300) == []


def test_a_lasting_condition_is_not_said_every_second():
    assert play(engine(), [True] * 120) == [(0.0, RAISED)]


def test_an_unanswered_alert_is_said_again_every_two_minutes():
    assert play(engine(), [True] * 300) == [(0.0, RAISED), (120.0, ACTIVE), (240.0, ACTIVE)]


def test_saying_it_again_tells_the_newest_numbers():
    on = engine(reraise_s=5.0)
    play(on, [True] * 5)
    (alert,) = on.step([find(True, 5.0, evidence={"spo2_pct": 71.0})], 5.0)

    assert (alert.reason, alert.evidence) == ("SpO2 84 % at 5", {"spo2_pct": 71.0})
    assert alert.since_s == 0.0


def test_it_is_said_again_without_any_finding():
    on = engine()
    play(on, [True])

    assert on.step([], 119.75) == []
    assert states(on.step([], 120.0)) == [ACTIVE]


def test_it_ends_when_it_was_seen_to_be_over_for_ten_seconds():
    on = engine()

    assert play(on, [True] + [False] * 20) == [(0.0, RAISED), (11.0, ENDED)]
    assert on.standing() == ()


def test_the_time_to_clear_can_be_none():
    assert play(engine(clear_s=0.0), [True, False]) == [(0.0, RAISED), (1.0, ENDED)]


def test_silence_of_the_rule_does_not_end_it():
    on = engine(reraise_s=1e9)
    play(on, [True, False])

    assert on.step([], 1000.0) == []
    assert len(on.standing()) == 1


def test_the_next_episode_has_its_own_id_and_number():
    on = engine()
    play(on, [True] + [False] * 11)
    first = alert_id("run-1", "p1", LOW, 1)
    (second,) = on.step([find(True, 100.0)], 100.0)

    assert second.state is RAISED
    assert second.episode == "p1/low_spo2/2"
    assert second.since_s == 100.0
    assert second.id == alert_id("run-1", "p1", LOW, 2) != first


def test_a_condition_that_comes_back_begins_the_count_to_the_end_anew():
    nearly = [True] + [False] * 10

    assert play(engine(reraise_s=1e9), nearly * 50) == [(0.0, RAISED)]


@pytest.mark.parametrize("pattern", [[True, False], [True, None], [True, False, None, False]])
def test_flapping_ten_times_a_second_for_an_hour_is_one_episode(pattern):
    on = engine()
    said = play(on, pattern * (36_000 // len(pattern)), step_s=0.1)

    assert [state for _, state in said] == [RAISED] + [ACTIVE] * 29
    assert len(on.standing()) == 1


# --- cannot tell


def test_cannot_tell_never_ends_an_alert_and_says_so():
    on = engine(reraise_s=1e9)
    said = play(on, [True] + [None] * 3600)

    assert said == [(0.0, RAISED), (31.0, ACTIVE)]
    assert on.standing()[0].reason == "SpO2 84 % at 0; cannot tell for 30 s: no SpO2 reading"


def test_saying_it_again_tells_how_long_it_could_not_be_told():
    on = engine()
    play(on, [True] + [None] * 151)

    assert on.standing()[0].at_s == 151.0
    assert on.standing()[0].reason.endswith("; cannot tell for 150 s: no SpO2 reading")


def test_a_reading_that_is_back_is_said():
    on = engine(reraise_s=1e9)
    said = play(on, [True] + [None] * 40 + [True] * 5)

    assert said == [(0.0, RAISED), (31.0, ACTIVE), (41.0, ACTIVE)]
    assert on.standing()[0].reason == "SpO2 84 % at 41"


def test_the_count_to_the_end_stands_still_while_it_cannot_be_told():
    # False at 1..5 is 4 s of seen absence; False at 60..66 is 6 s more.
    answers = [True] + [False] * 5 + [None] * 54 + [False] * 20

    assert play(engine(reraise_s=1e9), answers)[-1] == (66.0, ENDED)


def test_cannot_tell_is_said_while_acknowledged_without_sounding():
    on = engine()
    play(on, [True])
    acknowledge(on, 0.5)

    assert play(on, [None] * 100, start_s=1.0) == [(31.0, ACKNOWLEDGED)]


def test_a_good_reading_begins_the_count_of_the_blind_time_anew():
    said = play(engine(reraise_s=1e9), [True] + [None] * 20 + [False] + [None] * 30)

    assert said == [(0.0, RAISED)]


# --- acknowledge


def test_an_acknowledged_alert_stays_quiet_until_it_ends():
    on = engine()
    play(on, [True])
    (alert,) = acknowledge(on, 0.5)

    assert (alert.state, alert.answered_by, alert.at_s) == (ACKNOWLEDGED, "Anna", 0.5)
    assert play(on, [True, None, False] * 400, start_s=1.0) == []
    assert play(on, [False] * 20, start_s=1201.0) == [(1210.0, ENDED)]


def test_the_end_still_tells_who_answered():
    on = engine()
    play(on, [True])
    acknowledge(on, 0.5)
    play(on, [False] * 10, start_s=1.0)
    (ended,) = on.step([find(False, 11.0)], 11.0)

    assert (ended.state, ended.answered_by) == (ENDED, "Anna")


def test_a_new_episode_sounds_after_an_acknowledged_one():
    on = engine()
    play(on, [True])
    acknowledge(on, 0.5)
    play(on, [False] * 11, start_s=1.0)

    assert play(on, [True], start_s=20.0) == [(20.0, RAISED)]
    assert on.standing()[0].answered_by == ""


def test_a_second_acknowledgement_changes_nothing():
    on = engine()
    play(on, [True])
    acknowledge(on, 0.5)

    assert acknowledge(on, 0.75, by="Ben") == []
    assert on.standing()[0].answered_by == "Anna"


def test_an_answer_to_no_alert_is_refused():
    on = engine()
    play(on, [True])

    with pytest.raises(AnswerError, match="no alert 'nonsense' stands; take the id from"):
        on.answer(Answer("acknowledge", "nonsense", "Anna"), 1.0)


def test_an_answer_that_comes_too_late_is_told_so():
    on = engine()
    play(on, [True] + [False] * 11)

    with pytest.raises(AnswerError, match="has already ended"):
        on.answer(Answer("acknowledge", alert_id("run-1", "p1", LOW, 1), "Anna"), 20.0)


def test_only_so_many_ended_alerts_are_remembered():
    on = engine(clear_s=0.0)
    play(on, [True, False] * (N_ENDED_KEPT + 1))

    with pytest.raises(AnswerError, match="no alert"):
        on.answer(Answer("acknowledge", alert_id("run-1", "p1", LOW, 1), "Anna"), 1000.0)
    with pytest.raises(AnswerError, match="already ended"):
        on.answer(Answer("acknowledge", alert_id("run-1", "p1", LOW, 2), "Anna"), 1000.0)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"action":"snooze","alert_id":"a","by":"Anna"}',
        b'{"action":"acknowledge","alert_id":"a","by":""}',
        b'{"action":"acknowledge","alert_id":"a"}',
        b'{"action":"acknowledge","alert_id":"a","by":"Anna","for_s":60}',
    ],
)
def test_an_answer_that_is_not_understood_is_no_answer(payload):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(payload, type=Answer)


def test_an_answer_is_understood():
    payload = b'{"action":"acknowledge","alert_id":"a","by":"Anna"}'

    assert msgspec.json.decode(payload, type=Answer) == Answer("acknowledge", "a", "Anna")


# --- latching


def test_a_latching_alert_waits_for_a_person():
    on = engine()
    said = play(on, [True] + [False] * 200, rule_name=PAUSE)

    assert said == [(0.0, RAISED), (11.0, LATCHED), (131.0, LATCHED)]
    assert on.standing()[0].reason == "over, nobody has answered yet: SpO2 84 % at 0"
    assert states(acknowledge(on, 300.0)) == [ACKNOWLEDGED, ENDED]
    assert on.standing() == ()


def test_a_latched_alert_is_active_again_when_its_condition_is_back():
    on = engine()
    play(on, [True] + [False] * 50, rule_name=PAUSE)

    assert play(on, [True, True], start_s=60.0, rule_name=PAUSE) == [(60.0, ACTIVE)]
    assert on.standing()[0].episode == "p1/asystole/1"
    assert on.standing()[0].reason == "SpO2 84 % at 60"


def test_a_latching_alert_answered_while_it_lasts_ends_by_itself():
    on = engine()
    play(on, [True], rule_name=PAUSE)
    acknowledge(on, 0.5)

    assert play(on, [False] * 20, start_s=1.0, rule_name=PAUSE) == [(11.0, ENDED)]


def test_a_latched_alert_says_nothing_of_data_that_cannot_tell():
    on = engine(reraise_s=1e9)
    play(on, [True] + [False] * 20, rule_name=PAUSE)

    assert play(on, [None] * 100, start_s=30.0, rule_name=PAUSE) == []


# --- several faults under one rule


def lose(on, now_s, *names):
    evidence = dict.fromkeys(names, 9.0)
    return states(on.step([find(bool(names), now_s, LOST, evidence=evidence)], now_s))


def test_one_more_fault_is_said_at_once():
    on = engine()

    assert lose(on, 0.0, "ecg_age_s") == [RAISED]
    assert lose(on, 1.0, "ecg_age_s", "spo2_age_s") == [ACTIVE]
    assert lose(on, 2.0, "ecg_age_s", "spo2_age_s") == []


def test_a_fault_that_is_gone_for_good_is_said():
    on = engine()
    lose(on, 0.0, "ecg_age_s", "spo2_age_s")

    assert [lose(on, float(s), "ecg_age_s") for s in range(1, 14)] == [[]] * 10 + [[ACTIVE]] + (
        [[]] * 2
    )


def test_an_acknowledged_fault_does_not_hide_the_next():
    on = engine()
    lose(on, 0.0, "spo2_age_s")
    acknowledge(on, 1.0)
    (ended, raised) = on.step(
        [find(True, 2.0, LOST, evidence={"spo2_age_s": 9, "ecg_age_s": 9})], 2
    )

    assert (ended.state, ended.reason, ended.answered_by) == (ENDED, "SpO2 84 % at 0", "Anna")
    assert (raised.state, raised.episode, raised.answered_by) == (RAISED, "p1/signal_lost/2", "")
    assert on.standing() == (raised,)


def test_an_acknowledged_fault_that_flaps_beside_another_is_not_new():
    on = engine()
    lose(on, 0.0, "ecg_age_s", "spo2_age_s")
    acknowledge(on, 0.5)
    said = []
    for second in range(1, 600):
        both = ("ecg_age_s", "spo2_age_s")
        said += lose(on, float(second), *(both if second % 9 == 0 else both[:1]))

    assert said == []


def test_a_fault_that_was_mended_and_comes_back_is_new():
    on = engine()
    lose(on, 0.0, "ecg_age_s", "spo2_age_s")
    acknowledge(on, 0.5)
    for second in range(1, 30):
        lose(on, float(second), "ecg_age_s")

    assert lose(on, 30.0, "ecg_age_s", "spo2_age_s") == [ENDED, RAISED]


def test_absence_unseen_is_not_absence_of_a_fault():
    on = engine()
    lose(on, 0.0, "ecg_age_s", "spo2_age_s")
    acknowledge(on, 0.5)
    lose(on, 1.0, "ecg_age_s")
    play(on, [None] * 20, start_s=2.0, rule_name=LOST)
    lose(on, 22.0, "ecg_age_s")

    assert lose(on, 23.0, "ecg_age_s", "spo2_age_s") == []


@pytest.mark.parametrize("answered", [False, True])
def test_other_words_for_the_same_patient_are_no_news(answered):
    on = engine()
    play(on, [True])
    if answered:
        acknowledge(on, 0.5)
    other = find(True, 1.0, evidence={"rmssd_ms": 90.0})

    assert on.step([other], 1.0) == []


# --- several patients and rules


def test_patients_never_touch_each_other():
    alone, together = engine(), engine()
    expected, got = [], []
    for second in range(400):
        now_s = float(second)
        one = find(second % 50 < 20, now_s)
        other = find(None if second % 3 else True, now_s, patient="p2")
        expected += alone.step([one], now_s)
        got += together.step([other, one], now_s)

    assert [alert for alert in got if alert.patient == "p1"] == expected
    assert {alert.id for alert in expected}.isdisjoint(a.id for a in got if a.patient == "p2")


def test_the_worst_stands_first_then_the_oldest():
    on = engine()
    on.step([find(True, 0.0, LOST)], 0.0)
    on.step([find(True, 1.0, LOW)], 1.0)
    on.step([find(True, 2.0, PAUSE)], 2.0)

    assert [alert.rule for alert in on.standing()] == [PAUSE, LOST, LOW]


def test_an_unknown_rule_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"unknown rule 'tea_is_cold'.*asystole, low_spo2"):
        engine().step([find(True, 0.0, "tea_is_cold")], 0.0)


# --- ids, settings, state


def test_ids_are_uuids_of_version_eight():
    made = uuid.UUID(alert_id("run-1", "p1", LOW, 1))

    assert (made.version, made.variant) == (8, uuid.RFC_4122)


@given(st.sets(st.tuples(st.text(), st.text(), st.text(), st.integers(1, 99)), max_size=30))
def test_ids_differ_and_come_again(episodes):
    ids = {alert_id(*episode) for episode in episodes}

    assert len(ids) == len(episodes)
    assert ids == {alert_id(*episode) for episode in episodes}


def test_an_id_never_changes_between_versions_of_the_code():
    assert alert_id("run-1", "p1", "low_spo2", 1) == "86027788-5dd3-8960-8244-36bd4a02b65a"


@pytest.mark.parametrize(
    "times",
    [{"reraise_s": 0.0}, {"clear_s": -1.0}, {"unsure_s": float("nan")}, {"clear_s": float("inf")}],
)
def test_impossible_times_are_refused(times):
    with pytest.raises(ValueError, match=next(iter(times))):
        AlertSettings(**times)


def test_a_state_that_is_none_is_refused():
    with pytest.raises(ValueError, match="stored alert state cannot be read"):
        engine().restore(b"\x93garbage")


def test_a_restored_engine_goes_on_counting_and_knows_what_has_ended():
    on = engine()
    play(on, [True] + [False] * 11)
    after = engine()
    after.restore(on.state())

    with pytest.raises(AnswerError, match="already ended"):
        after.answer(Answer("acknowledge", alert_id("run-1", "p1", LOW, 1), "Anna"), 20.0)
    (second,) = after.step([find(True, 20.0)], 20.0)
    assert second.episode == "p1/low_spo2/2"


def test_numbers_of_numpy_do_not_break_the_state():
    on = engine()
    on.step([find(True, 0.0, evidence={"spo2_pct": np.float32(84.0)})], 0.0)
    other = engine()
    other.restore(on.state())

    assert other.standing() == on.standing()


def test_an_alert_of_a_rule_that_is_gone_ends_with_its_answer():
    on = engine()
    play(on, [True])
    fewer = AlertEngine("run-2", {PAUSE: RULES[PAUSE]})
    fewer.restore(on.state())

    assert states(acknowledge(fewer, 5.0)) == [ACKNOWLEDGED, ENDED]
    assert fewer.standing() == ()


def test_a_box_that_was_started_again_says_standing_alerts_at_once():
    on = engine()
    play(on, [True], start_s=5000.0)
    after = engine()
    after.restore(on.state())

    assert states(after.step([], 3.0)) == [ACTIVE]
    assert after.step([], 4.0) == []
    assert play(after, [False] * 20, start_s=5.0)[-1] == (15.0, ENDED)


NIGHT = st.lists(
    st.tuples(
        st.sampled_from([LOW, LOST, PAUSE]),
        st.sampled_from([True, True, False, None]),
        st.sampled_from(["p1", "p2"]),
        st.sampled_from([0.25, 1.0, 9.75, 10.0, 31.0, 120.0]),
        st.sets(st.sampled_from(["ecg_age_s", "spo2_age_s", "hr_age_s"]), min_size=1),
        st.booleans(),
    ),
    max_size=60,
)


def live(on, night, now_s=0.0):
    """Return every record as bytes, and the time at the end."""
    said = []
    for rule_name, present, patient, wait_s, names, answered in night:
        now_s += wait_s
        found = find(present, now_s, rule_name, patient, dict.fromkeys(sorted(names), 9.0))
        said += on.step([found], now_s)
        if answered and on.standing():
            said += acknowledge(on, now_s)
    return [msgspec.json.encode(alert) for alert in said], now_s


@settings(max_examples=150, deadline=None)
@given(night=NIGHT, cut=st.integers(0, 60))
def test_a_restored_engine_has_the_same_future_byte_for_byte(night, cut):
    whole, _ = live(engine(), night)
    before = engine()
    first, now_s = live(before, night[:cut])
    after = engine()
    after.restore(before.state())
    rest, _ = live(after, night[cut:], now_s)

    assert first + rest == whole


class Life(RuleBasedStateMachine):
    """Whatever rules say and people answer, these stay true."""

    def __init__(self):
        super().__init__()
        self.on = engine()
        self.now_s = 0.0
        self.story = {}
        self.saw_false = {}
        self.quiet = set()
        self.seen_s = {}

    def take(self, alerts, *, long_unseen=False):
        for alert in alerts:
            story = self.story.setdefault(alert.id, [])
            if story:
                assert alert.state is not RAISED
                assert story[-1].state is not ENDED
                assert (story[0].episode, story[0].since_s) == (alert.episode, alert.since_s)
            else:
                assert alert.state is RAISED
            if alert.state is ACKNOWLEDGED:
                self.quiet.add(alert.id)
            elif alert.id in self.quiet and alert.state in SOUNDING:
                # An answer does not stand over a long time in which nobody could see it.
                assert long_unseen
                self.quiet.remove(alert.id)
            assert (alert.id in self.quiet) == bool(alert.answered_by)
            if alert.state is ENDED and RULES[alert.rule].latching:
                assert alert.answered_by
            story.append(alert)

    @rule(
        rule_name=st.sampled_from(list(RULES)),
        present=st.sampled_from([True, False, None]),
        patient=st.sampled_from(["p1", "p2"]),
        n=st.integers(1, 15),
        step_s=st.sampled_from([0.1, 0.25, 1.0, 10.0]),
        names=st.sets(st.sampled_from("abc"), min_size=1),
    )
    def say(self, rule_name, present, patient, n, step_s, names):
        key = (patient, rule_name)
        for _ in range(n):
            self.now_s += step_s
            found = find(present, self.now_s, rule_name, patient, dict.fromkeys(sorted(names), 1.0))
            long_unseen = present and self.now_s - self.seen_s.get(key, self.now_s) > 120.0
            if present is not None:
                self.seen_s[key] = self.now_s
            before = {alert.id for alert in self.on.standing()}
            changed = self.on.step([found], self.now_s)
            ended = [alert for alert in changed if alert.state is ENDED]
            raised = [alert for alert in changed if alert.state is RAISED]
            if present is None:
                assert not ended
                assert not raised
            if present is False:
                assert not raised
                self.saw_false[key] = self.saw_false.get(key, 0) + 1
                # Two findings at least lie on either side of any time to clear.
                assert not ended or self.saw_false[key] >= 2
            if present:
                self.saw_false[key] = 0
                assert before - {alert.id for alert in ended} <= {
                    alert.id for alert in self.on.standing()
                }
                assert not ended or (rule_name == LOST and len(raised) == 1)
            assert all((alert.patient, alert.rule) == key for alert in ended + raised)
            self.take(changed, long_unseen=long_unseen)

    @precondition(lambda self: self.on.standing())
    @rule(which=st.integers(0, 5), by=st.sampled_from(["Anna", "Ben"]))
    def person_acknowledges(self, which, by):
        standing = self.on.standing()
        alert = standing[which % len(standing)]
        self.seen_s[alert.patient, alert.rule] = self.now_s
        self.take(self.on.answer(Answer("acknowledge", alert.id, by), self.now_s))

    @rule()
    def box_is_started_again(self):
        after = engine()
        after.restore(self.on.state())
        assert after.state() == self.on.state()
        assert after.standing() == self.on.standing()
        self.on = after

    @rule(wait_s=st.sampled_from([1.0, 60.0, 120.0]))
    def nothing_is_said(self, wait_s):
        self.now_s += wait_s
        changed = self.on.step([], self.now_s)
        assert {alert.state for alert in changed} <= {ACTIVE, LATCHED}
        self.take(changed)

    @invariant()
    def at_most_one_stands_for_each_patient_and_rule(self):
        keys = [(alert.patient, alert.rule) for alert in self.on.standing()]
        assert len(keys) == len(set(keys))

    @invariant()
    def what_stands_is_what_was_said_last_and_has_not_ended(self):
        standing = {alert.id: alert for alert in self.on.standing()}
        last = {id_: story[-1] for id_, story in self.story.items()}
        assert standing == {id_: a for id_, a in last.items() if a.state is not ENDED}


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase
