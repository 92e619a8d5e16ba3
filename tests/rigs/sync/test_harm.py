"""No network harms the monitor beside it (N3); how little, is for `tests.bench.alarm_latency`."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.bench.alarm_latency import SYNC, latencies_s, measure, possible

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")
pytestmark = pytest.mark.skipif(
    shutil.which("aplay") is None, reason="aplay is missing: apt-get install alsa-utils"
)

N_STEPS = 8
MOST_KB = 64 * 1024
NETWORKS = ("no answer", "TLS hang", "DNS hang", "1 byte/s", "10 MB", "wrong CA")


def test_no_network_delays_an_alarm_or_loses_what_waits() -> None:
    wanted = ["normal", *(SYNC + name for name in NETWORKS)]
    boxes, steps = measure([one for one in wanted if possible(one)], N_STEPS)

    assert len(boxes) > 2
    for box in boxes:
        assert not np.isnan(latencies_s(box, steps)).any(), box.condition
        assert box.code == 0, box.condition
    for box in boxes[1:]:
        assert 0 < box.sender_kb <= MOST_KB, (box.condition, box.state)
        assert box.n_kept > 0, (box.condition, box.state)
        assert box.n_settled == 0, (box.condition, box.state)
