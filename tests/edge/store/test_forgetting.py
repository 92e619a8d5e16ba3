"""What is forgotten is gone from every byte, and the chain says so and still finds tampering."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlite3

from edge.clock import WallEntry
from edge.records import AlertState, Gap, Outcome, Reading, Summary
from edge.store import LedgerEntry, LedgerKind, Run, Store, Wanted
from edge.store.forgotten import KEEPING
from edge.store.head import parse_head
from edge.store.meant import find
from edge.store.retention import DAY_S, FIRST_S, KEPT_ALERTS, Retention, plan, trusted_wall_s
from edge.store.verification import verify
from edge.store.wanted import ALERTS
from tests.edge.store.opened import behind, every_page
from tests.edge.store.test_chain import unlocked
from tests.edge.store.test_store import PAUSED, RUN, SCORE, SELF_TEST, alert, summary

WALL_S = 1.7e9
EARLY, LATE = "Zenobia-early", "Quintus-late"
NEXT = Run("run-2", "boot-1", 5_000.0, "1", "d")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def record(path: Path, *, ended: bool = True) -> None:
    """Record two evenings: one patient before 1,000 s of the boot clock, another after."""
    with Store.begin(path, RUN) as store:
        for n, (patient, at_s) in enumerate(((EARLY, 100.0), (LATE, 2_000.0)), 1):
            store.backlog.add_clock(WallEntry("boot-1", at_s, WALL_S + at_s, synchronised=True))
            one = alert(n, at_s=at_s)
            one = type(one)(
                **{
                    **fields(one),
                    "patient": patient,
                    "since_s": at_s,
                    "reason": f"reason {patient}",
                    "answered_by": f"by {patient}",
                }
            )
            states = [one]
            if ended:
                states.append(
                    type(one)(**{**fields(one), "state": AlertState.ENDED, "at_s": at_s + 9.0})
                )
            entry = LedgerEntry(
                LedgerKind.ENTRY,
                patient,
                "temp",
                f"by {patient}",
                at_s,
                {"value": f"typed {patient}"},
            )
            store.backlog.vouch(entry, at_s)
            body = {"detail": f"told {patient}"}
            sent = LedgerEntry(LedgerKind.DELIVERY, one.id, "sent", f"way {patient}", at_s, body)
            store.backlog.vouch(sent, at_s)
            event = type(PAUSED)(
                **{**fields(PAUSED), "patient": patient, "at_s": at_s, "by": f"by {patient}"}
            )
            score = type(SCORE)(**{**fields(SCORE), "patient": patient, "start_s": at_s})
            reading = Reading(
                f"r{n}", patient, f"source {patient}", "weight_kg", 71.5, None, 1.0, at_s, True
            )
            gap = Gap(patient, f"source {patient}", "ecg", at_s, at_s + 1.0, 5, "lost")
            period = Summary(**{**fields(summary(at_s)), "patient": patient})
            test = type(SELF_TEST)(
                **{
                    **fields(SELF_TEST),
                    "id": f"t{n}",
                    "began_s": at_s,
                    "ended_s": at_s + 1.0,
                    "asked_by": f"by {patient}",
                }
            )
            records = (*states, event, score, reading, gap, period, test)
            store.add(Outcome(records), at_s + 10.0)
            store.flush(at_s + 10.0)


def fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}  # type: ignore[attr-defined]


def forget(path: Path, wanted: Wanted, by: str = "Ann") -> object:
    with Store.begin(path, NEXT) as store:
        return store.forget(wanted, by, 5_001.0, wall_s=WALL_S + 5_001.0, standing=())


def content(path: Path) -> bytes:
    """Return every page of the store and of its log, decrypted, and what lies beside them."""
    beside = [p for p in sorted(path.parent.iterdir()) if not p.name.startswith(path.name)]
    return b"".join([every_page(path), *(p.read_bytes() for p in beside if p.is_file())])


BEFORE = Wanted(to_s=WALL_S + 1_000.0)


# --- gone ----------------------------------------------------------------------------------------


def test_a_control_finds_the_names_in_the_bytes_before(path: Path) -> None:
    record(path)
    assert content(path).count(EARLY.encode()) > 10
    assert content(path).count(LATE.encode()) > 10


@pytest.mark.parametrize(
    "wanted", [BEFORE, Wanted(patient=EARLY), Wanted(WALL_S + 50.0, WALL_S + 500.0)]
)
def test_what_is_forgotten_is_in_no_byte_any_more_and_the_rest_is(
    path: Path, wanted: Wanted
) -> None:
    record(path)
    told = forget(path, wanted)
    if wanted.patient:  # self-tests are of the box, and of no patient
        told = forget(path, Wanted(to_s=WALL_S + 1_000.0, tables=("self_tests",)))
    assert told.bytes_gone
    assert EARLY.encode() not in content(path)
    assert LATE.encode() in content(path)
    verdict = verify(path)
    assert verdict.whole, verdict.flaws


def test_the_counts_say_what_was_forgotten(path: Path) -> None:
    record(path)
    with Store.begin(path, NEXT) as store:
        planned = store.forgetting(BEFORE, "Ann", 5_001.0).planned()
        told = store.forget(BEFORE, "Ann", 5_001.0)
        again = store.forget(BEFORE, "Ann", 5_002.0)
        counts = store.counts()
    wanted = {"alerts": 2, "alarm_events": 1, "self_tests": 1, "ledger": 1, "scores": 1, "gaps": 1}
    assert told.n == {**wanted, "readings": 1, "summaries": 1}
    assert planned.n == told.n
    assert told.n_withdrawn == 3
    assert again.n == {}
    assert (counts["alerts"], counts["summaries"], counts["runs"]) == (2, 1, 2)


def test_everything_can_be_forgotten_and_recording_goes_on(path: Path) -> None:
    record(path)
    forget(path, Wanted())
    for name in (EARLY, LATE):
        assert name.encode() not in content(path)
    record_again = Run("run-3", "boot-1", 6_000.0, "1", "d")
    with Store.begin(path, record_again) as store:
        for n in range(3, 6):
            store.add(
                Outcome(
                    (alert(n), PAUSED, type(SELF_TEST)(**{**fields(SELF_TEST), "id": f"t{n}"}))
                ),
                6_010.0,
            )
        assert [one.n for one in store.alerts()] == [5, 6, 7]  # no number comes again
    verdict = verify(path)
    assert verdict.whole, verdict.flaws
    assert any("on request of Ann" in note for note in verdict.notes)


def test_a_row_that_was_replaced_leaves_nothing_behind(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        for n in range(200):
            store._database.table("probe").upsert({"n": 1, "token": f"{EARLY} {n}"}, pk="n")
        store._database.table("probe").upsert({"n": 1, "token": "x"}, pk="n")
    assert EARLY.encode() not in content(path)


# --- what stays ----------------------------------------------------------------------------------


def test_an_alert_that_stands_is_not_forgotten(path: Path) -> None:
    record(path, ended=False)
    with Store.begin(path, NEXT) as store:
        told = store.forget(BEFORE, "Ann", 5_001.0, standing={"alert-1"})
        assert told.n_standing == 1
        assert {one.alert.id for one in store.alerts()} == {"alert-1", "alert-2"}
        assert [row.stage for row in store.ledger_of("alert-1")][-1] in ("sent", "raised")
    assert EARLY.encode() in content(path)
    assert verify(path).whole


def test_what_waits_to_be_sent_is_withdrawn_and_what_was_sent_is_handed_on(path: Path) -> None:
    record(path)
    handed: list[str] = []
    with Store.begin(path, NEXT) as store:
        first = store.outbox()[0].uuid
        store.settle([first], 4_000.0)

        def ask(_: object, uuids: object) -> int:
            handed.extend(uuids)  # type: ignore[arg-type]
            return 1

        store.on_sent = ask  # type: ignore[method-assign]
        told = store.forget(Wanted(), "Ann", 5_001.0, standing=())
        assert store.outbox() == []
    assert handed == [first]
    assert (told.n_sent, told.n_asked, told.n_withdrawn) == (1, 1, 5)


def test_a_boot_without_a_date_is_left_alone_and_told(path: Path) -> None:
    record(path)
    other = Run("run-9", "boot-9", 5.0, "1", "d")
    with Store.begin(path, other) as store:
        store.add(Outcome((alert(9), summary(10.0))), 20.0)
        told = store.forget(Wanted(WALL_S + 50.0, WALL_S + 500.0), "Ann", 21.0, standing=())
    assert told.n_undated == 1
    with Store.begin(path, other) as store:
        assert "alert-9" in {one.alert.id for one in store.alerts()}
        store.forget(Wanted(), "Ann", 22.0, standing=())
        assert store.alerts() == []


def test_a_reader_holds_the_log_and_that_is_told(path: Path) -> None:
    record(path)
    reader = behind(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM alerts").fetchone()
    with Store.begin(path, NEXT) as store:
        store._database.execute("PRAGMA busy_timeout=1")
        request = store.forgetting(BEFORE, "Ann", 5_001.0, standing=())
        while request.step():
            pass
        assert not request.finish().bytes_gone
        reader.execute("COMMIT")
        reader.close()
        assert request.finish().bytes_gone


# --- the chain -----------------------------------------------------------------------------------


def test_rows_that_were_forgotten_are_told_and_never_called_broken(path: Path) -> None:
    record(path)
    before = verify(path)
    told = forget(path, BEFORE)
    verdict = verify(path)
    assert verdict.whole, verdict.flaws
    assert verdict.n_forgotten == sum(told.n.values())
    assert f"{verdict.n_forgotten} rows were forgotten on request of Ann" in verdict.notes
    assert verify(path, parse_head(before.head)).expected == "found"  # an old head still fits


def emptied(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Empty a row of the ledger as forgetting does, and take the row it vouches for out too."""
    rows = connection.execute(
        "SELECT n, row FROM ledger WHERE kind = 'alert' AND stage != 'forgotten'"
    ).fetchall()
    n, row = chance.choice(rows)
    connection.execute("DELETE FROM outbox WHERE alert = ?", (row,))
    connection.execute("DELETE FROM alerts WHERE n = ?", (row,))
    connection.execute(
        "UPDATE ledger SET ref = '', stage = 'forgotten', by = '', at_s = 0.0, body = '',"
        " salt = NULL WHERE n = ?",
        (n,),
    )


