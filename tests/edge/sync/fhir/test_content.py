"""What leaves is FHIR R4, whatever an alert or a summary holds, and says nothing beside."""

import copy
import itertools
import json
import re
from uuid import UUID as UUID_OF
from uuid import uuid5

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from edge.clock import TimeQuality
from edge.egress.alert import VitalsOut
from edge.egress.messages import EraseOut
from edge.egress.outbox import Handed
from edge.records import AlertState, Kind, Meaning, Priority, Role
from edge.sync.fhir import SYSTEM, ContentError, bundle, erase_bundle, resources_of
from edge.sync.fhir.bundles import device_entry
from edge.sync.fhir.codes import OWN
from edge.sync.fhir.summaries import PARTS
from tests.edge.sync.fhir.made import (
    ALERT,
    BEAT,
    BOX,
    NOON,
    OTHER,
    PATIENT,
    SUMMARY,
    UUID,
    alerts,
    items,
    resources,
    summaries,
)
from tests.fhir_r4 import faults

replace = msgspec.structs.replace


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("state", AlertState)
def test_every_kind_priority_and_state_is_a_valid_detected_issue(kind, priority, state):
    (issue,) = resources(replace(ALERT, kind=kind, priority=priority, state=state))
    assert faults(issue) == []
    assert (
        issue.get("severity")
        == {
            "high": "high",
            "medium": "moderate",
            "low": "low",
            "information": None,
        }[priority]
    )
    said = {one["url"]: one for one in issue["extension"][0]["extension"]}
    assert said["state"]["valueCode"] == state
    assert said["priority"]["valueCode"] == priority


@pytest.mark.parametrize(
    ("role", "meaning", "quality"),
    [*itertools.product([None, *Role], [None, *Meaning], [None, *TimeQuality])],
)
def test_every_answer_and_time_quality_is_valid(role, meaning, quality):
    (issue,) = resources(replace(ALERT, role=role, meaning=meaning, time_quality=quality))
    assert faults(issue) == []
    assert ("mitigation" in issue) == (role is not None or meaning is not None)
    for one in resources(replace(SUMMARY, time_quality=quality)):
        assert faults(one) == []


@given(alerts)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_any_alert_is_a_valid_resource(alert):
    (issue,) = resources(alert)
    assert faults(issue) == []
    assert faults(bundle(items(alert))) == []


@given(summaries)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_any_summary_is_valid_resources(summary):
    told = resources(summary)
    assert [faults(one) for one in told] == [[]] * len(told)
    assert faults(bundle(items(summary))) == []


def test_another_library_reads_them_all():
    # FHIR R4B: of what we write it differs from R4 in nothing. It holds names and types, and no
    # required bindings: those are checked by tests/fhir_r4.py.
    r4b = pytest.importorskip("fhir.resources.R4B.bundle", reason="reads FHIR as others do")
    box = replace(ALERT, patient="", kind=Kind.TECHNICAL, values=VitalsOut(), role=Role.CARER)
    whole = bundle(items(ALERT, box, SUMMARY, replace(SUMMARY, start_utc=None, epsilon=1.0)))
    whole["entry"] = [*whole["entry"][:10], device_entry(BEAT)]
    read = r4b.Bundle.model_validate(whole)
    kinds = [one.resource.get_resource_type() for one in read.entry]
    assert kinds == ["DetectedIssue"] * 2 + ["Observation"] * 8 + ["Device"]
    r4b.Bundle.model_validate(erase_bundle(EraseOut(UUID, (UUID,), NOON)))


@given(alerts)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_another_library_reads_any_alert(alert):
    r4b = pytest.importorskip("fhir.resources.R4B.detectedissue", reason="reads FHIR as others do")
    (issue,) = resources(alert)
    r4b.DetectedIssue.model_validate(issue)


@given(summaries)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_another_library_reads_any_summary(summary):
    r4b = pytest.importorskip("fhir.resources.R4B.observation", reason="reads FHIR as others do")
    for one in resources(summary):
        r4b.Observation.model_validate(one)


