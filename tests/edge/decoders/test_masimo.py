"""Masimo's lines of text: what they say, and that a damaged one says nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoders import BrokenError, DecodeError
from edge.decoders.masimo import DECODER, frame_at, recognise
from edge.records import Packet
from tests.rigs.serial_senders import by_wire, disagreement, first

WIRE = DECODER.wires[0]
RAD_8 = (
    b"02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% SPCO=--.-% SPMET=--.-% DESAT=-- "
    b"PIDELTA=+-- ALARM=0000 EXC=000800\r\n"
)
OFF = RAD_8.replace(b"EXC=000800", b"EXC=000820")
GOOD = {"spo2_pct": 98.0, "pulse_bpm": 97.0, "pai_pct": 3.6, "contact_flag": 1.0}


def bring(*payloads: bytes) -> dict[str, float]:
    """Return the last value of each signal in these packets."""
    decode, found = DECODER.open(), {}
    for payload in payloads:
        try:
            runs = decode(Packet("clip", WIRE.stream, 5.0, payload))
        except DecodeError:
            continue
        found |= {run.signal: float(run.values[-1]) for run in runs}
    return found


def with_exceptions(bits: int) -> bytes:
    return RAD_8.replace(b"EXC=000800", b"EXC=%06X" % bits)


def test_a_line_tells_saturation_pulse_perfusion_and_contact():
    assert bring(RAD_8) == pytest.approx(GOOD)


@pytest.mark.parametrize("size", [1, 7, 16, 100, len(RAD_8) - 1])
def test_a_line_is_read_however_it_is_cut(size: int):
    line = RAD_8 * 2
    assert bring(*(line[a : a + size] for a in range(0, len(line), size))) == pytest.approx(GOOD)


def test_a_line_is_read_as_soon_as_its_end_begins():
    assert bring(RAD_8[:-1]) == pytest.approx(GOOD)
    assert not bring(RAD_8[:-2])


@pytest.mark.parametrize("end", [b"\r\n", b"\n\r", b"\n", b"\r", b"\r\n\r\n", b" \r\n"])
def test_any_end_of_a_line_will_do(end: bytes):
    line = RAD_8.rstrip() + end
    batch = DECODER.open_batch()([Packet("clip", WIRE.stream, 5.0, line * 3)])
    assert (len(batch.found), batch.n_damaged, batch.errors) == (12, 0, [])


@pytest.mark.parametrize("bits", [0x1, 0x20, 0x1000, 0x820, 0x824])
def test_a_finger_that_is_not_there_has_no_saturation_whatever_the_line_says(bits: int):
    found = bring(with_exceptions(bits))
    assert found.pop("contact_flag") == 0.0
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    "bits", [0x2, 0x8, 0x80, 0x100, 0x4000, 0x8000, 0x10000, 0x20000, 0x80000, 0x100000]
)
def test_what_makes_a_measurement_impossible_takes_the_values(bits: int):
    found = bring(with_exceptions(bits | 0x800))
    assert found.pop("contact_flag") == 1.0
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("bits", [0x0, 0x4, 0x10, 0x40, 0x400, 0x2000, 0x40000, 0x600000])
def test_a_weak_signal_keeps_its_values(bits: int):
    assert bring(with_exceptions(bits | 0x800)) == pytest.approx(GOOD)


@pytest.mark.parametrize("spo2", [b"---", b"000"])
def test_dashes_and_zeros_are_no_values(spo2: bytes):
    found = bring(RAD_8.replace(b"098", spo2).replace(b"03.60", b"--.--"))
    assert math.isnan(found["spo2_pct"])
    assert math.isnan(found["pai_pct"])
    assert found["pulse_bpm"] == 97.0


def test_fields_are_found_by_name_in_any_order_and_unknown_ones_are_passed_over():
    line = b"31/12/26 23:59:59 EXC=000800 NEW=ab.c+1% ALARM=0000 BPM=061% SPO2=095%\n"
    assert bring(line) == {"spo2_pct": 95.0, "pulse_bpm": 61.0, "contact_flag": 1.0}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"SPO2=098%", b"SPO2=198%"),
        (b"SPO2=098%", b"SPO2=098"),
        (b"SPO2=098%", b"SPO2=98%"),
        (b"SPO2=098%", b"SPO2=09-%"),
        (b"SPO2=098%", b"SPO3=098%"),
        (b"SPO2=098%", b"SPO2=098% SPO2=097%"),
        (b"BPM=097", b"BPM=997"),
        (b"BPM=097", b"BPM=0o7"),
        (b"BPM=097", b"BPN=097"),
        (b"PI=03.60%", b"PI=23.60%"),
        (b"PI=03.60%", b"PI=03.6%"),
        (b"EXC=000800", b"EXC=00080"),
        (b"EXC=000800", b"EXC=000"),
        (b"EXC=000800", b"EXC=00080G"),
        (b"ALARM=0000", b"ALARM"),
        (b" DESAT", b"  DESAT"),
        (b" DESAT", b"\tDESAT"),
        (b"DESAT=--", b"DESAT=-\xad"),
        (b"02/22/16", b"02/42/16"),
        (b"22:47:45", b"22:67:45"),
    ],
)
def test_a_field_that_is_damaged_makes_the_line_broken(good: bytes, bad: bytes):
    assert good in RAD_8
    decode = DECODER.open()
    assert decode(Packet("clip", WIRE.stream, 5.0, RAD_8))
    with pytest.raises(BrokenError):
        decode(Packet("clip", WIRE.stream, 6.0, RAD_8.replace(good, bad)))
    assert decode(Packet("clip", WIRE.stream, 7.0, RAD_8))


@given(st.integers(0, len(OFF) - 3), st.integers(0, 255))
@settings(max_examples=600, deadline=None)
def test_one_changed_byte_is_seen_where_it_is_not_a_digit_for_a_digit(at: int, byte: int):
    damaged = bytearray(RAD_8)
    damaged[at] = byte
    found = bring(bytes(damaged))
    if not (chr(RAD_8[at]) in "0123456789" and chr(byte) in "0123456789ABCDEFabcdef"):
        # Refused, or changed where nothing is read; at most the perfusion index loses its name.
        assert not found or GOOD | found == pytest.approx(GOOD)
        assert not found or {"spo2_pct", "pulse_bpm", "contact_flag"} <= found.keys()


@given(st.integers(0, 2 * len(OFF) - 1), st.integers(1, 60))
@settings(max_examples=600, deadline=None)
def test_lost_bytes_never_put_a_finger_into_an_empty_clip(at: int, n_lost: int):
    line = OFF * 4
    kept = line[:at] + line[at + n_lost :]
    found = bring(*(kept[a : a + 64] for a in range(0, len(kept), 64)))
    assert found["contact_flag"] == 0.0
    assert math.isnan(found["spo2_pct"])


def test_one_line_from_anywhere_is_enough_to_know_it():
    assert recognise(RAD_8[50:] + RAD_8)
    assert not recognise(RAD_8[50:] + RAD_8[:-2])
    assert not recognise(b"SPO2=098 HR=072\r\n" * 20)  # Nonin's text


@pytest.mark.parametrize("begun", [b"0", b"02/2", b"\r\n\x00", RAD_8[:17], RAD_8[:-2]])
def test_what_may_become_a_line_is_waited_for(begun: bytes):
    assert frame_at(begun, 0) == 0


def test_a_line_that_is_held_low_is_one_piece_of_damage():
    # A break gives zeros for as long as it lasts.
    line = RAD_8 + b"\0" * 4096 + RAD_8
    batch = DECODER.open_batch()([Packet("clip", WIRE.stream, 5.0, line)])
    assert len(batch.found) == 8
    assert batch.n_damaged == 1


@pytest.mark.parametrize("seed", range(3))
def test_it_reads_all_that_a_made_up_device_sends_however_it_is_cut(seed: int):
    sent = first(by_wire()["masimo"], seed, 600.0)
    line, rng, at, packets = b"".join(one.line for one in sent), np.random.default_rng(seed), 0, []
    while at < len(line):
        size = int(rng.integers(1, 400))
        packets.append(Packet("rig", WIRE.stream, len(packets) * 0.1, line[at : at + size]))
        at += size
    batch = DECODER.open_batch()(packets)
    assert not batch.errors
    assert batch.n_damaged == 0
    assert not disagreement((samples for samples, _ in batch.found), sent)
    assert WIRE.recognise(line[-1000:])
