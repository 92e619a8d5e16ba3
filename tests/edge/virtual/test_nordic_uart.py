from functools import partial

import msgspec
import numpy as np
import pytest

from edge import frame
from edge.decoders import BrokenError, one_by_one
from edge.decoders.nordic_uart import DECODER
from edge.dsp.timeline import StreamClock
from edge.records import Packet
from edge.virtual.nordic_uart import (
    CHUNK_BYTES,
    COUNTS_PER_MV,
    FS_HZ,
    MOST_PPM,
    N_ROWS,
    NOTIFY,
    WEARABLE,
    Board,
)
from tests.edge.virtual.listening import decode, values_of
from tests.edge.virtual.port import Bench


@pytest.fixture
def bench():
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def ecg_of(found, lead: str):
    return [samples for _, samples in found if (samples.signal, samples.lead) == ("ecg_mv", lead)]


def test_the_decoder_reads_what_the_board_sampled(bench):
    found = decode(DECODER, bench.run(60.0))
    n_frames = bench.peripheral.n_frames
    assert n_frames in {599, 600}
    truth = np.round(bench.peripheral.rows_mv(0, n_frames * N_ROWS) * COUNTS_PER_MV)
    for column, lead in enumerate(("I", "II")):
        runs = ecg_of(found, lead)
        values = np.concatenate([run.values for run in runs])
        np.testing.assert_allclose(values * COUNTS_PER_MV, truth[:, column], atol=1e-3)
        assert [run.stamp.sequence for run in runs] == list(range(n_frames))


def test_it_looks_like_an_ecg(bench):
    bench.run(1.0)
    rows = bench.peripheral.rows_mv(0, int(60 * FS_HZ))
    r_peaks = np.sum(
        (rows[1:-1, 1] > 0.9) & (np.diff(rows[:, 1])[:-1] > 0) & (np.diff(rows[:, 1])[1:] <= 0)
    )
    assert r_peaks == pytest.approx(bench.peripheral.rate_bpm, abs=1.0)
    assert 0.9 < rows[:, 1].max() < 1.3
    assert rows[:, 0].max() < 0.8


def test_notifications_are_full_and_no_larger_than_said(bench):
    sizes = [len(one.payload) for one in bench.run(10.0)]
    assert max(sizes) == CHUNK_BYTES
    wide = Bench(msgspec.structs.replace(WEARABLE, open=partial(Board, chunk_bytes=244)))
    wide.subscribe_all()
    fewer = wide.run(10.0)
    assert b"".join(one.payload for one in fewer) == b"".join(one.payload for one in bench.sent)
    assert len(fewer) < len(sizes) / 4


def test_its_clock_runs_as_fast_as_it_says(bench):
    board = bench.peripheral
    assert 1.0 < abs(board.fast_ppm) <= MOST_PPM
    found = ecg_of(decode(DECODER, bench.run(600.0)), "II")
    first, last = found[0].stamp, found[-1].stamp
    ticks_us = (last.ticks - first.ticks) % frame.CLOCK_WRAP
    rows = (len(found) - 1) * N_ROWS
    true_us = (board.taken_s(rows) - board.taken_s(0)) * 1e6
    assert (ticks_us / true_us - 1) * 1e6 == pytest.approx(board.fast_ppm, abs=0.01)


def test_the_timeline_finds_the_times_of_its_rows(bench):
    board = bench.peripheral
    clock = StreamClock(FS_HZ)
    errors_s = []
    for at_s, samples in decode(DECODER, bench.run(120.0)):
        if (samples.signal, samples.lead) == ("ecg_mv", "II"):
            placed = clock.place(samples, at_s)
            errors_s.append(placed.start_s - board.taken_s(samples.stamp.sequence * N_ROWS))
    # A frame comes after its last row, and no clock but the arrivals tells of that.
    assert np.ptp(errors_s[300:]) < 0.005


def test_a_new_listener_is_told_at_once_what_the_board_is(bench):
    bench.run(3.05)
    bench.listens.clear()
    assert bench.run(20.0) == []
    bench.subscribe_all()
    again = bench.run(1.0)
    assert again[0].payload == b"\0"
    found = decode(DECODER, again)
    assert values_of(found, "lead_off_flag") == [0.0]
    assert values_of(found, "battery_pct") == [88.0]
    assert ecg_of(found, "I")[0].stamp.sequence == pytest.approx(230, abs=2)


def test_what_is_made_while_nobody_listens_leaves_its_numbers_out(bench):
    before = decode(DECODER, bench.run(3.05))
    bench.listens.clear()
    bench.run(2.0)
    bench.subscribe_all()
    after = ecg_of(decode(DECODER, bench.run(1.0)), "II")
    skipped = after[0].stamp.sequence - ecg_of(before, "II")[-1].stamp.sequence
    assert skipped == pytest.approx(20, abs=2)


def test_a_link_lost_inside_a_frame_costs_that_frame_alone():
    bench = Bench(WEARABLE, air_s=0.001)
    bench.subscribe_all()
    bench.run(3.0)
    while len(bench.sent[-1].payload) < CHUNK_BYTES:
        bench.run(0.001)
    bench.listens.clear()
    bench.run(0.25)
    bench.subscribe_all()
    bench.run(1.0)
    packets = [Packet("virtual", one.uuid, one.at_s, one.payload) for one in bench.sent]
    batch = one_by_one(DECODER.open())(packets)
    # The zero with which the board begins again ends the half that is left.
    assert [type(error) for error in batch.errors] == [BrokenError]
    found = [(at_s, samples) for samples, at_s in batch.found]
    gaps = np.diff([run.stamp.sequence for run in ecg_of(found, "II")])
    assert np.sum(gaps != 1) == 1
    assert 1 < gaps.max() <= 5


def test_it_describes_itself_every_ten_seconds(bench):
    line = b"".join(one.payload for one in bench.run(35.0))
    kinds = [frame.unpack(piece).kind for piece in line.split(b"\0") if piece]
    assert kinds.count(frame.DESCRIPTION) == kinds.count(frame.STATUS) == 4


def test_electrodes_that_come_off_are_told_at_once_and_the_values_are_at_the_rail(bench):
    bench.run(3.0)
    bench.peripheral.electrodes_on = False
    found = decode(DECODER, [*bench.sent, *bench.run(1.0)])
    assert values_of(found, "lead_off_flag") == [0.0, 1.0]
    assert values_of(found, "ecg_mv")[-1] == pytest.approx(32.767)


def test_the_same_seed_sends_the_same_and_another_something_else():
    def sent(seed: int) -> list[bytes]:
        bench = Bench(WEARABLE, seed)
        bench.subscribe_all()
        return [one.payload for one in bench.run(20.0)]

    assert sent(3) == sent(3)
    assert sent(3) != sent(4)


def test_what_is_written_to_it_changes_nothing(bench):
    bench.run(1.0)
    bench.write("6e400002-b5a3-f393-e0a9-e50e24dcca9e", b"hello")
    assert len(ecg_of(decode(DECODER, [*bench.sent, *bench.run(1.0)]), "I")) == 20
    assert isinstance(bench.peripheral, Board)
    assert {one.uuid for one in bench.sent} == {NOTIFY}
