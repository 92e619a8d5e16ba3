# ruff: noqa: S608  # tables by name: every one is ours
"""The chain finds whatever was changed; what it cannot find is shown here too."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlite3

from edge.clock import WallEntry
from edge.records import AlertState, Outcome
from edge.store import Backlog, LedgerEntry, LedgerKind, Run, Store, StoreError, chain
from edge.store.chain import columns_of, link_hash
from edge.store.database import connect
from edge.store.head import START, Head, head_path, parse_head, read_head, write_head
from edge.store.keeping import HeadState
from edge.store.migrations import MIGRATIONS, STEPS
from edge.store.records import alarm_event_row, alert_row
from edge.store.verdict import Verdict
from edge.store.verification import verify
from tests.edge.store.opened import behind
from tests.edge.store.test_store import CARRIED, PAUSED, RUN, alert

N_TAMPERS = 10_000 if os.environ.get("HOMEWARD_LONG") else 600
TABLES = ("ledger", "ledger", "ledger", "alerts", "alarm_events", "clock_log", "runs")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def told(number: int, at_s: float, stage: str = "sounded") -> LedgerEntry:
    return LedgerEntry(LedgerKind.DELIVERY, f"alert-{number}", stage, "sound", at_s, {"n": number})


def live(path: Path, n_alerts: int = 8, run: Run = RUN) -> None:
    """Let a monitor record some alarms, what was done about them, and how they were told."""
    with Store.begin(path, run) as store:
        for number in range(1, n_alerts + 1):
            at_s = 20.0 * number
            store.backlog.add_clock(WallEntry("boot-1", at_s, 1.7e9 + at_s, synchronised=True))
            store.backlog.vouch(told(number, at_s + 0.5), at_s)
            store.add(Outcome((alert(number, at_s=at_s), PAUSED, CARRIED)), now_s=at_s + 1.0)
            store.add(Outcome((alert(number, AlertState.ENDED, at_s + 9.0),)), now_s=at_s + 9.0)


def unlocked(path: Path) -> sqlite3.Connection:
    """Return a connection with which everything can be changed."""
    connection = behind(path, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA synchronous=OFF")
    return connection


# --- whole ---------------------------------------------------------------------------------------


def test_an_untouched_record_is_whole_and_its_head_is_beside_it(path: Path) -> None:
    live(path)
    live(path, 3, Run("run-2", "boot-2", 5.0, "0.1.0", "digest"))
    verdict = verify(path)
    assert verdict.whole, verdict.flaws
    vouched = {"runs": 2, "clock_log": 11, "alerts": 22, "alarm_events": 22}
    assert verdict.n_vouched == {**vouched, "self_tests": 0, "setting_changes": 0, "egress": 0}
    assert verdict.n_rows == 2 + 11 + 22 + 22 + 11
    assert verdict.head_file is HeadState.SAME
    assert str(read_head(path)) == verdict.head
    assert verify(path, parse_head(verdict.head)).expected == "found"
    assert (verdict.taken_over, verdict.notes, verdict.first_broken) == (None, (), None)


def test_a_record_is_verified_while_it_is_written(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        for number in range(30):
            store.add(Outcome((alert(number),)), now_s=20.0)
            assert verify(path).whole


def test_thousands_of_entries_are_kept_and_whole(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        for number in range(2_000):
            store.backlog.vouch(told(number, 20.0), 20.0)
            store.backlog.add(Outcome((alert(number),)), 20.0)
        store.flush(21.0)
    verdict = verify(path)
    assert (verdict.whole, verdict.n_rows) == (True, 4_001)


def test_every_number_a_table_can_hold_is_read_back_as_it_was_chained(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        for at_s in (-0.0, 0, 1e308, 5e-324, 140, 0.1 + 0.2):
            store.backlog.vouch(told(1, at_s), 20.0)
            store.add(Outcome((alert(int(at_s % 7), at_s=at_s),)), now_s=20.0)
    assert verify(path).whole


def test_what_cannot_be_stored_is_refused_before_it_gets_in_line() -> None:
    half = "\ud800"
    for wrong in (
        {"at_s": float("nan")},
        {"by": half},
        {"ref": "x" * 5_000},
        {"body": {"a": half}},
    ):
        entry = {"kind": LedgerKind.ENTRY, "ref": "p1", "stage": "", "by": "", "at_s": 1.0, **wrong}
        with pytest.raises(ValueError, match=r"needs a time|surrogates|shorten"):
            LedgerEntry(**entry)


def test_an_entry_that_is_no_news_is_left_out(path: Path) -> None:
    def setting(limit: int) -> LedgerEntry:
        body = {"limit_pct": limit}
        kind = LedgerKind.SETTING
        return LedgerEntry(kind, "low_spo2", "in_force", "", 11.0, body, if_news=True)

    for number, limit in enumerate((90, 90, 88, 90)):
        with Store.begin(path, Run(f"r{number}", "b", 10.0, "1", "d")) as store:
            store.backlog.vouch(setting(limit), 11.0)
            store.flush(12.0)
            rows = store._rows("SELECT body FROM ledger WHERE kind = 'setting'")
    assert [row["body"] for row in rows] == [f'{{"limit_pct":{n}}}' for n in (90, 88, 90)]


def test_rows_that_could_not_be_written_are_chained_once_when_they_are(path: Path) -> None:
    backlog = Backlog()
    with Store.begin(path, RUN, backlog) as store:
        other = behind(path, isolation_level=None)
        store._database.execute("PRAGMA busy_timeout=1")
        other.execute("BEGIN IMMEDIATE")
        backlog.vouch(told(1, 20.0), 20.0)
        with pytest.raises(StoreError):
            store.add(Outcome((alert(),)), now_s=20.0)
        other.execute("ROLLBACK")
        other.close()
        assert store.flush(21.0) == 2
    verdict = verify(path)
    assert (verdict.whole, verdict.n_rows) == (True, 3)


# --- changed -------------------------------------------------------------------------------------


def test_the_ledger_and_what_it_vouches_for_refuse_to_be_changed(path: Path) -> None:
    live(path, 2)
    connection = behind(path, isolation_level=None)
    for table in sorted({*TABLES}):
        for statement in (f"UPDATE {table} SET n = n", f"DELETE FROM {table}"):
            with pytest.raises(sqlite3.IntegrityError, match="append"):
                connection.execute(statement)
    n, last_hash = connection.execute("SELECT max(n), hash FROM ledger").fetchone()
    for place, last in ((n + 2, last_hash), (n + 1, b"x" * 32)):
        with pytest.raises(sqlite3.IntegrityError, match="grows at its end only"):
            connection.execute(
                f"INSERT INTO ledger VALUES ({', '.join('?' * 12)})",
                (place, 1, "delivery", "a", "sent", "", 1.0, None, "{}", last, b"h" * 32, None),
            )
    connection.close()
    assert verify(path).whole


def edit(connection: sqlite3.Connection, table: str, chance: random.Random) -> bool:
    """Change one value of one row."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    column = chance.choice([name for name in columns if name != "run"])
    n = chance.choice([row[0] for row in connection.execute(f"SELECT n FROM {table}")])
    before = connection.execute(f'SELECT "{column}" FROM {table} WHERE n = ?', (n,)).fetchone()[0]
    after = changed(before, chance)
    connection.execute(f'UPDATE OR IGNORE {table} SET "{column}" = ? WHERE n = ?', (after, n))
    return connection.total_changes > 0


