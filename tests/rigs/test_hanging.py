"""A disk that hangs holds up no alarm; see `tests.rigs.disk.hanging`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rigs.disk.hanging import hang, table
from tests.rigs.powercut.shim import NoShimError

IS_LONG = bool(os.environ.get("HOMEWARD_LONG"))
FOR_S = 30 if IS_LONG else 9


@pytest.mark.parametrize("call", ["sync", "write", "open", "rename"] if IS_LONG else ["sync"])
def test_a_disk_that_hangs_delays_no_alarm_and_is_told(call: str, tmp_path: Path) -> None:
    try:
        found = hang(tmp_path, call, FOR_S)
    except NoShimError as error:
        pytest.skip(str(error))
    print(table([found]))
    assert not found.faults, table([found])
    assert found.writing_for_s == pytest.approx(FOR_S, abs=2.0)
