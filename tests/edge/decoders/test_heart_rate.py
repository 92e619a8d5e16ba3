import math

import pytest

from edge.decoders import BrokenError, NotMineError
from edge.decoders.heart_rate import DECODER
from edge.records import Packet


def read(payload_hex: str) -> dict[str, list[float]]:
    packet = Packet("strap", DECODER.streams[0], 5.0, bytes.fromhex(payload_hex))
    return {samples.signal: samples.values.tolist() for samples in DECODER.open()(packet)}


def test_intervals_are_in_milliseconds_oldest_first():
    assert read("10 48 0004 0002")["rr_ms"] == [1000.0, 500.0]


def test_energy_stands_between_rate_and_intervals():
    assert read("18 48 FFFF 0004") == {"hr_bpm": [72.0], "rr_ms": [1000.0]}


def test_a_wide_rate_is_two_bytes():
    assert read("01 2C01")["hr_bpm"] == [300.0]


def test_lost_contact_gives_no_rate_and_no_intervals():
    found = read("14 48 0004")
    assert math.isnan(found["hr_bpm"][0])
    assert found["contact_flag"] == [0.0]
    assert "rr_ms" not in found


def test_a_strap_that_cannot_tell_contact_says_nothing_of_it():
    assert read("02 48") == {"hr_bpm": [72.0]}


@pytest.mark.parametrize("payload", ["06 00", "00 00", "01 2D01", "01 FFFF"])
def test_no_rate_and_impossible_rates_are_no_value(payload):
    assert math.isnan(read(payload)["hr_bpm"][0])


def test_an_unknown_interval_keeps_its_place():
    before, unknown, after = read("10 48 0004 0000 0004")["rr_ms"]
    assert (before, after) == (1000.0, 1000.0)
    assert math.isnan(unknown)


@pytest.mark.parametrize("payload", ["", "10"])
def test_less_than_a_rate_is_not_a_heart_rate(payload):
    with pytest.raises(NotMineError, match="at least 2"):
        read(payload)


@pytest.mark.parametrize("payload", ["01 48", "08 48 FF", "10 48 00", "18 48 FFFF 000400"])
def test_a_cut_field_is_broken(payload):
    with pytest.raises(BrokenError, match="inside a field"):
        read(payload)
