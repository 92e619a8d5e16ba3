"""The ring gives back what was put in, by number and by time, and shows what is missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dsp.ring import Ring, Series

FS_HZ = 360.0


def filled(n, capacity=1000, run=100):
    ring = Ring(capacity)
    for start in range(0, n, run):
        values = np.arange(start, min(start + run, n), dtype=np.float32)
        ring.append(values, start / FS_HZ, 1 / FS_HZ)
    return ring


@given(
    runs=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 30)), min_size=1, max_size=40),
    capacity=st.integers(8, 120),
)
def test_every_span_still_kept_reads_as_it_was_written(runs, capacity):
    ring, written = Ring(capacity), []
    for n, n_missing in runs:
        ring.skip(n_missing)
        written += [np.nan] * n_missing
        values = np.arange(len(written), len(written) + n, dtype=np.float32)
        ring.append(values, len(written) / 50, 1 / 50)
        written += values.tolist()

    kept = ring.view(ring.tail_idx, ring.head_idx)

    assert ring.head_idx == len(written)
    np.testing.assert_array_equal(kept, np.array(written[-capacity:], np.float32))
    assert not kept.flags.writeable


def test_a_view_is_no_copy():
    ring = filled(900)

    assert np.shares_memory(ring.view(100, 300), ring._buffer)


def test_a_span_that_was_overwritten_is_refused():
    with pytest.raises(IndexError, match="not in the ring"):
        filled(2000).view(500, 1500)


@pytest.mark.parametrize("start_s", [6.0, 6.0001, 6.5, 6.777])
def test_a_window_holds_exactly_the_samples_taken_in_it(start_s):
    at_s, values = filled(3600, capacity=3600).cut(start_s, start_s + 1.0)
    times_s = values / FS_HZ

    assert at_s == pytest.approx(times_s[0])
    assert times_s[0] >= start_s - 1e-6
    assert times_s[-1] < start_s + 1.0
    assert len(values) == 360


def test_neighbouring_windows_share_no_sample_and_lose_none():
    ring = filled(3600, capacity=3600)
    cuts = [ring.cut(0.7 * i, 0.7 * (i + 1))[1] for i in range(14)]

    np.testing.assert_array_equal(np.concatenate(cuts), np.arange(3528, dtype=np.float32))


def test_samples_that_have_not_come_read_as_missing():
    _, values = filled(720).cut(1.5, 2.5)

    assert len(values) == 360
    assert np.isnan(values[180:]).all()
    assert not np.isnan(values[:180]).any()


def test_a_window_outside_what_is_kept_is_nothing():
    ring = filled(720)

    assert ring.cut(3.0, 4.0) is None
    assert ring.cut(-2.0, -1.0) is None
    assert Ring(10).cut(0.0, 1.0) is None


def test_a_gap_moves_the_times_behind_it():
    ring = filled(360)
    ring.skip(36)
    ring.append(np.ones(360, np.float32), 396 / FS_HZ, 1 / FS_HZ)

    _, values = ring.cut(0.9, 1.2)

    assert np.isnan(values[36:72]).all()
    assert ring.time_s(ring.head_idx) == pytest.approx(756 / FS_HZ)


def test_steady_times_need_one_anchor_only():
    assert len(filled(900)._anchors) == 1


def test_a_series_keeps_the_newest_values_in_order_of_time():
    series = Series(capacity=16)
    for i in range(100):
        series.append(i * 0.5, float(i))
    series.append(3.0, -1.0)

    times_s, values = series.cut(48.0, 60.0)

    assert series.last_s == 49.5
    assert values.tolist() == [96.0, 97.0, 98.0, 99.0, -1.0]
    assert (np.diff(times_s) >= 0).all()
    assert series.cut(60.0, 70.0) is None
