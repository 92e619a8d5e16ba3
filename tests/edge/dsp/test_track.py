"""Runs wait for their second and reach the ring whole, in order, however they were cut."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.dsp import track as module
from edge.dsp.timeline import Placement
from edge.dsp.track import Track
from edge.records import Samples

FS_HZ = 100.0


def track_of(values, cuts, until_s=(1.0, 2.0, 3.0)):
    track = Track(Samples("ecg_mv", 0.0, FS_HZ, values), "board", 10.0)
    start = 0
    for piece in np.split(values, cuts):
        if len(piece):
            track.take(piece, Placement(0, 0, start / FS_HZ, 1 / FS_HZ, 0.0))
        start += len(piece)
    for end_s in until_s:
        track.flow(end_s)
    return track


@given(cuts=st.lists(st.integers(0, 300), max_size=10).map(sorted))
def test_any_cut_gives_the_same_ring_and_nothing_of_the_future(cuts):
    values = np.random.default_rng(1).normal(size=300).astype(np.float32)
    values[50:60] = np.nan
    track = track_of(values, cuts, until_s=(1.0, 2.0))

    assert track.ring.head_idx == 200
    np.testing.assert_array_equal(track.ring.view(0, 200), values[:200])
    assert track.count_valid() == 190
    assert abs(track.last_s - 1.99) < 1e-9


def test_missing_samples_at_the_end_leave_the_age_at_the_last_that_had_a_value():
    values = np.ones(300, np.float32)
    values[250:] = np.nan

    assert abs(track_of(values, [100, 200]).last_s - 2.49) < 1e-9


def test_a_frozen_signal_is_counted_across_runs():
    values = np.arange(300, dtype=np.float32)
    values[120:] = 7.0

    assert abs(track_of(values, [100, 200]).frozen_s - 1.79) < 1e-9


def test_a_source_far_ahead_of_time_is_bounded_and_counted(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    track = Track(Samples("ecg_mv", 0.0, FS_HZ, np.zeros(1, np.float32)), "board", 10.0)
    for i in range(8):
        track.take(np.full(10, i, np.float32), Placement(0, 0, 5.0 + i / 10, 0.01, 0.0))

    assert track.n_overrun == 3


def test_a_packet_that_was_partly_there_gives_its_rest_at_its_own_time():
    track = Track(Samples("ecg_mv", 0.0, FS_HZ, np.zeros(1, np.float32)), "board", 10.0)
    track.take(np.arange(50, dtype=np.float32), Placement(0, 0, 0.0, 0.01, 0.0))
    track.take(np.arange(30, 130, dtype=np.float32), Placement(0, 20, 0.3, 0.01, 0.0))
    track.flow(2.0)

    np.testing.assert_array_equal(track.ring.view(0, 130), np.arange(130, dtype=np.float32))
    assert abs(track.ring.time_s(129) - 1.29) < 1e-9


def test_samples_lie_in_the_order_in_which_they_came_whatever_their_clock_says():
    track = Track(Samples("ecg_mv", 0.0, FS_HZ, np.zeros(1, np.float32)), "board", 10.0)
    for start_s in (5.0, 1.0, 5.05, 3.0):
        track.take(np.ones(10, np.float32), Placement(0, 0, start_s, 0.01, 0.0))
    track.flow(9.0)
    times_s = track.ring.times_s(0, 40)

    assert (np.diff(times_s) > 0).all()


def test_what_cannot_be_a_measurement_is_missing_and_counted():
    values = np.full(100, 0.5, np.float32)
    values[10], values[20] = 1e7, np.inf
    values[30] = np.nan
    track = track_of(values, [], until_s=(2.0,))

    assert np.flatnonzero(np.isnan(track.ring.view(0, 100))).tolist() == [10, 20, 30]
    assert track.n_implausible == 2
