"""MAX30102: what a FIFO means, and where its samples lie in time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decoders import BrokenError, NotMineError
from edge.decoders.max30102 import DECODER, FULL_SCALE, HEAD, STREAM
from edge.dsp.timeline import StreamClock
from edge.records import Packet

SPO2_100_HZ = (0x00, 0x03, 0x27)
FS_HZ = 100.0
counts = st.integers(0, FULL_SCALE - 1)


def packet(counter, pairs, *, lost=0, config=SPO2_100_HZ, at_s=1.0):
    fifo = b"".join(red.to_bytes(3, "big") + ir.to_bytes(3, "big") for red, ir in pairs)
    head = HEAD.pack(counter, lost, len(pairs), *config)
    return Packet("i2c-1-57", STREAM, at_s, head + fifo)


def decode(*args, **kwargs):
    return DECODER.open()(packet(*args, **kwargs))


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=32))
def test_both_lights_come_back_to_the_count(pairs):
    infrared, red = decode(7, pairs)
    assert (infrared.lead, red.lead) == ("ir", "red")
    assert red.values.tolist() == [a for a, _ in pairs]
    assert infrared.values.tolist() == [b for _, b in pairs]


def test_both_leads_share_one_stamp_so_that_they_are_placed_together():
    infrared, red = decode(7, [(1, 2)])
    assert infrared.stamp == red.stamp
    assert (red.stamp.ticks, red.stamp.tick_s) == (7, 0.01)


def test_an_adc_at_its_end_is_no_value_and_one_step_less_is():
    infrared, red = decode(0, [(FULL_SCALE, FULL_SCALE - 1)])
    assert np.isnan(red.values[0])
    assert infrared.values[0] == FULL_SCALE - 1


@pytest.mark.parametrize(
    ("config", "fs_hz"),
    [
        ((0x00, 0x03, 0x23), 50.0),
        ((0x00, 0x03, 0x2F), 400.0),
        ((0x40, 0x03, 0x2F), 100.0),  # the mean of four
        ((0xE0, 0x03, 0x27), 3.125),  # codes above five are 32 too
        ((0x1F, 0x03, 0x5C), 3200.0),
    ],
)
def test_the_rate_is_told_by_the_registers(config, fs_hz):
    assert decode(0, [(1, 2)], config=config)[0].fs_hz == fs_hz


@pytest.mark.parametrize("mode", [0x00, 0x02, 0x07, 0x83, 0x43])
def test_another_mode_is_not_read_as_if_it_were_this_one(mode):
    with pytest.raises(NotMineError, match="mode"):
        decode(0, [(1, 2)], config=(0, mode, 0x27))


@pytest.mark.parametrize("wrong", [FULL_SCALE + 1, 0xFFFFFF])
def test_bits_that_no_count_has_break_the_packet(wrong):
    with pytest.raises(BrokenError, match="18 bits"):
        decode(0, [(1, 2), (3, wrong)])


def placed(*packets):
    clock, one = StreamClock(FS_HZ, polled=False), DECODER.open()
    return [clock.place(one(each)[0], each.arrived_s) for each in packets]


def run(first, n, *, lost=0, late_s=0.0, at=None):
    begin = first if at is None else at
    pairs = [(begin + i, 2 * (begin + i)) for i in range(n)]  # no two packets alike
    return packet(first, pairs, lost=lost, at_s=100.0 + (begin + n) / FS_HZ + late_s)


def test_packets_that_follow_one_another_leave_no_gap_however_uneven_they_come():
    sizes, first, packets = [6, 7, 6, 1, 20, 6, 7], 0, []
    for size in sizes:
        packets.append(run(first, size, late_s=0.003 * (size % 3)))
        first += size
    assert [place.n_skipped for place in placed(*packets)] == [0] * len(sizes)


def test_what_the_chip_lost_is_a_gap_of_that_length_after_the_full_fifo():
    before, full, after = placed(run(0, 6), run(6, 32, lost=5, late_s=0.05), run(43, 6))
    assert (before.n_skipped, full.n_skipped) == (0, 0)
    assert (after.n_skipped, after.reason) == (5, "lost")


def test_a_counter_that_begins_anew_is_a_gap_told_from_arrivals():
    *_, after = placed(run(0, 6), run(6, 6), run(0, 6, at=212))
    assert after.reason == "restart"
    assert abs(after.n_skipped - 200) <= 1


def test_the_counter_goes_over_its_end_without_a_gap():
    places = placed(
        packet((1 << 32) - 6, [(1, 2)] * 6, at_s=10.0), packet(0, [(1, 2)] * 6, at_s=10.06)
    )
    assert [place.n_skipped for place in places] == [0, 0]
    assert not places[1].reason
