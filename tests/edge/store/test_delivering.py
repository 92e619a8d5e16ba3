"""What waits for which destination: settled by each, in order, never again, never for ever."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.egress.allowed import Content
from edge.egress.departure import Departure, Left
from edge.pseudonyms import Pseudonym
from edge.records import AlertState, Outcome, Priority
from edge.store import Run, Sinks, Store, Wanted
from edge.store.floors import Floor
from edge.store.forgotten import KEEPING
from edge.store.sparing import spare
from edge.store.verification import verify
from tests.edge.store.test_store import alert, summary

RUN = Run("run-1", "boot-1", 5.0, "0.1.0", "digest")
ALL = frozenset({"alert", "summary"})
ONE: Sinks = {"clinic": ALL}
TWO: Sinks = {"clinic": ALL, "stick": frozenset({"alert"})}
NOW = (20.0, "boot-1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def filled(path: Path, *records: object) -> Store:
    store = Store.begin(path, RUN)
    store.add(Outcome(records), 10.0)  # type: ignore[arg-type]
    store.flush(10.0)
    return store


def low(n: int, **changed: object) -> object:
    return msgspec.structs.replace(alert(n), priority=Priority.LOW, **changed)  # type: ignore[arg-type]


def high(n: int, **changed: object) -> object:
    return msgspec.structs.replace(alert(n), priority=Priority.HIGH, at_s=15.0, **changed)  # type: ignore[arg-type]


def uuids(store: Store, sink: str = "clinic", line: str = "alert", **more: object) -> list[str]:
    return [due.uuid for due in store.waiting_for(sink, line, now=NOW, **more)]  # type: ignore[arg-type]


def leave(store: Store, sink: str, *which: str, body: bytes = b"{}") -> None:
    known = dict.fromkeys(which, body)
    what = Departure(
        *(f"{sink}-{which[0]}-{len(store.sent())}", 11.0, "sync", sink, "host", Content.ALERT, 1),
        known_as=" ".join(which),
        body=b"all of it",
    )
    store.backlog.leave(Left(what, handed=known), 12.0)
    store.flush(12.0)


def test_what_was_settled_never_waits_again(path: Path) -> None:
    with filled(path, low(1), low(2), low(3)) as store:
        first, second, third = uuids(store)
        leave(store, "clinic", first, second)
        assert store.settle_for("clinic", [first, second], 13.0, ONE).n == 2
        assert store.settle_for("clinic", [first], 14.0, ONE).n == 0
        assert uuids(store) == [third]
        assert [row.stage for row in store.ledger_of("alert-1")] == ["raised", "received"]
    with Store.begin(path, RUN) as store:
        assert uuids(store) == [third]
    assert verify(path).whole


def test_what_has_not_left_is_not_settled_whoever_says_so(path: Path) -> None:
    with filled(path, low(1)) as store:
        (only,) = uuids(store)
        told = store.settle_for("clinic", [only, "made-up"], 13.0, ONE)
        assert (told.n, told.n_unknown) == (0, 2)
        leave(store, "stick", only)
        assert store.settle_for("clinic", [only], 13.0, TWO).n == 0
        assert uuids(store) == [only]


def test_an_entry_is_settled_when_all_that_take_it_have_it(path: Path) -> None:
    with filled(path, low(1), summary(10.0)) as store:
        (only,) = uuids(store)
        for sink in TWO:
            leave(store, sink, only)
        store.settle_for("clinic", [only], 13.0, TWO)
        assert (uuids(store), uuids(store, "stick")) == ([], [only])
        assert store.outbox_count() == 2
        assert [(w.n_alerts, w.n_summaries) for w in store.waits(TWO, NOW)] == [(0, 1), (1, 0)]
        store.settle_for("stick", [only], 14.0, TWO)
        assert store.outbox_count() == 1
        (period,) = uuids(store, line="summary")
        leave(store, "clinic", period)
        store.settle_for("clinic", [period], 14.0, TWO)
        assert store.outbox_count() == 0


def test_a_sink_that_is_gone_holds_nothing_up_and_a_new_one_gets_what_waits(path: Path) -> None:
    with filled(path, low(1), low(2)) as store:
        first, second = uuids(store)
        leave(store, "clinic", first)
        store.settle_for("clinic", [first], 13.0, TWO)
        assert store.outbox_count() == 2
        assert store.go_by(ONE, 14.0) == 1
        assert store.outbox_count() == 1
        assert uuids(store, "new") == [second]
        assert store.go_by({}, 14.0) == 0


def test_what_is_rejected_is_set_aside_with_its_reason(path: Path) -> None:
    with filled(path, low(1), low(2)) as store:
        first, second = uuids(store)
        assert store.reject_for("clinic", [first], "400: no such code", 13.0, ONE).n == 1
        assert uuids(store) == [second]
        (waits,) = store.waits(ONE, NOW)
        assert (waits.n_rejected, waits.why, waits.n_alerts) == (1, "400: no such code", 1)
        (row,) = [row for row in store.ledger_of("alert-1") if row.kind == "delivery"]
        assert (row.stage, row.by) == ("failed", "clinic")
        assert "no such code" in row.body["detail"]


def test_urgent_alerts_go_ahead_and_say_so(path: Path) -> None:
    ended = high(4, state=AlertState.ENDED)
    with filled(path, low(1), high(2), high(3), high(4), ended, low(6)) as store:
        due = store.waiting_for("clinic", "alert", now=NOW)
        assert [(one.n, one.early) for one in due] == [
            *((3, True), (2, True)),
            *((1, False), (4, False), (5, False), (6, False)),
        ]
        (waits,) = store.waits(ONE, NOW)
        assert (waits.n_urgent, waits.n_alerts, waits.oldest) == (
            2,
            6,
            (due[2].content.alert.at_s, "boot-1"),
        )  # type: ignore[union-attr]
        under_way = [due[0].uuid]
        rest = store.waiting_for("clinic", "alert", 4, under_way, now=NOW)
        assert [(one.n, one.early) for one in rest] == [(2, False), (5, False), (6, False)]
        (one,) = store.waiting_for("clinic", "alert", 0, (), 1, now=NOW)
        assert (one.n, one.early) == (3, True)
        later = store.waiting_for("clinic", "alert", now=(4000.0, "boot-1"))
        other = store.waiting_for("clinic", "alert", now=(20.0, "boot-2"))
        assert [one.n for one in later] == [one.n for one in other] == [1, 2, 3, 4, 5, 6]


def test_what_was_handed_out_is_kept_to_the_letter_until_it_is_settled(path: Path) -> None:
    with filled(path, low(1)) as store:
        (only,) = uuids(store)
        leave(store, "clinic", only, body=b"first")
        leave(store, "clinic", only, body=b"second")
        (due,) = store.waiting_for("clinic", "alert")
        assert (due.body, store.body_of("clinic", only)) == (b"first", b"first")
        store.settle_for("clinic", [only], 13.0, ONE)
        assert store.body_of("clinic", only) == b""


def test_an_alert_keeps_the_name_its_patient_had(path: Path) -> None:
    one = alert(1)
    with Store.begin(path, RUN) as store:
        store.backlog.name(Pseudonym(one.patient, "hw-old"), 9.0)
        store.add(Outcome((one,)), 10.0)
        store.backlog.name(Pseudonym(one.patient, "hw-new"), 11.0)
        store.add(Outcome((alert(2),)), 12.0)
        assert [due.called for due in store.waiting_for("clinic", "alert")] == ["hw-old", "hw-new"]


def test_forgetting_asks_who_may_hold_it_and_nobody_else(path: Path) -> None:
    with filled(path, low(1), low(2), summary(10.0)) as store:
        first, second = uuids(store)
        (period,) = uuids(store, line="summary")
        leave(store, "clinic", first, period)
        leave(store, "stick", first)
        store.settle_for("clinic", [first], 13.0, TWO)
        told = store.forget(Wanted(), "Ann", 20.0, standing=())
        assert told.n_asked == 3  # the period left, and nobody said that it came
        asked: dict[str, set[str]] = {}
        for one in store.erase_requests():
            asked.setdefault(one.destination, set()).update(one.uuids)
        assert asked == {"clinic": {first, period}, "stick": {first}}
        due = store.waiting_for("clinic", "erase")
        assert {uuid for one in due for uuid in one.content.uuids} == {first, period}  # type: ignore[union-attr]
        assert store.settle_for("stick", [due[0].uuid], 21.0, TWO).n_unknown == 1
        assert store.settle_for("clinic", [one.uuid for one in due], 21.0, TWO).n == len(due)
        assert store.waiting_for("clinic", "erase") == []
        assert second not in {uuid for one in due for uuid in one.content.uuids}  # type: ignore[union-attr]
        (stick,) = store.waiting_for("stick", "erase")
        store.reject_for("stick", [stick.uuid], "a stick forgets nothing", 22.0, TWO)
        assert store.waits(TWO, NOW)[1].n_erase == 0
        assert store.erase_requests()[0].rejected == "a stick forgets nothing"
    assert verify(path).whole


def test_what_is_only_kept_no_longer_is_not_asked_of_receivers(path: Path) -> None:
    with filled(path, low(1)) as store:
        (only,) = uuids(store)
        leave(store, "clinic", only)
        store.settle_for("clinic", [only], 13.0, ONE)
        store.forget(Wanted(), KEEPING, 20.0, standing=())
        assert store.erase_requests() == []


def test_erased_words_are_not_sent_once_more(path: Path) -> None:
    with filled(path, low(1), low(2)) as store:
        first, second = uuids(store)
        leave(store, "clinic", first)
        assert store.erase_sent([1], "Ann", "on request", 20.0).n_to_ask == 1
        assert uuids(store) == [second]


def test_what_is_withdrawn_or_spared_leaves_nothing_behind(path: Path) -> None:
    with filled(path, low(1), *(summary(10.0 + 60.0 * n) for n in range(3))) as store:
        (only,), periods = uuids(store), uuids(store, line="summary")
        for uuid in (only, *periods):
            leave(store, "clinic", uuid)
        store.settle_for("clinic", periods[:2], 13.0, ONE)
        spare(store._database, Floor.FULL, 1 << 40)
        assert store._database.table("deliveries").count == 2
        store.withdraw(["alerts"], 14.0)
        assert uuids(store) == []
        rows = list(store._database.query("SELECT body, open FROM deliveries ORDER BY n"))
        assert rows[0] == {"body": None, "open": 0}
        assert [(w.n_alerts, w.n_summaries) for w in store.waits(ONE, NOW)] == [(0, 1)]


def test_what_makes_no_sense_is_handed_out_as_nothing(path: Path) -> None:
    with filled(path, summary(10.0), summary(70.0)) as store:
        store._database.execute("UPDATE summaries SET body = '{' WHERE n = 1")
        broken, whole = store.waiting_for("clinic", "summary")
        assert broken.content is None
        assert whole.content is not None
