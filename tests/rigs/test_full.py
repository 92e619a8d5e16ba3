"""A full disk harms nothing that was acknowledged, and no alarm; see `tests.rigs.disk.full`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rigs.disk.full import KINDS, live_through, table
from tests.rigs.powercut.shim import NoShimError

N_CYCLES = 50 if os.environ.get("HOMEWARD_LONG") else 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_loses_nothing_silences_nobody_and_is_gone_on_with(
    kind: str, tmp_path: Path
) -> None:
    try:
        found = live_through(tmp_path, N_CYCLES, kind)
    except NoShimError as error:
        pytest.skip(str(error))
    if found is None:
        pytest.skip(f"{kind} cannot be mounted here: it needs root and loop devices")
    print(table(found))
    assert not found.faults, table(found)
    assert found.n_told >= found.n_falls > N_CYCLES
    assert found.n_lost == 0
    assert found.n_acknowledged > 10 * N_CYCLES
    # Each time somebody was told, and told again that it is over.
    for said in (found.raised, found.ended):
        assert max(said.values()) == found.n_cycles, table(found)


def test_a_monitor_that_acknowledges_what_the_full_disk_refused_is_caught(tmp_path: Path) -> None:
    try:
        found = live_through(tmp_path, 1, "shim", early=True)
    except NoShimError as error:
        pytest.skip(str(error))
    assert found is not None
    assert found.n_lost > 0, "the control passes: this rig would not see a loss"
