"""What people may say, and what is refused with a reason."""

import msgspec
import pytest

from edge.alerts import AlertEngine, Answer, AnswerError
from edge.records import AlertState, Finding, Meaning, Role
from tests.edge.alerts.world import RULES


def read(**said):
    return msgspec.json.decode(msgspec.json.encode(said), type=Answer)


def test_a_packet_of_before_is_still_read():
    answer = read(action="acknowledge", alert_id="a", by="Ann")

    assert (answer.role, answer.meaning) == (Role.CARER, Meaning.SEEN)
    assert msgspec.json.encode(answer) == b'{"action":"acknowledge","alert_id":"a","by":"Ann"}'


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"action": "pause_audio"}, "who says it"),
        ({"action": "pause_audio", "by": "  "}, "who says it"),
        ({"action": "acknowledge", "by": "Ann"}, "which alert"),
        ({"action": "acknowledge", "alert_id": "a", "by": "A", "lasts_s": 9.0}, "no lasts_s"),
        ({"action": "pause_audio", "by": "Ann", "lasts_s": 120.5}, "at most 120 s"),
        ({"action": "pause_alarms", "by": "Ann", "lasts_s": 0.0}, "more than 0"),
        ({"action": "audio_off", "by": "Ann", "lasts_s": 60.0}, "no lasts_s"),
        ({"action": "audio_off", "by": "Ann", "priority": "high"}, "never off"),
        ({"action": "audio_off", "by": "Ann", "role": "patient"}, "for carers"),
        ({"action": "pause_alarms", "by": "Ann", "role": "patient"}, "for carers"),
        ({"action": "hand_off", "by": "Ann", "role": "patient", "to": "B"}, "for carers"),
        ({"action": "hand_off", "by": "Ann", "to": "B", "lasts_s": 1e6}, "at most 86400 s"),
        ({"action": "resume", "by": "Ann", "priority": "low"}, "no priority"),
        ({"action": "snooze", "by": "Ann"}, "Invalid enum value"),
        ({"action": "pause_audio", "by": "Ann", "for_ever": True}, "unknown field"),
    ],
)
def test_what_may_not_be_said_is_refused_with_a_reason(said, why):
    with pytest.raises(msgspec.ValidationError, match=why):
        read(**said)


def test_a_length_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="more than 0"):
        Answer("pause_audio", by="Ann", lasts_s=float("nan"))


def test_nothing_to_resume_is_said():
    with pytest.raises(AnswerError, match="nothing is paused"):
        AlertEngine("run", RULES).answer(Answer("resume", by="Ann"), 1.0)


def raised(rule="very_low_spo2"):
    on = AlertEngine("run", RULES)
    (alert,) = on.step([Finding("p", rule, 0.0, True, "bad", {"x": 1.0})], 0.0)
    return on, alert


@pytest.mark.parametrize("meaning", Meaning)
@pytest.mark.parametrize("role", Role)
def test_an_answer_tells_who_as_what_and_what_it_means(role, meaning):
    on, alert = raised()
    (said,) = on.answer(Answer("acknowledge", alert.id, "Ann", role, meaning), 1.0)

    assert said.state is AlertState.ACKNOWLEDGED
    assert (said.answered_by, said.role, said.meaning) == ("Ann", role, meaning)


def test_an_alert_nobody_answered_says_nothing_of_roles():
    _, alert = raised()

    assert b"role" not in msgspec.json.encode(alert)
    assert b"meaning" not in msgspec.json.encode(alert)


def test_an_answer_that_says_more_is_taken_one_that_says_less_is_not():
    on, alert = raised()

    def say(by, role, meaning):
        return [
            (a.answered_by, a.meaning)
            for a in on.answer(Answer("acknowledge", alert.id, by, role, meaning), 1.0)
        ]

    assert say("Max", Role.PATIENT, Meaning.SEEN) == [("Max", Meaning.SEEN)]
    assert say("Max", Role.PATIENT, Meaning.SEEN) == []
    assert say("Ann", Role.CARER, Meaning.SEEN) == [("Ann", Meaning.SEEN)]
    assert say("Bob", Role.CARER, Meaning.SEEN) == []
    assert say("Ann", Role.CARER, Meaning.HANDLED) == [("Ann", Meaning.HANDLED)]
    assert say("Bob", Role.CARER, Meaning.SEEN) == []
    assert say("Bob", Role.CARER, Meaning.FALSE_ALARM) == [("Bob", Meaning.FALSE_ALARM)]


def test_checking_an_answer_changes_nothing():
    on, alert = raised()
    before = on.state()
    on.check(Answer("acknowledge", alert.id, "Ann"))
    on.check(Answer("pause_audio", by="Ann"))
    with pytest.raises(AnswerError, match="no alert"):
        on.check(Answer("acknowledge", "x", "Ann"))
    with pytest.raises(AnswerError, match="nothing is paused"):
        on.check(Answer("resume", by="Ann"))

    assert on.state() == before
