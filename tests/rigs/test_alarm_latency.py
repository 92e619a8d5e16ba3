"""Alarms come whatever hangs. How soon is for the bench: `python -m tests.bench.alarm_latency`."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.bench.alarm_latency import CONDITIONS, latencies_s, measure, possible, sounds_s

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")
pytestmark = pytest.mark.skipif(
    shutil.which("aplay") is None, reason="aplay is missing: apt-get install alsa-utils"
)

N_STEPS = 8


def test_every_step_alarms_and_is_heard_in_every_condition_that_can_be_had() -> None:
    boxes, steps = measure([c for c in CONDITIONS if possible(c)], N_STEPS)

    assert len(steps) == N_STEPS
    assert {"normal", "network", "model hung"} <= {box.condition for box in boxes}
    for box in boxes:
        assert not np.isnan(latencies_s(box, steps)).any(), box.condition
        assert sounds_s(box, steps[0][1]), box.condition
        assert box.code == 0, (box.condition, (box.folder / "errors"))
    states = {box.condition: box.state for box in boxes}
    assert "not come back" in states["model hung"] or "not answered" in states["model hung"]
    if "disk full" in states:
        # What is no alarm waits: the ballast is given up for alarms alone.
        waits = states["disk full"].removesuffix(" wait")
        assert "disk is full" in states["disk full"] or (waits.isdigit() and int(waits) > 0)
