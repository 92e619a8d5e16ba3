"""Transactions that may come any number of times, and that fit into one message."""

import copy

import msgspec
import pytest

from edge.egress.allowed import Content
from edge.egress.messages import EraseOut
from edge.egress.summary import AlertCountOut, CoverageOut
from edge.records import AlertState
from edge.store.egress import MAX_ERASED
from edge.sync.fhir import SYSTEM, ContentError, bundle, device_of, erase_bundle
from edge.sync.fhir.bundles import MAX_ERASED_AT_ONCE, device_entry
from edge.sync.parcel import MAX_PARCEL_BYTES, Item
from tests.edge.sync.fhir.made import (
    ALERT,
    BEAT,
    BOX,
    NOON,
    OTHER,
    SUMMARY,
    UUID,
    handed,
    items,
    resources,
)
from tests.fhir_r4 import faults

replace = msgspec.structs.replace


def size(told):
    return len(msgspec.json.encode(told))


def test_a_transaction_makes_each_resource_once_and_never_by_its_own_address():
    whole = bundle(items(ALERT, SUMMARY))
    assert faults(whole) == []
    assert whole["type"] == "transaction"
    assert len(whole["entry"]) == 8
    for entry in whole["entry"]:
        known_as = entry["resource"]["identifier"][0]["value"]
        assert entry["request"] == {
            "method": "POST",
            "url": entry["resource"]["resourceType"],
            "ifNoneExist": f"identifier={SYSTEM}|{known_as}",
        }
        assert known_as not in entry["fullUrl"]
    spoilt = copy.deepcopy(whole)
    spoilt["entry"][0]["fullUrl"] = f"urn:uuid:{UUID}"
    assert faults(spoilt)
    with pytest.raises(ContentError, match="twice"):
        bundle([Item(handed(ALERT), Content.ALERT, ({"resourceType": "Observation"},))])


def test_a_request_to_delete_covers_all_that_an_entry_can_have_become():
    whole = erase_bundle(EraseOut(UUID, (UUID, OTHER), NOON))
    assert faults(whole) == []
    urls = {entry["request"]["url"] for entry in whole["entry"]}
    for entry in bundle(items(ALERT, SUMMARY))["entry"]:
        assert f"{entry['request']['url']}?{entry['request']['ifNoneExist']}" in urls
    many = erase_bundle(EraseOut(UUID, (UUID,) * MAX_ERASED_AT_ONCE, NOON))
    assert size(many) <= MAX_PARCEL_BYTES
    assert MAX_ERASED <= MAX_ERASED_AT_ONCE  # what the store puts into one request


def test_the_box_is_a_device_that_is_written_once():
    assert faults(device_of(BEAT)) == []
    entry = device_entry(BEAT)
    assert faults({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}) == []
    assert entry["request"]["url"] == f"Device?identifier=urn:homeward:box|{BOX}"
    with pytest.raises(ContentError, match="pseudonym"):
        device_of(replace(BEAT, box=""))


def test_what_leaves_is_small():
    three = tuple(v for v in SUMMARY.vitals if v.name in ("hr_bpm", "spo2_pct", "resp_brpm"))
    raised = replace(ALERT, state=AlertState.RAISED)
    assert size(resources(raised)) <= 1600
    assert size(resources(replace(SUMMARY, vitals=three))) <= 6000
    assert size(resources(SUMMARY)) <= 10_000
    # The worst that the list allows still is one message.
    most = replace(
        SUMMARY,
        alerts=tuple(AlertCountOut("r" * 60 + f"{n:04}", 10_000_000) for n in range(64)),
        coverage=tuple(CoverageOut("s" * 62 + f"{n:02}", 0.123) for n in range(16)),
        box="b" * 64,
        patient="p" * 64,
        epsilon=12.345678,
    )
    assert size(bundle(items(most))) <= MAX_PARCEL_BYTES
    worst = replace(ALERT, reason="\U0001f600" * 400, words="\U0001f600" * 128)
    assert size(bundle(items(worst))) <= MAX_PARCEL_BYTES
