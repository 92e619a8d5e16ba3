"""kill -9 of a process in the midst of writing loses nothing that it had acknowledged.

The writers are forked from a server that has imported everything, so that the time goes into
killing. What this proves is about the process, not about the power: after kill -9 the kernel still
writes what it was given, and ``synchronous=OFF`` would pass here too. Power cuts need a disk that
loses writes (reference/reliability-targets.md D2, D3).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

from edge.records import Outcome
from edge.store import Run, Store, keeping
from edge.store.head import Head, write_head
from edge.store.keeping import HeadState
from edge.store.verification import verify
from tests.edge.store.test_store import alert, summary

N_CYCLES = 20
MAX_LIFE_S = 0.08


def write_until_killed(path: Path, cycle: int, acknowledged: Connection) -> None:
    """Store alerts, summaries with them, and tell each alert's number once `add` has returned."""
    store = Store.begin(path, Run(f"run-{cycle}", "boot-1", float(cycle), "0.1.0", "digest"))
    number = 0
    while True:
        number += 1
        store.add(Outcome((summary(60.0 * number), alert(cycle * 100_000 + number))), number)
        acknowledged.send(number)


def live_and_die(path: Path, cycle: int, life_s: float) -> int:
    """Run one writer, kill it `life_s` after its first acknowledgement; return its last one."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    writer = context.Process(target=write_until_killed, args=(path, cycle, theirs))
    writer.start()
    theirs.close()
    last = ours.recv()
    time.sleep(life_s)
    writer.kill()
    writer.join()
    try:
        while True:
            last = ours.recv()
    except EOFError:
        return int(last)
    finally:
        ours.close()
        writer.close()


def test_kill_9_in_mid_write_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"
    multiprocessing.set_forkserver_preload([__name__])
    chance = random.Random(11)  # noqa: S311
    for cycle in range(N_CYCLES):
        last = live_and_die(path, cycle, chance.uniform(0.0, MAX_LIFE_S))
        verdict = verify(path)
        assert verdict.whole, verdict.flaws
        assert verdict.head_file in {HeadState.SAME, HeadState.BEHIND}
        with Store.begin(path, Run(f"reader-{cycle}", "boot-1", 0.0, "0.1.0", "digest")) as store:
            assert store.moved_aside is None
            assert store._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            kept = [a for a in store.alerts(100_000) if a.run_id == f"run-{cycle}"]
            numbers = [int(a.alert.id.removeprefix("alert-")) - cycle * 100_000 for a in kept]
            # All that was acknowledged, in order, and at most the one that was in the making.
            assert numbers == list(range(1, len(numbers) + 1))
            assert len(numbers) in {last, last + 1}
            counts = store.counts()
            assert counts["summaries"] == counts["alerts"]
            assert store.outbox_count() == counts["alerts"] + counts["summaries"]


def die_before_a_head(path: Path, n_heads: int) -> None:
    """Kill this process with -9 when rows are committed and their head is not yet written."""

    def write_or_die(database: Path, head: Head) -> None:
        if head.n > n_heads:
            os.kill(os.getpid(), signal.SIGKILL)
        write_head(database, head)

    keeping.write_head = write_or_die
    store = Store.begin(path, Run(f"run-{n_heads}", "boot-1", 0.0, "0.1.0", "digest"))
    for number in range(100):
        store.add(Outcome((alert(100 * n_heads + number),)), now_s=20.0)


def test_kill_9_between_the_commit_and_the_head_is_told_as_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"
    context = multiprocessing.get_context("forkserver")
    for n_heads in (0, 7, 20):
        writer = context.Process(target=die_before_a_head, args=(path, n_heads))
        writer.start()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        verdict = verify(path)
        assert verdict.whole, verdict.flaws
        assert (verdict.head_file, verdict.behind_by) == (HeadState.BEHIND, 1)
    assert [note.split(":")[0] for note in verdict.notes] == ["row 2", "row 9"]
