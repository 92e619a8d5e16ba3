"""Times, gaps and bounds hold on a radio: every row of `tests.bench.timeline`, on a few seeds.

``HOMEWARD_LONG=1`` runs 200 seeds a row instead of two.
"""

import os

import numpy as np
import pytest

from edge.dsp.timeline import StreamClock
from tests.bench import timeline as bench
from tests.rigs.arrivals import Drop, Link, draw, judge

LONG = bool(os.environ.get("HOMEWARD_LONG"))
N_SEEDS = 200 if LONG else 2
LENGTH_S = 1800.0
EXACT = [condition for condition in bench.CONDITIONS if condition.exact]


@pytest.mark.parametrize("condition", bench.CONDITIONS, ids=lambda condition: condition.name)
def test_times_gaps_and_bounds_hold_on_a_radio(condition):
    row = bench.measure(condition, bench.n_seeds_of(condition, N_SEEDS), LENGTH_S)

    assert row["p99"] <= condition.p99_ms
    assert row["covered, %"] >= 99.0
    assert row["first minute, %"] >= 99.0
    assert row["seam, us"] < 1.0
    if condition.exact:
        assert row["false"] == 0
        assert row["right"] == row["gaps"]
    else:
        # Nothing numbers what was lost; in the end it is all told.
        assert row["told"] == pytest.approx(row["samples missing"], rel=0.05)


def test_the_same_arrivals_give_the_same_placements():
    arrivals = draw(Link(clock="us32", lost=0.05, length_s=300.0), 3)
    first, again = (
        [
            clock.place(run, at_s)
            for run, at_s in zip(arrivals.runs, arrivals.arrived_s, strict=True)
        ]
        for clock in (StreamClock(130.0), StreamClock(130.0))
    )

    assert first == again


def test_a_packet_sent_again_much_later_adds_nothing_where_nothing_is_numbered():
    arrivals = draw(Link(length_s=60.0), 1)
    clock = StreamClock(130.0)
    for i, (run, at_s) in enumerate(zip(arrivals.runs, arrivals.arrived_s, strict=True)):
        assert clock.place(run, at_s).n_stale == 0
        if i > 8:
            assert clock.place(arrivals.runs[i - 7], at_s).n_stale == 73


def test_a_clock_set_ahead_is_a_restart_and_no_gap():
    before, after = draw(Link(length_s=60.0), 1), draw(Link(length_s=120.0), 1)
    clock = StreamClock(130.0)
    for run, at_s in zip(before.runs, before.arrived_s, strict=True):
        last = clock.place(run, at_s)
    n = len(before.runs)
    stamp = after.runs[n].stamp
    ahead = type(stamp)(stamp.ticks + 3_000_000_000, 1e-9)
    run = type(after.runs[n])("ecg_mv", 0.0, 130.0, after.runs[n].values, stamp=ahead)

    place = clock.place(run, after.arrived_s[n])

    assert (place.reason, place.n_skipped) == ("restart", 0)
    assert place.start_s == pytest.approx(last.start_s + 73 * last.step_s, abs=1e-6)


def test_a_wrap_inside_a_long_silence_is_a_gap_and_no_restart():
    drops = (Drop(300.0, 2400.0, keeps=False),)
    link = Link(
        clock="us32", n=25, fs_hz=250.0, length_s=3000.0, first_tick=2**32 - 10**9, drops=drops
    )
    found = judge(draw(link, 2), StreamClock(250.0), 25)

    assert found.n_skipped.sum() == found.n_missing.sum() > 500_000


def test_a_clock_that_stood_still_is_a_gap_once_it_is_clear():
    link = Link(clock="us32", n=25, fs_hz=250.0, length_s=240.0, drops=())
    arrivals = draw(link, 5)
    clock, told = StreamClock(250.0), []
    for i, (run, at_s) in enumerate(zip(arrivals.runs, arrivals.arrived_s, strict=True)):
        # From the thousandth packet on everything is 8 s later, and its clock knows nothing of it.
        place = clock.place(run, at_s + (8.0 if i >= 1000 else 0.0))
        if place.n_skipped:
            told.append((i - 1000, place.n_skipped * 0.004, place.reason))
    error_s = place.start_s - arrivals.first_s[-1] - 8.0

    assert len(told) == 1
    assert 90 <= told[0][0] <= 130
    assert told[0][1] == pytest.approx(8.0, abs=0.2)
    assert told[0][2] == "clock"
    assert abs(error_s) < 0.12


def test_a_store_that_empties_is_no_gap_where_nothing_is_stamped():
    link = Link(clock="count", length_s=600.0, drops=(Drop(300.0, 20.0, keeps=True),))
    found = judge(draw(link, 6), StreamClock(130.0), 73)

    assert not found.n_skipped.any()
    assert np.abs(found.error_s[found.since_s > 60]).max() < 0.02


def test_a_cable_states_less_than_a_radio_that_may_be_in_step():
    arrivals = draw(Link(**bench.BOARD, interval_s=0.0075, length_s=300.0), 7)
    bounds_s = []
    for polled in (True, False):
        clock = StreamClock(250.0, polled=polled)
        for run, at_s in zip(arrivals.runs, arrivals.arrived_s, strict=True):
            place = clock.place(run, at_s)
        bounds_s.append(place.uncertainty_s)

    assert bounds_s[0] > 0.1
    assert bounds_s[1] < 0.02
