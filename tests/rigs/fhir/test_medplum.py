"""What the sender makes, on a FHIR server that somebody else has written."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from edge.clock import TimeQuality
from edge.egress.allowed import Content
from edge.egress.outbox import Handed
from edge.egress.summary import AlertCountOut, CoverageOut, SummaryOut, VitalOut
from edge.records import AlertState
from edge.sync.fhir import SYSTEM, bundle, resources_of
from edge.sync.parcel import Item, Receipt
from edge.sync.sinks import SinkError
from edge.sync.sinks.fhir_rest import SINK, Settings
from tests.edge.sync.sinks.far_off import AT, BOX, alert, erasure, place, uuid_of
from tests.rigs.fhir.medplum import Server, medplum


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with medplum() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """Return it empty."""
    for kind in ("Observation", "DetectedIssue"):
        for one in running.held(kind):
            running.ask("DELETE", f"/{kind}/{one['id']}")
        assert running.held(kind) == []
    return running


def alerts(count: int) -> list[Item]:
    """Return states of alerts, every state there is among them."""
    states = list(AlertState)
    handed = [
        Handed(
            uuid_of(n),
            n,
            alert=msgspec.structs.replace(alert(n), state=states[n % len(states)]),
        )
        for n in range(1, count + 1)
    ]
    return [Item(one, Content.ALERT, resources_of(one)) for one in handed]


def summary(n: int) -> Item:
    vital = VitalOut("hr_bpm", 300, 55.0, 60.0, 70.0, 80.0, 95.0)
    others = [
        VitalOut("spo2_pct", 300, 91.0, 94.0, 96.0, 98.0, 99.0),
        VitalOut("resp_brpm", 300, 10.0, 12.0, 14.0, 17.0, 22.0),
        VitalOut("temp_degc", 300, 36.4, 36.5, 36.6, 36.7, 36.9),
        VitalOut("news2_lower", 300, 0.0, 0.0, 1.0, 2.0, 3.0),
        VitalOut("news2_upper", 300, 1.0, 1.0, 2.0, 3.0, 4.0),
    ]
    told = SummaryOut(
        uuid_of(n), BOX, "p1", AT, TimeQuality.SYNCED, 300.0, 350, 0, 1, (vital, *others),
        (CoverageOut("ecg_mv", 0.99),), (AlertCountOut("low_spo2", 2),),
    )  # fmt: skip
    handed = Handed(uuid_of(n), n, summary=told)
    return Item(handed, Content.SUMMARY, resources_of(handed))


def sent(server: Server, folder: Path, kind: Content, items: list[Item]) -> list[Receipt]:
    """Send all of them, in as many messages as it takes."""
    sink = SINK.open(Settings(url=server.url), place(folder))
    receipts = []

    async def all_of_it() -> None:
        left = items
        while left:
            parcel = sink.pack(kind, left)
            await sink.send(parcel)
            receipts.append(sink.receipts.get_nowait())
            left = left[len(parcel.items) :]

    asyncio.run(all_of_it())
    return receipts


def stored(receipts: list[Receipt]) -> set[str]:
    assert not [receipt.refused for receipt in receipts if receipt.refused]
    return {uuid for receipt in receipts for uuid in receipt.stored}


def test_a_transaction_of_twenty_sent_three_times_makes_twenty(
    server: Server, tmp_path: Path
) -> None:
    document = bundle(alerts(20))
    answers = []
    for _ in range(3):
        status, answer = server.ask("POST", "/", document)
        assert status == 200, answer
        answers.append([entry["response"]["status"] for entry in answer["entry"]])
    assert [len(one) for one in answers] == [20, 20, 20]
    assert {status[:3] for status in answers[0]} == {"201"}
    assert {status[:3] for one in answers[1:] for status in one} == {"200"}
    assert len(server.held("DetectedIssue")) == 20
    for _ in range(3):
        wanted = {uuid_of(n) for n in range(1, 21)}
        assert stored(sent(server, tmp_path, Content.ALERT, alerts(20))) == wanted
    held = server.held("DetectedIssue")
    assert len(held) == 20
    ids = {i["value"] for one in held for i in one["identifier"] if i["system"] == SYSTEM}
    assert ids == {uuid_of(n) for n in range(1, 21)}


def test_summaries_sent_three_times_are_there_once(server: Server, tmp_path: Path) -> None:
    items = [summary(n) for n in range(30, 33)]
    for _ in range(3):
        wanted = {item.uuid for item in items}
        assert stored(sent(server, tmp_path, Content.SUMMARY, items)) == wanted
    assert len(server.held("Observation")) == sum(len(item.resources) for item in items)


def test_the_control_an_identifier_that_is_the_full_url_is_made_again_each_time(
    server: Server,
) -> None:
    """What servers do to references they do to such an identifier too, and never find it again."""
    document = bundle(alerts(3))
    for entry in document["entry"]:
        known_as = f"urn:uuid:{uuid4()}"
        entry["fullUrl"] = known_as
        own = next(i for i in entry["resource"]["identifier"] if i["system"] == SYSTEM)
        own["value"] = known_as
        entry["request"]["ifNoneExist"] = f"identifier={SYSTEM}|{known_as}"
    for _ in range(3):
        status, _ = server.ask("POST", "/", copy.deepcopy(document))
        assert status == 200
    assert len(server.held("DetectedIssue")) == 9


def broken(change: dict[str, Any]) -> Item:
    (item,) = alerts(1)
    resource = {**item.resources[0], **change}
    kept = {key: value for key, value in resource.items() if value is not None}
    return Item(item.handed, item.kind, (kept,))


@pytest.mark.parametrize(
    "change",
    [{"status": None}, {"heartRate": 1}, {"detail": 7}],
    ids=["no status", "a field that is none", "a number for a string"],
)
def test_the_control_what_is_no_fhir_is_refused_and_set_aside(
    server: Server, tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(SinkError) as told:
        sent(server, tmp_path, Content.ALERT, [broken(change)])
    assert told.value.refused
    assert "400" in str(told.value)
    assert server.held("DetectedIssue") == []


def test_a_server_that_holds_several_is_shown(server: Server, tmp_path: Path) -> None:
    (item,) = alerts(1)
    for _ in range(2):
        status, _ = server.ask("POST", "/DetectedIssue", item.resources[0])
        assert status == 201
    assert len(server.held("DetectedIssue")) == 2
    (receipt,) = sent(server, tmp_path, Content.ALERT, [item])
    assert receipt.stored == {}
    assert "several" in receipt.refused[item.uuid]
    assert len(server.held("DetectedIssue")) == 2


def test_a_request_to_delete_is_carried_out_and_can_be_sent_again(
    server: Server, tmp_path: Path
) -> None:
    sent(server, tmp_path, Content.ALERT, alerts(3))
    sent(server, tmp_path, Content.SUMMARY, [summary(30), summary(31)])
    kept = len(summary(31).resources)
    gone = erasure(40, [uuid_of(1), uuid_of(2), uuid_of(30), str(UUID(int=1))])
    for _ in range(2):
        assert stored(sent(server, tmp_path, Content.ERASE, [gone])) == {uuid_of(40)}
        assert len(server.held("DetectedIssue")) == 1
        assert len(server.held("Observation")) == kept
