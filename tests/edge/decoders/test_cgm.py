from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decoders import BrokenError, NotMineError
from edge.decoders.cgm import (
    DECODER,
    FEATURE,
    MEASUREMENT,
    RUN_TIME,
    SESSION_START,
    STATUS,
    e2e_crc,
)
from edge.gatt import STORED
from edge.records import Packet, Samples

Read = Callable[..., tuple[Samples, ...]]
START = "E9070B15061E00 0400"  # 2025-11-21 06:30:00
START_S = 817_021_800
WITH_CRC, WITHOUT_CRC = "80910159", "80810159"


def sealed(text: str) -> str:
    raw = bytes.fromhex(text)
    return (raw + e2e_crc(raw).to_bytes(2, "little")).hex()


@pytest.fixture
def read() -> Read:
    """Return what reads as one new device does."""
    decode = DECODER.open()

    def read_one(
        text: str, stream: str = MEASUREMENT, arrived_s: float = 5.0
    ) -> tuple[Samples, ...]:
        return decode(Packet("cgm", stream, arrived_s, bytes.fromhex(text)))

    return read_one


@pytest.mark.parametrize(
    ("payload", "crc"),
    [
        (b"123456789", 0x6F91),  # catalogue of CRCs, MCRF4XX
        (bytes.fromhex("3E010203040506070809"), 0x2F01),  # CGM Service 1.0.1, section 3.11
        (bytes.fromhex("58251F98"), 0x07F1),  # Microchip AN752
        (bytes.fromhex("0FE3D2E405000214FF02F0E5F3"), 0x3F8E),  # Nordic's record
        (bytes.fromhex("E20704180D08180804"), 0xC2E0),  # Nordic's session start
        (bytes.fromhex("6E9E0116"), 0xC18A),  # Nordic's feature
        (b"", 0xFFFF),
    ],
)
def test_the_crc_is_that_of_published_vectors(payload, crc):
    assert e2e_crc(payload) == crc


def test_a_record_has_value_trend_and_quality(read):
    found = read("0A03 6400 0A00 0CF0 6200")
    assert [(s.signal, round(float(s.values[0]), 6)) for s in found] == [
        ("glucose_mgdl", 100.0),
        ("glucose_trend_mgdlmin", 1.2),
        ("glucose_quality_pct", 98.0),
    ]
    assert all(s.spot and not s.backfilled for s in found)


def test_what_it_kept_is_of_the_past(read):
    found = read("0A03 6400 0A00 0CF0 6200", STORED + MEASUREMENT)
    assert len(found) == 3
    assert all(s.backfilled for s in found)


@pytest.mark.parametrize(
    ("minutes", "arrived_s", "of_now"),
    [
        (10, 1000.0, True),
        (11, 1060.0, True),
        (70, 4600.0, True),
        (8, 1001.0, False),
        (9, 1100.0, False),
        (10, 4600.0, False),  # after a night without a link
        (70, 1000.0, False),  # of another session
    ],
)
def test_what_is_measured_while_it_is_asked_for_what_it_kept_is_of_now(
    read, minutes, arrived_s, of_now
):
    record = "0600 6400" + minutes.to_bytes(2, "little").hex()
    assert read(record, STORED + MEASUREMENT, arrived_s)[0].backfilled
    read("0A00 000000", STATUS, 1000.0)
    assert read(record, STORED + MEASUREMENT, arrived_s)[0].backfilled != of_now
    assert not read(record, MEASUREMENT, arrived_s)[0].backfilled


def test_without_a_session_start_it_has_no_time(read):
    assert read("0600 6400 0A00")[0].stamp is None
    read("00000000000000 0000", SESSION_START)
    assert read("0600 6400 0A00")[0].stamp is None


def test_its_time_is_session_start_and_minutes_and_up_to_one_early(read):
    read(START, SESSION_START)
    for samples in read("0A03 6400 FFFF 0CF0 6200"):
        assert samples.stamp is not None
        assert (samples.stamp.ticks, samples.stamp.tick_s) == (START_S + 60 * 0xFFFF, 1.0)
        assert samples.uncertainty_s == 60.0


def test_records_of_one_notification_have_their_own_times(read):
    read(START, SESSION_START)
    found = read("0600 6400 0A00 0600 6600 0B00")
    assert [(s.values[0], s.stamp and s.stamp.ticks) for s in found] == [
        (100.0, START_S + 600),
        (102.0, START_S + 660),
    ]


def test_a_sensor_whose_clock_must_be_set_has_values_without_a_time(read):
    read(START, SESSION_START)
    (found,) = read("0740 6400 0A00 01")
    assert found.values[0] == 100.0
    assert found.stamp is None


def test_a_new_session_has_no_time_until_its_start_is_read(read):
    read(START, SESSION_START)
    read("0600 6400 0A00")
    # What it kept is older, and no new session.
    assert read("0600 6400 0100", STORED + MEASUREMENT)[0].stamp is not None
    assert read("0600 6400 0A00")[0].stamp is not None
    assert read("0600 6400 0000")[0].stamp is None
    assert read("0600 6400 0100")[0].stamp is None
    read(START, SESSION_START)
    assert read("0600 6400 0100")[0].stamp is not None


