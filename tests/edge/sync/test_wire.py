"""What goes over the wire and comes back: bounded, strict, and signed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sync import wire
from edge.sync.parcel import MAX_PARCEL_BYTES, Receipt
from tests.edge.sync.entries import erase, heartbeat, item, uuid_of

NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key()


def test_what_is_packed_is_what_arrives_and_both_ends_compute_the_same_digest() -> None:
    items = [item(1), item(2, early=True, text='öü"\\ \u2028 84.10 %')]
    body, n = wire.pack("pi-7", items, NOW)
    arrived = wire.opened(body, "pi-7", "alert")
    assert n == 2
    assert arrived.sent_utc == NOW
    assert [entry.uuid for entry in arrived.entries] == [one.uuid for one in items]
    assert [entry.seq for entry in arrived.entries] == [1, 2]
    assert [entry.early for entry in arrived.entries] == [False, True]
    assert [entry.digest for entry in arrived.entries] == [one.digest for one in items]
    content = msgspec.json.encode(items[0].resources, order="sorted")
    assert items[0].digest == hashlib.sha256(content).hexdigest()


def test_a_request_to_delete_is_vouched_for_by_the_ids_in_it() -> None:
    one, other = erase(5, (uuid_of(1), uuid_of(2))), erase(5, (uuid_of(3),))
    arrived = wire.opened(wire.pack("pi-7", [one], NOW)[0], "pi-7", "erase")
    assert arrived.entries[0].uuids == (uuid_of(1), uuid_of(2))
    assert arrived.entries[0].digest == one.digest != other.digest


def test_a_heartbeat_arrives_whole() -> None:
    body = wire.pack_heartbeat(heartbeat("pi-7"), NOW)
    assert wire.opened(body, "pi-7", "heartbeat").heartbeat == heartbeat("pi-7")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9_000), min_size=1, max_size=40))
def test_as_many_items_are_packed_as_fit_from_the_first_on(sizes: list[int]) -> None:
    items = [item(seq, text="x" * size) for seq, size in enumerate(sizes, 1)]
    body, n = wire.pack("pi-7", items, NOW)
    assert len(body) <= MAX_PARCEL_BYTES
    assert [entry.seq for entry in wire.opened(body, "pi-7").entries] == list(range(1, n + 1))
    if n < len(items):
        more = wire.Entry(items[n].uuid, n + 1, resources=items[n].resources)
        assert len(body) + 1 + len(msgspec.json.encode(more)) > MAX_PARCEL_BYTES


def test_kinds_are_not_mixed_in_one_message() -> None:
    assert wire.pack("pi-7", [item(1), erase(2, (uuid_of(1),)), item(3)], NOW)[1] == 1


def test_one_that_is_too_long_is_said_and_not_cut() -> None:
    with pytest.raises(wire.WireError, match="does not fit"):
        wire.pack("pi-7", [item(1, text="x" * MAX_PARCEL_BYTES)], NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"box": "pi-8"},
        {"schema": "homeward-sync/2"},
        {"kind": "numbers"},
        {"entries": []},
        {"more": 1},
        {"entries": [{"uuid": "a b", "seq": 1}]},
        {"entries": [{"uuid": "a\0", "seq": 1}]},
        {"entries": [{"uuid": "a", "seq": 0}]},
        {"entries": [{"uuid": "a", "seq": 1, "more": 1}]},
        {"heartbeat": msgspec.to_builtins(heartbeat("pi-7"))},
    ],
)
def test_what_does_not_keep_to_the_schema_is_refused(change: dict[str, object]) -> None:
    plain = msgspec.json.decode(wire.pack("pi-7", [item(1)], NOW)[0])
    with pytest.raises(wire.WireError):
        wire.opened(msgspec.json.encode({**plain, **change}), "pi-7", "alert")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "homeward/v1/pi-7/receipt",
        "homeward/v1/../up/alert",
        "homeward/v1/+/up/alert",
        "homeward/v2/pi-7/up/alert",
        "homeward/v1/pi-7\n/up/alert",
        "homeward/v1/PI/up/alert/x",
    ],
)
def test_a_topic_that_no_box_writes_to_is_refused(topic: str) -> None:
    with pytest.raises(wire.WireError):
        wire.from_topic(topic)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def _only_wire_errors(body: bytes) -> None:
    try:
        for entry in wire.opened(body, "pi-7").entries:
            assert len(entry.digest) == 64
    except wire.WireError:
        pass
    with pytest.raises(wire.WireError):
        wire.checked(body, PUBLIC, "pi-7")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_else(body: bytes) -> None:
    _only_wire_errors(body)


@settings(max_examples=200, deadline=None)
@given(_JSON, st.sampled_from(["resources", "uuids", "uuid", "seq", "early"]))
def test_no_json_makes_it_raise_anything_else(value: object, where: str) -> None:
    entry = {"uuid": "a", "seq": 1, "resources": [{"x": value}]}
    for changed in (entry, {**entry, where: value}):
        plain = {"schema": wire.SCHEMA, "box": "pi-7", "kind": "alert", "entries": [changed]}
        _only_wire_errors(msgspec.json.encode(plain))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 60_000,
        b'{"a":' * 9_000,
        b"1e999",
        b'{"a":' + b"9" * 500 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":1,"a":2}',
        b"\xff" * 70_000,
    ],
)
def test_hostile_json_is_refused_or_vouched_for_and_nothing_else(content: bytes) -> None:
    head = (
        b'{"schema":"homeward-sync/1","box":"pi-7","kind":"alert","entries":[{"uuid":"a","seq":1,'
    )
    _only_wire_errors(head + b'"resources":[' + content + b"]}]}")
    _only_wire_errors(content)


# -- receipts ------------------------------------------------------------------------------------


def _receipt(stored: dict[str, str], box: str = "pi-7") -> bytes:
    return wire.sign(box, Receipt(stored, {"bad": "no"}), NOW, KEY)


def test_a_receipt_comes_back_as_it_was_signed() -> None:
    receipt = wire.checked(_receipt({"a": "0" * 64}), PUBLIC, "pi-7")
    assert receipt == Receipt({"a": "0" * 64}, {"bad": "no"})


def test_the_largest_receipt_fits_on_the_wire() -> None:
    ids = [f"{n:064d}" for n in range(wire.MAX_VOUCHED)]
    full = Receipt(dict.fromkeys(ids, "f" * 64), dict.fromkeys(ids, "w" * 500))
    assert len(wire.sign("b" * 63, full, NOW, KEY)) <= wire.MAX_WIRE_BYTES
    with pytest.raises(wire.WireError):
        wire.sign("pi-7", Receipt({**full.stored, "more": "f" * 64}), NOW, KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"box": "pi-8"},
        {"at_utc": "2027"},
        {"refused": {}},
        {"stored": {"b": "0" * 64}},
        {"signature": ""},
    ],
)
def test_a_receipt_that_was_altered_counts_for_nothing(change: dict[str, object]) -> None:
    plain = msgspec.json.decode(_receipt({"a": "0" * 64}))
    for box in ("pi-7", "pi-8"):
        with pytest.raises(wire.WireError):
            wire.checked(msgspec.json.encode({**plain, **change}), PUBLIC, box)


def test_no_single_byte_of_a_receipt_can_be_changed() -> None:
    good = _receipt({"a": "0" * 64})
    for at in range(len(good)):
        bad = good[:at] + bytes([good[at] ^ 0x01]) + good[at + 1 :]
        try:
            what = wire.checked(bad, PUBLIC, "pi-7")
        except wire.WireError:
            continue
        # The last letter of base64 holds bits that mean nothing: what it vouches for is the same.
        assert what == wire.checked(good, PUBLIC, "pi-7")


def test_a_receipt_for_another_box_or_by_another_key_counts_for_nothing() -> None:
    with pytest.raises(wire.WireError, match="another box"):
        wire.checked(_receipt({"a": "0" * 64}, "pi-8"), PUBLIC, "pi-7")
    with pytest.raises(wire.WireError, match="not signed"):
        wire.checked(_receipt({"a": "0" * 64}), OTHER.public_key(), "pi-7")


def test_only_the_content_that_was_sent_is_settled() -> None:
    mine, others = item(1), item(1, text="something else")
    sent = {mine.uuid: mine.digest}
    assert wire.vouched(Receipt({mine.uuid: mine.digest}), sent) == ({mine.uuid}, set())
    assert wire.vouched(Receipt({mine.uuid: others.digest}), sent) == (set(), {mine.uuid})
    assert wire.vouched(Receipt({uuid_of(9): mine.digest}), sent) == (set(), set())
