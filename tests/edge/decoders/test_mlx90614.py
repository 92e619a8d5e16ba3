"""MLX90614: its check, its flag, and that a skin is not taken for a body."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.assemble import every_profile
from edge.decoders import BrokenError
from edge.decoders.mlx90614 import AMBIENT, DECODER, ERROR_FLAG, OBJECT, STREAM, pec
from edge.features.vitals import compute
from edge.records import Packet, Samples, Window

ADDRESS = 0x5A


def word(command, value, address=ADDRESS):
    raw = bytes([command, value & 0xFF, value >> 8])
    return raw + bytes([pec(address, raw)])


def decode(payload):
    return DECODER.open()(Packet("i2c-1-5a", STREAM, 1.0, payload))


@given(st.integers(0x27AD, 0x7FFF))
def test_a_word_is_fiftieths_of_a_kelvin(value):
    (found,) = decode(bytes([ADDRESS]) + word(OBJECT, value))
    assert found.values[0] == pytest.approx(value / 50 - 273.15, abs=1e-4)


def test_the_example_of_the_data_sheet_passes_its_check():
    (found,) = decode(bytes.fromhex("5A07D23A30"))
    assert found.values[0] == pytest.approx(28.01, abs=1e-4)


@given(st.integers(0, 8 * 9 - 1))
def test_no_bit_can_flip_unseen(bit):
    raw = bytearray(bytes([ADDRESS]) + word(OBJECT, 15358) + word(AMBIENT, 14845))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((BrokenError, ValueError)):
        decode(bytes(raw))


def test_the_error_flag_is_no_value_and_leaves_the_other_word_alone():
    payload = bytes([ADDRESS]) + word(OBJECT, ERROR_FLAG | 15358) + word(AMBIENT, 14845)
    skin, ambient = decode(payload)
    assert np.isnan(skin.values[0])
    assert ambient.values[0] == pytest.approx(23.75, abs=1e-4)


def test_a_forehead_is_no_temperature_of_the_body():
    (found,) = decode(bytes([ADDRESS]) + word(OBJECT, 15358))
    times_s = np.array([1.0])
    signals = {found.signal: Samples(found.signal, 1.0, 0.0, found.values, times_s=times_s)}
    window = Window("p", 0.5, 1.0, 0.0, signals, {}, {found.signal: 0.5}, {})
    vitals = compute(window)
    assert np.isnan(vitals["temp_degc"])
    assert np.isnan(vitals["temp_age_s"])


def test_it_asks_nothing_of_the_radio():
    assert not DECODER.profiles
    assert all(STREAM not in profile.streams for profile in every_profile())
