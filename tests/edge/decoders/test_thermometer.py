import math

import pytest

from edge.bits import pack_medfloat
from edge.decoders import BrokenError, Decode, NotMineError
from edge.decoders.thermometer import DECODER, INTERMEDIATE, MEASUREMENT, PLACE, PLACES
from edge.records import Packet, Samples


def read(payload_hex: str, stream: str = MEASUREMENT, decode: Decode | None = None) -> Samples:
    decode = decode or DECODER.open()
    (found,) = decode(Packet("ear", stream, 5.0, bytes.fromhex(payload_hex)))
    return found


def celsius(value: float, flags: int = 0) -> float:
    return float(read((bytes([flags]) + pack_medfloat(value, -2)).hex()).values[0])


def test_a_finished_measurement_is_a_reading_and_one_in_progress_is_none():
    done, doing = read("00 6C0100FF"), read("00 6C0100FF", INTERMEDIATE)
    assert (done.signal, done.spot) == ("temp_degc", True)
    assert (doing.signal, doing.spot) == ("probe_degc", False)
    assert not done.backfilled


@pytest.mark.parametrize(("fahrenheit", "degc"), [(98.6, 37.0), (100.4, 38.0), (33.8, 1.0)])
def test_fahrenheit_is_converted(fahrenheit, degc):
    assert celsius(fahrenheit, 0x01) == pytest.approx(degc, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0, 60.01, 100.0, math.nan, math.inf, -math.inf])
def test_no_value_and_impossible_ones_are_nan(value):
    assert math.isnan(celsius(value))


@pytest.mark.parametrize("value", [0.01, 20.0, 60.0])
def test_a_cold_patient_and_a_warm_probe_are_values(value):
    assert celsius(value) == pytest.approx(value)


def test_the_stamp_is_the_thermometers_own_date():
    stamp = read("02 6C0100FF D007 01 02 00 00 01").stamp
    assert stamp is not None
    assert (stamp.ticks, stamp.tick_s) == (86_401, 1.0)


@pytest.mark.parametrize(
    "date", ["0000 01 02 00 00 01", "E907 02 1D 00 00 00", "E907 01 02 18 00 00"]
)
def test_an_unknown_or_impossible_date_is_no_stamp(date):
    found = read("02 6C0100FF" + date)
    assert found.stamp is None
    assert found.values[0] == pytest.approx(36.4)


def test_what_is_in_progress_is_of_now_whatever_the_date_says():
    assert read("02 6C0100FF D007 01 02 00 00 01", INTERMEDIATE).stamp is None


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "armpit"), (3, "ear"), (6, "mouth"), (9, "eardrum"), (10, ""), (255, "")],
)
def test_the_place_is_the_lead(number, word):
    assert read(f"04 6C0100FF {number:02X}").lead == word
    assert len(PLACES) == 10


def test_the_place_that_was_read_holds_for_measurements_that_name_none():
    decode = DECODER.open()
    assert decode(Packet("ear", PLACE, 4.0, b"\x09")) == ()
    assert read("00 6C0100FF", decode=decode).lead == "eardrum"
    assert read("04 6C0100FF 06", decode=decode).lead == "mouth"
    assert read("00 6C0100FF", decode=decode).lead == "eardrum"
    assert read("00 6C0100FF").lead == ""


@pytest.mark.parametrize(
    ("stream", "payload"),
    [(MEASUREMENT, ""), (INTERMEDIATE, "00 6C0100"), (PLACE, ""), (PLACE, "0303")],
)
def test_what_is_no_temperature_is_not_mine(stream, payload):
    with pytest.raises(NotMineError, match="needs"):
        read(payload, stream)


@pytest.mark.parametrize("stream", [MEASUREMENT, INTERMEDIATE])
@pytest.mark.parametrize("payload", ["02 6C0100FF D007 01 02 00 00", "04 6C0100FF"])
def test_a_field_that_the_flags_promise_must_be_there(stream, payload):
    with pytest.raises(BrokenError, match="its flags need"):
        read(payload, stream)
