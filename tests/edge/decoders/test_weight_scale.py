import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decoders import BrokenError, NotMineError
from edge.decoders.weight_scale import DECODER
from edge.records import Packet, Samples


def decode(payload: bytes) -> tuple[Samples, ...]:
    return DECODER.open()(Packet("scale", DECODER.streams[0], 5.0, payload))


def read(payload_hex: str) -> dict[str, float]:
    found = decode(bytes.fromhex(payload_hex))
    return {samples.signal: float(samples.values[0]) for samples in found}


@given(st.integers(1, 0xFFFE))
def test_a_kilogram_and_a_pound_are_what_they_are(raw):
    two = raw.to_bytes(2, "little")
    (si,), (imperial,) = decode(b"\x00" + two), decode(b"\x01" + two)
    assert si.values[0] == pytest.approx(raw * 0.005, rel=1e-6)
    assert imperial.values[0] == pytest.approx(raw * 0.01 * 0.45359237, rel=1e-6)


def test_every_value_is_a_reading_with_the_scales_own_date():
    found = decode(bytes.fromhex("0E C83C D007 01 02 00 00 01 FF F600 F206"))
    assert [samples.signal for samples in found] == ["weight_kg", "bmi_au", "height_m"]
    for samples in found:
        assert samples.spot
        assert not samples.backfilled
        assert samples.stamp is not None
        assert samples.stamp.ticks == 86_401


def test_a_date_that_the_scale_does_not_know_is_no_stamp():
    assert decode(bytes.fromhex("02 C83C 0000 00 00 00 00 00"))[0].stamp is None


def test_inches_are_converted():
    assert read("09 FE42 F600 BC02")["height_m"] == pytest.approx(1.778)


@pytest.mark.parametrize("raw", ["FFFF", "0000"])
def test_an_unsuccessful_measurement_and_an_empty_scale_have_no_weight_and_no_index(raw):
    found = read(f"08 {raw} F600 F206")
    assert math.isnan(found["weight_kg"])
    assert math.isnan(found["bmi_au"])
    assert found["height_m"] == pytest.approx(1.778)


def test_a_height_and_an_index_of_zero_are_not_known():
    found = read("08 C83C 0000 0000")
    assert found["weight_kg"] == pytest.approx(77.8)
    assert math.isnan(found["bmi_au"])
    assert math.isnan(found["height_m"])


@pytest.mark.parametrize("payload", ["", "00 C8"])
def test_less_than_a_weight_is_not_mine(payload):
    with pytest.raises(NotMineError, match="at least 3"):
        read(payload)


@pytest.mark.parametrize("flags", [0x02, 0x04, 0x08, 0x06, 0x0E])
def test_a_field_that_the_flags_promise_must_be_there(flags):
    n_bytes = sum(n for bit, n in ((2, 7), (4, 1), (8, 4)) if flags & bit)
    with pytest.raises(BrokenError, match="its flags need"):
        read(f"{flags:02X} C83C" + "00" * (n_bytes - 1))
