import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bits import (
    cobs_decode,
    cobs_encode,
    crc16,
    medfloat,
    pack_medfloat,
    pack_sfloat,
    sfloat,
    uint16,
    uint24,
    uint32,
)
from tests.edge import reference_frame as reference


@given(st.binary(min_size=6, max_size=12), st.integers(0, 2))
def test_unsigned_numbers_are_little_endian(raw, at):
    assert uint16(raw, at) == int.from_bytes(raw[at : at + 2], "little")
    assert uint24(raw, at) == int.from_bytes(raw[at : at + 3], "little")
    assert uint32(raw, at) == struct.unpack_from("<I", raw, at)[0]


@pytest.mark.parametrize("read", [uint16, uint24, uint32, sfloat, medfloat])
def test_reading_past_the_end_is_an_index_error(read):
    with pytest.raises(IndexError):
        read(b"\x01", 0)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("6200", 98.0),
        ("14F0", 2.0),
        ("6EF1", 36.6),  # ISO/IEEE 11073: mantissa 366, exponent -1
        ("00F0", 0.0),
        ("FD07", 2045.0),
        ("0388", -2045e-8),
        ("FFFF", -0.1),
        ("0170", 1e7),
    ],
)
def test_a_short_medical_float_is_mantissa_times_power_of_ten(raw, value):
    assert sfloat(bytes.fromhex(raw), 0) == pytest.approx(value, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("6C0100FF", 36.4), ("72010000", 370.0), ("0000007F", 0.0), ("FFFFFF00", -1.0)],
)
def test_a_long_medical_float_is_mantissa_times_power_of_ten(raw, value):
    assert medfloat(bytes.fromhex(raw), 0) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("FF07", math.nan),
        ("0008", math.nan),
        ("0108", math.nan),
        ("FE07", math.inf),
        ("0208", -math.inf),
        ("FFA7", math.nan),  # whatever the exponent says
    ],
)
def test_special_short_floats_are_no_numbers(raw, value):
    assert sfloat(bytes.fromhex(raw), 0) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("FFFF7F00", math.nan),
        ("00008000", math.nan),
        ("01008000", math.nan),
        ("FEFF7F00", math.inf),
        ("02008000", -math.inf),
    ],
)
def test_special_long_floats_are_no_numbers(raw, value):
    assert medfloat(bytes.fromhex(raw), 0) == pytest.approx(value, nan_ok=True)


@given(st.integers(-0x7FD, 0x7FD), st.integers(-8, 7))
def test_a_short_medical_float_comes_back(mantissa, exponent):
    value = mantissa * 10.0**exponent
    assert sfloat(pack_sfloat(value, exponent), 0) == pytest.approx(value, rel=1e-12)


@given(st.integers(-0x7FFFFD, 0x7FFFFD), st.integers(-20, 20))
def test_a_long_medical_float_comes_back(mantissa, exponent):
    value = mantissa * 10.0**exponent
    assert medfloat(pack_medfloat(value, exponent), 0) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("pack", [pack_sfloat, pack_medfloat])
def test_special_values_come_back_and_what_does_not_fit_is_refused(pack):
    read = sfloat if pack is pack_sfloat else medfloat
    assert math.isnan(read(pack(math.nan), 0))
    assert read(pack(math.inf), 0) == math.inf
    assert read(pack(-math.inf), 0) == -math.inf
    with pytest.raises(ValueError, match="does not fit"):
        pack(1e9)


def test_the_crc_is_the_published_one():
    # CRC-16/CCITT-FALSE in Greg Cook's catalogue of parametrised CRC algorithms.
    assert crc16(b"123456789") == 0x29B1
    assert crc16(b"") == 0xFFFF


@given(st.binary(max_size=64))
def test_the_crc_is_the_shift_register_s(raw):
    assert crc16(raw) == reference.crc16(raw)


@given(st.binary(max_size=700) | st.integers(0, 700).map(lambda n: b"\x01" * n))
def test_stuffed_bytes_hold_no_zero_and_come_back(raw):
    stuffed = cobs_encode(raw)
    assert 0 not in stuffed
    assert len(stuffed) <= len(raw) + 1 + len(raw) // 254
    assert cobs_decode(stuffed) == raw


@pytest.mark.parametrize("n", [0, 1, 253, 254, 255, 508, 509])
@pytest.mark.parametrize("filling", [b"\x01", b"\x00", b"\xff"])
@pytest.mark.parametrize("end", [b"", b"\x00", b"\x02"])
def test_stuffed_bytes_of_another_maker_are_read(n, filling, end):
    raw = filling * n + end
    assert cobs_decode(reference.cobs(raw)) == raw


@pytest.mark.parametrize(
    ("stuffed", "plain"),
    # The examples of Cheshire and Baker's paper and of the encoding's article in Wikipedia.
    [
        ("0101", "00"),
        ("010101", "0000"),
        ("0311220233", "11220033"),
        ("0511223344", "11223344"),
        ("0211010101", "11000000"),
    ],
)
def test_published_stuffings(stuffed, plain):
    assert cobs_encode(bytes.fromhex(plain)).hex() == stuffed
    assert cobs_decode(bytes.fromhex(stuffed)).hex() == plain


@pytest.mark.parametrize("stuffed", [b"\x05\x01", b"\x02\x00", b"\x00", b"\xff\x01"])
def test_bytes_that_are_not_stuffed_are_refused(stuffed):
    with pytest.raises(ValueError, match="COBS frame"):
        cobs_decode(stuffed)