def spoil(**told):
    return lambda resource: resource.update(told)


SPOILT_ISSUES = {
    "status": spoil(status="finnal"),
    "no status": lambda r: r.pop("status"),
    "severity": spoil(severity="medium"),
    "field": spoil(heartRate=1),
    "two times": spoil(identifiedPeriod={"start": "2026-11-22T12:00:00Z"}),
    "time": spoil(identifiedDateTime="22.11.2026"),
    "no zone": spoil(identifiedDateTime="2026-11-22T12:00:00"),
    "one for several": spoil(implicated={"display": "x"}),
    "several for one": spoil(patient=[{"display": "x"}]),
    "empty text": spoil(detail=" "),
    "empty list": spoil(mitigation=[]),
    "unused": lambda r: r.pop("evidence"),
    "unit": lambda r: r["contained"][0]["component"][0]["valueQuantity"].update(code="percent"),
    "extension": lambda r: r["extension"][0].update(valueCode="x"),
    "no action": spoil(mitigation=[{"date": "2026-11-22T12:00:00Z"}]),
}
SPOILT_OBSERVATIONS = {
    "status": spoil(status="finnal"),
    "no code": lambda r: r.pop("code"),
    "two values": spoil(valueString="x"),
    "no category": lambda r: r.pop("category"),
    "category": lambda r: r["category"][0]["coding"][0].update(code="waves"),
    "no time": lambda r: r.pop("effectivePeriod"),
    "no subject": lambda r: r.pop("subject"),
    "no unit": lambda r: r["valueQuantity"].pop("unit"),
    "order": lambda r: r["component"][0]["valueRange"]["low"].update(value=900),
    "period": lambda r: r["effectivePeriod"].update(end="2020-01-01T00:00:00Z"),
    "fraction": lambda r: r["component"][-1].update(valueInteger=1.5),
}


@pytest.mark.parametrize("what", SPOILT_ISSUES)
def test_the_check_itself_finds_what_is_wrong_with_an_issue(what):
    (issue,) = copy.deepcopy(resources(ALERT))
    SPOILT_ISSUES[what](issue)
    assert faults(issue)


@pytest.mark.parametrize("what", SPOILT_OBSERVATIONS)
def test_the_check_itself_finds_what_is_wrong_with_an_observation(what):
    observation = copy.deepcopy(resources(SUMMARY)[1])
    SPOILT_OBSERVATIONS[what](observation)
    assert faults(observation)


def test_an_alert_says_what_it_is_in_codes_and_in_words():
    (issue,) = resources(replace(ALERT, role=Role.CARER, meaning=Meaning.FALSE_ALARM))
    assert issue["identifier"] == [
        {"system": SYSTEM, "value": UUID},
        {"system": "urn:homeward:alert", "value": ALERT.id},
    ]
    assert issue["code"]["text"] == "very low SpO2"
    assert issue["patient"] == {
        "type": "Patient",
        "identifier": {"system": "urn:homeward:patient", "value": PATIENT},
    }
    assert issue["author"] == {"identifier": {"system": "urn:homeward:box", "value": BOX}}
    assert issue["detail"] == ALERT.reason
    assert issue["identifiedDateTime"] == "2026-11-22T12:00:00Z"
    values = {
        one["code"]["coding"][0]["code"]: one["valueQuantity"]["value"]
        for one in issue["contained"][0]["component"]
    }
    assert values == {"2708-6": 82, "8889-8": 112.4}
    (answer,) = issue["mitigation"]
    assert answer["action"]["text"] == "false alarm, by a carer"
    assert answer["action"]["coding"][0]["code"] == "false_alarm"


def test_an_alert_of_the_box_is_of_no_patient_and_implicates_the_box():
    (issue,) = resources(replace(ALERT, patient="", kind=Kind.TECHNICAL))
    assert "patient" not in issue
    assert issue["implicated"] == [issue["author"]]


