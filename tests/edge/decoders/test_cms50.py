"""The five bytes of a Contec CMS50: no checksum, so a value has to be steady."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoders import DecodeError
from edge.decoders.cms50 import DECODER, STEADY, STREAM, TO_LIVE, recognise
from edge.records import Packet, Samples
from tests.rigs.serial_senders import by_wire, first

WIRE = DECODER.wires[0]


def frame(pleth: int, pulse: int, spo2: int, first_byte: int = 0x85, flags: int = 0x07) -> bytes:
    return bytes([first_byte, pleth, flags | pulse >> 1 & 0x40, pulse & 0x7F, spo2])


def decode(*payloads: bytes) -> list[Samples]:
    clip, found = DECODER.open(), []
    for n, payload in enumerate(payloads):
        try:
            found += clip(Packet("clip", STREAM, 0.2 * n, payload))
        except DecodeError:
            continue
    return found


def values(found: list[Samples], signal: str) -> list[float]:
    return [float(v) for run in found if run.signal == signal for v in run.values]


def last(found: list[Samples]) -> dict[str, float]:
    return {run.signal: float(run.values[-1]) for run in found if run.fs_hz == 0.0}


@pytest.mark.parametrize("pulse", range(1, 255))
def test_the_eighth_bit_of_the_pulse_rate_is_in_the_third_byte(pulse):
    found = decode(frame(1, pulse, 98) * 7)
    assert last(found) == {"pulse_bpm": pulse, "spo2_pct": 98.0, "contact_flag": 1.0}


def test_programs_that_read_the_fourth_byte_alone_are_wrong_from_128_on():
    assert [frame(1, pulse, 98)[3] for pulse in (127, 128, 200)] == [127, 0, 72]


@pytest.mark.parametrize(
    ("pulse", "spo2", "gone"),
    [
        (0, 98, {"pulse_bpm"}),
        (255, 98, {"pulse_bpm"}),
        (75, 0, {"spo2_pct"}),
        (75, 101, {"spo2_pct"}),
        (75, 127, {"spo2_pct"}),
    ],
)
def test_none_is_none(pulse, spo2, gone):
    found = last(decode(frame(1, pulse, spo2) * 7))
    assert {name for name, value in found.items() if math.isnan(value)} == gone


@pytest.mark.parametrize(
    ("first_byte", "flags", "contact", "valid"),
    [
        (0x95, 0x07, 0.0, False),  # searched too long
        (0x85, 0x17, 0.0, False),  # probe error
        (0x85, 0x27, 1.0, False),  # searching
        (0xE5, 0x0F, 1.0, True),  # beep, saturation falls
    ],
)
def test_what_the_flags_say(first_byte, flags, contact, valid):
    found = last(decode(frame(1, 75, 98, first_byte, flags) * 7))
    assert found["contact_flag"] == contact
    assert math.isnan(found["pulse_bpm"]) == math.isnan(found["spo2_pct"]) == (not valid)


def test_the_pleth_has_sixty_samples_a_second_of_seven_bits():
    found = decode(b"".join(frame(n, 75, 98) for n in range(128)) + b"\x80")
    assert values(found, "pleth_au") == list(range(128))
    assert {run.fs_hz for run in found if run.signal == "pleth_au"} == {60.0}


@pytest.mark.parametrize("sample", [0x11, 0x13])
def test_samples_that_xon_xoff_would_swallow_are_there(sample):
    assert not WIRE.xonxoff
    assert values(decode(frame(sample, 75, 98) * 2), "pleth_au") == [sample, sample]


def test_a_value_is_believed_once_it_is_steady():
    for n in range(1, 2 * STEADY):
        found = decode(frame(1, 75, 98) * 20 + frame(1, 140, 98) * n + b"\x80")
        assert (140.0 in values(found, "pulse_bpm")) == (n >= STEADY)


def test_what_stays_is_told_once_a_second():
    found = decode(frame(1, 75, 98) * 601)
    assert len(values(found, "pulse_bpm")) == 10


def test_the_beep_and_the_bar_are_no_news():
    beats = [
        frame(n, 75, 98, first_byte=0x80 | n % 2 << 6 | n % 16, flags=n % 16) for n in range(121)
    ]
    assert len(values(decode(b"".join(beats)), "pulse_bpm")) == 2


@given(st.integers(12, 90), st.sampled_from(("lose", "double", "add")), st.integers(0, 255))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_byte_too_few_or_too_many_makes_no_value_and_moves_no_sample(at, how, byte):
    line = bytearray(b"".join(frame(n, 75, 98) for n in range(20)) + b"\x80")
    if how == "lose":
        del line[at]
    else:
        line.insert(at, line[at] if how == "double" else byte)
    found = decode(bytes(line))
    pleth = values(found, "pleth_au")
    assert set(values(found, "pulse_bpm")) == {75.0}
    assert set(values(found, "spo2_pct")) == {98.0}
    assert len(pleth) == 20
    assert all(a == b or math.isnan(a) for a, b in zip(pleth, range(20), strict=True))
    assert sum(map(math.isnan, pleth)) <= 2


@pytest.mark.parametrize("seed", range(4))
def test_line_noise_makes_no_value_that_was_not_sent(seed):
    sent = first(by_wire()["cms50"], seed, 60.0)
    line = np.frombuffer(b"".join(one.line for one in sent), np.uint8)
    rng = np.random.default_rng(seed)
    flips = (rng.random((len(line), 8)) < 1e-3).astype(np.uint8)
    damaged = (line ^ np.packbits(flips, axis=1)[:, 0]).tobytes()
    found = decode(*(damaged[at : at + 60] for at in range(0, len(damaged), 60)))
    for signal in ("pulse_bpm", "spo2_pct"):
        told = {value for one in sent for value in one.says.get(signal, ())}
        assert {v for v in values(found, signal) if not math.isnan(v)} <= told
        assert len(values(found, signal)) > 30


def test_stored_data_are_not_read():
    stored = bytes.fromhex("f28000" * 3 + "808172") + bytes.fromhex("f0c45f f0c35f f0c85f f0d45f")
    assert values(decode(frame(1, 75, 98) * 3, stored * 20), "pulse_bpm") == []
    assert not recognise(stored * 20)


def test_it_is_told_to_send_live_data():
    assert WIRE.start == (TO_LIVE,) == (b"\xf6\xf6\xf6",)
    assert (WIRE.baud, WIRE.parity) == (19_200, "O")


def test_a_clip_without_a_finger_is_known_too():
    assert recognise(frame(0, 0, 0, flags=0x17) * 31)
    assert recognise(frame(0, 255, 127, flags=0x17) * 31)


def test_five_bytes_of_another_device_whose_numbers_race_are_not_taken_for_it():
    racing = b"".join(frame(n % 128, n % 250, n % 100) for n in range(200))
    assert not recognise(racing)
