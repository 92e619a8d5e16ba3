"""Values that stand until they expire."""

import math

import numpy as np

from edge.dsp.held import MAX_HELD, SPOT_VALID_S, HeldValues
from edge.records import Samples


def spot(signal, value):
    return Samples(signal, 100.0, 0.0, np.array([value], np.float32), spot=True)


def standing(held, now_s):
    return {name: samples.values.item() for name, samples in held.standing(now_s).items()}


def test_a_value_stands_until_it_expires_and_not_a_moment_longer():
    held = HeldValues()
    held.take("held_oxygen_flag", 100.0, 1.0, until_s=200.0)

    assert standing(held, 199.9) == {"held_oxygen_flag": 1.0}
    assert standing(held, 200.0) == {}


def test_the_newest_counts_whoever_it_came_from():
    held = HeldValues()
    held.take("held_temp_degc", 100.0, 38.0, until_s=900.0)
    held.take("held_temp_degc", 50.0, 36.0, until_s=950.0)

    assert standing(held, 300.0) == {"held_temp_degc": 38.0}


def test_a_cuff_and_a_thermometer_stand_for_an_hour_and_an_oximeter_does_not():
    held = HeldValues()
    for signal, value in (("nibp_sys_mmhg", 120.0), ("temp_degc", 37.0), ("spo2_pct", 97.0)):
        held.take_spot(spot(signal, value), 100.0)
    held.take_spot(spot("skin_degc", 33.0), 100.0)

    found = standing(held, 100.0 + SPOT_VALID_S - 1.0)
    assert found == {"held_nibp_sys_mmhg": 120.0, "held_temp_degc": 37.0}
    assert standing(held, 100.0 + SPOT_VALID_S) == {}


def test_a_measurement_that_failed_does_not_take_the_place_of_one_that_did_not():
    held = HeldValues()
    held.take_spot(spot("nibp_sys_mmhg", 120.0), 100.0)
    held.take_spot(spot("nibp_sys_mmhg", math.nan), 200.0)

    assert standing(held, 300.0) == {"held_nibp_sys_mmhg": 120.0}


def test_names_nobody_needs_do_not_fill_the_memory():
    held = HeldValues()
    for i in range(10 * MAX_HELD):
        held.take(f"held_{i}_au", 0.0, 1.0)

    assert len(held.standing(1.0)) == MAX_HELD
