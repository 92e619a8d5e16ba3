"""A broker's word is not custody, a receipt is (N2); see `tests.rigs.sync.kills`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rigs.net import broker, nats
from tests.rigs.sync.kills import broker_killed, node_killed

N_KILLS = 100 if os.environ.get("HOMEWARD_LONG") else 15

needs_mosquitto = pytest.mark.skipif(bool(broker.why_not()), reason=broker.why_not())
needs_nats = pytest.mark.skipif(bool(nats.why_not()), reason=nats.why_not())


@needs_mosquitto
def test_a_broker_killed_again_and_again_loses_nothing_that_waits_for_receipts(
    tmp_path: Path,
) -> None:
    done = broker_killed(tmp_path, N_KILLS)
    print(done.line)
    assert not done.verdict.faults, done.line
    assert done.verdict.n_again + len(done.verdict.late) > 0, "nothing was under way at a kill"


@needs_mosquitto
def test_boxes_that_believe_the_broker_are_caught_losing(tmp_path: Path) -> None:
    done = broker_killed(tmp_path, 9, "puback")
    print(done.line)
    assert done.verdict.lied, "the control passes: this rig would not see a loss"


@needs_nats
def test_one_of_three_nodes_killed_for_good_loses_nothing(tmp_path: Path) -> None:
    done = node_killed(tmp_path)
    print(done.line)
    assert not done.verdict.faults, done.line
    assert done.n_connects > 3
