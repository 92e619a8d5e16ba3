"""What left, in the store: written verbatim, vouched for, erased without a trace of its words."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from edge.clock import TimeQuality, WallEntry
from edge.egress.allowed import Content
from edge.egress.departure import Departure, Left, header_text
from edge.records import Outcome
from edge.store import History, Keep, LedgerEntry, LedgerKind, Run, Store, Wanted
from edge.store.verification import verify
from tests.edge.store.opened import every_page
from tests.edge.store.test_chain import unlocked
from tests.edge.store.test_store import alert

RUN = Run("run-1", "boot-1", 5.0, "0.1.0", "digest")
DAY_S = 86400.0
WORDS = "Marianne at bedroom, since 08:12"


def left(n: int, wall_s: float | None = 1.7e9, **changed: object) -> Left:
    what = Departure(
        *(f"uuid-{n}", 10.0 + n, "notify", "anna", "ntfy.sh", Content.NOTICE, 1, "alarm"),
        known_as=f"hw{n}",
        refs=("alert-1",),
        headers={"X-Title": "HIGH alarm: very low SpO2", "X-Priority": "5"},
        body=f"{WORDS} ({n})".encode(),
    )
    what = msgspec.structs.replace(what, **changed)  # type: ignore[arg-type]
    quality = None if wall_s is None else TimeQuality.SYNCED
    return Left(what, wall_s, quality)


def stored(path: Path, *leaving: Left) -> Store:
    store = Store.begin(path, RUN)
    store.backlog.add_clock(WallEntry("boot-1", 6.0, 1.7e9, synchronised=True))
    for one in leaving:
        store.backlog.leave(one, 20.0)
    store.flush(20.0)
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def test_what_left_is_kept_as_it_left_and_vouched_for(path: Path) -> None:
    one = left(1)
    with stored(path, one) as store:
        (sent,) = store.sent()
        assert (sent.headers, sent.body) == (one.what.headers, one.what.body)
        assert sent.sha256 == hashlib.sha256(one.what.body).hexdigest()
        head = hashlib.sha256(header_text(one.what.headers).encode()).hexdigest()
        assert (sent.size, sent.head_sha256) == (len(one.what.body), head)
        assert (sent.uuid, sent.destination, sent.host) == ("uuid-1", "anna", "ntfy.sh")
        assert (sent.wall_s, sent.quality, sent.refs) == (1.7e9, "synced", ("alert-1",))
        assert (sent.erased, sent.n) == (False, 1)
        assert store.sent_message(1) == sent
        assert store.sent_message(2) is None
        assert [row.stage for row in store.ledger_of("uuid-1")] == ["handed_over"]
    verdict = verify(path)
    assert (verdict.whole, verdict.n_vouched["egress"]) == (True, 1)


def test_the_same_departure_told_twice_is_one(path: Path) -> None:
    with stored(path, left(1), left(1)) as store:
        store.backlog.leave(left(1), 30.0)
        store.flush(30.0)
        assert len(store.sent()) == 1
    assert verify(path).whole


def test_an_edited_fact_is_found(path: Path) -> None:
    stored(path, left(1)).close()
    with unlocked(path) as by_hand:
        by_hand.execute("UPDATE egress SET destination = 'nobody'")
    by_hand.close()
    assert [(f.table, f.what) for f in verify(path).flaws] == [("egress", "edited")]


def test_what_it_became_is_told_beside_it(path: Path) -> None:
    with stored(path, left(1)) as store:
        told = LedgerEntry(LedgerKind.EGRESS, "uuid-1", "sent", "anna", 12.0)
        store.backlog.vouch(told, 20.0)
        store.flush(20.0)
        assert [row.stage for row in store.became(["uuid-1"])["uuid-1"]] == ["sent"]
    assert verify(path).whole


def test_erased_words_are_gone_from_every_byte_and_the_record_stays_whole(path: Path) -> None:
    with stored(path, left(1), left(2)) as store:
        assert WORDS.encode() in every_page(path)  # control: they were there
        gone = store.erase_sent([1, 2, 7], "Anna", "on request", 50.0)
        assert (gone.n, gone.n_to_ask) == (2, 2)
        assert WORDS.encode() not in every_page(path)
        assert b"very low SpO2" not in every_page(path)
        first, second = store.sent()
        assert (first.erased, first.body, first.headers) == (True, None, {})
        assert first.sha256 == left(1).sha256
        assert second.erased
        (row,) = [r for r in store.ledger_of("uuid-1") if r.stage == "erased"]
        assert (row.by, row.body) == ("Anna", {"why": "on request"})
        assert store.erase_sent([1], "Anna", "again", 51.0).n == 0
    verdict = verify(path)
    assert verdict.whole, verdict.flaws


def test_receivers_are_put_in_line_to_be_asked_to_delete(path: Path) -> None:
    ping = left(3, kind=Content.PING, about="ping", headers={}, body=b"", known_as="")
    other = left(4, destination="bob", known_as="hw1")
    again = left(5, known_as="hw1")
    with stored(path, left(1), left(2), ping, other, again) as store:
        assert store.erase_sent([1, 2, 3, 4, 5], "Anna", "on request", 50.0).n == 4
        waiting = {one.destination: one for one in store.erase_requests()}
        assert waiting["anna"].uuids == ("hw1", "hw2")
        assert (waiting["bob"].uuids, waiting["bob"].by) == (("hw1",), "Anna")
        assert waiting["bob"].settled_s is None


def test_what_was_kept_long_enough_goes_by_days_and_nobody_is_asked_to_delete_it(
    path: Path,
) -> None:
    now_s = 1.7e9 + 100 * DAY_S
    old = (left(1, 1.7e9), left(2, None), left(3, 1.7e9 + 9 * DAY_S))
    young = (left(4, now_s), left(5, None))
    with stored(path, *old, *young) as store:
        assert store.keep_sent(Keep(days=90.0), None, 50.0) == 0  # no clock to be trusted
        assert store.keep_sent(Keep(days=90.0), now_s, 50.0) == 3
        assert [one.erased for one in store.sent()] == [True, True, True, False, False]
        assert store.keep_sent(Keep(days=90.0), now_s, 60.0) == 0
        assert store.erase_requests() == []
    assert verify(path).whole


def test_what_takes_too_much_room_goes_oldest_first(path: Path) -> None:
    with stored(path, *(left(n, body=b"x" * 1000) for n in range(1, 11))) as store:
        assert store.keep_sent(Keep(n_bytes=5_500), 1.7e9, 50.0) == 5
        assert [one.erased for one in store.sent()] == [True] * 5 + [False] * 5
    assert verify(path).whole


def test_a_ping_says_nothing_and_so_nothing_of_it_is_kept_to_be_erased(path: Path) -> None:
    ping = left(1, kind=Content.PING, about="ping", headers={}, body=b"", known_as="")
    several = msgspec.structs.replace(ping, times=9, until_s=600.0)
    with stored(path, several) as store:
        (sent,) = store.sent()
        assert (sent.times, sent.until_s, sent.body, sent.erased) == (9, 600.0, b"", False)
        with History.open(path) as history:
            assert history.sent(after=1) == []


def test_what_was_sent_in_a_span_or_of_a_patient_is_found_to_be_forgotten(path: Path) -> None:
    early = left(1)
    late = msgspec.structs.replace(left(2), wall_s=1.8e9)
    undated = msgspec.structs.replace(left(3, refs=()), wall_s=None, quality=None)
    with stored(path, early, late, undated) as store:
        store.add(Outcome((alert(1),)), 20.0)
        patient = alert(1).patient
        assert store.sent_of(Wanted()) == [1, 2, 3]
        assert store.sent_of(Wanted(to_s=1.75e9)) == [1]
        assert store.sent_of(Wanted(patient=patient)) == [1, 2]
        assert store.sent_of(Wanted(patient="somebody else")) == []