def test_states_of_one_alert_are_resources_of_their_own_that_share_the_alert():
    second = replace(ALERT, uuid=UUID.replace("3f2b", "4f2b"), state=AlertState.ENDED)
    (one,), (two,) = resources(ALERT), resources(second)
    assert one["identifier"][0] != two["identifier"][0]
    assert one["identifier"][1] == two["identifier"][1]


def test_a_summary_is_its_period_and_a_vital_sign_each():
    told = resources(SUMMARY)
    assert [one["code"]["coding"][0]["code"] for one in told] == [
        *("summary", "8867-4", "2708-6", "8889-8", "9279-1", "8310-5", "1104051000000101")
    ]
    known_as = [one["identifier"][0]["value"] for one in told]
    assert known_as[0] == OTHER
    assert len(set(known_as)) == 7
    assert {one["identifier"][1]["value"] for one in told[1:]} == {OTHER}
    pulse = told[3]
    assert pulse["valueQuantity"] == {
        "value": 70.5,
        "unit": "/min",
        "system": "http://unitsofmeasure.org",
        "code": "/min",
    }
    assert pulse["effectivePeriod"] == {
        "start": "2026-11-22T12:00:00Z",
        "end": "2026-11-22T12:01:00Z",
    }
    spread = {one["code"]["coding"][0]["code"]: one for one in pulse["component"]}
    assert spread["p10-p90"]["valueRange"]["high"] == {"value": 80.1, "unit": "/min"}
    assert spread["min-max"]["valueRange"]["low"]["value"] == 61.2
    assert spread["n"]["valueInteger"] == 57
    counts = {one["code"]["coding"][0]["code"]: one for one in told[0]["component"]}
    assert counts["n_beats"]["valueInteger"] == 71
    assert counts["ecg_mv"]["valueQuantity"]["value"] == 0.998
    assert counts["very_low_spo2"]["valueInteger"] == 1


def test_news2_is_a_range_and_one_number_where_its_bounds_meet():
    score = resources(SUMMARY)[-1]
    assert [score["valueRange"][side]["value"] for side in ("low", "high")] == [2, 5]
    lower, upper = (one for one in SUMMARY.vitals if one.name.startswith("news2"))
    sure = replace(SUMMARY, vitals=(lower, replace(lower, name="news2_upper")))
    assert resources(sure)[-1]["valueQuantity"]["value"] == 2
    alone = resources(replace(SUMMARY, vitals=(upper,)))[-1]
    assert [*alone["valueRange"]] == ["high"]


def test_a_blurred_summary_cannot_be_taken_for_a_measurement():
    exact, blurred = (json.dumps(resources(replace(SUMMARY, epsilon=e))) for e in (0.0, 1.0))
    for mark in ("loinc", "snomed", "vital-signs", "survey"):
        assert mark in exact
        assert mark not in blurred
    assert "blurred" not in exact
    for one in resources(replace(SUMMARY, epsilon=1.0)):
        assert "blurred for privacy" in one["code"]["text"]
        assert one["extension"] == [{"url": "urn:homeward:fhir:epsilon", "valueDecimal": 1.0}]


def test_a_time_that_is_not_sure_says_so_on_every_vital_sign():
    for quality in (TimeQuality.HOLDOVER, TimeQuality.UNSYNCED):
        for one in resources(replace(SUMMARY, time_quality=quality)):
            assert one["effectivePeriod"]["extension"][0]["valueCode"] == quality
    period, *others = resources(SUMMARY)
    assert period["effectivePeriod"]["extension"][0]["valueCode"] == "synced"
    assert not any("extension" in one["effectivePeriod"] for one in others)
    for one in resources(replace(SUMMARY, start_utc=None)):
        assert one["effectivePeriod"]["extension"][0]["valueCode"] == "unknown"


