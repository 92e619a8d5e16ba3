"""What only the scale does; the rest is in `test_spot_wearables`."""

import math

import pytest

from edge.decoders.weight_scale import DECODER
from edge.virtual.weight_scale import EVERY_S, FAILS_EVERY, WEARABLE
from tests.edge.virtual.listening import decode, values_of
from tests.edge.virtual.port import Bench


def listened_to() -> Bench:
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def test_the_index_is_that_of_weight_and_height():
    found = decode(DECODER, listened_to().run(2 * EVERY_S))
    weights, heights = values_of(found, "weight_kg"), values_of(found, "height_m")
    indices = values_of(found, "bmi_au")
    assert len(indices) >= 2
    for weight_kg, height_m, index in zip(weights, heights, indices, strict=True):
        assert index == pytest.approx(weight_kg / height_m**2, abs=0.051)


def test_who_steps_off_too_soon_has_no_weight_and_no_index():
    found = decode(DECODER, listened_to().run(FAILS_EVERY * EVERY_S))
    weights = values_of(found, "weight_kg")
    assert [math.isnan(kg) for kg in weights] == [i % FAILS_EVERY == 3 for i in range(5)]
    assert len(values_of(found, "bmi_au")) == 4