def changed(value: object, chance: random.Random) -> object:
    match value:
        case None:
            return 1
        case int():
            return value + chance.choice((-1, 1, 1000)) if value > 1 else 1 - value or 7
        case float():
            return value + chance.choice((-1e-6, 1.0, 3600.0))
        case bytes():
            return bytes(flipped(value, chance))
        case str() if not value:
            return "x"
        case str():
            # A bit flipped in a text may make it no text at all: SQLite keeps it all the same.
            return flipped(value.encode(), chance).decode("latin-1")
    raise AssertionError(value)


def flipped(value: bytes, chance: random.Random) -> bytearray:
    found = bytearray(value)
    found[chance.randrange(len(found))] ^= 1 << chance.randrange(7)
    return found


def delete(connection: sqlite3.Connection, table: str, chance: random.Random) -> bool:
    """Take out some rows in a row, anywhere: at the end it is a truncation."""
    (most,) = connection.execute(f"SELECT max(n) FROM {table}").fetchone()
    first = chance.randint(1, most)
    last = chance.choice((first, first + chance.randint(0, 5), most))
    if table == "runs":  # what stands under it goes with it, or the file would not open
        return False
    return (
        connection.execute(f"DELETE FROM {table} WHERE n BETWEEN ? AND ?", (first, last)).rowcount
        > 0
    )


