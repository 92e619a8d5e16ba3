"""The fault campaign (`tests.rigs.faults`) in its short tier: each row twice, and a dead radio.

``HOMEWARD_LONG=1`` injects every row a hundred times and lets radios be dead for three hours; that
takes an hour, and `python -m tests.rigs.faults` prints the table of it.
"""

from __future__ import annotations

import os

import pytest

pytest.importorskip("bleak", reason="bleak is missing: pip install 'homeward[pi]'")
pytest.importorskip("bumble", reason="bumble is missing: pip install 'homeward[dev]'")

from tests.rigs.dead_radio import KINDS, stories
from tests.rigs.fault_rows import ROWS
from tests.rigs.fault_table import MAX_S, line, unmapped
from tests.rigs.faults import campaign

LONG = bool(os.environ.get("HOMEWARD_LONG"))
TIMES = 100 if LONG else 2
SPEED = 0.0 if LONG else 20.0
"""Short: twice the campaign's own, because no time is judged but the worst."""
LASTING = ("deaf till cycle", "radio vanished", "dead till helper", "connect never returns")
"""Rows that take many seconds: once is enough for the short tier."""


@pytest.fixture(autouse=True)
def _keep_bus(needs_rig, monkeypatch):  # noqa: ARG001
    """Give the variable back that names the system bus."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_is_recovered_from_every_time(row):
    times = 1 if row.name.startswith(LASTING) and not LONG else TIMES
    (result,) = campaign([row], times, seed=1, speed=SPEED)
    missed = result.missed(row)
    if not LONG:
        # Twice is no distribution, and a busy machine holds the other sensor up at this speed:
        # those bars are for the long tier.
        missed = [one for one in missed if one not in ("median", "p95", "not met", "disturbed")]
    assert not missed, line(row, result)
    assert max(result.recovered_s) <= MAX_S


def test_every_row_of_the_readers_table_is_injected():
    assert unmapped() == []


@pytest.mark.parametrize("kind", KINDS if LONG else ["NotReady"])
def test_a_dead_radio_is_escalated_step_by_step(kind):
    hours, boot_s = (3.0, 0.0) if LONG else (0.25, 3500.0)
    (story,) = stories([kind], hours, speed=100, boot_s=boot_s)
    assert story.missed() == []
