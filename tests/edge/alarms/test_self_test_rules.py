"""What a self-test found becomes an alarm of the box, through the whole pipeline."""

from __future__ import annotations

import msgspec
import pytest

from edge.alerts import Answer
from edge.assemble import assemble
from edge.events import SELF_TEST, SelfTestTold, tell
from edge.pipeline import ANSWER, Pipeline, PipelineSettings
from edge.records import (
    Alert,
    AlertState,
    Packet,
    Priority,
    Record,
    SelfTest,
    SelfTestRow,
    Summary,
    Verdict,
    encode_record,
)

HOUR_S = 3600.0


def ended(*failed: str, at_s: float = 5.0) -> SelfTest:
    rows = tuple(SelfTestRow(label, "", Verdict.FAILED, "broken") for label in failed)
    return SelfTest(
        "t1", at_s - 5.0, at_s, "", (*rows, SelfTestRow("disk", "", Verdict.PASSED, "x"))
    )


def told(test: SelfTest | None, at_s: float, age_s: float = 0.0, *, known: bool = False) -> Packet:
    return tell(SELF_TEST, SelfTestTold(test, age_s, known), at_s)


@pytest.fixture
def box() -> Pipeline:
    return assemble(PipelineSettings(), "run-1")


def alerts(records: tuple[Record, ...]) -> list[Alert]:
    return [record for record in records if isinstance(record, Alert)]


def test_a_test_that_failed_is_an_alarm_of_the_box_that_sounds_at_once(box: Pipeline) -> None:
    test = ended("sound annunciator", "Strap battery", at_s=9.8)
    records = box.advance([told(test, 10.0)], 11.0).records
    assert records[0] == test  # on record, before what it caused
    (alert,) = alerts(records)
    assert (alert.rule, alert.patient) == ("self_test_failed", "")
    assert (alert.priority, alert.state) == (Priority.MEDIUM, AlertState.RAISED)
    assert alert.at_s - 10.0 <= 1.0
    assert set(alert.evidence) == {"sound annunciator", "Strap battery"}
    assert "Strap battery, sound annunciator" in alert.reason
    assert "homeward doctor --alarm-path" in alert.reason
    assert box.signal(11.0).audible
    assert box.live().patients == ()  # nobody was made up for it


def test_a_second_failure_is_news_even_while_the_first_is_answered(box: Pipeline) -> None:
    (first,) = alerts(box.advance([told(ended("disk"), 10.0)], 11.0).records)
    seen = Answer("acknowledge", first.id, "Ann")
    box.advance([Packet("person", ANSWER, 12.0, msgspec.json.encode(seen))], 13.0)
    assert not box.signal(13.0).audible
    again = alerts(box.advance([told(ended("disk"), 14.0)], 15.0).records)
    assert again == []  # the same again is no news
    news = alerts(box.advance([told(ended("disk", "sound"), 16.0)], 17.0).records)
    assert [(one.state, set(one.evidence)) for one in news] == [
        (AlertState.ENDED, {"disk"}),
        (AlertState.RAISED, {"disk", "sound"}),
    ]
    assert box.signal(17.0).audible


def test_a_test_that_passes_ends_it(box: Pipeline) -> None:
    box.advance([told(ended("disk"), 10.0)], 11.0)
    (over,) = alerts(box.advance([told(ended(), 20.0)], 40.0).records)
    assert over.state is AlertState.ENDED


def test_a_clock_alone_is_low_because_every_alarm_still_sounds(box: Pipeline) -> None:
    (alert,) = alerts(box.advance([told(ended("clock"), 10.0)], 11.0).records)
    assert (alert.priority, "alarms sound" in alert.reason) == (Priority.LOW, True)
    (risen,) = alerts(box.advance([told(ended("clock", "disk"), 12.0)], 13.0).records)
    assert risen.priority is Priority.MEDIUM


def test_what_is_on_record_already_is_not_recorded_twice(box: Pipeline) -> None:
    records = box.advance([told(ended("disk"), 10.0, age_s=3600.0, known=True)], 11.0).records
    assert [type(one) for one in records] == [Alert]


def run_to(box: Pipeline, hours: float) -> list[Alert]:
    """Live on in steps of a minute, as a box without a patient does."""
    found = []
    while box.now_s < hours * HOUR_S:
        found += alerts(box.advance([], box.now_s + 60.0).records)
    return [one for one in found if one.rule == "self_test_overdue"]


def test_overdue_is_low_after_26_hours_and_medium_after_50_and_over_with_the_next(
    box: Pipeline,
) -> None:
    box.advance([told(ended(), 10.0)], 11.0)
    assert run_to(box, 25.9) == []
    (low, *_) = run_to(box, 26.1)
    assert (low.priority, low.state, low.patient) == (Priority.LOW, AlertState.RAISED, "")
    assert "has not been tested for 26 h" in low.reason
    assert low.at_s - (10.0 + 26 * HOUR_S) <= 10.0
    later = run_to(box, 50.1)
    assert later[-1].priority is Priority.MEDIUM
    assert len({one.id for one in later}) == 1  # one fault, one alarm
    last = alerts(box.advance([told(ended(), box.now_s + 1.0)], box.now_s + 20.0).records)
    assert [one.state for one in last] == [AlertState.ENDED]


def test_a_box_that_never_tested_itself_is_overdue_too_and_says_so(box: Pipeline) -> None:
    box.advance([told(None, 10.0, known=True)], 11.0)
    (alert, *_) = run_to(box, 26.1)
    assert "(and never before)" in alert.reason


def test_the_age_goes_on_over_a_restart(box: Pipeline) -> None:
    packet = told(ended(), 10.0, age_s=25 * HOUR_S, known=True)
    box.advance([packet], 11.0)
    assert run_to(box, 0.9) == []
    assert run_to(box, 1.1) != []


def test_a_recording_without_self_tests_raises_nothing_of_them(box: Pipeline) -> None:
    assert run_to(box, 27.0) == []


def test_the_same_packets_give_the_same_records() -> None:
    packets = [told(ended("disk"), 10.0), told(ended(), 20.0), told(ended("clock"), 50.0)]

    def lived(step_s: float) -> list[bytes]:
        fresh = assemble(PipelineSettings(), "run-1")
        out, left, now_s = [], list(packets), 0.0
        while now_s < 80.0:
            now_s += step_s
            due = [one for one in left if one.arrived_s <= now_s]
            left = left[len(due) :]
            out += [encode_record(one) for one in fresh.advance(due, now_s).records]
        return out

    assert lived(0.25) == lived(80.0)
    assert len(lived(0.25)) > 5


def test_a_broken_payload_is_noted_and_stops_nothing(box: Pipeline) -> None:
    box.advance([Packet("box", SELF_TEST, 1.0, b'{"test": 5}')], 2.0)
    assert "box:selftest" in box.live().notes[0]


def test_no_summary_is_made_of_the_box(box: Pipeline) -> None:
    records = box.advance([told(ended("disk"), 10.0)], 200.0).records
    assert not any(isinstance(one, Summary) for one in records)
