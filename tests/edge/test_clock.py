"""The boot clock and the wall time derived from it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import clock
from edge.clock import (
    EVERY_S,
    FRESH_S,
    MAX_ENTRIES,
    STEP_S,
    BootClock,
    TimeQuality,
    WallEntry,
    WallLog,
    is_due,
    synchronised,
)

EVENING_S = 1_795_276_800.0
EVENING = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)


def _entry(boot_s, wall_s, *, synced=True, boot="boot-1"):
    return WallEntry(boot, float(boot_s), float(wall_s), synced)


def _steady(boot_s, *, synced=True, off_s=0.0):
    return _entry(boot_s, EVENING_S + boot_s + off_s, synced=synced)


def test_the_clock_of_this_box_goes_forward_and_names_its_boot():
    box = BootClock()
    first_s, second_s = box.now_s(), box.now_s()
    assert 0.0 < first_s <= second_s
    assert len(box.boot_id) == 36
    assert BootClock().boot_id == box.boot_id


def test_both_clocks_are_read_at_one_moment():
    box = BootClock()
    before_s, wall_s = box.now_s(), time.clock_gettime(time.CLOCK_REALTIME)
    read = box.read()
    assert before_s <= read.boot_s <= box.now_s()
    assert wall_s <= read.wall_s + 0.5
    assert read.synchronised is synchronised()


def test_the_kernel_decides_and_a_file_only_where_it_may_not_be_asked(monkeypatch, tmp_path):
    marker = tmp_path / "synchronized"
    monkeypatch.setattr(clock, "_TIMESYNCD", marker)
    monkeypatch.setattr(clock, "_kernel_max_error_us", lambda: 15_999_999)
    assert synchronised()
    monkeypatch.setattr(clock, "_kernel_max_error_us", lambda: 16_000_000)
    marker.touch()
    assert not synchronised()
    monkeypatch.setattr(clock, "_kernel_max_error_us", lambda: None)
    assert synchronised()
    marker.unlink()
    assert not synchronised()


def test_the_kernel_answers_with_a_bound():
    error_us = clock._kernel_max_error_us()
    assert error_us is None or 0 <= error_us < 2**31


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (_steady(10), False),
        (_steady(EVERY_S - 0.001), False),
        (_steady(EVERY_S), True),
        (_steady(10, off_s=STEP_S), False),
        (_steady(10, off_s=STEP_S + 0.001), True),
        (_steady(10, off_s=-STEP_S - 0.001), True),
        (_steady(10, synced=False), True),
        (_entry(10, EVENING_S + 10, boot="boot-2"), True),
    ],
)
def test_the_log_grows_on_a_step_a_change_of_trust_and_every_ten_minutes(now, due):
    assert is_due(_steady(0), now) is due


def test_a_slow_creep_is_logged_once_it_makes_half_a_second():
    log = WallLog()
    noted = [log.note(_steady(s, off_s=s / 400)) for s in range(0, 590, 10)]
    assert [entry.boot_s for entry in noted if entry] == [0.0, 210.0, 420.0]


def test_a_step_is_measured():
    log = WallLog([_steady(0)])
    assert log.stepped_s(_steady(5)) == 0.0
    assert log.stepped_s(_steady(5, off_s=-3600.0)) == -3600.0
    assert WallLog().stepped_s(_steady(5)) == 0.0


def test_a_synchronised_clock_tells_the_time():
    log = WallLog([_steady(0), _steady(600)])
    assert log.utc_of(700.5, "boot-1") == (EVENING + timedelta(seconds=700.5), TimeQuality.SYNCED)


def test_a_night_without_network_is_held_over_from_the_last_good_moment():
    log = WallLog([_steady(0), _steady(600, synced=False, off_s=-9e6)])
    told, quality = log.utc_of(30_000.0, "boot-1")
    assert told == EVENING + timedelta(seconds=30_000)
    assert quality is TimeQuality.HOLDOVER


def test_what_came_before_the_network_gets_its_time_afterwards():
    log = WallLog()
    log.note(_entry(5, 1_000_000_000, synced=False))
    assert log.utc_of(8.0, "boot-1")[1] is TimeQuality.UNSYNCED
    log.note(_steady(60))
    assert log.utc_of(8.0, "boot-1") == (EVENING + timedelta(seconds=8), TimeQuality.HOLDOVER)
    assert log.utc_of(60.0, "boot-1")[1] is TimeQuality.SYNCED


def test_a_silent_log_is_trusted_no_longer_than_two_of_its_periods():
    log = WallLog([_steady(0)])
    assert log.utc_of(FRESH_S, "boot-1")[1] is TimeQuality.SYNCED
    assert log.utc_of(FRESH_S + 0.001, "boot-1")[1] is TimeQuality.HOLDOVER


def test_a_clock_nobody_set_is_called_unsynced():
    log = WallLog([_entry(100, 1_000_000_000, synced=False)])
    told, quality = log.utc_of(50.0, "boot-1")
    assert told == datetime.fromtimestamp(999_999_950, UTC)
    assert quality is TimeQuality.UNSYNCED


def test_another_boot_says_nothing_of_this_one():
    log = WallLog([_steady(0)])
    with pytest.raises(LookupError, match="boot-2"):
        log.utc_of(1.0, "boot-2")


def test_the_log_is_bounded():
    log = WallLog(_steady(s) for s in range(MAX_ENTRIES + 5))
    assert log.utc_of(0.0, "boot-1")[1] is TimeQuality.HOLDOVER
    assert log.utc_of(5.0, "boot-1")[1] is TimeQuality.SYNCED


@given(
    st.lists(
        st.tuples(st.floats(1, 3000), st.sampled_from([0.0, 0.0, 5.0, -86400.0]), st.booleans()),
        min_size=1,
        max_size=20,
    ),
    st.lists(st.floats(0, 50_000), min_size=2, max_size=6),
)
def test_wall_time_never_moves_the_order_of_one_held_clock(readings, asked):
    """While every synchronised reading agrees, wall time keeps the boot clock's order."""
    log, boot_s = WallLog(), 0.0
    for step_s, off_s, synced in readings:
        boot_s += step_s
        log.note(_steady(boot_s, synced=synced, off_s=0.0 if synced else off_s))
    if not any(synced for _, _, synced in readings):
        return
    told = [log.utc_of(at_s, "boot-1") for at_s in sorted(asked)]
    assert [utc for utc, _ in told] == sorted(utc for utc, _ in told)
    assert all(quality is not TimeQuality.UNSYNCED for _, quality in told)
