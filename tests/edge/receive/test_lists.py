"""A receiver's lists show of an entry what its resources say, and its digest survives the wire."""

import msgspec

from edge.receive.arrivals import arrived
from edge.sync import wire
from edge.sync.fhir.reading import columns
from tests.edge.sync.fhir.made import ALERT, BOX, NOON, PATIENT, SUMMARY, items

AT = "2026-11-22T12:00:00.000+00:00"


def listed(what):
    (item,) = items(what)
    body, n = wire.pack(BOX, [item], NOON)
    assert n == 1
    (good,) = arrived(wire.opened(body, BOX), 1.0, columns).entries
    assert good.digest == item.digest
    return good.facts


def test_an_alert_is_listed_by_patient_rule_priority_state_and_time():
    assert listed(ALERT) == (PATIENT, "very_low_spo2", "high", "active", AT)


def test_a_summary_is_listed_by_patient_and_time_blurred_or_not():
    for epsilon in (0.0, 1.0, 0.1):
        told = listed(msgspec.structs.replace(SUMMARY, epsilon=epsilon))
        assert told == (PATIENT, "", "", "", AT)
