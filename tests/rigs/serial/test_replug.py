"""The short tier of ``python -m tests.rigs.serial.replug``."""

import asyncio
import os

import pytest

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

from tests.rigs.serial.replug import campaign

N_CYCLES = 1000 if os.environ.get("HOMEWARD_LONG") else 300


def test_a_device_pulled_out_in_mid_frame_comes_back_every_time():
    verdict = asyncio.run(campaign(N_CYCLES, 25, seed=7))

    assert verdict.holds, verdict.table()
    assert len(verdict.back_s) == N_CYCLES
