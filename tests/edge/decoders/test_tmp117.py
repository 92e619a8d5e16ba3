"""TMP117: only what was newly measured counts, and only where the body shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decoders import BrokenError, NotMineError
from edge.decoders.tmp117 import BODY, DATA_READY, DECODER, HEAD, LONGEST_PLACE, STREAM
from edge.records import Packet

CONTINUOUS = 0x0220


def decode(steps, place="", configuration=CONTINUOUS | DATA_READY):
    payload = HEAD.pack(configuration, steps) + place.encode()
    return DECODER.open()(Packet("i2c-1-48", STREAM, 1.0, payload))


@given(st.integers(-55 * 128, 150 * 128))
def test_a_step_is_a_128th_of_a_degree(steps):
    (found,) = decode(steps)
    assert found.values[0] == np.float32(steps / 128)


@pytest.mark.parametrize("steps", [-0x8000, -55 * 128 - 1, 150 * 128 + 1, 0x7FFF])
def test_what_it_cannot_measure_is_no_value(steps):
    assert np.isnan(decode(steps)[0].values[0])


def test_an_old_value_is_not_given_again():
    assert decode(4685, configuration=CONTINUOUS) == ()


@pytest.mark.parametrize("place", ["", "wrist", "forehead", "arm", "armpits"])
def test_a_probe_on_the_skin_is_no_temperature_of_the_body(place):
    (found,) = decode(4685, place)
    assert (found.signal, found.lead) == ("skin_degc", place)


@pytest.mark.parametrize("place", sorted(BODY))
def test_where_the_body_shows_it_is_one(place):
    for spelt in (place, place.capitalize()):
        (found,) = decode(4685, spelt)
        assert (found.signal, found.lead) == ("temp_degc", spelt)


def test_the_longest_place_is_read_and_a_longer_one_is_damage():
    assert decode(0, "ä" * LONGEST_PLACE)[0].lead == "ä" * LONGEST_PLACE
    with pytest.raises(BrokenError, match="33"):
        decode(0, "x" * (LONGEST_PLACE + 1))
    with pytest.raises(NotMineError):
        decode(0, "x" * 200)
