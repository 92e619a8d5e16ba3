"""A small fleet lives through a night and loses nothing; what is measured can be measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet import arithmetic, measure
from tests.fleet.traffic import night
from tests.rigs.net import broker

pytestmark = pytest.mark.skipif(bool(broker.why_not()), reason=broker.why_not())


def test_a_night_with_outages_brings_everything_once_and_in_order(tmp_path: Path) -> None:
    done = night(tmp_path, 20, 2.0, 1200.0)
    print(done.line)
    assert not done.verdict.faults, done.line
    assert done.n_outages > 0
    assert done.verdict.n_made > 400


def test_a_broker_that_comes_back_gets_a_fleet_with_jitter_spread_out(tmp_path: Path) -> None:
    crowd = measure.storm(tmp_path / "crowd", 60, jitter=False, spread_s=4.0)
    spread = measure.storm(tmp_path / "spread", 60, jitter=True, spread_s=4.0)
    assert spread["most in a second"] < crowd["most in a second"]


def test_an_idle_connection_of_mosquitto_stays_small(tmp_path: Path) -> None:
    row = measure.idle(tmp_path, 300, secure=False)
    # 10,000 of them within 300 MB: 30 kB each.
    assert row["kB/connection"] < 30.0, row


def test_a_fleet_of_a_hundred_times_the_size_is_a_hundred_times_the_work() -> None:
    small, large = (arithmetic.fleet(n, arithmetic.One()) for n in (10_000, 1_000_000))
    assert large.messages_per_s == pytest.approx(100 * small.messages_per_s, rel=0.01)
    assert large.gb_per_year == pytest.approx(100 * small.gb_per_year, rel=0.01)
