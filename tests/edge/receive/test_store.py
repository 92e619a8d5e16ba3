"""What is kept, over both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.receive.arrivals import Arrived, arrived
from edge.receive.postgresql import Postgresql
from edge.receive.sqlite import Sqlite
from edge.receive.store import Database, Store, StoreError
from edge.sync import wire
from edge.sync.fhir import resources_of
from edge.sync.fhir.reading import columns
from edge.sync.parcel import Item
from tests.edge.receive.databases import Cluster, cluster, emptied
from tests.edge.sync.entries import erase, heartbeat, item, uuid_of
from tests.edge.sync.fhir.made import ALERT, handed

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Cluster]:
    yield from cluster()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made: Database
    if request.param == "sqlite":
        made = Sqlite(tmp_path / "received.db")
    else:
        made = emptied(request.getfixturevalue("postgresql").url)
    yield made
    made.close()


def message(box: str, items: Sequence[Item], at_s: float = 100.0) -> Arrived:
    body, n = wire.pack(box, items, NOW)
    assert n == len(items)
    return arrived(wire.opened(body, box), at_s)


def test_what_comes_twice_is_kept_once_and_vouched_for_twice(database: Database) -> None:
    store = Store(database)
    items = [item(2), item(1)]
    first = store.keep([message("pi-7", items)])[0]
    again = store.keep([message("pi-7", items), message("pi-7", items)])
    held = {one.uuid: one.digest for one in items}
    assert first.receipt.stored == held
    assert [one.receipt.stored for one in again] == [held, held]
    assert (len(first.new), first.n_copies, again[0].new, again[0].n_copies) == (2, 0, (), 2)
    assert [row[2] for row in store.entries()] == [1, 2]
    assert store.boxes()[0][4:8] == (4, 0, 0, 2)


def test_two_copies_in_one_transaction_are_one_entry(database: Database) -> None:
    store = Store(database)
    kept = store.keep([message("pi-7", [item(1)]), message("pi-7", [item(1)])])
    assert {one.receipt.stored[item(1).uuid] for one in kept} == {item(1).digest}
    assert len(store.entries()) == 1


def test_the_first_content_is_kept_and_the_receipt_says_whose_it_is(database: Database) -> None:
    store = Store(database)
    mine, forged = item(1), item(1, text="something else")
    kept = store.keep([message("pi-7", [mine]), message("pi-7", [forged])])
    assert kept[1].receipt.stored == {mine.uuid: mine.digest}
    assert kept[1].n_conflicts == 1
    later = store.keep([message("pi-7", [forged])])[0]
    assert later.receipt.stored == {mine.uuid: mine.digest}
    assert store.boxes()[0][5] == 2
    assert [row[4] for row in store.entries()] == [mine.digest]


def test_boxes_do_not_meet(database: Database) -> None:
    store = Store(database)
    theirs = item(1, text="of another box")
    kept = store.keep([message("pi-7", [item(1)]), message("pi-8", [theirs])])
    assert kept[1].receipt.stored == {theirs.uuid: theirs.digest}
    store.keep([message("pi-8", [erase(2, (theirs.uuid,))])])
    assert [row[6] is None for row in store.entries("pi-7")] == [False]
    assert [row[6] is None for row in store.entries("pi-8")] == [True]


def test_what_is_to_be_deleted_goes_and_does_not_come_back(database: Database) -> None:
    store = Store(database)
    one, other = item(1), item(2)
    store.keep([message("pi-7", [one, other])])
    wish = erase(3, (one.uuid, uuid_of(9)))
    assert store.keep([message("pi-7", [wish])])[0].receipt.stored == {wish.uuid: wish.digest}
    late = item(9, text="never came before")
    kept = store.keep([message("pi-7", [one]), message("pi-7", [late])])
    assert kept[0].receipt.stored == {one.uuid: one.digest}
    assert kept[1].receipt.stored == {late.uuid: late.digest}
    content = {row[1]: row[6] for row in store.entries()}
    assert content[one.uuid] is None
    assert content[late.uuid] is None
    assert content[other.uuid] is not None
    # The same all at once: the entry and the wish to delete it in one transaction.
    both = [message("pi-9", [one]), message("pi-9", [erase(2, (one.uuid,))])]
    store.keep(both)
    assert [row[6] for row in store.entries("pi-9")] == [None]
    assert store.keep(both[1:])[0].n_copies == 1


def test_what_can_never_be_stored_is_refused_by_name(database: Database) -> None:
    store = Store(database)
    envelope = {
        "schema": wire.SCHEMA,
        "box": "pi-7",
        "kind": "alert",
        "entries": [
            {"uuid": "empty", "seq": 1},
            {"uuid": "erasing", "seq": 2, "uuids": ["a"]},
            {"uuid": "large", "seq": 3, "resources": [{"n": 0}]},
            {"uuid": "good", "seq": 4, "resources": [{"text": "\0 and \u2028", "x": 1e308}]},
        ],
    }
    body = msgspec.json.encode(envelope).replace(b'"n":0', b'"n":' + b"9" * 40)
    kept = store.keep([arrived(wire.opened(body, "pi-7"), 1.0)])[0]
    assert set(kept.receipt.stored) == {"good", *({"large"} & set(kept.receipt.stored))}
    assert {"empty", "erasing"} <= set(kept.receipt.refused)


def test_what_lists_show_is_read_out_of_it_and_deleted_with_it(database: Database) -> None:
    store = Store(database)
    body, _ = wire.pack("pi-7", [item(1)], NOW)
    told = {"patient": "p\0-1", "rule": "very_low_spo2" * 40}
    store.keep([arrived(wire.opened(body, "pi-7"), 1.0, lambda _: told)])
    assert store.entries()[0][8] == "p -1"
    assert len(store.entries()[0][9]) == 200
    store.keep([message("pi-7", [erase(2, (item(1).uuid,))])])
    assert store.entries()[0][8:] == ("",) * 5


def test_heartbeats_and_silences(database: Database) -> None:
    store = Store(database)
    beat = wire.opened(wire.pack_heartbeat(heartbeat("pi-7"), NOW), "pi-7")
    store.keep([arrived(beat, 100.0), message("pi-7", [item(1)], 101.0)])
    box = store.boxes()[0]
    assert msgspec.json.decode(box[3])["disk_free_pct"] == 61.5
    assert store.heard() == {"pi-7": 101.0}
    assert store.note_silence("pi-7", 101.0, 1_100.0)
    assert not store.note_silence("pi-7", 101.0, 1_101.0)  # another receiver was first
    assert store.boxes()[0][8] == 101.0
    assert not store.end_silence("pi-7", 101.0)  # not spoken since
    assert store.end_silence("pi-7", 1_200.0)
    assert store.silences() == []


def test_what_was_kept_is_there_for_the_next_one(database: Database) -> None:
    Store(database).keep([message("pi-7", [item(1)])])
    assert len(Store(database).entries()) == 1


def test_two_receivers_on_one_postgresql_never_lose_or_double(postgresql: Cluster) -> None:
    emptied(postgresql.url).close()
    boxes = [f"pi-{n}" for n in range(4)]
    batches = [
        [message(box, [item(seq, box) for seq in range(begin, begin + 5)]) for box in boxes]
        for begin in range(1, 51, 5)
    ]
    problems: list[StoreError] = []
    kept: list[int] = []

    def work(order: int) -> None:
        store = Store(Postgresql(postgresql.url))
        for batch in batches[::order]:
            try:
                kept.append(sum(len(one.receipt.stored) for one in store.keep(batch[::order])))
            except StoreError as error:
                problems.append(error)
        store.close()

    threads = [threading.Thread(target=work, args=(order,)) for order in (1, -1, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert kept == [20] * 30
    store = Store(Postgresql(postgresql.url))
    assert len(store.entries()) == 200
    store.close()


def test_a_database_that_was_away_is_used_again() -> None:
    for one in cluster():
        store = Store(Postgresql(one.url))
        one.stop()
        with pytest.raises(StoreError) as away:
            store.keep([message("pi-7", [item(1)])])
        assert away.value.again
        one.start()
        store.keep([message("pi-7", [item(1)])])
        assert len(store.entries()) == 1
        store.close()


def test_the_file_is_its_users_alone_and_writes_through(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "received.db"
    database = Sqlite(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert database.run("PRAGMA synchronous") == [(2,)]
    assert database.run("PRAGMA journal_mode") == [("wal",)]
    database.close()
    with pytest.raises(StoreError, match="cannot be opened"):
        Sqlite(Path("/proc/nowhere/received.db"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
_GOOD = msgspec.json.encode(resources_of(handed(ALERT)))
_PATHS = sorted({key for one in msgspec.json.decode(_GOOD) for key in one})


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_PATHS), _JSON)
def test_whatever_a_resource_holds_it_is_stored(where: str, value: object) -> None:
    resources = msgspec.json.decode(_GOOD)
    resources[0][where] = value
    entry = {"uuid": "a", "seq": 1, "resources": resources}
    plain = {"schema": wire.SCHEMA, "box": "pi-7", "kind": "alert", "entries": [entry]}
    try:
        envelope = wire.opened(msgspec.json.encode(plain), "pi-7")
    except (wire.WireError, OverflowError):
        return
    what = arrived(envelope, 1.0, columns)
    assert len(what.entries) + len(what.refused) == 1


def test_lists_show_what_an_alert_says() -> None:
    entry = {"uuid": "a", "seq": 1, "resources": msgspec.json.decode(_GOOD)}
    plain = {"schema": wire.SCHEMA, "box": "pi-7", "kind": "alert", "entries": [entry]}
    what = arrived(wire.opened(msgspec.json.encode(plain), "pi-7"), 1.0, columns)
    assert what.entries[0].facts[1:4] == ("very_low_spo2", "high", "active")
