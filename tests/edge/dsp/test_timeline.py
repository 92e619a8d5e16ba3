"""Times are right to the stated bound, whatever the link does to the arrivals."""

import numpy as np
import pytest

from edge.dsp.timeline import StreamClock
from edge.records import Samples, Stamp

FS_HZ = 250.0
N = 25
WRAP = 1 << 32


def run_of(ticks, sequence, n=N, host=False, fs_hz=FS_HZ):
    stamp = Stamp(ticks % WRAP, 1e-6, WRAP, sequence % 65536, 65536, host)
    return Samples("ecg_mv", 0.0, fs_hz, np.zeros(n, np.float32), stamp=stamp)


def radio(n_runs, *, ppm=0.0, start_ticks=0, burst_s=0.0371, jitter_s=0.02, seed=0):
    """Yield (run, true start, arrival) of a sensor whose clock is slow by `ppm`."""
    rng = np.random.default_rng(seed)
    last_s = 0.0
    for i in range(n_runs):
        true_s = 5.0 + i * N / FS_HZ * (1 + ppm * 1e-6)
        end_s = true_s + N / FS_HZ
        arrived_s = np.ceil(end_s / burst_s) * burst_s + 0.003 + rng.exponential(jitter_s)
        last_s = max(last_s, arrived_s)
        yield run_of(start_ticks + i * 100_000, i), true_s, last_s


@pytest.mark.parametrize("ppm", [-100.0, -20.0, 0.0, 50.0, 100.0])
def test_bursty_arrivals_give_times_within_the_stated_bound(ppm):
    clock, errors, bounds = StreamClock(FS_HZ), [], []
    for run, true_s, arrived_s in radio(6000, ppm=ppm):
        place = clock.place(run, arrived_s)
        errors.append(abs(place.start_s - true_s))
        bounds.append(place.uncertainty_s)

    errors, bounds = np.array(errors), np.array(bounds)

    assert (errors <= bounds).mean() >= 0.99
    assert np.quantile(errors[600:], 0.99) < 0.016
    assert clock.ppm == pytest.approx(ppm, abs=8.0)


def test_sample_times_never_go_back_and_leave_no_hole():
    clock, end_s = StreamClock(FS_HZ), None
    for run, _, arrived_s in radio(3000, ppm=60.0, seed=4):
        place = clock.place(run, arrived_s)
        if end_s is not None:
            assert place.start_s == pytest.approx(end_s, abs=1e-9)
        end_s = place.start_s + N * place.step_s


def test_a_counter_that_wraps_is_no_gap():
    clock = StreamClock(FS_HZ)
    places = [
        clock.place(run, arrived_s)
        for run, _, arrived_s in radio(200, start_ticks=WRAP - 5_000_000)
    ]

    assert sum(place.n_skipped for place in places) == 0
    assert not any(place.reason for place in places)


def test_lost_packets_are_a_gap_of_so_many_samples():
    clock, lost = StreamClock(FS_HZ), []
    for i, (run, true_s, arrived_s) in enumerate(radio(2000)):
        if 700 <= i < 705:
            continue
        place = clock.place(run, arrived_s)
        if place.n_skipped:
            lost.append((i, place.n_skipped, place.reason))
            assert abs(place.start_s - true_s) < 0.02

    assert lost == [(705, 5 * N, "lost")]


def test_a_packet_sent_twice_adds_nothing():
    clock = StreamClock(FS_HZ)
    for run, _, arrived_s in radio(20):
        clock.place(run, arrived_s)
        assert clock.place(run, arrived_s).n_stale == N


def test_a_sensor_that_starts_anew_is_a_restart_and_time_goes_on():
    clock = StreamClock(FS_HZ)
    for run, _, arrived_s in radio(100, start_ticks=77_000_000):
        before = clock.place(run, arrived_s)
    again = clock.place(run_of(0, 0), arrived_s + 3.0)

    assert again.reason == "restart"
    assert again.start_s >= before.start_s + N / FS_HZ
    assert again.n_skipped == pytest.approx(3.0 * FS_HZ, rel=0.15)


def test_a_sensor_that_paused_between_numbered_packets_is_a_gap():
    clock = StreamClock(FS_HZ)
    clock.place(run_of(0, 0), 1.0)
    clock.place(run_of(100_000, 1), 1.1)

    place = clock.place(run_of(2_200_000, 2), 3.2)

    assert (place.n_skipped, place.reason) == (500, "clock")


def test_a_rate_that_is_off_is_measured_not_taken_for_loss():
    clock, last = StreamClock(FS_HZ), None
    for i in range(3000):
        true_s = i * N / (FS_HZ * 1.004)
        place = clock.place(run_of(round(true_s * 1e6), i), true_s + N / FS_HZ + 0.01)
        assert place.n_skipped == 0
        last = (place.start_s, place.step_s, true_s)

    assert last[0] == pytest.approx(last[2], abs=0.02)
    assert 1 / last[1] == pytest.approx(FS_HZ * 1.004, rel=2e-5)


@pytest.mark.parametrize("chunk", [1, 18, 100, 360, 650_000])
def test_the_boxs_own_clock_gives_times_that_no_cutting_changes(chunk):
    clock, fs_hz, n = StreamClock(360.0), 360.0, 6480
    for start in range(0, n, chunk):
        count = min(chunk, n - start)
        run = run_of(round(start * 1e6 / fs_hz), start // chunk, count, host=True, fs_hz=fs_hz)
        place = clock.place(run, start / fs_hz)

        assert place.start_s == start / fs_hz
        assert place.step_s == 1 / fs_hz
        assert place.n_skipped == place.n_stale == 0


def test_a_hole_in_a_recording_is_a_gap():
    clock = StreamClock(FS_HZ)
    clock.place(run_of(0, 0, host=True), 0.0)
    place = clock.place(run_of(400_000, 1, host=True), 0.4)

    assert (place.n_skipped, place.start_s) == (75, 0.4)


def test_a_clock_that_is_not_the_boxs_own_though_it_says_so_is_begun_anew():
    clock = StreamClock(FS_HZ)
    clock.place(run_of(0, 0, host=True), 10.0)
    place = clock.place(run_of(900_000_000, 1, host=True), 10.1)

    assert (place.start_s, place.reason) == (10.1, "restart")
    assert clock.place(run_of(900_100_000, 2, host=True), 10.2).start_s == 10.2


@pytest.mark.parametrize("first", [True, False])
def test_a_sensor_that_changes_its_mind_about_its_clock_goes_on_in_order(first):
    clock, end_s = StreamClock(FS_HZ), 0.0
    for i in range(40):
        host = first if i < 20 else not first
        place = clock.place(run_of(i * 100_000, i, host=host), 5.0 + i * 0.1 + 0.1)
        assert place.start_s >= end_s - 1e-6
        end_s = place.start_s + N * place.step_s

    assert end_s == pytest.approx(9.1, abs=0.25)


def test_a_sensor_without_a_clock_is_timed_by_its_samples():
    clock = StreamClock(100.0)
    for i in range(500):
        run = Samples("pleth_au", 0.0, 100.0, np.zeros(10, np.float32))
        place = clock.place(run, 1.0 + i * 0.1 + 0.1 + 0.03 * (i % 3))

    assert place.start_s == pytest.approx(1.0 + 499 * 0.1, abs=0.02)
