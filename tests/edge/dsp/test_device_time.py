"""A sensor's date and time, mapped to the boot clock by readings of it."""

import pytest

from edge.dsp.device_time import MAX_PAIRS, DeviceTime


def known(*pairs):
    time = DeviceTime()
    for device_s, boot_s in pairs:
        time.note(device_s, boot_s, 0.5)
    return time


def test_a_record_lies_as_far_back_as_its_time_does():
    at_s, bound_s = known((1000.0, 50.0)).place(940.0, 51.0)

    assert at_s == pytest.approx(-10.0)
    assert bound_s == pytest.approx(1.0 + 0.5 + 60 * 100e-6)


def test_it_is_never_later_than_it_came():
    assert known((1000.0, 50.0)).place(1004.0, 52.0)[0] == 52.0


def test_nothing_is_made_up_where_no_clock_was_read():
    assert DeviceTime().place(1000.0, 50.0) is None


def test_a_record_from_before_the_clock_went_back_needs_a_reading_from_before():
    reset = known((0.0, 500.0))
    assert reset.place(10_000.0, 501.0) is None

    both = known((10_100.0, 400.0), (0.0, 500.0))
    assert both.place(10_050.0, 501.0)[0] == pytest.approx(350.0)
    assert both.place(0.0, 501.0)[0] == pytest.approx(500.0)


def test_the_latest_reading_that_fits_counts():
    # The clock was set forward by an hour between the two readings.
    assert known((1000.0, 50.0), (4660.0, 110.0)).place(4600.0, 111.0)[0] == pytest.approx(50.0)


def test_a_record_made_before_the_clock_was_set_is_mapped_by_what_it_showed_before():
    # Three hours behind, and then set: both were read in the same second.
    set_right = known((50_000.0, 100.0), (60_800.0, 100.5))

    assert set_right.place(49_940.0, 101.0)[0] == pytest.approx(40.0)
    assert set_right.place(60_805.0, 106.0)[0] == pytest.approx(105.5)


def test_only_so_many_readings_are_kept():
    time = known(*((float(i), float(i)) for i in range(5 * MAX_PAIRS)))

    assert len(time._pairs) == MAX_PAIRS
