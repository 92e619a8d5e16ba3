import math

import pytest

from edge.decoders import BrokenError, NotMineError
from edge.decoders.pulse_oximeter import CONTINUOUS, DECODER, KEPT, SPOT_CHECK
from edge.records import Packet


def read(payload_hex: str, stream: str = CONTINUOUS) -> dict[str, float]:
    packet = Packet("clip", stream, 5.0, bytes.fromhex(payload_hex))
    return {samples.signal: float(samples.values[0]) for samples in DECODER.open()(packet)}


def with_status(bit: int) -> str:
    return "08 6100 4800" + (1 << bit).to_bytes(3, "little").hex()


def with_measurement(bit: int) -> str:
    return "04 6100 4800" + (1 << bit).to_bytes(2, "little").hex()


def test_normal_values_are_read_and_the_fast_and_slow_ones_are_not():
    assert read("03 6100 4800 5000 5000 5100 5100") == {"spo2_pct": 97.0, "pulse_bpm": 72.0}


def test_tenths_are_read():
    assert read("00 D7F3 4800")["spo2_pct"] == pytest.approx(98.3)


@pytest.mark.parametrize("bit", [9, 10, 11])
def test_storage_demonstrations_and_tests_give_no_samples(bit):
    assert read(with_measurement(bit)) == {}


@pytest.mark.parametrize("bit", [13, 14, 15])
def test_what_the_device_does_not_stand_by_is_no_value(bit):
    found = read(with_measurement(bit))
    assert math.isnan(found["spo2_pct"])
    assert math.isnan(found["pulse_bpm"])


@pytest.mark.parametrize("bit", [5, 6, 7, 8, 12])
def test_measurements_in_progress_and_qualified_are_values(bit):
    assert read(with_measurement(bit)) == {"spo2_pct": 97.0, "pulse_bpm": 72.0}


@pytest.mark.parametrize("bit", [11, 13, 15])
def test_a_sensor_off_its_place_has_no_contact_and_no_value(bit):
    found = read(with_status(bit))
    assert found["contact_flag"] == 0.0
    assert math.isnan(found["spo2_pct"])
    assert math.isnan(found["pulse_bpm"])


@pytest.mark.parametrize("bit", [1, 3, 7, 12, 14])
def test_a_sensor_that_cannot_measure_has_no_value(bit):
    found = read(with_status(bit))
    assert found["contact_flag"] == 1.0
    assert math.isnan(found["spo2_pct"])


@pytest.mark.parametrize("bit", [0, 2, 4, 5, 6, 8, 9, 10])
def test_a_poor_signal_still_is_a_value(bit):
    assert read(with_status(bit)) == {"spo2_pct": 97.0, "pulse_bpm": 72.0, "contact_flag": 1.0}


@pytest.mark.parametrize("raw", ["FF07", "0008", "0108", "FE07", "0208", "6500", "FFFF", "0000"])
def test_an_impossible_saturation_is_no_value(raw):
    found = read(f"00 {raw} 4800")
    assert math.isnan(found["spo2_pct"])
    assert found["pulse_bpm"] == 72.0


@pytest.mark.parametrize("raw", ["FF07", "2D01", "FFFF", "0000"])
def test_an_impossible_pulse_is_no_value(raw):
    found = read(f"00 6100 {raw}")
    assert found["spo2_pct"] == 97.0
    assert math.isnan(found["pulse_bpm"])


def test_the_highest_values_are_values():
    assert read("00 6400 2C01") == {"spo2_pct": 100.0, "pulse_bpm": 300.0}


@pytest.mark.parametrize(
    ("stream", "measured", "spot", "backfilled"),
    [
        (CONTINUOUS, "0001", False, False),
        (SPOT_CHECK, "0001", True, False),
        (SPOT_CHECK, "0003", True, True),
        (KEPT, "0001", True, True),
        (KEPT, "0003", True, True),
    ],
)
def test_what_was_kept_is_of_the_past_and_a_spot_check_is_a_reading(
    stream, measured, spot, backfilled
):
    flags = "0C" if stream == CONTINUOUS else "06"
    packet = Packet("clip", stream, 5.0, bytes.fromhex(f"{flags} 6100 4800 {measured} 000000"))
    found = DECODER.open()(packet)
    assert [s.signal for s in found] == ["spo2_pct", "pulse_bpm", "contact_flag"]
    assert {(s.spot, s.backfilled) for s in found} == {(spot, backfilled)}


@pytest.mark.parametrize("stream", [SPOT_CHECK, KEPT])
@pytest.mark.parametrize(
    ("payload", "ticks"),
    [
        ("01 6100 4800 D007 01 02 00 00 01", 86_401),
        ("11 6100 4800 D007 01 02 00 00 01", None),
        ("01 6100 4800 0000 00 00 00 00 00", None),
        ("00 6100 4800", None),
    ],
)
def test_a_spot_check_is_stamped_with_a_clock_that_is_set(stream, payload, ticks):
    for samples in DECODER.open()(Packet("clip", stream, 5.0, bytes.fromhex(payload))):
        assert (samples.stamp and samples.stamp.ticks) == ticks


@pytest.mark.parametrize("bit", [10, 11])
@pytest.mark.parametrize("stream", [SPOT_CHECK, KEPT])
def test_a_demonstration_is_of_no_patient_even_from_storage(stream, bit):
    status = (1 << bit | 1 << 9).to_bytes(2, "little").hex()
    assert read(f"02 6100 4800 {status}", stream) == {}


def test_a_spot_check_carries_a_time_where_the_continuous_one_has_a_pair():
    found = read("09 6100 4800 E9070B1510201E 19F0", SPOT_CHECK)
    assert found == {"spo2_pct": 97.0, "pulse_bpm": 72.0, "pai_pct": 2.5}


@pytest.mark.parametrize("payload", ["", "00 6100 48"])
def test_less_than_a_measurement_is_not_mine(payload):
    with pytest.raises(NotMineError, match="at least 5"):
        read(payload)


@pytest.mark.parametrize("stream", [CONTINUOUS, SPOT_CHECK, KEPT])
@pytest.mark.parametrize("flags", range(1, 16))
def test_a_field_that_the_flags_promise_must_be_there(stream, flags):
    with pytest.raises(BrokenError, match="its flags need"):
        read(f"{flags:02X} 6100 4800 FF", stream)


def test_only_a_clip_with_continuous_measurements_has_a_deadline():
    continuous, spot = DECODER.profiles
    assert (continuous.listen, continuous.deadline_s > 0) == ((CONTINUOUS,), True)
    assert (spot.listen, spot.deadline_s) == ((SPOT_CHECK,), 0.0)
    assert spot.streams == (SPOT_CHECK, KEPT)