def insert(connection: sqlite3.Connection, table: str, chance: random.Random) -> bool:
    """Put in a copy of a row, at the end or, moving the rest, in between."""
    (most,) = connection.execute(f"SELECT max(n) FROM {table}").fetchone()
    place = chance.randint(1, most + 1)
    for n in range(most, place - 1, -1):
        connection.execute(f"UPDATE {table} SET n = n + 1 WHERE n = ?", (n,))
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    pick = {"n": "?", "sequence": "sequence + 7", "row": "NULL", "run_id": "run_id || 'x'"}
    source = chance.choice([n for n in range(1, most + 2) if n != place])
    wanted = ", ".join(pick.get(name, f'"{name}"') for name in columns)
    connection.execute(
        f"INSERT INTO {table} SELECT {wanted} FROM {table} WHERE n = ?", (place, source)
    )
    return True


def swap(connection: sqlite3.Connection, table: str, chance: random.Random) -> bool:
    """Let two rows change places."""
    (most,) = connection.execute(f"SELECT max(n) FROM {table}").fetchone()
    if most < 2:
        return False
    one, two = chance.sample(range(1, most + 1), 2)
    rows = [
        connection.execute(f"SELECT * FROM {table} WHERE n = ?", (n,)).fetchone()[1:]
        for n in (one, two)
    ]
    for source, target in ((one, -1), (two, one), (-1, two)):
        connection.execute(f"UPDATE {table} SET n = ? WHERE n = ?", (target, source))
    return bool(rows[0] != rows[1])


def flip(path: Path, chance: random.Random) -> bool:
    """Flip one bit in the file, within a value of the ledger or of an alert."""
    with behind(path) as connection:
        values = connection.execute(
            "SELECT body FROM ledger UNION ALL SELECT hash FROM ledger UNION ALL"
            " SELECT reason FROM alerts UNION ALL SELECT evidence FROM alerts"
        ).fetchall()
    connection.close()
    value = chance.choice(values)[0]
    wanted = value if isinstance(value, bytes) else value.encode()
    content = bytearray(path.read_bytes())
    at = content.find(wanted)
    if at < 0:
        return False  # it lies in two pieces, or in the log
    content[at + chance.randrange(len(wanted))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return True


TAMPERS: tuple[Callable[[sqlite3.Connection, str, random.Random], bool], ...] = (
    edit,
    delete,
    insert,
    swap,
)


def tamper(path: Path, chance: random.Random) -> str:
    """Change the file in one way; return how, empty where nothing came of it."""
    kind = chance.randrange(len(TAMPERS) + 1)
    if kind == len(TAMPERS):
        return "flip" if flip(path, chance) else ""
    table = chance.choice(TABLES)
    connection = behind(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    try:
        connection.execute("BEGIN")
        done = TAMPERS[kind](connection, table, chance)
        connection.execute("COMMIT" if done else "ROLLBACK")
    except sqlite3.IntegrityError:
        return ""  # SQLite itself would not have it
    finally:
        connection.close()
    return f"{TAMPERS[kind].__name__} {table}" if done else ""


def campaign(path: Path, n: int, judge: Callable[[Path], bool]) -> dict[str, list[int]]:
    """Tamper `n` times with a copy; return how often each was found and missed."""
    unlocked(path).close()
    sound, head = path.read_bytes(), head_path(path).read_bytes()
    counts: dict[str, list[int]] = {}
    chance = random.Random(5)  # noqa: S311
    done = 0
    while done < n:
        path.write_bytes(sound)
        head_path(path).write_bytes(head)
        how = tamper(path, chance)
        if how:
            done += 1
            counts.setdefault(how, [0, 0])[0 if judge(path) else 1] += 1
    path.write_bytes(sound)
    return counts


def test_every_edit_deletion_insertion_and_swap_is_found(path: Path) -> None:
    live(path, 4)
    live(path, 1, Run("run-2", "boot-2", 5.0, "0.1.0", "digest"))
    counts = campaign(path, N_TAMPERS, lambda copy: not verify(copy).whole)
    assert {how: missed for how, (_, missed) in counts.items() if missed} == {}
    assert len(counts) >= 14, counts
    assert verify(path).whole  # the control: put back as it was


def test_without_the_content_in_the_hash_edits_would_be_missed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The control of the campaign above: the same file, the same tampering, a hash of nothing but
    # the row's number.
    monkeypatch.setattr(chain, "link_hash", lambda _, columns: b"%032d" % columns[0])
    live(path, 4)
    assert verify(path).whole
    counts = campaign(path, 150, lambda copy: not verify(copy).whole)
    assert counts["edit ledger"][1] > 0


def first_flaw(verdict: Verdict) -> tuple[int | None, str, str]:
    assert not verdict.whole
    return verdict.first_broken, verdict.flaws[0].table, verdict.flaws[0].what


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE ledger SET body = '{}' WHERE n = 5", (5, "ledger", "edited")),
        ("DELETE FROM ledger WHERE n IN (7, 8)", (7, "ledger", "deleted")),
        ("UPDATE alerts SET answered_by = 'Eve' WHERE n = 1", (2, "alerts", "edited")),
        ("DELETE FROM alerts WHERE n = 1", (2, "alerts", "deleted")),
        ("UPDATE clock_log SET wall_s = wall_s - 3600 WHERE n = 1", (2, "clock_log", "edited")),
        ("UPDATE runs SET config_digest = 'other'", (1, "runs", "edited")),
    ],
)
def test_the_first_broken_row_is_named(
    path: Path, statement: str, expected: tuple[int, str, str]
) -> None:
    live(path, 3)
    connection = unlocked(path)
    row = connection.execute("SELECT n FROM ledger WHERE kind = 'alert' LIMIT 1").fetchone()[0]
    connection.execute(statement)
    connection.close()
    first, table, what = first_flaw(verify(path))
    assert (table, what) == expected[1:]
    assert first == (
        row if expected[1] == "alerts" else expected[0] if table != "clock_log" else first
    )


