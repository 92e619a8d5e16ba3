import math
import struct

import numpy as np
import pytest

from edge.decoders import BrokenError, NotMineError
from edge.decoders.healthypi import (
    BREATHS,
    BREATHS_V4,
    DECODER,
    ECG,
    HEART_RATE,
    OWN_SERVICE,
    PREFIX,
    RESPIRATION,
    SATURATION,
    TEMPERATURE,
)
from edge.records import Packet


def read(uuid: str, payload: bytes):
    return DECODER.open()(Packet("pi", PREFIX + uuid, 5.0, payload))


def value(uuid: str, payload_hex: str) -> float:
    (run,) = read(uuid, bytes.fromhex(payload_hex))
    assert run.values.shape == (1,)
    return float(run.values[0])


def test_a_rate_of_two_and_of_five_bytes_is_read():
    assert value(HEART_RATE, "0648") == 72.0
    assert value(HEART_RATE, "0048") == 72.0
    assert value(HEART_RATE, "0018010000") == 280.0


@pytest.mark.parametrize("payload", ["0448", "0600", "0000", "002D010000", "0000000000"])
def test_a_rate_without_contact_none_and_an_impossible_one_are_no_value(payload):
    assert math.isnan(value(HEART_RATE, payload))


@pytest.mark.parametrize("payload", ["0064", "0064000000"])
def test_the_highest_saturation_is_a_value(payload):
    assert value(SATURATION, payload) == 100.0


@pytest.mark.parametrize("payload", ["0000", "0065", "0000000000", "0019FC0000", "0065000000"])
def test_a_saturation_of_none_is_no_value(payload):
    assert math.isnan(value(SATURATION, payload))


@pytest.mark.parametrize(
    ("payload", "degc"),
    [("740E", 37.0), ("7017", 60.0), ("00C80D00FE", 35.28), ("01DA0300FF", 37.0)],
)
def test_temperatures_of_both_layouts_are_read(payload, degc):
    assert value(TEMPERATURE, payload) == pytest.approx(degc)


@pytest.mark.parametrize(
    "payload", ["0000", "7117", "FFFF", "00FFFF7F00", "00FEFF7F00", "01DA0300FE"]
)
def test_a_temperature_without_a_probe_is_no_value(payload):
    assert math.isnan(value(TEMPERATURE, payload))


@pytest.mark.parametrize("n", [1, 4, 8])
def test_counts_of_32_bits_keep_their_sign_and_come_at_128_hz(n):
    counts = [-131_072, 131_071, 0, -1, 1, 70_000, -70_000, 5][:n]
    (run,) = read(ECG, struct.pack(f"<{n}i", *counts))
    assert (run.signal, run.fs_hz, run.values.tolist()) == ("ecg_au", 128.0, counts)


def test_counts_of_16_bits_are_v4_and_come_at_125_hz():
    (run,) = read(ECG, struct.pack("<9h", *range(-4, 5)))
    assert (run.fs_hz, run.values.tolist()) == (125.0, list(range(-4, 5)))


def test_a_count_that_was_cut_is_no_value_and_keeps_its_place():
    (run,) = read(ECG, struct.pack("<10i", *range(10))[:38])
    np.testing.assert_array_equal(run.values, np.float32([*range(9), np.nan]))


def test_respiration_says_by_its_length_how_often_it_comes():
    rates = {n: read(RESPIRATION, bytes(n))[0].fs_hz for n in (16, 32, 40)}
    assert rates == {16: 64.0, 32: 128.0, 40: 128.0}


def test_a_breathing_rate_that_never_changes_is_not_told():
    assert read(BREATHS, bytes.fromhex("0015000000000000000015")) == ()


@pytest.mark.parametrize(
    ("uuid", "payload", "brpm"),
    [(BREATHS, "0F00", 15.0), (BREATHS_V4, "00" * 12 + "0F", 15.0), (BREATHS, "6400", 100.0)],
)
def test_a_breathing_rate_is_read(uuid, payload, brpm):
    assert value(uuid, payload) == brpm


@pytest.mark.parametrize(("uuid", "payload"), [(BREATHS, "0000"), (BREATHS_V4, "00" * 13)])
def test_a_breathing_rate_of_none_is_no_value(uuid, payload):
    assert math.isnan(value(uuid, payload))


@pytest.mark.parametrize(
    "uuid", [HEART_RATE, SATURATION, TEMPERATURE, ECG, RESPIRATION, BREATHS, BREATHS_V4]
)
@pytest.mark.parametrize("n", [0, 1, 3, 7, 12, 17, 19, 33, 36, 39, 41])
def test_a_length_no_firmware_sends_is_broken(uuid, n):
    with pytest.raises(BrokenError, match=f"of {n} bytes"):
        read(uuid, bytes(n))


@pytest.mark.parametrize(("uuid", "payload"), [(HEART_RATE, "1648"), (SATURATION, "0161000000")])
def test_flags_no_firmware_sends_are_not_mine(uuid, payload):
    with pytest.raises(NotMineError, match="flags"):
        read(uuid, bytes.fromhex(payload))


def test_the_standard_streams_are_not_mine():
    with pytest.raises(NotMineError, match="stream"):
        DECODER.open()(Packet("pi", HEART_RATE, 5.0, b"\x00\x48"))


def test_a_device_is_told_by_its_name_and_a_service_of_its_own_together():
    for profile in DECODER.profiles:
        assert profile.quirk is not None
        assert profile.quirk.name.lower().startswith("healthypi ")
        assert profile.quirk.service == OWN_SERVICE
    names = [profile.quirk.name for profile in DECODER.profiles if profile.quirk]
    assert not any(a != b and b.startswith(a) for a in names for b in names)


def test_the_move_is_not_asked_for_what_it_sends_under_others_uuids():
    (move,) = [profile for profile in DECODER.profiles if profile.name == "healthypi_move"]
    assert not {RESPIRATION, BREATHS, HEART_RATE, SATURATION} & set(move.listen)
