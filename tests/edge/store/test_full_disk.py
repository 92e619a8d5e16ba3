"""A small or full disk: alarms are written to the end, and what can be spared goes first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from edge.clock import BootClock, WallEntry
from edge.config.store import Store as StoreSettings
from edge.daemon.recorder import Recorder
from edge.records import Outcome
from edge.store import DATABASE, History, Run, Store, rationing
from edge.store.ballast import NAME, PIECE_BYTES, Ballast
from edge.store.floors import LEAST, MB, REFUSED_S, Floor, Floors, Room, room_of
from edge.store.sparing import NEWEST_SUMMARIES, ROWS, Spared, free_bytes
from edge.store.verification import verify
from tests.edge.store.test_store import RUN, SCORE, alert, summary

CLOCK = BootClock()
SMALL = StoreSettings(ballast_mb=2.0)
CARD = 32 * MB
"""So large that 2 MB of ballast is no more than a sixteenth."""


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "card"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={CARD}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can be mounted only as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, left: int = 0) -> Path:
    """Fill the disk but for so many bytes; return the file that does it."""
    film = folder / "film"
    with film.open("ab") as file, contextlib.suppress(OSError):
        while (free := room_of(folder).free - left) > 0:
            file.write(bytes(min(free, MB)))
            file.flush()
    return film


# --- floors --------------------------------------------------------------------------------------


def walk(floors: Floors, free_mb: float, now_s: float = 0.0, total_mb: float = 32_000.0) -> Floor:
    return floors.look(Room(int(free_mb * MB), int(total_mb * MB)), now_s)


def test_the_floors_come_in_their_order_and_are_left_with_room_to_spare() -> None:
    floors = Floors(StoreSettings())
    went = [walk(floors, mb) for mb in (100, 64, 63, 70, 71, 63, 9, 7.9, 24, 31.9, 32, 71)]
    roomy, low, full = Floor.ROOMY, Floor.LOW, Floor.FULL
    assert went == [roomy, roomy, low, low, roomy, low, low, full, full, full, low, roomy]


@pytest.mark.parametrize("total_mb", [8.0, 100.0, 500.0, 32_000.0])
def test_no_disk_is_so_small_that_it_is_never_roomy(total_mb: float) -> None:
    floors = Floors(StoreSettings())
    walk(floors, 0.0, total_mb=total_mb)
    assert floors.now is Floor.FULL
    assert walk(floors, 0.9 * total_mb, total_mb=total_mb) is Floor.ROOMY
    marks = [walk(floors, total_mb * share / 1000, 0.0, total_mb) for share in range(900, -1, -1)]
    assert sorted(marks) == marks
    assert set(marks) == set(Floor)


def test_a_disk_that_refuses_although_it_says_there_is_room_is_tried_again_after_a_minute() -> None:
    floors = Floors(StoreSettings())
    walk(floors, 1000.0)
    floors.refuse(Room(1000 * MB, 32_000 * MB), 10.0)  # no more files, or a quota
    assert walk(floors, 1000.0, 10.0 + REFUSED_S - 1.0) is Floor.FULL
    assert walk(floors, 1000.0, 10.0 + REFUSED_S) is Floor.ROOMY


def test_without_ballast_there_are_floors_too() -> None:
    floors = Floors(StoreSettings(ballast_mb=0.0))
    assert walk(floors, 1000.0) is Floor.ROOMY
    assert not floors.has_room_for_ballast(Room(1000 * MB, 32_000 * MB))
    assert walk(floors, LEAST / 2 / MB - 0.01) is Floor.FULL


# --- ballast -------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [True, False])
def test_the_ballast_is_really_there_and_gives_its_room_back(card: Path, written: bool) -> None:
    n_bytes = 3 * PIECE_BYTES + 4096
    before = room_of(card).free
    ballast = Ballast(card)
    while not ballast.make(n_bytes, written=written):
        assert ballast.held() == 0  # it has its name only when it is whole
    assert ballast.held() == n_bytes
    assert before - room_of(card).free == n_bytes
    if written:
        assert len(set((card / NAME).read_bytes()[:4096])) > 200  # noise: nothing packs it
    assert ballast.release() == n_bytes
    assert room_of(card).free == before
    assert ballast.release() == 0


def test_a_ballast_whose_making_was_cut_is_gone_on_with(card: Path) -> None:
    n_bytes = 3 * PIECE_BYTES
    assert not Ballast(card).make(n_bytes)
    n_more = 1
    while not Ballast(card).make(n_bytes):
        n_more += 1
    assert n_more == 2
    assert sorted(p.name for p in card.iterdir()) == [NAME]


def test_a_ballast_there_is_no_room_for_leaves_nothing(card: Path) -> None:
    fill(card, left=2 * PIECE_BYTES)
    ballast = Ballast(card)
    assert not ballast.make(4 * PIECE_BYTES)
    assert not ballast.make(4 * PIECE_BYTES)
    with pytest.raises(OSError, match="No space"):
        ballast.make(4 * PIECE_BYTES)
    assert room_of(card).free == 2 * PIECE_BYTES


# --- what can be spared --------------------------------------------------------------------------


def filled(path: Path, n: int) -> Store:
    """Return a store with so many summaries, scores and alerts, the older half of them sent."""
    store = Store.begin(path, RUN)
    for number in range(n):
        store.backlog.add(Outcome((summary(60.0 * number), SCORE, SCORE)), 0.0)
        if number % 20 == 0:
            store.backlog.add(Outcome((alert(number),)), 0.0)
    store.flush(1.0)
    sent = [w.uuid for w in store.outbox(10 * n)]
    summaries = store._database.execute(
        "SELECT uuid FROM outbox WHERE summary <= ? OR alert <= ?", (n // 2, n // 40)
    )
    assert store.settle([row[0] for row in summaries], 2.0) <= len(sent)
    return store


def spared_of(store: Store, floor: Floor) -> Spared:
    """Spare until nothing more goes; return what went."""
    n_sent = n_scores = n_unsent = 0
    while went := store.spare(floor, 1 << 40):
        assert went.n_sent + went.n_scores + went.n_unsent <= ROWS
        n_sent, n_scores = n_sent + went.n_sent, n_scores + went.n_scores
        n_unsent += went.n_unsent
    return Spared(n_sent, n_scores, n_unsent)


def test_little_room_takes_what_was_sent_and_leaves_the_newest_day(tmp_path: Path) -> None:
    with filled(tmp_path / DATABASE, 2 * NEWEST_SUMMARIES + 20) as store:
        before = store.counts()
        went = spared_of(store, Floor.LOW)
        after = store.counts()
        assert went == Spared(n_sent=NEWEST_SUMMARIES + 10)
        assert after == {**before, "summaries": before["summaries"] - went.n_sent}
        oldest = store.summaries()[0].summary.start_s
        assert oldest == 60.0 * went.n_sent  # the oldest first, and the newest day stays
        assert store._database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_no_room_takes_unsent_summaries_last_and_never_an_alert(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    with filled(path, 400) as store:
        before = store.counts()
        unsent = [w for w in store.outbox(10_000) if hasattr(w.content, "alert")]
        firsts = [store.spare(Floor.FULL, 1 << 40) for _ in range(3)]
        assert [bool(one.n_sent) for one in firsts] == [True, True, False]
        assert firsts[2].n_scores
        went = spared_of(store, Floor.FULL)
        assert went.n_unsent == 199  # the newest stays: its number must not come again
        after = store.counts()
        assert (after["summaries"], after["scores"]) == (1, 1)
        kept = {name: n for name, n in before.items() if name not in {"summaries", "scores"}}
        assert {name: after[name] for name in kept} == kept
        still = [w for w in store.outbox(10_000) if hasattr(w.content, "alert")]
        assert still == unsent
        assert len(still) == 10
        assert free_bytes(store._database) > 0
        store.add(Outcome((alert(999), summary(1e6))), 3.0)
        assert store.summaries()[-1].summary.start_s == 1e6
    assert verify(path).whole


def test_room_enough_inside_the_file_takes_nothing(tmp_path: Path) -> None:
    with filled(tmp_path / DATABASE, 200) as store:
        assert store.spare(Floor.ROOMY, 1 << 40) == Spared()
        while store.spare(Floor.FULL, 20_000):
            pass
        assert 20_000 <= free_bytes(store._database) < 60_000
        assert store.counts()["summaries"] > 1


# --- the recorder on a disk that fills -----------------------------------------------------------


def record(card: Path, act: Callable[[Recorder], Awaitable[None]]) -> None:
    async def live() -> None:
        made = Recorder(card / DATABASE, RUN, CLOCK.now_s, settings=SMALL)
        task = asyncio.create_task(made.run())
        await act(made)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.close()

    asyncio.run(live())


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def add(recorder: Recorder, *numbers: int) -> None:
    records = [one for n in numbers for one in (alert(n), summary(60.0 * n), SCORE)]
    recorder.add([], Outcome(tuple(records)), CLOCK.now_s())


def test_on_a_full_disk_alarms_are_recorded_and_all_else_waits_until_there_is_room(
    card: Path,
) -> None:
    async def act(recorder: Recorder) -> None:
        await until(lambda: recorder.report().room.ballast_bytes > 0)
        add(recorder, *range(100))
        more = tuple(summary(60.0 * n) for n in range(1_500))
        recorder.add([], Outcome(more), CLOCK.now_s())
        assert await recorder.stored()
        film = fill(card)
        for number in range(100, 400):
            add(recorder, number)
            assert await recorder.stored(), recorder.report().trouble
        report = recorder.report()
        assert report.room.floor == "full"
        assert report.room.ballast_bytes == 0
        assert not (card / NAME).exists()
        assert report.n_waiting >= 500  # summaries and scores
        await until(lambda: recorder._storing.idle_s() > 1.0)  # no more is to be spared
        assert recorder.report().room.n_unsent > 0
        fill(card)  # what was given up is taken too: what is free inside the file is left
        for number in range(400, 430):
            add(recorder, number)
            assert await recorder.stored(), recorder.report().trouble
        film.unlink()
        began_s = CLOCK.now_s()
        await until(lambda: recorder.report().n_waiting == 0)
        assert CLOCK.now_s() - began_s < 5.0
        await until(lambda: recorder.report().room.ballast_bytes > 0)
        assert recorder.report().n_dropped == 0

    record(card, act)
    with History.open(card / DATABASE) as history:
        assert [a.alert.id for a in history.alerts()] == [f"alert-{n}" for n in range(430)]
    assert verify(card / DATABASE).whole


def test_a_start_on_a_full_disk_gives_the_ballast_up_and_records(card: Path) -> None:
    ballast = Ballast(card)
    while not ballast.make(MB):
        pass
    fill(card)

    async def act(recorder: Recorder) -> None:
        add(recorder, 1)
        assert await recorder.stored(), recorder.report().trouble
        assert recorder.report().room.floor == "full"

    record(card, act)
    assert not ballast.held()
    with History.open(card / DATABASE) as history:
        assert len(history.alerts()) == 1


def test_without_a_ballast_a_full_disk_does_lose_room_for_alarms(card: Path) -> None:
    """The control: the test above must not pass by itself."""

    async def act(recorder: Recorder) -> None:
        fill(card)
        add(recorder, 1)
        assert not await recorder.stored()
        assert "full" in recorder.report().trouble or "cannot" in recorder.report().trouble
        (card / "film").unlink()

    record(card, act)


def test_an_orderly_stop_writes_what_was_held_back(
    card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rationing, "LOOK_S", 0.2)

    async def act(recorder: Recorder) -> None:
        await until(lambda: recorder.report().room.ballast_bytes > 0)
        fill(card)
        await until(lambda: recorder.report().room.floor == "full", 60.0)
        add(recorder, 1)
        assert await recorder.stored()
        assert recorder.report().n_waiting == 2

    record(card, act)
    with History.open(card / DATABASE) as history:
        assert (history.counts()["summaries"], history.counts()["scores"]) == (1, 1)


def test_the_clock_of_an_alarm_is_written_with_it_on_a_full_disk(tmp_path: Path) -> None:
    run = Run("run-1", "boot-1", 0.0, "0.1.0", "digest")
    with Store.begin(tmp_path / DATABASE, run) as store:
        store.backlog.rationed = True
        store.backlog.add_clock(WallEntry("boot-1", 1.0, 1e9, synchronised=True))
        assert not store.backlog.due(1e6)
        store.add(Outcome((summary(), SCORE, alert())), 2.0)
        counts = store.counts()
        assert (counts["alerts"], counts["summaries"], counts["scores"]) == (1, 0, 0)
        assert len(store.clock_log()) == 1
        assert len(store.backlog) == 2
        store.backlog.rationed = False
        assert store.backlog.due(2.0 + 600.0)
        assert store.flush(700.0) == 2


def test_the_mark_of_a_full_disk_is_for_us(tmp_path: Path) -> None:
    room = room_of(tmp_path)
    found = os.statvfs(tmp_path)
    assert 0 <= room.free <= room.total == found.f_blocks * found.f_frsize
