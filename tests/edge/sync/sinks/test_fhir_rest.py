"""A FHIR server far away: its answer, entry by entry, is the receipt, and nothing else is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edge.egress.allowed import Content
from edge.sync import SyncError
from edge.sync.parcel import MAX_PARCEL_BYTES, Receipt
from edge.sync.sinks import SinkError
from edge.sync.sinks.fhir_rest import SINK, Settings
from tests.edge.notices.far_away import authority, server_side
from tests.edge.sync.sinks.far_off import (
    Answer,
    erasure,
    heartbeat,
    items,
    obeying,
    observation,
    place,
    secret_file,
    uuid_of,
)


def answered(statuses: list[str], status: int = 200, **more: Any) -> Answer:
    entries = [{"response": {"status": one}} for one in statuses]
    document = {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": entries,
        **more,
    }
    return status, {"Content-Type": "application/fhir+json"}, json.dumps(document).encode()


def outcome(status: int, text: str = "bad value", headers: dict[str, str] | None = None) -> Answer:
    issue = [{"severity": "error", "code": "invalid", "details": {"text": text}}]
    document = {"resourceType": "OperationOutcome", "issue": issue}
    return status, headers or {}, json.dumps(document).encode()


def sent(tmp_path: Path, answer: Answer, what: list[Any], kind: Content = Content.ALERT) -> Receipt:
    with obeying(lambda *_: answer) as server:
        opened = SINK.open(Settings(url=f"{server.url}/fhir"), place(tmp_path))

        async def once() -> Receipt:
            await opened.send(opened.pack(kind, what))
            return opened.receipts.get_nowait()

        return asyncio.run(once())


def test_200_and_201_are_stored_alike(tmp_path: Path) -> None:
    receipt = sent(tmp_path, answered(["201 Created", "200 OK"]), items(2))
    assert dict(receipt.stored) == {uuid_of(1): "", uuid_of(2): ""}
    assert receipt.refused == {}


def test_an_entry_of_several_resources_is_stored_when_all_of_them_are(tmp_path: Path) -> None:
    (one, two) = items(2)
    both = type(one)(one.handed, one.kind, (*one.resources, observation(50)))
    receipt = sent(tmp_path, answered(["201", "503 Busy", "201"]), [both, two])
    assert set(receipt.stored) == {uuid_of(2)}
    assert receipt.refused == {}


def test_a_server_that_holds_several_is_shown_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    receipt = sent(tmp_path, answered(["412 Precondition Failed", "201"]), items(2))
    assert set(receipt.stored) == {uuid_of(2)}
    assert "holds several" in receipt.refused[uuid_of(1)]


@pytest.mark.parametrize(
    "answer",
    [
        answered(["201"]),
        answered(["201"] * 3),
        answered([]),
        (200, {}, b""),
        (200, {}, b"<html>you are in a hotel: log in</html>"),
        (200, {}, b"[" * 100_000),
        (200, {}, b'{"resourceType":"Bundle","entry":[{"response":{"status":201}}]}'),
        (200, {}, answered(["201", "201"])[2][:-9]),
        outcome(200),
    ],
)
def test_an_answer_that_does_not_speak_of_every_entry_settles_none(
    tmp_path: Path, answer: Answer
) -> None:
    with pytest.raises(SinkError) as told:
        sent(tmp_path, answer, items(2))
    assert told.value.arrived
    assert not told.value.refused


@pytest.mark.parametrize("status", ["", "2", "299 Odd", "abc", "20100", "302 Found"])
def test_a_status_that_is_none_settles_nothing(tmp_path: Path, status: str) -> None:
    receipt = sent(tmp_path, answered([status]), items(1))
    assert receipt == Receipt({}, {})


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (outcome(400), True),
        (outcome(422), True),
        (outcome(412), True),
        ((413, {}, b"nginx"), True),
        ((400, {}, b"<html>Bad Request</html>"), False),
        (outcome(401), False),
        (outcome(403), False),
        (outcome(404), False),
        (outcome(409), False),
        (outcome(429), False),
        (outcome(500), False),
        ((302, {"Location": "https://elsewhere.example/"}, b""), False),
    ],
)
def test_only_what_speaks_of_the_content_sets_it_aside(
    tmp_path: Path, answer: Answer, refused: bool
) -> None:
    with pytest.raises(SinkError) as told:
        sent(tmp_path, answer, items(2))
    assert told.value.refused == refused
    assert "localhost" in str(told.value)


def test_a_server_that_wants_to_be_left_alone_says_for_how_long(tmp_path: Path) -> None:
    with pytest.raises(SinkError) as told:
        sent(tmp_path, outcome(429, headers={"Retry-After": "17"}), items(1))
    assert told.value.retry_after_s == 17.0


def test_what_the_server_says_is_one_short_line(tmp_path: Path) -> None:
    with pytest.raises(SinkError) as told:
        sent(tmp_path, outcome(422, "no \x1b[31m code\n" + "x" * 5000), items(1))
    assert str(told.value).isprintable()
    assert len(str(told.value)) <= 200


def test_a_request_to_delete_is_done_when_nothing_is_there_any_more(tmp_path: Path) -> None:
    gone = erasure(9, [uuid_of(1), uuid_of(2)])
    with obeying(lambda *_: (500, {}, b"")) as server:
        opened = SINK.open(Settings(url=server.url), place(tmp_path))
        parcel = opened.pack(Content.ERASE, [gone, erasure(10, [uuid_of(3)])])
    assert [item.uuid for item in parcel.items] == [uuid_of(9)]
    entries = json.loads(parcel.body)["entry"]
    assert {entry["request"]["method"] for entry in entries} == {"DELETE"}
    assert len(parcel.body) <= MAX_PARCEL_BYTES
    statuses = (["204 No Content", "404 Not Found", "200"] * len(entries))[: len(entries)]
    assert set(sent(tmp_path, answered(statuses), [gone], Content.ERASE).stored) == {uuid_of(9)}
    statuses[-1] = "500"
    assert sent(tmp_path, answered(statuses), [gone], Content.ERASE).stored == {}


def test_a_request_that_names_too_many_is_refused_before_it_leaves(tmp_path: Path) -> None:
    opened = SINK.open(Settings(url="https://clinic.example/fhir"), place(tmp_path))
    most = opened.pack(Content.ERASE, [erasure(99, [uuid_of(n) for n in range(24)])])
    assert len(most.body) <= MAX_PARCEL_BYTES
    with pytest.raises(SinkError) as told:
        opened.pack(Content.ERASE, [erasure(99, [uuid_of(n) for n in range(25)])])
    assert told.value.refused


def test_deletions_count_for_a_request_to_delete_alone(tmp_path: Path) -> None:
    assert sent(tmp_path, answered(["204"]), items(1)).stored == {}


def test_the_token_is_sent_and_read_anew_each_time(tmp_path: Path) -> None:
    named = secret_file(tmp_path, "token", "tokenTheFirst")
    with obeying(lambda *_: answered(["201"])) as server:
        opened = SINK.open(Settings(url=server.url, token_file=named), place(tmp_path))
        parcel = opened.pack(Content.ALERT, items(1))
        asyncio.run(opened.send(parcel))
        secret_file(tmp_path, "token", "tokenTheSecond")
        asyncio.run(opened.send(parcel))
    told = [headers["authorization"] for _, headers, _ in server.asked]
    assert told == ["Bearer tokenTheFirst", "Bearer tokenTheSecond"]
    assert "token" not in f"{parcel.headers}{parcel.shown}"
    assert server.asked[0][1]["content-type"] == "application/fhir+json"


def test_over_tls_the_certificate_of_the_box_is_shown(tmp_path: Path) -> None:
    ours = authority(tmp_path, "ours")
    context = server_side(ours)
    context.verify_mode = context.verify_mode.CERT_REQUIRED
    context.load_verify_locations(ours)
    at = place(tmp_path)
    both = (tmp_path / "ours.server.pem").read_bytes()
    for name in ("box.crt", "box.key"):
        (at.sync_dir / name).write_bytes(both)
        (at.sync_dir / name).chmod(0o600)
    (at.sync_dir / "ca.crt").write_bytes(ours.read_bytes())
    with obeying(lambda *_: answered(["201"]), context) as server:
        without = SINK.open(Settings(url=server.url, ca_file=ours), at)
        with pytest.raises(SinkError):
            asyncio.run(without.send(without.pack(Content.ALERT, items(1))))
        assert server.asked == []
        opened = SINK.open(Settings(url=server.url, certificate=True), at)
        asyncio.run(opened.send(opened.pack(Content.ALERT, items(1))))
        assert set(opened.receipts.get_nowait().stored) == {uuid_of(1)}
    assert opened.certificate_s() is not None
    assert (opened.uses_tls, without.certificate_s()) == (True, None)


def test_a_certificate_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="homeward enrol"):
        SINK.open(Settings(url="https://clinic.example/fhir", certificate=True), place(tmp_path))


@pytest.mark.parametrize(
    "url",
    ["", "http://clinic.example/fhir", "https://", "clinic", "https://[", "https://a:b@c/x",
     "https://c/ x", "ftp://c/x", "https://c/#x"],
)  # fmt: skip
def test_an_address_that_is_none_is_told_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(SyncError, match="far"):
        SINK.open(Settings(url=url), place(tmp_path))


def test_as_many_as_fit_are_sent_in_order(tmp_path: Path) -> None:
    opened = SINK.open(Settings(url="https://clinic.example/fhir"), place(tmp_path))
    many = items(40, filler="x" * 900)
    parcel = opened.pack(Content.ALERT, many)
    assert len(parcel.body) <= MAX_PARCEL_BYTES
    assert list(parcel.items) == many[: len(parcel.items)]
    assert len(parcel.items) > 10
    more = opened.pack(Content.ALERT, many[: len(parcel.items) + 1])
    assert more.items == parcel.items


def test_how_the_box_is_is_not_told(tmp_path: Path) -> None:
    opened = SINK.open(Settings(url="https://clinic.example/fhir"), place(tmp_path))
    assert opened.state_message(heartbeat()) is None
