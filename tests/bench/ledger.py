"""What the chain over the alarm record costs, and how fast it is read through.

    python -m tests.bench.ledger [--commits 400] [--rows 100000]

Commits are timed in pairs, with the chain and with its part cut out, one after the other in one
run, so that a busy machine slows both. CPU of the thread, without the wait for the disk; the head
is timed on its own, with the disk. The idle day is what a monitor without alarms writes in 24 h,
a score every 10 s, a summary a minute and a clock line every ten.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import edge.store.inserting as store_module
from edge.clock import WallEntry
from edge.records import Outcome
from edge.store import LedgerEntry, LedgerKind, Run, Store
from edge.store.head import START, write_head
from edge.store.verification import verify
from tests.edge.store.test_store import SCORE, alert, summary

RUN = Run("bench", "bench", 0.0, "0", "digest")
DAY_S = 86_400.0
SCORE_S, CLOCK_S = 10.0, 600.0
MAX_COMMITS = 200
"""Of an idle day: 10,224 records, 60 a commit."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ledger", description=__doc__)
    parser.add_argument("--commits", type=int, default=400, help="commits of each kind")
    parser.add_argument("--rows", type=int, default=100_000, help="rows that are verified")
    chosen = parser.parse_args()
    print("| what | figure |")
    print("| --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for row in (*commits(Path(folder), chosen.commits), *day(Path(folder))):
            print("| {} | {} |".format(*row))
        print("| {} | {} |".format(*reading(Path(folder), chosen.rows)))


def commits(folder: Path, n: int) -> Iterator[tuple[str, str]]:
    """Time commits with the chain and without, in turns."""
    kinds: dict[str, Callable[[int], Outcome]] = {
        "one alert": lambda number: Outcome((alert(number),)),
        "a minute without alarms": lambda _: Outcome((summary(), *[SCORE] * 6)),
    }
    for kind, made in kinds.items():
        with Store.begin(folder / f"{kind}.db", RUN) as store:
            spent: dict[bool, list[float]] = {True: [], False: []}
            for number in range(2 * n):
                chained = bool(number % 2)
                store.backlog.add(made(number), 0.0)
                with _chain(store, chained=chained):
                    began_s = time.thread_time()
                    store.flush(1.0)
                    spent[chained].append(time.thread_time() - began_s)
        with_us, without_us = (1e6 * statistics.median(spent[c]) for c in (True, False))
        yield (
            f"CPU of a commit with {kind}",
            f"{with_us:.0f} us, {without_us:.0f} without the chain",
        )
    began_s = time.perf_counter()
    for _ in range(n):
        write_head(folder / "head.db", START)
    yield (
        "the head, written and synchronised",
        f"{1e6 * (time.perf_counter() - began_s) / n:.0f} us",
    )


@contextmanager
def _chain(store: Store, *, chained: bool) -> Iterator[None]:
    """Leave the chain out of a commit, and the head, whose wait for the disk is no CPU, always."""
    grow, keep = store_module.grow, store._head.keep
    marks = store_module.marks_of
    store._head.keep = lambda _: None  # type: ignore[method-assign]
    if not chained:
        store_module.grow = lambda *_: None
        store_module.marks_of = lambda _: {}
    try:
        yield
    finally:
        store_module.grow, store_module.marks_of = grow, marks
        store._head.keep = keep  # type: ignore[method-assign]


def day(folder: Path) -> Iterator[tuple[str, str]]:
    """Live a day without alarms; count what is synchronised."""
    n: dict[str, int] = {"commits": 0, "heads": 0}
    fsync = os.fsync

    def counted(fd: int) -> None:
        n["heads"] += 1
        fsync(fd)

    path = folder / "day.db"
    with Store.begin(path, RUN) as store:
        os.fsync = counted
        try:
            _live(store, n)
        finally:
            os.fsync = fsync
        rows = store._database.execute("SELECT count(*), sum(length(body)) FROM ledger").fetchone()
    yield "an idle day", f"{n['commits']} commits, {n['heads']} heads written"
    yield "rows of the ledger on an idle day", f"{rows[0]}, {rows[1] / 1024:.0f} kB of bodies"


def _live(store: Store, n: dict[str, int]) -> None:
    at_s = 0.0
    while at_s < DAY_S:
        records: list[Any] = [SCORE]
        if at_s % 60.0 == 0.0:
            records.append(summary(at_s))
        if at_s % CLOCK_S == 0.0:
            store.backlog.add_clock(WallEntry("bench", at_s, 1.7e9 + at_s, synchronised=True))
        store.backlog.add(Outcome(tuple(records)), at_s)
        if store.backlog.due(at_s):
            n["commits"] += store.flush(at_s) > 0
        at_s += SCORE_S
    assert n["commits"] <= MAX_COMMITS


def reading(folder: Path, n_rows: int) -> tuple[str, str]:
    """Verify a long record: half of it deliveries, half states of alerts."""
    path = folder / "long.db"
    with Store.begin(path, RUN) as store:
        number = 0
        while number < n_rows // 2:
            for _ in range(1_000):
                number += 1
                body = {"n": 1, "priority": "high"}
                kind, ref = LedgerKind.DELIVERY, f"alert-{number}"
                entry = LedgerEntry(kind, ref, "sounded", "sound", 20.0, body)
                store.backlog.vouch(entry, 0.0)
                store.backlog.add(Outcome((alert(number),)), 0.0)
            store.flush(1.0)
    began_s = time.process_time()
    verdict = verify(path)
    spent_s = time.process_time() - began_s
    assert verdict.whole
    size_mb = path.stat().st_size / 2**20
    return (
        f"verification of {verdict.n_rows} rows ({size_mb:.0f} MB)",
        f"{spent_s:.2f} s CPU: {verdict.n_rows / spent_s:,.0f} rows/s",
    )


if __name__ == "__main__":
    main()