def emptied_entry(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Empty the row that says what was forgotten."""
    del chance
    connection.execute(
        "UPDATE ledger SET ref = '', by = '', at_s = 0.0, body = '', salt = NULL"
        " WHERE kind = 'chain' AND stage = 'forgotten'"
    )


def renamed(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Say that somebody else wanted it."""
    del chance
    connection.execute("UPDATE ledger SET by = 'Eve' WHERE kind = 'chain' AND stage = 'forgotten'")


def deleted(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Take an emptied row out."""
    rows = connection.execute("SELECT n FROM ledger WHERE body = '' AND kind != 'chain'").fetchall()
    connection.execute("DELETE FROM ledger WHERE n = ?", chance.choice(rows))


def filled(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Put something else where a row was emptied."""
    rows = connection.execute("SELECT n FROM ledger WHERE body = '' AND kind != 'chain'").fetchall()
    connection.execute("UPDATE ledger SET body = '{}', by = 'Eve' WHERE n = ?", chance.choice(rows))


def moved(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Let an emptied row vouch for another one."""
    rows = connection.execute("SELECT n FROM ledger WHERE body = '' AND kind != 'chain'").fetchall()
    connection.execute("UPDATE ledger SET row = 900 WHERE n = ?", chance.choice(rows))


def put_back(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Put a row in the place of one that was forgotten."""
    del chance
    (row,) = connection.execute(
        "SELECT min(row) FROM ledger WHERE kind = 'alert' AND body = ''"
    ).fetchone()
    columns = [one[1] for one in connection.execute("PRAGMA table_info(alerts)")]
    wanted = ", ".join("?" if c == "n" else ("id || 'x'" if c == "id" else c) for c in columns)
    connection.execute(
        f"INSERT INTO alerts SELECT {wanted} FROM alerts LIMIT 1",  # noqa: S608
        (row,),
    )


TAMPERS = (emptied, emptied_entry, renamed, deleted, filled, moved, put_back)


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda one: one.__name__)
def test_tampering_is_found_beside_what_was_forgotten(
    path: Path, tamper: Callable[[sqlite3.Connection, random.Random], None]
) -> None:
    record(path)
    forget(path, BEFORE)
    assert verify(path).whole
    connection = unlocked(path)
    tamper(connection, random.Random(7))  # noqa: S311
    connection.close()
    verdict = verify(path)
    assert not verdict.whole
    assert verdict.flaws


def test_a_row_emptied_without_an_entry_is_found_where_nothing_was_ever_forgotten(
    path: Path,
) -> None:
    record(path)
    connection = unlocked(path)
    emptied(connection, random.Random(1))  # noqa: S311
    connection.close()
    verdict = verify(path)
    assert not verdict.whole
    assert any("no row says that it was forgotten" in flaw.text for flaw in verdict.flaws)


def test_the_locks_are_on_again_after_forgetting(path: Path) -> None:
    record(path)
    forget(path, BEFORE)
    connection = behind(path, isolation_level=None)
    for table in ("ledger", "alerts", "alarm_events", "self_tests", "runs"):
        with pytest.raises(sqlite3.IntegrityError, match="append"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.close()


def test_an_emptied_row_keeps_nothing_to_guess_from(path: Path) -> None:
    record(path)
    forget(path, Wanted())
    connection = behind(path)
    rows = connection.execute(
        "SELECT ref, stage, by, at_s, body, salt FROM ledger WHERE kind IN"
        " ('alert', 'alarm_event', 'entry', 'delivery', 'self_test')"
    ).fetchall()
    connection.close()
    assert rows
    assert set(rows) == {("", "forgotten", "", 0.0, "", None)}


def test_a_kill_between_two_steps_leaves_a_whole_store(path: Path) -> None:
    record(path)
    with Store.begin(path, NEXT) as store:
        request = store.forgetting(BEFORE, "Ann", 5_001.0, standing=())
        more, n = True, 0
        while more:
            more = request.step()
            n += 1
            assert verify(path).whole, n
    assert n > 5
    forget(path, BEFORE)
    assert EARLY.encode() not in content(path)


# --- kept long enough ----------------------------------------------------------------------------

DAYS = {"scores": 30, "gaps": 30, "links": 30, "readings": 400, "summaries": 400, "alerts": 400}


def old_store(path: Path, n_alerts: int, step_s: float) -> float:
    """Record alerts over a long time in one boot; return the boot time now."""
    with Store.begin(path, RUN) as store:
        for n in range(n_alerts):
            at_s = 100.0 + n * step_s
            ended = alert(n, AlertState.ENDED, at_s + 1.0)
            store.backlog.add(Outcome((alert(n, at_s=at_s), ended, summary(at_s))), at_s)
            score = type(SCORE)(**{**fields(SCORE), "start_s": at_s})
            store.backlog.add(Outcome((score,)), at_s)
        now_s = 100.0 + n_alerts * step_s
        for back_s in (7_200.0, 3_000.0, 0.0):
            at_s = now_s - back_s
            store.backlog.add_clock(WallEntry("boot-1", at_s, WALL_S + at_s, synchronised=True))
        store.flush(now_s)
    return now_s


def tidied(path: Path, now_s: float) -> Iterator[Store]:
    with Store.begin(path, NEXT) as store:
        retention = Retention(DAYS, now_s - FIRST_S)
        n = 0
        while retention.turn(store, "boot-1", now_s):
            n += 1
            assert n < 10_000
        yield store


def test_records_are_kept_as_long_as_they_should_and_the_last_alerts_always(path: Path) -> None:
    now_s = old_store(path, 1_500, DAY_S)
    for store in tidied(path, now_s):
        counts = store.counts()
        assert counts["scores"] in (30, 31)
        assert counts["summaries"] in (400, 401)
        assert KEPT_ALERTS <= counts["alerts"] <= KEPT_ALERTS + 2
    verdict = verify(path)
    assert verdict.whole, verdict.flaws
    assert any("as long as [retention] says" in note for note in verdict.notes)
    assert f"request of {KEEPING}" not in str(verdict.notes)


def test_an_alert_that_stands_is_kept_whatever_its_age(path: Path) -> None:
    now_s = old_store(path, 1_200, DAY_S)
    with Store.begin(path, NEXT) as store:
        standing = type(alert(5))(**{**fields(alert(9_999)), "at_s": 100.0, "since_s": 100.0})
        store.add(Outcome((standing,)), now_s)
        wanted = Wanted(to_s=WALL_S + now_s, tables=(ALERTS,), whole=True)
        store.forget(wanted, KEEPING, now_s)
        assert [one.alert.id for one in store.alerts()] == ["alert-9999"]


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([], "never read"),
        ([(0.0, WALL_S, False), (4_000.0, WALL_S + 4_000, False)], "never set"),
        ([(3_900.0, WALL_S + 3_900, True)], "set only just now"),
        ([(0.0, 1.0, True), (3_900.0, WALL_S + 3_900, True)], "jumped"),
        ([(0.0, WALL_S, True), (3_900.0, 9e9, False)], "lost and jumped"),
    ],
)
def test_a_clock_that_may_be_wrong_forgets_nothing(
    path: Path, entries: list[tuple[float, float, bool]], why: str
) -> None:
    with Store.begin(path, RUN) as store:
        for boot_s, wall_s, synced in entries:
            store.backlog.add_clock(WallEntry("boot-1", boot_s, wall_s, synchronised=synced))
        store.add(Outcome((summary(), alert())), 4_000.0)
        assert trusted_wall_s(store._database, "boot-1", 4_000.0) is None, why
        retention = Retention(DAYS, -1e9)
        assert not retention.turn(store, "boot-1", 4_000.0)
        assert retention.n_forgotten == 0


def test_the_plan_names_every_kind_and_ends_with_the_clocks() -> None:
    wanted = list(plan(DAYS, WALL_S))
    tables = [table for one in wanted for table in one.tables]
    assert tables[-1] == "clock_log"
    assert len(tables) == len(set(tables)) == 11
    assert all(one.whole for one in wanted)


def test_finding_reads_and_changes_nothing(path: Path) -> None:
    record(path)
    with Store.begin(path, NEXT) as store:
        before = store._database.execute("SELECT total_changes()").fetchone()
        assert find(store._database, Wanted()).n["alerts"] == 4
        assert store._database.execute("SELECT total_changes()").fetchone() == before


def test_a_step_that_cannot_be_done_is_no_trouble_of_recording(path: Path) -> None:
    now_s = old_store(path, 60, DAY_S)
    with Store.begin(path, NEXT) as store:
        retention = Retention(DAYS, now_s - FIRST_S)
        assert retention.turn(store, "boot-1", now_s)
        store._database.execute("PRAGMA query_only=ON")  # as a disk that was remounted read-only
        while retention.turn(store, "boot-1", now_s):
            assert retention.trouble == ""
        assert "cannot write" in retention.trouble
        store._database.execute("PRAGMA query_only=OFF")
        assert not retention.turn(store, "boot-1", now_s)
        while retention.turn(store, "boot-1", now_s + FIRST_S):
            pass
        assert retention.trouble == ""
        assert store.counts()["scores"] in (29, 30, 31)
