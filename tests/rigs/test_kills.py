"""kill -9 of the running monitor loses nothing it acknowledged; see `tests.rigs.disk.kills`."""

from __future__ import annotations

import os
from pathlib import Path

from tests.rigs.disk.kills import kill_again_and_again, table

N_KILLS = 1000 if os.environ.get("HOMEWARD_LONG") else 100
N_FOR_CONTROL = 20


def test_kill_9_of_the_monitor_in_mid_write_loses_nothing_acknowledged(tmp_path: Path) -> None:
    done = kill_again_and_again(tmp_path, N_KILLS)
    print(table(done))
    assert not done.faults, table(done)
    assert done.n_in_writing == N_KILLS
    assert done.lost == 0
    assert min(done.n_acknowledged[kind] for kind in ("alert", "packet")) > N_KILLS
    assert done.n_acknowledged["summary"] > 0  # they go with the alerts, or sixty at a time


def test_a_monitor_that_acknowledges_before_it_commits_is_caught(tmp_path: Path) -> None:
    done = kill_again_and_again(tmp_path, N_FOR_CONTROL, early=True)
    assert done.lost > 0, "the control passes: this rig would not see a loss"
