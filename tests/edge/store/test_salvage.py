"""A damaged file: what still reads of it comes back, once, and what is lost is told apart from
what somebody took out."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from edge.clock import WallEntry
from edge.config.words import Words
from edge.daemon.resume import pseudonyms_in
from edge.pseudonyms import Pseudonym
from edge.records import AlertState, Outcome
from edge.store import DATABASE, History, KeptAlerts, LedgerEntry, LedgerKind, Run, Store
from edge.store.asides import MAX_KEPT, YOUNG_S, asides, tidy
from edge.store.cipher import PAGE_BYTES
from edge.store.database import StoreError, connect
from edge.store.eras import ERA, STORY
from edge.store.head import parse_head
from edge.store.salvage import SalvageReport, places_of, words_of
from edge.store.verification import verify
from edge.store.wanted import Wanted
from tests.edge.store.opened import RUN, behind, open_store, pages_in
from tests.edge.store.test_store import SCORE, alert, summary

LATER = Run("run-2", "boot-1", 100.0, "0.1.0", "digest")
N = 300
INTERIOR = 5
"""First byte of a page that leads to others (of a table)."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / DATABASE


def written(path: Path, n: int = N) -> None:
    """Write a file with so many alerts, summaries and scores, the first third of them sent."""
    with open_store(path, RUN) as store:
        store.backlog.add_clock(WallEntry("boot-1", 1.0, 1.7e9, synchronised=True))
        store.backlog.keep(KeptAlerts(b"what stood", WallEntry("boot-1", 50.0, 1.7e9, True)))
        for number in range(n):
            store.backlog.add(Outcome((alert(number), summary(60.0 * number), SCORE)), 0.0)
            entry = LedgerEntry(LedgerKind.DELIVERY, f"alert-{number}", "sounded", "sound", 20.0)
            store.backlog.vouch(entry, 0.0)
            if number % 10 == 9:
                store.flush(1.0)
        store.flush(1.0)
        store.settle([w.uuid for w in store.outbox(2 * n // 3)], 2.0)


def blot(path: Path, *pages: int) -> None:
    """Overwrite pages, counted from 0, with noise."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek(page * PAGE_BYTES)
            file.write(random.Random(page).randbytes(PAGE_BYTES))  # noqa: S311


def pages_of(path: Path, table: str) -> list[int]:
    """Return the pages that hold a table, its root first, counted from 0: walked through here."""
    pages = pages_in(path)
    other = behind(path)
    (root,) = other.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
    ).fetchone()
    other.close()
    found, todo = set(), [root]
    while todo:
        number = todo.pop()
        found.add(number - 1)
        page = pages[number - 1]
        if page[0] == INTERIOR:
            n_cells = int.from_bytes(page[3:5])
            cells = [int.from_bytes(page[at : at + 2]) for at in range(12, 12 + 2 * n_cells, 2)]
            todo += [int.from_bytes(page[at : at + 4]) for at in (8, *cells)]
    return sorted(found)


def recovered(store: Store, at_s: float = 5.0) -> SalvageReport:
    """Recover to the end."""
    for _ in range(20_000):
        report = store.recover(at_s)
        assert report is not None
        if report.finished:
            return report
    raise AssertionError("it does not come to an end")


def uuids(store: Store) -> list[str]:
    return [w.uuid for w in store.outbox(10_000)]


def test_all_that_reads_comes_back_and_unsent_alerts_are_sent_once_by_their_old_ids(
    path: Path,
) -> None:
    written(path)
    with History.open(path) as history:
        before, unsent = history.counts(), history.outbox(10_000)
        alerts, summaries = history.alerts(), history.summaries()
    blot(path, *pages_of(path, "scores")[1:4])
    with open_store(path, LATER) as store:
        assert store.moved_aside == path.with_name("homeward.db.damaged-1")
        store.add(Outcome((alert(9_000), summary(1e6), SCORE)), 1.0)
        report = recovered(store)
        assert report.lost_of.keys() == {"scores"}
        assert 0 < report.n_lost < 60
        after = store.counts()
        assert after["scores"] == before["scores"] - report.n_lost + 1
        assert after["alerts"] == before["alerts"] + 1
        assert store.alerts()[:-1] == alerts
        assert store.alerts()[-1].alert.id == "alert-9000"
        assert store.summaries()[: len(summaries)] == summaries
        assert store.outbox(10_000)[: len(unsent)] == unsent
        assert len(set(uuids(store))) == len(uuids(store)) == len(unsent) + 2
        assert store.recover(6.0) is None
        assert store._database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_new_rows_are_numbered_so_that_old_ones_keep_their_numbers(path: Path) -> None:
    written(path, 20)
    blot(path, pages_of(path, "scores")[0])
    with open_store(path, LATER) as store:
        store.add(Outcome((alert(9_000), summary(), SCORE)), 1.0)
        recovered(store)
        for table in ("alerts", "summaries", "outbox", "ledger", "runs"):
            rows = store._database.execute(f"SELECT n FROM {table} ORDER BY n").fetchall()  # noqa: S608
            old = [n for (n,) in rows if n <= ERA]
            new = [n for (n,) in rows if n > ERA]
            assert old[0] == 1
            assert new == list(range(ERA + 1, ERA + 1 + len(new))), table
            assert new


def test_a_row_whose_page_is_lost_is_made_again_of_the_ledger(path: Path) -> None:
    written(path)
    blot(path, *pages_of(path, "alerts")[2:5])
    with open_store(path, LATER) as store:
        report = recovered(store)
        assert report.n_lost == 0
        assert [a.alert.id for a in store.alerts()] == [f"alert-{n}" for n in range(N)]
    (flaw,) = verify(path).flaws
    assert flaw.what == "break"
    assert "no row of the ledger is missing" in flaw.text


def test_rows_of_the_ledger_that_are_lost_are_told_and_no_tampering(path: Path) -> None:
    written(path)
    blot(path, *pages_of(path, "ledger")[5:7])
    with open_store(path, LATER) as store:
        assert "is being recovered" in " ".join(verify(path).notes)
        report = recovered(store)
        assert report.lost_of.keys() == {"ledger"}
        store.add(Outcome((alert(9_000),)), 9.0)
        known = parse_head(verify(path).head)
    verdict = verify(path)
    (flaw,) = verdict.flaws
    assert flaw.what == "break"
    assert "recovered after damage; rows " in flaw.text
    assert " are missing" in flaw.text
    assert verdict.n_vouched["alerts"] == N + 1
    # Who has written the head down since has seen it.
    assert verify(path, known).whole
    assert verify(path, known).known_breaks == 1


TAMPERINGS: dict[str, tuple[str, str]] = {
    "a row taken out": ("DELETE FROM ledger WHERE n = 3", "deleted"),
    "a row edited": ("UPDATE ledger SET stage = 'unheard' WHERE n = 4", "edited"),
    "an alert edited": ("UPDATE alerts SET reason = 'nothing' WHERE n = 7", "edited"),
    "an alert taken out": ("DELETE FROM alerts WHERE n = 8", "deleted"),
}


def unlocked(path: Path, statement: str) -> None:
    other = connect(path)
    locks = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    for (name,) in other.execute(locks).fetchall():
        other.execute(f"DROP TRIGGER {name}")
    other.execute("PRAGMA foreign_keys = OFF")
    other.conn.executescript(statement)
    other.conn.commit()
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()


@pytest.mark.parametrize("what", TAMPERINGS)
def test_what_is_changed_after_a_recovery_shows_as_ever(path: Path, what: str) -> None:
    written(path)
    pages = pages_of(path, "ledger")
    blot(path, pages[len(pages) // 2])
    with open_store(path, LATER) as store:
        recovered(store)
    statement, said = TAMPERINGS[what]
    unlocked(path, statement)
    assert said in {flaw.what for flaw in verify(path).flaws}


@pytest.mark.parametrize("what", ["a row edited", "an alert edited"])
def test_what_was_changed_before_the_damage_shows_after_the_recovery(path: Path, what: str) -> None:
    written(path)
    unlocked(path, TAMPERINGS[what][0])
    blot(path, pages_of(path, "scores")[0])
    with open_store(path, LATER) as store:
        recovered(store)
    assert "edited" in {flaw.what for flaw in verify(path).flaws}


def test_an_alert_that_was_put_in_before_the_damage_is_not_vouched_for(path: Path) -> None:
    written(path)
    unlocked(
        path,
        "CREATE TEMP TABLE one AS SELECT * FROM alerts WHERE n = 5;"
        "UPDATE one SET n = 5005, id = 'made up'; INSERT INTO alerts SELECT * FROM one",
    )
    blot(path, pages_of(path, "scores")[0])
    with open_store(path, LATER) as store:
        recovered(store)
    assert ("alerts", 5005, "inserted") in {(f.table, f.n, f.what) for f in verify(path).flaws}


def test_a_recovery_that_is_killed_at_any_turn_goes_on_and_doubles_nothing(path: Path) -> None:
    written(path, 60)
    with History.open(path) as history:
        alerts, unsent = history.alerts(), history.outbox(1_000)
    blot(path, pages_of(path, "scores")[1])
    runs = 0
    while True:
        runs += 1
        store = open_store(path, Run(f"run-{runs}x", "boot-1", 100.0 + runs, "0.1.0", "digest"))
        assert (store.moved_aside is None) == (runs > 1)
        if store.salvage is None:
            break
        salvage = store.salvage
        store.recover(5.0)
        # Killed: the next transaction was begun and never came to its end.
        store._database.execute("BEGIN")
        store._database.execute("DELETE FROM scores")
        salvage.close()
        store.close()
    assert runs > 10
    assert store.alerts() == alerts
    assert store.outbox(1_000) == unsent
    assert [flaw.what for flaw in verify(path).flaws] == ["break"]
    store.close()


def test_a_start_that_is_cut_short_after_the_file_was_put_aside_recovers_it_all_the_same(
    path: Path,
) -> None:
    written(path, 20)
    blot(path, pages_of(path, "scores")[0])
    path.rename(path.with_name("homeward.db.damaged-1"))
    assert places_of(path) == [path.with_name("homeward.db.damaged-1")]
    with open_store(path, LATER) as store:
        recovered(store)
        assert len(store.alerts()) == 20


def test_damage_in_the_midst_of_a_run_goes_on_with_its_number(path: Path) -> None:
    store = open_store(path, RUN)
    store.add(Outcome(tuple(alert(number) for number in range(40))), now_s=1.0)
    backlog = store.backlog
    store.close()
    sound = path.read_bytes()
    path.write_bytes(sound[:-PAGE_BYTES] + bytes(PAGE_BYTES))
    with open_store(path, RUN, backlog) as again:
        assert again.moved_aside is not None
        again.add(Outcome((alert(50),)), 2.0)
        recovered(again)
        assert [run.run_id for run in again.runs()] == ["run-1"]
        assert {a.run_id for a in again.alerts()} == {"run-1"}
        assert len(again.alerts()) == 41
    assert [flaw.what for flaw in verify(path).flaws] == ["break"]


def test_the_story_of_an_alert_that_stood_through_the_damage_is_one(path: Path) -> None:
    written(path, 40)
    blot(path, pages_of(path, "scores")[0])
    with open_store(path, LATER) as store:
        acknowledged = alert(7, AlertState.ACKNOWLEDGED)
        store.add(Outcome((acknowledged, alert(9_000))), 1.0)
        recovered(store)
        story = [(a.sequence, a.alert.state) for a in store.alerts() if a.alert.id == "alert-7"]
        assert story == [(1, AlertState.RAISED), (STORY + 1, AlertState.ACKNOWLEDGED)]
        assert [a.sequence for a in store.alerts()][-1] == 1  # begun after it


def test_a_file_of_which_nothing_reads_is_left_and_said(path: Path) -> None:
    written(path, 20)
    blot(path, 0)
    with open_store(path, LATER) as store:
        report = recovered(store)
        assert (report.n_recovered, report.finished) == (0, True)
        assert store.alerts() == []
    (flaw,) = verify(path).flaws
    assert "nothing of it could be read" in flaw.text


def test_a_file_that_is_damaged_again_brings_both_pasts_along(path: Path) -> None:
    written(path, 60)
    blot(path, pages_of(path, "scores")[0])
    with open_store(path, LATER) as store:
        store.add(Outcome((alert(1_000), summary(1e6), SCORE)), 1.0)
        store.flush(1.0)
        recovered(store)
    blot(path, pages_of(path, "scores")[0])
    with open_store(path, Run("run-3", "boot-1", 200.0, "0.1.0", "digest")) as store:
        store.add(Outcome((alert(2_000),)), 1.0)
        recovered(store)
        assert [a.alert.id for a in store.alerts()] == [
            *(f"alert-{n}" for n in range(60)),
            "alert-1000",
            "alert-2000",
        ]
        assert store.alerts()[-1].n == 2 * ERA + 1
    verdict = verify(path)
    assert {flaw.what for flaw in verdict.flaws} == {"break"}
    assert verdict.n_flaws == 2


def test_what_stood_is_read_of_the_damaged_file_until_it_is_recovered(path: Path) -> None:
    written(path, 40)
    blot(path, pages_of(path, "scores")[0])
    assert places_of(path) == [path]
    with open_store(path, LATER) as store:
        aside = path.with_name("homeward.db.damaged-1")
        assert places_of(path) == [path, aside]
        with History.open(aside) as history:
            kept = history.kept_alerts()
            assert kept is not None
            assert kept.state == b"what stood"
        recovered(store)
        assert places_of(path) == [path]
        found = store.kept_alerts()
        assert found is not None
        assert found.state == b"what stood"
        assert "0 lost" not in words_of(store._database, path)


@pytest.mark.parametrize("seed", range(6))
def test_after_any_damage_the_good_part_is_kept_and_nothing_is_double(
    path: Path, seed: int
) -> None:
    written(path, 60)
    with History.open(path) as history:
        alerts = {a.alert.id for a in history.alerts()}
    chance = random.Random(seed)  # noqa: S311
    n_pages = path.stat().st_size // PAGE_BYTES
    match seed % 3:
        case 0:
            blot(path, *(chance.randrange(1, n_pages) for _ in range(8)))
        case 1:
            damaged = bytearray(path.read_bytes())
            for _ in range(40):
                damaged[chance.randrange(PAGE_BYTES, len(damaged))] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
        case _:
            with path.open("r+b") as file:
                file.truncate(chance.randrange(n_pages // 2, n_pages) * PAGE_BYTES)
    with open_store(path, LATER) as store:
        store.add(Outcome((alert(9_000),)), 1.0)
        if store.salvage is not None:
            recovered(store)
        found = [a.alert.id for a in store.alerts()]
        assert len(found) == len(set(found))
        assert "alert-9000" in found
        assert set(found) - {"alert-9000"} <= alerts | {a for a in found if not a.isascii()}
        assert len(set(uuids(store))) == len(uuids(store))
    with open_store(path, Run("run-3", "boot-1", 300.0, "0.1.0", "digest")) as store:
        assert store.moved_aside is None
        assert store.salvage is None
    verify(path)


def test_no_more_than_a_few_damaged_files_are_kept_and_the_newest_for_a_week(path: Path) -> None:
    for number in range(1, 7):
        path.with_name(f"homeward.db.damaged-{number}").write_bytes(b"x")
        path.with_name(f"homeward.db.damaged-{number}-wal").write_bytes(b"x")
    path.with_name("homeward.db.damaged-note").write_bytes(b"not ours")
    names = [one.name for one in asides(path)]
    assert names == [f"homeward.db.damaged-{n}" for n in range(1, 7)]
    now_s = asides(path)[0].stat().st_mtime
    removed = tidy(path, {"homeward.db.damaged-2"}, now_s)
    assert [one.name[-1] for one in removed] == ["1", "3", "4"]
    assert len(asides(path)) == MAX_KEPT
    assert not path.with_name("homeward.db.damaged-1-wal").exists()
    assert path.with_name("homeward.db.damaged-note").exists()
    only = asides(path)[-1]
    for one in asides(path)[:-1]:
        one.unlink()
    with only.open("r+b") as file:
        file.truncate(600_000_000)  # sparse
    assert tidy(path, set(), now_s + YOUNG_S - 60.0) == []
    assert tidy(path, set(), now_s + YOUNG_S + 60.0) == [only]


def test_a_patient_keeps_the_pseudonym_through_the_damage(path: Path) -> None:
    one, words = Pseudonym("patient-1", "hw-abc"), Words("ref-1", "patient-1", "Ann", "why")
    with open_store(path) as store:
        store.backlog.name(one, 0.0)
        store.backlog.name(words, 0.0)
        store.flush(1.0)
    written(path, 40)
    blot(path, pages_of(path, "scores")[0])
    assert pseudonyms_in(path) == (one,)
    with open_store(path, LATER) as store:
        assert pseudonyms_in(path) == (one,)  # of the damaged file
        new = Pseudonym("patient-2", "hw-def")
        store.backlog.name(new, 0.0)
        store.flush(2.0)
        recovered(store)
        assert store.pseudonyms() == [one, new]
        assert store.limit_words() == [words]


def test_what_was_forgotten_stays_so_and_is_no_tampering_after_a_recovery(path: Path) -> None:
    written(path, 60)
    everything = Wanted(-math.inf, math.inf, "p1")
    with open_store(path) as store:
        told = store.forget(everything, "Ann", 60.0, standing=())
        assert told.n["alerts"] == 60
        store.add(Outcome((alert(500),)), 61.0)
    written(path, 60)
    pages = pages_of(path, "ledger")
    blot(path, pages[len(pages) // 2], pages_of(path, "alerts")[0])
    with open_store(path, LATER) as store:
        with pytest.raises(StoreError, match="are being recovered"):
            store.forgetting(everything, "Ann", 70.0)
        recovered(store)
        assert len({a.alert.id for a in store.alerts()}) >= 55
    assert [flaw.what for flaw in verify(path).flaws] == ["break"]
