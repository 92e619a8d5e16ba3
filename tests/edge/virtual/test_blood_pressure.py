"""What only the cuff does; the rest is in `test_spot_wearables`."""

import math

import pytest

from edge.decoders.blood_pressure import DECODER
from edge.gatt import CURRENT_TIME
from edge.virtual.blood_pressure import EVERY_S, FIRST_S, WEARABLE
from tests.edge.virtual.listening import decode, values_of
from tests.edge.virtual.port import Bench


def listened_to() -> Bench:
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def test_its_clock_can_be_set_and_stamps_what_is_measured_from_then_on():
    bench = listened_to()
    bench.run(10.0)
    # 2010-12-18 15:23:06.75: 346,000,986 s after 2000 began.
    bench.write(CURRENT_TIME, bytes.fromhex("DA070C120F170600C000"))
    measured = next(s for _, s in decode(DECODER, bench.run(FIRST_S)) if s.spot)
    assert measured.stamp.ticks == pytest.approx(346_000_986.75 + FIRST_S - 10.0, abs=1.0)


def test_what_is_no_time_does_not_set_it():
    bench = listened_to()
    before = bench.read(CURRENT_TIME)
    bench.write(CURRENT_TIME, bytes(10))
    assert bench.read(CURRENT_TIME) == before


def test_the_cuff_is_pumped_up_and_let_down_before_the_measurement():
    found = decode(DECODER, listened_to().run(FIRST_S))
    cuff, systolic = values_of(found, "cuff_mmhg"), values_of(found, "nibp_sys_mmhg")[-1]
    top = cuff.index(max(cuff))
    assert cuff[0] == 0.0
    assert cuff[: top + 1] == sorted(cuff[: top + 1])
    assert cuff[top:] == sorted(cuff[top:], reverse=True)
    assert max(cuff) > systolic
    assert cuff[-1] < 20.0


def test_it_has_good_moved_loose_irregular_and_failed_measurements():
    found = decode(DECODER, listened_to().run(8 * EVERY_S))
    assert set(values_of(found, "nibp_suspect_flag")) == {0.0, 1.0}
    assert set(values_of(found, "irregular_pulse_flag")) == {0.0, 1.0}
    # One of a loose cuff, and one that failed.
    assert sum(map(math.isnan, values_of(found, "nibp_sys_mmhg"))) == 2
    assert sum(map(math.isnan, values_of(found, "pulse_bpm"))) == 1
