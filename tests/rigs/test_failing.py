"""Whatever call to the disk fails, the monitor goes on and alarms; see `tests.rigs.disk.failing`.

Every call of every kind takes ten minutes and more (``HOMEWARD_LONG=1``). Here: the first calls of
each kind, where a run has found faults before, and of the rest an even choice.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.rigs.disk.failing import Life, Stage, faults_of, specs_of, sweep, table
from tests.rigs.disk.server import Server
from tests.rigs.powercut.shim import NoShimError, build

IS_LONG = bool(os.environ.get("HOMEWARD_LONG"))
FIRST = {"open": 12, "read": 6, "rename": 2, "truncate": 2, "unlink": 3, "sync": 3, "write": 3}
N_EVENLY = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        library = build(tmp_path_factory.mktemp("shim"))
    except NoShimError as error:
        pytest.skip(str(error))
    with Server({"LD_PRELOAD": str(library)}) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory where there is one: what the disk does is the shim's."""
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def chosen(calls: Mapping[str, int], times: int) -> list[str]:
    every = list(specs_of(calls, ("EIO", "ENOSPC", "SHORT"), times))
    if IS_LONG:
        return every
    first = [f"{kind}:{k}:EIO:{times}" for kind, n in FIRST.items() for k in range(1, n + 1)]
    return [*first, *every[:: max(1, len(every) // N_EVENLY)]]


def played(stage: Stage, specs: list[str]) -> list[Life]:
    lives = sweep(stage, specs)
    print(table(lives))
    assert not any(life.faults for life in lives), f"{table(lives)}\n{faults_of(lives, 5)}"
    assert sum(life.n_refused for life in lives) == 0, table(lives)
    # Some of the last calls are not made in every life.
    assert sum(life.n_struck > 0 for life in lives) > 0.9 * len(lives), table(lives)
    return lives


@pytest.mark.parametrize("story", ["first", "next"])
def test_any_call_may_fail_and_the_alarms_are_told_and_nothing_stored_is_lost(
    server: Server, story: str, folder: Path
) -> None:
    stage = Stage(folder, story, server)
    played(stage, chosen(stage.count(), 1))


def test_a_card_that_comes_back_after_some_calls_is_gone_on_with(
    server: Server, folder: Path
) -> None:
    stage = Stage(folder, "next", server)
    n = 200 if IS_LONG else 12
    calls = sum(stage.count().values())
    played(stage, [f"any:{1 + i * calls // n}:EIO:{(5, 20, 60)[i % 3]}" for i in range(n)])


def test_the_alarms_are_told_while_nothing_can_be_written_from_some_call_on(
    server: Server, folder: Path
) -> None:
    stage = Stage(folder, "next", server)
    n = 100 if IS_LONG else 8
    calls = stage.count()["write"]
    specs = [f"write:{1 + i * calls // n}:{('EIO', 'ENOSPC')[i % 2]}:0" for i in range(n)]
    for life in played(stage, specs)[: n // 2]:
        assert "cannot_record" in life.rules, f"{life.spec}: nobody was told that nothing is kept"