@given(alerts)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_an_alert_says_nothing_but_its_fields_and_what_is_always_said(alert):
    said = texts_in(resources(alert))
    plain = replace(
        ALERT,
        **{name: getattr(alert, name) for name in ("kind", "priority", "state")},
        **{name: getattr(alert, name) for name in ("role", "meaning", "time_quality")},
        values=VitalsOut(1.0, 1.0, 1.0, 1.0, 11.0, 1.0, 1.0),
    )
    always = texts_in(resources(plain))
    fields = [alert.box, alert.patient, alert.id, alert.words, alert.reason]
    own = {"".join(c if c.isprintable() else " " for c in one).strip() for one in fields}
    own |= {re.sub(r"[^A-Za-z0-9_.:-]+", "_", alert.rule).strip("_") or "unknown", alert.uuid}
    times = {one for one in said - always - own if not re.match(r"\d{4}-\d\d-\d\dT", one)}
    assert times == set()


@given(summaries)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_a_summary_says_nothing_but_its_fields_and_what_is_always_said(summary):
    always = texts_in(resources(replace(SUMMARY, start_utc=None)))
    for epsilon in (0.0, 1.0):
        for quality in TimeQuality:
            always |= texts_in(resources(replace(SUMMARY, epsilon=epsilon, time_quality=quality)))
    fields = {
        "".join(c if c.isprintable() else " " for c in one).strip()
        for one in (summary.box, summary.patient)
    }
    names = [*(one.rule for one in summary.alerts), *(one.signal for one in summary.coverage)]
    fields |= {re.sub(r"[^A-Za-z0-9_.:-]+", "_", one).strip("_") or "unknown" for one in names}
    fields |= {summary.uuid, "unknown"}
    fields |= {str(uuid5(UUID_OF(summary.uuid), name)) for name in PARTS}
    said = texts_in(resources(summary)) - always - fields
    assert {one for one in said if not re.match(r"\d{4}-\d\d-\d\dT", one)} == set()


def texts_in(told):
    if isinstance(told, str):
        return {told}
    if isinstance(told, dict):
        return set().union(*map(texts_in, told.values()))
    return set().union(*map(texts_in, told)) if isinstance(told, list | tuple) else set()


def test_the_same_entry_gives_the_same_bytes():
    one, two = items(ALERT, SUMMARY), items(ALERT, SUMMARY)
    assert [item.digest for item in one] == [item.digest for item in two]


def test_a_request_to_delete_is_no_resource_and_an_entry_that_says_nothing_is_refused():
    assert resources_of(Handed(UUID, 1, erase=EraseOut(UUID, (UUID,), NOON))) == ()
    with pytest.raises(ContentError, match="lost its key"):
        resources_of(Handed(UUID, 1, trouble="it lost its key"))
    with pytest.raises(ContentError, match="says nothing"):
        resources_of(Handed(UUID, 1))
    with pytest.raises(ContentError, match="no uuid"):
        resources_of(Handed("u-1", 1, alert=replace(ALERT, uuid="u-1")))
    with pytest.raises(ContentError, match="another"):
        resources_of(Handed(UUID.replace("3", "4"), 1, alert=ALERT))


def test_all_codes_of_our_own_are_listed_with_their_meaning():
    used = set()
    for one in [*resources(replace(ALERT, meaning=Meaning.SEEN)), *resources(SUMMARY)]:
        used |= codings_in(one)
    free = {"urn:homeward:rule", "urn:homeward:signal", "urn:homeward:schema"}
    ours = {c for c in used if c[0].startswith("urn:homeward") and c[0] not in free}
    assert ours == {(s, c) for s, c in ours if c in OWN[s]}
    assert ours


def codings_in(told):
    if isinstance(told, dict):
        inner = set().union(*map(codings_in, told.values()))
        is_code = {"system", "code"} == told.keys()
        return inner | ({(told["system"], told["code"])} if is_code else set())
    return set().union(*map(codings_in, told)) if isinstance(told, list) else set()
