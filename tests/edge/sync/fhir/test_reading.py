"""A receiver reads back what a box has written, and nothing else."""

import copy

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.egress.allowed import Content
from edge.sync.fhir import ContentError, resources_of
from edge.sync.fhir.reading import columns, facts
from tests.edge.sync.fhir.made import (
    ALERT,
    BOX,
    NOON,
    OTHER,
    PATIENT,
    SUMMARY,
    UUID,
    alerts,
    handed,
    summaries,
)

replace = msgspec.structs.replace


def over_the_wire(what):
    return msgspec.json.decode(msgspec.json.encode(resources_of(handed(what))))


def test_an_alert_is_read_back():
    told = facts(over_the_wire(ALERT))
    assert (told.uuid, told.content, told.version) == (UUID, Content.ALERT, 1)
    assert (told.box, told.patient, told.rule) == (BOX, PATIENT, ALERT.rule)
    assert (told.kind, told.priority, told.state) == (ALERT.kind, ALERT.priority, ALERT.state)
    assert (told.at_utc, told.since_utc, told.time_quality) == (NOON, NOON, ALERT.time_quality)
    assert (told.alert_id, told.sequence, told.words) == (ALERT.id, 2, "very low SpO2")
    assert told.reason == ALERT.reason


def test_a_summary_is_read_back():
    told = facts(over_the_wire(replace(SUMMARY, epsilon=0.5)))
    assert (told.uuid, told.content, told.version) == (OTHER, Content.SUMMARY, 2)
    assert (told.box, told.patient, told.epsilon) == (BOX, PATIENT, 0.5)
    assert (told.at_utc, (told.end_utc - told.at_utc).total_seconds()) == (NOON, 60.0)
    assert facts(over_the_wire(SUMMARY)).epsilon == 0.0


@given(alerts | summaries)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_written_is_read(what):
    told = facts(over_the_wire(what))
    assert told.uuid == what.uuid
    at_utc = getattr(what, "at_utc", None) or getattr(what, "start_utc", None)
    assert (told.at_utc is None) == (at_utc is None)
    if at_utc is not None:
        assert abs((told.at_utc - at_utc).total_seconds()) < 0.001
    if told.content is Content.ALERT:
        assert (told.priority, told.state, told.role) == (what.priority, what.state, what.role)
    else:
        assert told.epsilon == what.epsilon


def test_lists_show_texts_and_nothing_of_what_cannot_be_read():
    assert columns(over_the_wire(ALERT)) == {
        "patient": PATIENT,
        "rule": "very_low_spo2",
        "priority": "high",
        "state": "active",
        "at_utc": "2026-11-22T12:00:00.000+00:00",
    }
    assert columns(over_the_wire(replace(SUMMARY, start_utc=None)))["at_utc"] == ""
    assert all(type(one) is str for one in columns(over_the_wire(ALERT)).values())
    assert columns([{"resourceType": "Flag"}]) == {}


def drop(*path):
    def spoil(told):
        for step in path[:-1]:
            told = told[step]
        del told[path[-1]]

    return spoil


SPOILT = {
    "another type": lambda told: told[0].update(resourceType="Flag"),
    "no type": drop(0, "resourceType"),
    "no identifier": drop(0, "identifier"),
    "no version": drop(0, "meta"),
    "a version of something else": lambda t: t[0]["meta"]["tag"][0].update(code="summary-2"),
    "no number": lambda t: t[0]["meta"]["tag"][0].update(code="alert-x"),
    "no uuid": lambda t: t[0]["identifier"][0].update(value="1"),
    "two ids": lambda t: t[0]["identifier"].append(t[0]["identifier"][0]),
    "another state": lambda t: t[0]["extension"][0]["extension"][2].update(valueCode="dead"),
    "no state": drop(0, "extension", 0, "extension", 2),
    "a number for a name": lambda t: t[0]["patient"]["identifier"].update(value=3),
    "a time that is none": lambda t: t[0].update(identifiedDateTime="noon"),
    "a status of its own": lambda t: t[0].update(status="amended"),
    "a list": lambda t: t.__setitem__(0, []),
    "a second alert": lambda t: t.append(t[0]),
    "nothing": lambda t: t.clear(),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_not_ours_is_refused_without_saying_what_it_held(what):
    told = over_the_wire(ALERT)
    SPOILT[what](told)
    with pytest.raises(ContentError) as refused:
        facts(told)
    assert PATIENT not in str(refused.value)


def test_a_vital_sign_of_another_entry_box_or_patient_is_refused():
    told = over_the_wire(SUMMARY)
    for path in (("identifier", 1), ("subject", "identifier"), ("device", "identifier")):
        spoilt = copy.deepcopy(told)
        where = spoilt[2]
        for step in path:
            where = where[step]
        where["value"] = UUID.replace("3", "4")
        with pytest.raises(ContentError):
            facts(spoilt)
    with pytest.raises(ContentError, match="1 to"):
        facts(told * 2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.data())
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_else_comes_is_read_or_refused_and_never_anything_worse(data):
    told = over_the_wire(data.draw(st.sampled_from([ALERT, SUMMARY])))
    field = data.draw(st.sampled_from(sorted(told[0])))
    told[0][field] = data.draw(json_values)
    try:
        facts(told)
    except ContentError:
        return
