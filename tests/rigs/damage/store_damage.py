"""Damages to the database, its log and its head: put aside, begun anew, never a second time."""

from __future__ import annotations

import random
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from edge.records import Outcome
from edge.store import DATABASE, Backlog, History, Store, StoreDamagedError, StoreError
from edge.store.verification import verify
from tests.edge.store.test_store import alert
from tests.rigs.damage.kinds import DIRECTORY, Box, damage, put_box, read_box
from tests.rigs.damage.outcome import Outcomes
from tests.rigs.powercut.store_work import StoreWork, Writer, begin

TARGETS: Final = (DATABASE, DATABASE, DATABASE, f"{DATABASE}-wal", f"{DATABASE}.head")


COLUMNS: Final = "at_s, n, id, sequence, patient, rule, priority, state, since_s, reason, evidence"


class Sample(NamedTuple):
    """A sound box, and the alerts in it."""

    box: Box
    alerts: dict[float, str]


def samples(chance: random.Random) -> list[Sample]:
    """Make boxes: small and larger, closed in order and as a killed monitor leaves them."""
    return [_sample(n, is_closed=closed, chance=chance) for n in (5, 30, 80) for closed in (1, 0)]


def _sample(n_steps: int, *, is_closed: int, chance: random.Random) -> Sample:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = Writer(folder / DATABASE, lambda _: None, chance, StoreWork().begun)
        writer.work(n_steps)
        if is_closed:
            return Sample(read_box(folder), _alerts(folder / DATABASE))
        with begin(folder / DATABASE, "killed") as store:
            for number in range(5):
                store.add(Outcome((alert(number, at_s=number + 10.0),)), 1.0)
            box = {k: held for k, held in read_box(folder).items() if not k.endswith("-shm")}
        return Sample(box, _alerts(folder / DATABASE))


def _alerts(path: Path) -> dict[float, str]:
    with History.open(path) as history:
        return _held(history)


def _held(history: History) -> dict[float, str]:
    """Return the alerts as they lie there, also where what was text is none any more."""
    connection = history._database.conn
    connection.text_factory = bytes
    rows = list(connection.execute(f"SELECT {COLUMNS} FROM alerts"))  # noqa: S608
    connection.text_factory = str
    return {float(row[0]): str(row) for row in rows}


def strike(sample: Sample, folder: Path, chance: random.Random, outcomes: Outcomes) -> None:
    """Damage a box in an empty folder, open it as the monitor does, twice, and judge."""
    box, told = damage(sample.box, [one for one in TARGETS if one in sample.box], chance)
    put_box(box, folder)
    path = folder / DATABASE
    _read_only(path)
    kinds = "; ".join(sorted({one.partition(": ")[2] for one in told}))
    try:
        first = _goes_on(path, "first", 8.0)
    except StoreDamagedError as error:
        raise AssertionError(f"a new store is damaged: {error}") from error
    except StoreError:
        # Its schema was changed so that it is another one and sound: SQLite cannot know, and
        # whoever changed it may have meant it. Not put aside; a person is told.
        outcomes.take(kinds, "refused", 0, len(sample.alerts))
        return
    second = _goes_on(path, "second", 9.0)
    is_late = first.moved_aside is None and second.moved_aside is not None
    if first.moved_aside is not None and second.moved_aside is not None:
        outcomes.wrong(f"a crash loop: {told} is put aside again at the second start")
    if is_late:
        second = _goes_on(path, "third", 8.0)
        if second.moved_aside is not None:
            outcomes.wrong(f"a crash loop: {told} is put aside again at the third start")
    found = _recovered(path)
    if not {8.0, 9.0} <= set(found):
        outcomes.wrong(f"does not go on: {told} and the new alerts are {sorted(found)[-3:]}")
    aside = first.moved_aside or second.moved_aside
    if aside is not None and not _is_kept(aside, box):
        outcomes.wrong(f"the bad file is not kept: {told}")
    kept = {at_s for at_s, text in sample.alerts.items() if found.get(at_s) == text}
    what = "late" if is_late else "goes on" if aside is None else "put aside"
    outcomes.take(kinds, what, len(kept), len(sample.alerts))
    is_noticed = aside is not None or is_late or not verify(path).whole
    nothing_left = not box.get(DATABASE) and f"{DATABASE}.head" not in box
    if len(kept) < len(sample.alerts) and not is_noticed and not nothing_left:
        outcomes.wrong(f"unnoticed: {told} took {len(sample.alerts) - len(kept)} alerts")


def _recovered(path: Path) -> dict[float, str]:
    """Return the alerts there are when all that still reads was brought over."""
    with begin(path, "last") as last:
        while last.recover(9.5) is not None:
            pass
        return _held(last)


def _is_kept(aside: Path, box: Box) -> bool:
    """Say whether most of it is there; what was in the log, or written before, is in it too."""
    held = box.get(DATABASE, b"")
    if DATABASE not in box:
        return True  # only its log was there to be moved
    if f"{DATABASE}-wal" in box:
        return aside.exists()
    if held is DIRECTORY or aside.is_dir():
        return held is DIRECTORY and aside.is_dir()
    there = aside.read_bytes()
    sectors = range(0, len(held), 512)
    same = sum(there[at : at + 512] == held[at : at + 512] for at in sectors)
    return same * 2 >= len(sectors)


def _read_only(path: Path) -> None:
    """Read it as the commands do, which may say no, but in words."""
    with suppress(StoreError):
        verify(path)
    with suppress(StoreError), History.open(path) as history:
        for ask in (
            history.alerts,
            history.alarm_events,
            history.summaries,
            history.self_tests,
            history.setting_changes,
            history.readings,
            history.links,
            history.clock_log,
            history.runs,
            history.kept_alerts,
            history.outbox,
            history.counts,
        ):
            with suppress(StoreError):
                ask()


def _goes_on(path: Path, run_id: str, at_s: float) -> Store:
    """Open, write and close as the recorder does, which opens again where a write meets damage."""
    backlog = Backlog()
    store = begin(path, run_id, backlog)
    backlog.add(Outcome((alert(1, at_s=at_s),)), at_s)
    try:
        store.flush(at_s)
    except StoreDamagedError:
        store.close()
        store = begin(path, run_id, backlog)
        store.flush(at_s)
    store.close()
    return store