def test_a_table_this_version_is_yet_to_make_is_no_fault_and_one_that_is_gone_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(path, 2)
    later = chain.Vouched("limit_changes", chain.VOUCHED[LedgerKind.ALERT].told)
    more = {**chain.VOUCHED, LedgerKind.SETTING: later}
    monkeypatch.setattr("edge.store.verification.VOUCHED", more)
    assert verify(path).whole
    connection = unlocked(path)
    connection.execute("DROP TABLE alarm_events")
    connection.close()
    assert {flaw.what for flaw in verify(path).flaws} == {"deleted"}


def test_locks_that_were_taken_off_are_noted(path: Path) -> None:
    live(path, 1)
    unlocked(path).close()
    (note,) = verify(path).notes
    assert note == (
        "the lock against edits was taken off alarm_events, alerts, clock_log, egress, ledger, "
        "runs, self_tests, setting_changes"
    )


def test_an_alert_nobody_recorded_is_told(path: Path) -> None:
    live(path, 2)
    connection = unlocked(path)
    connection.execute(
        "INSERT INTO alerts SELECT 99, run, 'forged', 1, patient, episode, rule, kind, priority,"
        " state, since_s, at_s, reason, evidence, answered_by, role, meaning FROM alerts WHERE n=1"
    )
    connection.close()
    assert first_flaw(verify(path)) == (None, "alerts", "inserted")
    live(path, 1, Run("run-2", "boot-1", 5.0, "0.1.0", "digest"))
    # The next monitor does not take it in as its own.
    assert first_flaw(verify(path)) == (None, "alerts", "inserted")


# --- the end -------------------------------------------------------------------------------------


def cut(path: Path, n: int) -> None:
    """Take off the last rows, and all they vouch for, as if they had never been."""
    connection = unlocked(path)
    for kind, table in (
        ("alert", "alerts"),
        ("alarm_event", "alarm_events"),
        ("clock", "clock_log"),
    ):
        connection.execute(
            f"DELETE FROM {table} WHERE n IN (SELECT row FROM ledger WHERE kind = ? AND n > ?)",
            (kind, n),
        )
    connection.execute("DELETE FROM outbox")
    connection.execute("DELETE FROM ledger WHERE n > ?", (n,))
    connection.close()


