"""The soak, once round: every device at a loose plug, and not one wrong value."""

import asyncio

import pytest

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

from tests.rigs.serial.soak import soak


def test_no_device_at_a_loose_plug_gives_a_value_it_never_sent():
    verdict = asyncio.run(soak(20.0, seed=2))
    assert verdict.holds, verdict.table()
