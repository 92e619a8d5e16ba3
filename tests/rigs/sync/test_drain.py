"""An outage of three days ends badly, and all of it arrives once; see `tests.rigs.sync.drain`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rigs.net import broker
from tests.rigs.sync.drain import MOST_S, drain

LONG = bool(os.environ.get("HOMEWARD_LONG"))
N, N_CUTS = (10_000, 500) if LONG else (800, 40)

pytestmark = pytest.mark.skipif(bool(broker.why_not()), reason=broker.why_not())


def test_an_outage_drains_exactly_once_through_cuts_and_kills(tmp_path: Path) -> None:
    done = drain(tmp_path, N, N_CUTS)
    print(done.line)
    assert not done.verdict.faults, f"{done.line}\n{done.words}"
    assert done.drained_s < MOST_S
    assert done.n_cuts >= N_CUTS // 2
    assert len(done.n_kills) == 5
    assert done.sender_mb <= 64.0


def test_an_independent_receiver_gets_all_of_it_too(tmp_path: Path) -> None:
    done = drain(tmp_path, 300, 12, ours=False)
    print(done.line)
    assert not done.verdict.faults, f"{done.line}\n{done.words}"


def test_a_sender_that_believes_the_broker_is_caught_losing(tmp_path: Path) -> None:
    done = drain(tmp_path, 400, 20, believe=True)
    print(done.line)
    assert done.verdict.lied, "the control passes: this rig would not see a loss"
