"""A sensor that says that it is not on the body."""

import math

import pytest

from edge.alarms.lead_off import RULE
from edge.records import Features, Kind, Priority

LEAD = {"lead_off_flag": 1.0}
LEAD_ON = {"lead_off_flag": 0.0}
CONTACT = {"contact_flag": 0.0}
CONTACT_ON = {"contact_flag": 1.0}


def run(night):
    state, said = RULE.start, []
    for start_s, values in enumerate(night):
        state, finding = RULE.step(state, Features("p1", start_s, 1.0, values), None, RULE.settings)
        said.append(finding)
    return said


def test_it_is_technical_and_medium():
    assert (RULE.kind, RULE.priority) == (Kind.TECHNICAL, Priority.MEDIUM)


@pytest.mark.parametrize(
    ("on", "off", "words"),
    [(LEAD_ON, LEAD, "ECG lead off"), (CONTACT_ON, CONTACT, "sensor without contact")],
)
def test_three_seconds_are_enough(on, off, words):
    said = run([on] * 2 + [off] * 5)

    assert [f.present for f in said] == [False] * 2 + [None] * 3 + [True] * 2
    assert said[5].reason == f"{words} for 3 s"
    assert said[5].evidence == off


def test_both_are_named():
    finding = run([{**LEAD, **CONTACT}] * 4)[-1]

    assert finding.reason == "ECG lead off for 3 s, sensor without contact for 3 s"
    assert finding.evidence == {**LEAD, **CONTACT}


def test_a_sensor_that_tells_nothing_tells_nothing():
    assert {f.present for f in run([{}] * 10)} == {None}


def test_a_flag_that_was_off_and_is_gone_keeps_the_answer_open():
    said = run([{**LEAD, **CONTACT_ON}] * 5 + [CONTACT_ON] * 60)

    assert {f.present for f in said[5:]} == {None}


def test_a_flag_that_was_on_and_is_gone_does_not():
    said = run([{**LEAD_ON, **CONTACT_ON}] * 5 + [CONTACT_ON] * 5)

    assert {f.present for f in said} == {False}


def test_a_pending_flag_beside_an_unreadable_one_keeps_the_answer_open():
    said = run([LEAD] * 5 + [{"lead_off_flag": math.nan, **CONTACT}])

    assert said[-1].present is None


def test_one_more_sensor_without_contact_is_a_fault_of_its_own():
    one, two = (run([{**CONTACT, "n_contact_flag": n}] * 4)[-1] for n in (1.0, 2.0))

    assert set(two.evidence) - set(one.evidence) == {"contact_flag_2"}
    assert two.reason == "sensor without contact for 3 s, 2 sensors say so"