@pytest.mark.parametrize("bit", [*range(6), *range(8, 15), *range(16, 24)])
def test_a_value_the_sensor_does_not_stand_by_is_none(read, bit):
    status = (1 << bit).to_bytes(3, "little").hex()
    value, *flags, trend, quality = read(f"0DE3 6400 0A00 {status} 0CF0 6200")
    beyond = {22: ["glucose_low_flag"], 23: ["glucose_high_flag"]}
    assert [(s.signal, *s.values) for s in flags] == [(name, 1.0) for name in beyond.get(bit, [])]
    gone = bit in {0, 2, 3, 5, 11, 12, 13, 22, 23}
    assert math.isnan(value.values[0]) == math.isnan(trend.values[0]) == gone
    assert quality.values[0] == 98.0


@pytest.mark.parametrize("raw", ["FF07", "0008", "0108", "FE07", "0208", "0000", "9CFF", "6510"])
def test_what_is_no_value_stays_none(read, raw):
    value, *flags, trend = read(f"0801 {raw} 0A00 0CF0")
    beyond = {"FE07": ["glucose_high_flag"], "0208": ["glucose_low_flag"]}
    assert [s.signal for s in flags] == beyond.get(raw, [])
    assert math.isnan(value.values[0])
    assert math.isnan(trend.values[0])


@pytest.mark.parametrize("raw", ["FF07", "0008", "FE07", "0208"])
def test_a_trend_that_is_none_leaves_the_value(read, raw):
    value, trend = read(f"0801 6400 0A00 {raw}")
    assert value.values[0] == 100.0
    assert math.isnan(trend.values[0])


def test_where_the_feature_promises_a_crc_each_packet_needs_one(read):
    read(sealed(WITH_CRC), FEATURE)
    assert read(sealed("0800 6400 0A00"))[0].values[0] == 100.0
    assert read(sealed(START), SESSION_START) == ()
    for text, stream in [
        ("0600 6400 0A00", MEASUREMENT),
        ("0600 6400 0A00", STORED + MEASUREMENT),
        (START, SESSION_START),
        ("0A00 000000", STATUS),
        ("6801", RUN_TIME),
    ]:
        with pytest.raises(BrokenError, match="its CRC needs"):
            read(text, stream)


def test_a_crc_is_checked_though_the_feature_was_never_read(read):
    assert read(sealed("0800 6400 0A00"))[0].values[0] == 100.0
    with pytest.raises(BrokenError, match="CRC 0000, computed"):
        read("0800 6400 0A00 0000")


def test_a_damaged_feature_changes_nothing(read):
    read(sealed(WITH_CRC), FEATURE)
    with pytest.raises(BrokenError, match="CGM feature has CRC"):
        read(WITH_CRC + "0000", FEATURE)
    with pytest.raises(BrokenError):
        read("0600 6400 0A00")
    read(WITHOUT_CRC + "FFFF", FEATURE)
    assert read("0600 6400 0A00")[0].values[0] == 100.0


@given(bit=st.integers(0, 10 * 8 - 1), value=st.integers(40, 400), minutes=st.integers(0, 20_000))
def test_no_flipped_bit_gives_a_value(bit, value, minutes):
    decode = DECODER.open()
    decode(Packet("cgm", FEATURE, 0.0, bytes.fromhex(sealed(WITH_CRC))))
    record = bytearray.fromhex("0A01") + value.to_bytes(2, "little") + minutes.to_bytes(2, "little")
    record = bytearray.fromhex(sealed((record + bytes.fromhex("0CF0")).hex()))
    assert decode(Packet("cgm", MEASUREMENT, 1.0, bytes(record)))[0].values[0] == value
    record[bit // 8] ^= 1 << bit % 8
    with pytest.raises((BrokenError, NotMineError)):
        decode(Packet("cgm", MEASUREMENT, 2.0, bytes(record)))


def test_a_control_solution_is_not_the_patient(read):
    read("0000005A FFFF", FEATURE)
    assert read("0600 6400 0A00") == ()


@pytest.mark.parametrize("text", ["", "06", "0600 6400 0A", "0500 6400 0A00", "0000000000000000"])
def test_what_does_not_begin_with_a_record_is_not_mine(read, text):
    with pytest.raises(NotMineError):
        read(text)


@pytest.mark.parametrize(
    "text",
    ["0600 6400 0A00 06", "0600 6400 0A00 0500 6400 0A", "0700 6400 0A00", "0601 6400 0A00"],
)
def test_a_record_that_is_cut_is_broken(read, text):
    with pytest.raises(BrokenError):
        read(text)


def test_records_are_asked_for_by_their_minutes():
    (profile,) = DECODER.profiles
    assert profile.records is not None
    record = bytes.fromhex("06006400FE01")
    assert profile.records.sequence(record) == 0x01FE
    assert profile.records.request(0x01FE).hex() == "010301fe01"
    assert profile.read[0] == FEATURE
