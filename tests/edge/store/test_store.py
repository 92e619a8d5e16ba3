"""The store keeps what it acknowledged, all of it or nothing, and says what it cannot do."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from sqlcipher3 import dbapi2 as sqlite3

from edge.clock import WallEntry
from edge.records import (
    AlarmAct,
    AlarmEvent,
    Alert,
    AlertState,
    Beat,
    Features,
    Gap,
    Kind,
    LinkChange,
    LinkState,
    Meaning,
    Outcome,
    Priority,
    Reading,
    Role,
    Score,
    Security,
    SelfTest,
    SelfTestRow,
    Step,
    Summary,
    Verdict,
)
from edge.store import Backlog, History, KeptAlerts, Run, Store, StoreError
from edge.store.backlog import BATCH_ROWS, BATCH_S, MAX_SUMMARIES, SOON_S
from tests.edge.store.opened import behind

CLOCK = WallEntry("boot-1", 12.0, 1_700_000_000.0, synchronised=True)
RUN = Run("run-1", "boot-1", 10.0, "0.1.0", "digest", "model-1")


def alert(number: int = 1, state: AlertState = AlertState.RAISED, at_s: float = 20.0) -> Alert:
    return Alert(
        id=f"alert-{number}",
        patient="p1",
        episode=f"p1/low_spo2/{number}",
        rule="low_spo2",
        kind=Kind.PHYSIOLOGICAL,
        priority=Priority.HIGH,
        state=state,
        since_s=20.0,
        at_s=at_s,
        reason="SpO2 84 % for 10 s",
        evidence={"spo2_pct": 84.0, "pi_pct": math.nan},
    )


def summary(start_s: float = 0.0) -> Summary:
    vitals = {"hr_bpm": {"n": 60.0, "min": 50.0, "p50": 61.0, "max": 70.0}}
    return Summary("p1", start_s, 60.0, {"ecg_mv": 0.98}, vitals, 61, 0, 1, {"low_spo2": 1})


GAP = Gap("p1", "sim:strap", "ecg", 1.0, 2.5, 375, "lost")
SCORE = Score(
    "p1", 0.0, 10.0, 0.25, {"a": 0.5, "b": -2.0, "c": 0.1, "d": 1.0, "e": math.nan}, 0.8, "model-1"
)
READING = Reading("r1", "p1", "AA", "weight_kg", 71.5, None, math.inf, 20.0, True)
SELF_TEST = SelfTest(
    "test-1",
    10.0,
    14.5,
    "Ann",
    (
        SelfTestRow("disk", "", Verdict.PASSED, "64 kB written", took_s=0.004),
        SelfTestRow("battery", "Strap", Verdict.FAILED, "9 % left", "flat soon", "charge it"),
    ),
)
LINK = LinkChange("p1", "AA", 19.0, LinkState.LOST, Security.OPEN, "scale", "", "out of reach")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def test_a_reading_that_is_fetched_again_after_a_restart_is_stored_once(path: Path) -> None:
    for run_id in ("run-1", "run-2"):
        run = msgspec.structs.replace(RUN, run_id=run_id)
        with Store.begin(path, run) as store:
            store.add(Outcome((READING,)), now_s=20.0)
            store.flush(21.0)
            assert [r.reading for r in store.readings()] == [READING]


def test_what_was_committed_is_read_back_by_another_process_as_it_was(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.backlog.add_clock(CLOCK)
        store.add(Outcome((alert(), GAP, SCORE, summary(), READING, LINK, SELF_TEST)), 20.25)
        with History.open(path) as history:  # while the writer still holds it
            (stored,) = history.alerts()
            assert stored.alert.evidence["spo2_pct"] == 84.0
            assert math.isnan(stored.alert.evidence["pi_pct"])
            assert (stored.sequence, stored.run_id, stored.boot_id) == (1, "run-1", "boot-1")
            assert [s.summary for s in history.summaries()] == [summary()]
            assert history.clock_log() == [CLOCK]
            assert [r.reading for r in history.readings()] == [READING]
            assert [link.link for link in history.links()] == [LINK]
            assert [one.test for one in history.self_tests()] == [SELF_TEST]
            expected = {"runs": 1, "alerts": 1, "summaries": 1, "gaps": 1, "scores": 1}
            expected |= {"readings": 1, "links": 1, "alarm_events": 0, "self_tests": 1}
            expected |= {"setting_changes": 0}
            assert history.counts() == expected
            assert history.runs() == [RUN]


PAUSED = AlarmEvent(
    *(AlarmAct.AUDIO_PAUSED, "p1", 20.0, "sound paused", "Ann", Role.CARER),
    priority=Priority.MEDIUM,
    until_s=140.0,
)
CARRIED = AlarmEvent(
    *(AlarmAct.ESCALATED, "p1", 35.0, "nobody has answered"),
    priority=Priority.HIGH,
    alert_id="alert-1",
    step=Step.FIRST_CARER,
    to="Bob",
)
REARMED = AlarmEvent(AlarmAct.REARMED, "", 140.0, "over", of=AlarmAct.AUDIO_PAUSED)


def test_what_was_done_to_the_alarms_is_written_at_once_and_read_back_as_it_was(
    path: Path,
) -> None:
    events = (PAUSED, CARRIED, REARMED)
    with Store.begin(path, RUN) as store:
        for event in events:
            store.add(Outcome((event,)), now_s=event.at_s)
            assert not store.backlog
        with History.open(path) as history:
            stored = history.alarm_events()
    assert tuple(s.event for s in stored) == events
    assert {(s.run_id, s.boot_id) for s in stored} == {("run-1", "boot-1")}


def test_what_was_done_to_the_alarms_is_not_edited_or_deleted(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((PAUSED,)), now_s=20.0)
        for statement in ("UPDATE alarm_events SET by = 'Eve'", "DELETE FROM alarm_events"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever appended"):
                store._database.execute(statement)


def test_an_answer_is_stored_with_its_role_and_meaning(path: Path) -> None:
    said = msgspec.structs.replace(
        alert(), answered_by="Ann", role=Role.CLINICIAN, meaning=Meaning.FALSE_ALARM
    )
    with Store.begin(path, RUN) as store:
        store.add(Outcome((said, alert(2))), now_s=20.0)
        answered, other = (a.alert for a in store.alerts())
    assert (answered.role, answered.meaning) == (Role.CLINICIAN, Meaning.FALSE_ALARM)
    assert (other.role, other.meaning) == (msgspec.UNSET, msgspec.UNSET)


def test_of_what_the_alarms_remember_only_the_newest_is_kept(path: Path) -> None:
    later = msgspec.structs.replace(CLOCK, boot_s=30.0, synchronised=False)
    with Store.begin(path, RUN) as store:
        assert store.kept_alerts() is None
        store.backlog.keep(KeptAlerts(b"old", CLOCK))
        store.add(Outcome((alert(),)), now_s=20.0)
        assert store.kept_alerts() == KeptAlerts(b"old", CLOCK)
        store.backlog.keep(KeptAlerts(b"new", later))
        assert store.flush(31.0) == 0  # it is no record
    with Store.begin(path, msgspec.structs.replace(RUN, run_id="run-2")) as store:
        assert store.kept_alerts() == KeptAlerts(b"new", later)


def test_what_could_not_be_written_does_not_overwrite_what_is_newer() -> None:
    backlog = Backlog()
    backlog.keep(KeptAlerts(b"old", CLOCK))
    batch = backlog.take()
    backlog.keep(KeptAlerts(b"new", CLOCK))
    backlog.give_back(batch, 30.0)
    assert backlog.take().kept == KeptAlerts(b"new", CLOCK)
    backlog.give_back(batch, 30.0)
    assert backlog.take().kept == KeptAlerts(b"old", CLOCK)


def test_a_store_of_before_is_brought_up_to_date_with_its_alerts(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
        for statement in (
            "DROP TABLE alarm_events",
            "DROP TABLE alert_state",
            "ALTER TABLE alerts DROP COLUMN role",
            "ALTER TABLE alerts DROP COLUMN meaning",
            "DELETE FROM _sqlite_migrations WHERE name = '004_alarms'",
        ):
            store._database.execute(statement)
    with History.open(path) as before, pytest.raises(StoreError, match="no such table"):
        before.kept_alerts()
    with Store.begin(path, RUN) as store:
        assert store.kept_alerts() is None
        assert [a.alert.id for a in store.alerts()] == ["alert-1"]


def test_a_self_test_is_written_at_once_survives_a_full_disk_and_is_never_changed(
    path: Path,
) -> None:
    with Store.begin(path, RUN) as store:
        store.backlog.add(Outcome((SELF_TEST,)), 20.0)
        assert store.backlog.due(20.0)
        batch = store.backlog.take()
        store.backlog.give_back(batch, 21.0)  # as when the disk would not have it
        store.flush(22.0)
        for change in ("UPDATE self_tests SET passed = 1", "DELETE FROM self_tests"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever appended"):
                store._database.execute(change)
    with History.open(path) as history:
        assert [one.test.failed for one in history.self_tests()] == [("Strap battery",)]


def test_the_store_proves_that_it_takes_a_transaction_and_gives_it_back(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.prove()
        store.prove()
        store._database.execute(
            "CREATE TRIGGER lies AFTER UPDATE ON probe"
            " BEGIN UPDATE probe SET token = 'other' WHERE token != 'other'; END"
        )
        with pytest.raises(StoreError, match="gives back 'other'"):
            store.prove()
        store._database.execute("PRAGMA query_only = 1")
        with pytest.raises(StoreError, match="cannot write"):
            store.prove()
        store._database.execute("PRAGMA query_only = 0")


def test_every_state_of_an_alert_is_kept_in_order(path: Path) -> None:
    states = [AlertState.RAISED, AlertState.ACKNOWLEDGED, AlertState.ENDED]
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(1, states[0]), alert(2, states[0]), alert(1, states[1]))), 21.0)
        store.add(Outcome((alert(1, states[2]),)), now_s=22.0)
        story = [a for a in store.alerts() if a.alert.id == "alert-1"]
    assert [a.sequence for a in story] == [1, 2, 3]
    assert [a.alert.state for a in story] == states


def test_a_story_goes_on_in_the_next_run(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    later = Run("run-2", "boot-2", 5.0, "0.1.0", "digest")
    with Store.begin(path, later) as store:
        store.add(Outcome((alert(state=AlertState.ENDED),)), now_s=6.0)
        assert [(a.sequence, a.boot_id) for a in store.alerts()] == [(1, "boot-1"), (2, "boot-2")]


def test_alerts_and_summaries_wait_in_the_outbox_under_ids_of_their_own(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(), GAP, SCORE, summary())), now_s=20.0)
        waiting = store.outbox()
        assert [type(w.content).__name__ for w in waiting] == ["StoredAlert", "StoredSummary"]
        assert all(UUID(w.uuid).version == 4 for w in waiting)
        assert len({w.uuid for w in waiting}) == 2
        assert store.settle([waiting[0].uuid, "never seen"], at_s=30.0) == 1
        assert store.settle([waiting[0].uuid], at_s=31.0) == 0
        assert store.outbox_count() == 1
        assert store.outbox() == waiting[1:]


def test_an_alert_is_written_at_once_and_takes_along_what_waits(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((summary(),)), now_s=100.0)
        store.add(Outcome((summary(60.0),)), now_s=100.0 + BATCH_S - 0.25)
        assert store.counts()["summaries"] == 0
        store.add(Outcome(), now_s=100.0 + BATCH_S)
        assert store.counts()["summaries"] == 2
        store.add(Outcome((summary(120.0), alert())), now_s=100.0 + BATCH_S)
        assert (store.counts()["summaries"], store.counts()["alerts"]) == (3, 1)


def test_what_is_no_alert_is_written_sixty_records_at_a_time(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        for number in range(BATCH_ROWS - 1):
            store.add(Outcome((summary(60.0 * number),)), now_s=100.0)
        assert store.counts()["summaries"] == 0
        store.add(Outcome((SCORE,)), now_s=100.0)
        assert store.counts()["summaries"] == BATCH_ROWS - 1
        assert store.counts()["scores"] == 1


def test_what_the_clock_has_newly_become_is_written_within_a_minute(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        for boot_s, synchronised in ((10.0, False), (100.0, False), (700.0, True), (800.0, True)):
            store.backlog.add_clock(WallEntry("boot-1", boot_s, 1e9 + boot_s, synchronised))
            assert not store.backlog.due(boot_s + SOON_S - 0.25)
            is_news = boot_s in {10.0, 700.0}
            assert store.backlog.due(boot_s + SOON_S) is is_news
            store.flush(boot_s + SOON_S)


def test_beats_and_features_are_not_rows(path: Path) -> None:
    beat = Beat("p1", 1.0, None, "sim:strap", "II", 250)
    with Store.begin(path, RUN) as store:
        store.add(Outcome((beat, Features("p1", 0.0, 10.0, {"hr_bpm": 60.0}))), now_s=1.0)
        assert len(store.backlog) == 0
        assert store.flush(2.0) == 0


def test_a_score_keeps_its_largest_contributions(path: Path) -> None:
    other = Score("p1", 10.0, 10.0, math.nan, {}, 0.8, "model-2")
    with Store.begin(path, RUN) as store:
        store.backlog.add(Outcome((SCORE, other)), now_s=0.0)
        store.flush(1.0)
    with contextlib.closing(behind(path)) as reader:
        rows = reader.execute("SELECT value, contributions, model_id FROM scores ORDER BY n")
        found = rows.fetchall()
    assert found == [
        (0.25, '{"b":-2.0,"d":1.0,"a":0.5}', None),
        (None, "{}", "model-2"),
    ]


def test_a_transaction_holds_all_of_a_batch_or_none_of_it(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        # The outbox is the last thing written: when it will not take the alert, no alert is there.
        other = behind(path)
        other.execute(
            "CREATE TRIGGER closed BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'no'); END"
        )
        other.commit()
        with pytest.raises(StoreError, match="cannot write"):
            store.add(Outcome((GAP, alert(), summary())), now_s=20.0)
        assert set(store.counts().values()) == {0, 1}  # the run alone
        assert store.counts()["runs"] == 1
        assert len(store.backlog) == 3
        other.execute("DROP TRIGGER closed")
        other.commit()
        other.close()
        assert store.flush(21.0) == 3
        assert (store.counts()["alerts"], store.counts()["gaps"], store.outbox_count()) == (1, 1, 2)


def test_alerts_can_be_neither_edited_nor_deleted(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    other = behind(path)
    for statement in ("UPDATE alerts SET reason = 'none'", "DELETE FROM alerts"):
        with pytest.raises(sqlite3.IntegrityError, match="only ever appended"):
            other.execute(statement)
    other.close()


def test_a_full_disk_loses_nothing_and_is_told(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count={pages + 8}").fetchone()  # a real FULL
        number = n_acknowledged = 0
        with pytest.raises(StoreError, match=r"disk is full.*is kept"):  # noqa: PT012
            for number in range(1, 200):
                store.add(Outcome((alert(number), summary())), now_s=20.0 + number)
                n_acknowledged = number
        assert n_acknowledged > 0
        assert store.counts()["alerts"] == store.counts()["summaries"] == n_acknowledged
        assert len(store.backlog) == 2
        with pytest.raises(StoreError, match="disk is full"):
            store.flush(300.0)  # still full, still kept
        store._database.execute("PRAGMA max_page_count=1000000").fetchone()  # space again
        assert store.flush(301.0) == 2
        assert store.counts()["alerts"] == store.counts()["summaries"] == number
        assert store.outbox_count() == 2 * number


def test_while_nothing_can_be_written_summaries_give_way_and_alerts_never() -> None:
    backlog = Backlog()
    for number in range(MAX_SUMMARIES + 5):
        backlog.add(Outcome((alert(number), summary(60.0 * number))), now_s=60.0 * number)
    batch = backlog.take()
    assert backlog.n_dropped == 5
    assert len(batch.alerts) == MAX_SUMMARIES + 5
    assert batch.summaries[0].start_s == 300.0  # the oldest went
    backlog.add(Outcome((summary(-60.0), alert(-1))), now_s=0.0)
    backlog.give_back(batch, now_s=1.0)
    assert backlog.n_dropped == 6
    again = backlog.take()
    assert [a.id for a in again.alerts] == [a.id for a in batch.alerts] + ["alert--1"]
    assert again.summaries == (*batch.summaries[1:], summary(-60.0))


def test_what_failed_once_is_due_again() -> None:
    backlog = Backlog()
    backlog.add(Outcome((summary(),)), now_s=0.0)
    assert not backlog.due(1.0)
    backlog.give_back(backlog.take(), now_s=1.0)
    assert backlog.due(1.0)


def test_what_the_alarms_remember_is_due_at_once() -> None:
    backlog = Backlog()
    backlog.add(Outcome((summary(),)), now_s=0.0)
    assert not backlog.due(1.0)
    backlog.keep(KeptAlerts(b"now", CLOCK))
    assert backlog.due(1.0)
    backlog.take()
    assert not backlog.due(1.0)


def test_there_is_nothing_to_read_before_the_first_run(path: Path) -> None:
    with pytest.raises(StoreError, match="nothing has been recorded yet"):
        History.open(path)
