"""What every part of the self-test must do; a new one is tested by being dropped in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import edge.selftest
from edge.discover import discover, plugin_names
from edge.records import Verdict
from edge.selftest import Part
from edge.selftest._running import Runner
from tests.edge.selftest.bench import bench

PARTS = discover(edge.selftest, "PART", Part)
every_part = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)


def test_the_whole_way_is_tested() -> None:
    assert {
        *("adapter", "annunciator", "battery", "bond", "button", "clock", "contact"),
        *("disk", "engine", "model", "notices", "store"),
    } <= {part.name for part in PARTS}


@every_part
def test_its_name_is_its_files_and_its_failure_can_be_explained(part: Part) -> None:
    assert part.name in plugin_names(edge.selftest)
    assert part.why
    assert part.cure
    assert 0.0 < part.deadline_s <= 60.0


@every_part
def test_on_a_bare_box_it_says_something_whole_and_in_time(part: Part, tmp_path: Path) -> None:
    begin_s = time.monotonic()
    found = Runner([part], time.monotonic).run(bench(tmp_path), lambda _: None)
    assert time.monotonic() - begin_s < part.deadline_s
    assert found
    for row in found:
        assert row.part == part.name
        assert row.found
        assert "the test itself failed" not in row.found
        assert row.took_s >= 0.0
        if row.verdict is Verdict.FAILED:
            assert row.why
            assert row.cure


def test_a_bare_box_leaves_nothing_behind(tmp_path: Path) -> None:
    on = bench(tmp_path)
    before = set(tmp_path.iterdir())
    Runner(PARTS, time.monotonic).run(on, lambda _: None)
    assert set(tmp_path.iterdir()) == before
