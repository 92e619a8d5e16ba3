from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bits import date_time_s
from edge.gatt import CURRENT_TIME
from edge.virtual._date import DeviceDate, time_service

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
EXAMPLE = bytes.fromhex("DA070C120F170600C000")
"""2010-12-18 15:23:06.75, example of the Transcoding White Paper, 2.2.6."""


@given(st.floats(0.0, 3e9))
def test_what_it_shows_reads_back_to_the_second(now_s):
    date = DeviceDate(datetime(2000, 1, 1, tzinfo=UTC))
    assert date_time_s(date.date_time(now_s), 0) == pytest.approx(now_s, abs=1.0)
    assert len(date.current_time(now_s)) == 10


def test_it_runs_fast_by_its_parts_per_million():
    date = DeviceDate(AT, fast_ppm=50.0)
    assert date.shown_s(1e6) - date.shown_s(0.0) == pytest.approx(1e6 + 50.0)


def test_it_can_be_set_and_runs_on_from_there():
    date = DeviceDate(AT)
    assert date.set(EXAMPLE, 100.0)
    assert date.current_time(100.0)[:7] == EXAMPLE[:7]
    # A Saturday; three quarters of a second; by hand.
    assert date.current_time(100.0)[7:] == bytes([6, 192, 1])
    assert date.date_time(101.0).hex() == "da070c120f1707"


@pytest.mark.parametrize("written", [b"", EXAMPLE[:9], EXAMPLE + b"\x00", bytes(10)])
def test_what_is_no_time_is_not_taken(written):
    date = DeviceDate(AT)
    assert not date.set(written, 100.0)
    assert date.date_time(0.0).hex() == "ea070301080000"
    assert date.current_time(0.0)[9] == 0


def test_only_a_writable_clock_can_be_written():
    (read,), (write,) = time_service().characteristics, time_service(writable=True).characteristics
    assert (read.uuid, read.can) == (CURRENT_TIME, ("read",))
    assert write.can == ("read", "write")
