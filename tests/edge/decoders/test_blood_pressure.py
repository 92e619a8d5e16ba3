import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bits import pack_sfloat
from edge.decoders import BrokenError, NotMineError
from edge.decoders.blood_pressure import CUFF, DECODER, MEASUREMENT
from edge.records import Packet, Samples

PRESSURES = ("nibp_sys_mmhg", "nibp_dia_mmhg", "nibp_map_mmhg")


def decode(payload_hex: str, stream: str = MEASUREMENT) -> tuple[Samples, ...]:
    return DECODER.open()(Packet("cuff", stream, 5.0, bytes.fromhex(payload_hex)))


def read(payload_hex: str, stream: str = MEASUREMENT) -> dict[str, float]:
    found = decode(payload_hex, stream)
    return {samples.signal: float(samples.values[0]) for samples in found}


def with_status(*bits: int) -> dict[str, float]:
    status = sum(1 << bit for bit in bits)
    return read("14 7800 5000 5D00 4800" + status.to_bytes(2, "little").hex())


def test_every_value_is_a_reading_with_the_cuffs_own_date():
    found = decode("1E 7800 5000 5D00 D007 01 02 00 00 01 4800 01 0000")
    assert len(found) == 6
    for samples in found:
        assert samples.spot
        assert not samples.backfilled
        assert samples.stamp is not None
        assert samples.stamp.ticks == 86_401


def test_a_date_that_the_cuff_does_not_know_is_no_stamp():
    assert decode("02 7800 5000 5D00 0000 00 00 00 00 00")[0].stamp is None


@pytest.mark.parametrize("bit", [0, 5])
def test_after_movement_or_in_a_wrong_position_the_numbers_stay_and_are_suspect(bit):
    found = with_status(bit)
    assert [found[name] for name in PRESSURES] == [120.0, 80.0, 93.0]
    assert found["nibp_suspect_flag"] == 1.0


@pytest.mark.parametrize("others", [(), (0,), (2,), (0, 2, 5)])
def test_the_pressures_of_a_loose_cuff_are_no_values_and_its_pulse_is_one(others):
    found = with_status(1, *others)
    assert all(math.isnan(found[name]) for name in PRESSURES)
    assert (found["pulse_bpm"], found["nibp_suspect_flag"]) == (72.0, 1.0)


def test_an_irregular_pulse_is_told_and_takes_nothing_away():
    found = with_status(2)
    assert [found[name] for name in PRESSURES] == [120.0, 80.0, 93.0]
    assert (found["irregular_pulse_flag"], found["nibp_suspect_flag"]) == (1.0, 0.0)


@pytest.mark.parametrize("bits", [(), (3,), (4,), (6,), (15,)])
def test_the_other_bits_change_nothing(bits):
    assert with_status(*bits) == read("14 7800 5000 5D00 4800 0000")


def test_without_a_status_nothing_is_said_of_it():
    assert set(read("00 7800 5000 5D00")) == set(PRESSURES)


@given(st.integers(40, 250))
def test_kilopascals_and_millimetres_of_mercury_agree(mmhg):
    kpa = pack_sfloat(mmhg * 0.1333223874, -1).hex()
    same = pack_sfloat(float(mmhg)).hex()
    in_kpa, in_mmhg = read(f"01 {kpa} {kpa} FF07"), read(f"00 {same} {same} FF07")
    # A tenth of a kilopascal is three quarters of a millimetre.
    assert in_kpa["nibp_sys_mmhg"] == pytest.approx(in_mmhg["nibp_sys_mmhg"], abs=0.38)


@pytest.mark.parametrize("raw", ["FF07", "0008", "0108", "FE07", "0208", "0000", "6801", "FFFF"])
def test_no_value_and_impossible_pressures_are_nan(raw):
    found = read(f"00 {raw} 5000 FF07")
    assert math.isnan(found["nibp_sys_mmhg"])
    assert found["nibp_dia_mmhg"] == 80.0


def test_a_diastolic_above_the_systolic_is_damage_to_both():
    assert all(math.isnan(value) for value in read("00 5000 7800 FF07").values())


def test_a_mean_that_is_not_worked_out_is_left_out():
    assert "nibp_map_mmhg" not in read("00 7800 5000 FF07")


@pytest.mark.parametrize("raw", ["FF07", "0000", "2D01", "FFFF"])
def test_an_impossible_pulse_is_no_value(raw):
    assert math.isnan(read(f"04 7800 5000 5D00 {raw}")["pulse_bpm"])


def test_the_cuffs_pressure_is_no_reading_and_may_be_zero():
    (found,) = decode("00 0000 FF07 FF07", CUFF)
    assert (found.signal, found.spot, found.stamp, found.values[0]) == ("cuff_mmhg", False, None, 0)


@pytest.mark.parametrize("stream", [MEASUREMENT, CUFF])
@pytest.mark.parametrize("flags", [0x20, 0x40, 0x80, 0xFE])
def test_bits_that_are_never_set_belong_to_another_format(stream, flags):
    with pytest.raises(NotMineError, match="never set"):
        read(f"{flags:02X} 7800 5000 5D00 " + "00" * 12, stream)


@pytest.mark.parametrize("payload", ["", "00 7800 5000 5D"])
def test_less_than_three_pressures_is_not_mine(payload):
    with pytest.raises(NotMineError, match="at least 7"):
        read(payload)


@pytest.mark.parametrize("stream", [MEASUREMENT, CUFF])
@pytest.mark.parametrize("flags", [0x02, 0x04, 0x08, 0x10, 0x06, 0x1E])
def test_a_field_that_the_flags_promise_must_be_there(stream, flags):
    n_bytes = sum(n for bit, n in ((2, 7), (4, 2), (8, 1), (16, 2)) if flags & bit)
    with pytest.raises(BrokenError, match="its flags need"):
        read(f"{flags:02X} 7800 5000 5D00" + "00" * (n_bytes - 1), stream)