def test_rows_cut_off_the_end_are_told_by_the_head_and_by_what_a_person_wrote_down(
    path: Path,
) -> None:
    live(path)
    written_down = parse_head(verify(path).head[:25])
    cut(path, 20)
    verdict = verify(path)
    assert first_flaw(verdict) == (21, "ledger", "cut off")
    assert verdict.head_file is HeadState.AHEAD
    # Whoever also writes the head anew is only found by the one that is kept elsewhere.
    with behind(path) as connection:
        (last,) = connection.execute("SELECT hash FROM ledger WHERE n = 20").fetchone()
    connection.close()
    write_head(path, Head(20, last))
    assert verify(path).whole
    assert verify(path, written_down).expected == "missing"
    assert not verify(path, written_down).whole


def test_a_chain_that_was_written_anew_is_told_by_the_head(path: Path) -> None:
    live(path, 3)
    whole = verify(path)
    connection = unlocked(path)
    connection.execute("UPDATE alerts SET answered_by = 'Eve' WHERE n = 2")
    n, body = connection.execute(
        "SELECT n, body FROM ledger WHERE kind = 'alert' AND row = 2"
    ).fetchone()
    connection.execute(
        "UPDATE ledger SET body = ?, by = 'Eve' WHERE n = ?",
        (body.replace('"answered_by":""', '"answered_by":"Eve"'), n),
    )
    prev = START.hash
    columns = ", ".join(columns_of(connection))
    for row in connection.execute(f"SELECT {columns} FROM ledger ORDER BY n").fetchall():
        own = link_hash(prev, row[:-2])
        connection.execute("UPDATE ledger SET prev = ?, hash = ? WHERE n = ?", (prev, own, row[0]))
        prev = own
    connection.close()
    verdict = verify(path)
    assert verdict.head_file is HeadState.OTHER
    assert not verdict.whole
    write_head(path, parse_head(verdict.head))
    assert verify(path).whole  # root, with the format at hand: nothing on the box can tell
    assert verify(path, parse_head(whole.head)).expected == "other"


def test_a_head_that_is_gone_is_no_small_thing(path: Path) -> None:
    live(path, 2)
    head_path(path).unlink()
    verdict = verify(path)
    assert (verdict.whole, verdict.head_file) == (False, HeadState.MISSING)


def test_a_start_writes_down_that_rows_were_gone_and_does_not_heal_it(path: Path) -> None:
    live(path)
    cut(path, 20)
    live(path, 2, Run("run-2", "boot-1", 5.0, "0.1.0", "digest"))
    verdict = verify(path)
    assert verdict.head_file is HeadState.SAME
    assert not verdict.whole
    (flaw,) = verdict.flaws
    assert (flaw.what, verdict.first_broken) == ("break", flaw.row)
    # Who has seen that and writes the head down has the rest proven from there.
    later = verify(path, parse_head(verdict.head))
    assert (later.whole, later.known_breaks) == (True, 1)


def test_a_database_that_is_damaged_begins_anew_and_names_the_one_before(path: Path) -> None:
    live(path)
    before = verify(path)
    path.write_bytes(b"\xff" * 4096)
    assert first_flaw(verify(path))[2] == "damaged"
    live(path, 2)
    verdict = verify(path)
    assert not verdict.whole
    assert before.head in verdict.flaws[0].text
    assert "homeward.db.damaged-1" in verdict.flaws[0].text
    assert str(read_head(path.with_name("homeward.db.damaged-1"))) == before.head


def test_a_database_that_was_put_in_its_place_is_told(path: Path) -> None:
    live(path)
    path.unlink()
    behind(path).execute("PRAGMA journal_mode=wal").connection.close()
    assert "has no ledger, and had one of" in verify(path).flaws[0].text
    live(path, 1, Run("run-2", "boot-1", 5.0, "0.1.0", "digest"))
    verdict = verify(path)
    assert [flaw.what for flaw in verdict.flaws] == ["break"]
    assert not verdict.whole


