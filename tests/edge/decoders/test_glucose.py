from __future__ import annotations

import math

import pytest

from edge.decoders import BrokenError, NotMineError
from edge.decoders.glucose import CONTEXT, DECODER, MEASUREMENT, decode
from edge.gatt import STORED
from edge.records import Packet, Samples

BASE = "E9070B15061E00"  # 2025-11-21 06:30:00
BASE_S = 817_021_800


def read(payload: str, stream: str = STORED + MEASUREMENT) -> tuple[Samples, ...]:
    return decode(Packet("meter", stream, 5.0, bytes.fromhex(payload)))


def test_a_stored_result_is_of_the_past_and_a_live_one_is_not():
    payload = f"020100{BASE} 5AB0 11"
    (stored,), (live,) = read(payload), read(payload, MEASUREMENT)
    assert stored.signal == live.signal == "glucose_mgdl"
    assert stored.values[0] == live.values[0] == 90.0
    assert stored.spot
    assert live.spot
    assert stored.backfilled
    assert not live.backfilled
    assert stored.stamp == live.stamp


@pytest.mark.parametrize(
    ("offset", "minutes"),
    [("0000", 0), ("0100", 1), ("FFFF", -1), ("FE7F", 0x7FFE), ("0180", -0x7FFF)],
)
def test_its_time_is_base_time_and_offset(offset, minutes):
    (found,) = read(f"030100{BASE} {offset} 5AB0 11")
    assert found.stamp is not None
    assert (found.stamp.ticks, found.stamp.tick_s) == (BASE_S + 60 * minutes, 1.0)


@pytest.mark.parametrize(
    "payload",
    [
        f"030100{BASE} FF7F 5AB0 11",  # the sum does not fit
        f"030100{BASE} 0080 5AB0 11",
        "020100 00000000000000 5AB0 11",  # the clock was never set
        "030100 E9070D15061E00 0000 5AB0 11",  # a thirteenth month
        f"0A0100{BASE} 5AB0 11 0008",  # the clock is at fault
    ],
)
def test_where_the_time_is_not_known_the_result_stays_without_one(payload):
    (found,) = read(payload)
    assert found.stamp is None
    assert found.values[0] == 90.0


def test_both_units_give_the_same_result():
    # 5.5 mmol/L, and what 5.5 mmol of C6H12O6 weigh in a tenth of a litre.
    (molar,) = read(f"060100{BASE} 37C0 11")
    (mass,) = read(f"020100{BASE} DFA3 11")
    assert molar.values[0] == pytest.approx(99.0858, rel=1e-6)
    assert mass.values[0] == pytest.approx(99.1, rel=1e-6)


@pytest.mark.parametrize("bit", range(12))
def test_a_result_the_meter_does_not_stand_by_is_no_value(bit):
    found, *flags = read(f"0A0100{BASE} 5AB0 11" + (1 << bit).to_bytes(2, "little").hex())
    beyond = {5: ["glucose_high_flag"], 6: ["glucose_low_flag"]}
    assert [(s.signal, *s.values) for s in flags] == [(name, 1.0) for name in beyond.get(bit, [])]
    assert math.isnan(found.values[0]) == (bit not in {0, 11})


@pytest.mark.parametrize("raw", ["FF07", "0008", "0108", "FE07", "0208", "0000", "FFBF", "65E0"])
def test_what_is_no_result_stays_none(raw):
    # The last two: less than nothing, and more than any meter can measure.
    found, *flags = read(f"020100{BASE} {raw} 11")
    beyond = {"FE07": ["glucose_high_flag"], "0208": ["glucose_low_flag"]}
    assert [s.signal for s in flags] == beyond.get(raw, [])
    assert math.isnan(found.values[0])


def test_the_highest_result_is_one():
    (found,) = read(f"020100{BASE} 01E0 11")
    assert found.values[0] == 1000.0


@pytest.mark.parametrize("kind", ["1A", "FA", "41", "4A"])
def test_a_control_solution_is_not_the_patient(kind):
    assert read(f"020100{BASE} 5AB0 {kind}") == ()


@pytest.mark.parametrize("kind", [f"{kind:X}" for kind in range(1, 10)])
def test_every_other_sample_is_the_patient(kind):
    assert read(f"020100{BASE} 5AB0 1{kind}")[0].values[0] == 90.0


def test_a_record_without_a_concentration_gives_nothing():
    assert read(f"000100{BASE}") == ()
    assert read(f"090100{BASE} 0500 0200") == ()


def test_less_than_a_record_is_not_mine():
    with pytest.raises(NotMineError, match="at least 10"):
        read(f"020100{BASE}"[:-2])


@pytest.mark.parametrize(("flags", "n_bytes"), [(1, 12), (2, 13), (8, 12), (3, 15), (11, 17)])
def test_a_field_that_the_flags_promise_must_be_there(flags, n_bytes):
    whole = bytes([flags, 1, 0]) + bytes.fromhex(BASE) + bytes(n_bytes - 10)
    read(whole.hex())
    with pytest.raises(BrokenError, match=f"need {n_bytes}"):
        read(whole[:-1].hex())


@pytest.mark.parametrize(
    ("flags", "n_bytes"),
    [(0, 3), (1, 6), (2, 4), (4, 4), (8, 6), (16, 6), (32, 3), (64, 5), (128, 4), (255, 17)],
)
def test_a_context_is_checked_and_gives_nothing(flags, n_bytes):
    whole = bytes([flags, 1, 0]) + bytes(n_bytes - 3)
    assert read(whole.hex(), CONTEXT) == ()
    with pytest.raises((BrokenError, NotMineError)):
        read(whole[:-1].hex(), CONTEXT)


def test_records_are_asked_for_from_the_last_one_on():
    (profile,) = DECODER.profiles
    assert profile.records is not None
    record = bytes.fromhex(f"02FE01{BASE}5AB011")
    assert profile.records.sequence(record) == 0x01FE
    assert profile.records.request(None).hex() == "0101"
    assert profile.records.request(0x01FE).hex() == "010301fe01"
