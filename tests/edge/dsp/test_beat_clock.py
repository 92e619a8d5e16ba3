"""Beats of a strap are timed by their intervals and the least late of their packets."""

import os

import numpy as np
import pytest

from edge.dsp.beat_clock import BeatClock
from edge.records import Samples
from tests.bench import timeline as bench
from tests.rigs.strap_arrivals import Strap, draw

N_SEEDS = 200 if os.environ.get("HOMEWARD_LONG") else 6
HARD = {
    "a second, 2 % lost",
    "a beat, 2 % lost",
    "a second, heart in step with it",
    "a second, events every 400 ms",
}
"""Where a lost packet and a late one look alike for some beats."""


def rr(*values_ms):
    return Samples("rr_ms", 0.0, 0.0, np.array(values_ms, np.float32))


@pytest.mark.parametrize("strap", bench.STRAPS)
def test_beats_are_timed_better_than_by_their_arrival(strap):
    row = bench.measure_beats(strap, N_SEEDS, 1800.0)

    assert row["line: median, ms"] < row["arrival: median, ms"] / 4
    assert row["line: p99"] < row["arrival: p99"] or strap in HARD
    assert row["covered, %"] >= (96.0 if strap in HARD else 99.0)


def test_beats_ascend_and_are_never_later_than_their_packet():
    for seed, lost in ((1, 0.0), (2, 0.1)):
        clock, last_s = BeatClock(), -np.inf
        for sent in draw(Strap(lost=lost, length_s=600.0), seed):
            times_s, _ = clock.place(sent.run, sent.arrived_s)
            assert times_s[0] >= last_s
            assert (np.diff(times_s) >= 0).all()
            assert times_s[-1] <= sent.arrived_s
            last_s = times_s[-1]


def test_lost_packets_are_counted_in_beats():
    clock = BeatClock()
    for i in range(100):
        clock.place(rr(800.0), 10.0 + i * 0.8)
    times_s, _ = clock.place(rr(800.0), 10.0 + 102 * 0.8)

    assert clock.n_lost == 2
    assert times_s[0] == pytest.approx(10.0 + 102 * 0.8, abs=0.01)


def test_an_interval_the_strap_does_not_know_is_taken_for_the_usual():
    clock = BeatClock()
    clock.place(rr(800.0, 800.0), 10.0)
    times_s, _ = clock.place(rr(np.nan, 800.0), 11.6)

    assert times_s == pytest.approx([10.8, 11.6])


def test_after_a_long_silence_beats_are_set_anew():
    clock = BeatClock()
    for i in range(50):
        clock.place(rr(800.0), 10.0 + i * 0.8)
    times_s, bound_s = clock.place(rr(700.0, 700.0), 120.0)

    assert times_s == pytest.approx([119.3, 120.0])
    assert bound_s > 1.0