def test_no_damage_to_the_file_makes_verification_fail_or_pass_by_mistake(path: Path) -> None:
    live(path, 3)
    sound, chance = path.read_bytes(), random.Random(3)  # noqa: S311
    n_told = 0
    for _ in range(150):
        damaged = bytearray(sound)
        match chance.randrange(3):
            case 0:
                del damaged[chance.randrange(len(damaged)) :]
            case 1:
                page = chance.randrange(len(damaged) // 1024) * 1024
                damaged[page : page + 1024] = bytes(1024)
            case _:
                for _ in range(40):
                    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            n_told += not verify(path).whole
        except StoreError:
            n_told += 1
        for leftover in path.parent.glob("*-*"):
            leftover.unlink()
    # What it hit otherwise vouches for nothing: free pages, indexes, tables that are not chained.
    assert n_told >= 75


def test_a_crash_between_commit_and_head_is_told_apart_from_rows_that_are_gone(path: Path) -> None:
    live(path, 2)
    head = head_path(path).read_bytes()
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(8), PAUSED)), now_s=30.0)
    head_path(path).write_bytes(head)  # as kill -9 in that moment leaves it
    verdict = verify(path)
    assert (verdict.whole, verdict.head_file, verdict.behind_by) == (True, HeadState.BEHIND, 2)
    live(path, 1, Run("run-2", "boot-1", 5.0, "0.1.0", "digest"))
    after = verify(path)
    assert (after.whole, after.head_file) == (True, HeadState.SAME)
    assert "a crash, or rows added by hand" in after.notes[0]


def test_a_disk_that_takes_the_rows_and_not_the_head_is_told_and_made_good(path: Path) -> None:
    with Store.begin(path, RUN) as store:
        fresh = path.with_name("homeward.db.head.new")
        fresh.mkdir()
        store.add(Outcome((alert(1),)), now_s=20.0)
        assert store.head_trouble
        assert verify(path).head_file is HeadState.BEHIND
        fresh.rmdir()
        store.add(Outcome((alert(2),)), now_s=21.0)
        assert not store.head_trouble
    assert verify(path).head_file is HeadState.SAME


@pytest.mark.parametrize(
    "text", ["", "homeward-head 1", "homeward-head 1 5 00ff", "x" * 300, "\xff"]
)
def test_a_head_that_is_none_is_as_good_as_gone(path: Path, text: str) -> None:
    live(path, 1)
    head_path(path).write_text(text, encoding="latin-1")
    assert verify(path).head_file is HeadState.MISSING


@pytest.mark.parametrize("text", ["", "12", "12:00ff", "x:" + "0" * 64, "-1:" + "0" * 64])
def test_what_is_no_head_is_refused_with_the_way_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write COUNT:HASH"):
        parse_head(text)


# --- before the chain ----------------------------------------------------------------------------


def test_what_was_recorded_before_the_chain_is_taken_over_and_told_so(path: Path) -> None:
    old = connect(path)
    MIGRATIONS.apply(old, stop_before=STEPS[4])
    row = {name: getattr(RUN, name) for name in RUN.__struct_fields__}
    old.table("runs").insert({**row, "run_id": "older"})
    for number in (1, 2, 3):
        old.table("alerts").insert(alert_row(alert(number), 1, number, 1))
    old.table("alarm_events").insert(alarm_event_row(PAUSED, 1))
    old.close()
    live(path, 1)
    verdict = verify(path)
    assert verdict.whole, verdict.flaws
    assert verdict.taken_over is not None
    assert (verdict.taken_over["n_rows"], verdict.taken_over["row"]) == (5, 6)
    assert verdict.taken_over["at_utc"][:2] == "20"
    assert verdict.notes == ()


def test_an_older_database_that_no_new_monitor_has_opened_says_so(path: Path) -> None:
    old = connect(path)
    MIGRATIONS.apply(old, stop_before=STEPS[4])
    old.close()
    with pytest.raises(StoreError, match=r"no ledger yet.*homeward run"):
        verify(path)


@pytest.mark.parametrize("table", ["alerts", "alarm_events", "clock_log"])
def test_rows_taken_out_at_the_end_of_a_table_keep_nothing_from_being_written(
    path: Path, table: str
) -> None:
    live(path)
    connection = unlocked(path)
    connection.execute(f"DELETE FROM {table} WHERE n > 3")
    connection.close()
    live(path, 8, Run("run-2", "boot-2", 5.0, "0.1.0", "digest"))
    verdict = verify(path)
    assert not verdict.whole
    assert {flaw.table for flaw in verdict.flaws} == {table}
