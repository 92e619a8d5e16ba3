"""The nine bytes of newer Contec clips."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoders import DecodeError
from edge.decoders.cms50_v7 import BYTES, DECODER, GO_ON, START, STREAM, frame_at, recognise
from edge.records import Packet, Samples
from tests.rigs.serial_senders import by_wire, first

WIRE = DECODER.wires[0]
NO_INDEX = 0xFFFF
CAPTURED = bytes.fromhex("01E085B396C1E1FFFF")  # headrotor/contec_data: 65 bpm, 97 %


def packed(kind: int, *body: int) -> bytes:
    """Return a frame: the eighth bits of its bytes are in the second one."""
    high = sum((byte >> 7) << bit for bit, byte in enumerate(body))
    return bytes([kind, 0x80 | high, *(byte | 0x80 for byte in body)])


def live(
    pulse: int, spo2: int, index: int = NO_INDEX, pleth: int = 9, first_byte: int = 5
) -> bytes:
    return packed(1, first_byte, pleth, 0x15, pulse, spo2, index & 0xFF, index >> 8)


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


def test_the_commands_are_those_that_were_captured():
    assert packed(0x7D, 0xA1, 0, 0, 0, 0, 0, 0) == START == bytes.fromhex("7d81a1808080808080")
    assert packed(0x7D, 0xAF, 0, 0, 0, 0, 0, 0) == GO_ON == bytes.fromhex("7d81af808080808080")
    assert (WIRE.start, WIRE.poll, WIRE.poll_s) == ((START,), GO_ON, 5.0)
    assert not WIRE.xonxoff


def test_what_was_captured_is_read():
    assert last(decode(CAPTURED * 7)) == {
        "pulse_bpm": 65.0,
        "spo2_pct": 97.0,
        "contact_flag": 1.0,
    }


@pytest.mark.parametrize("pulse", range(1, 255))
def test_the_eighth_bit_of_the_pulse_rate_is_among_the_high_bits(pulse):
    assert last(decode(live(pulse, 98) * 7))["pulse_bpm"] == pulse


def test_known_errors_of_other_programs_are_not_made():
    frame = live(128, 98)
    assert frame[5] & 0x7F == 0  # CMS50FW, cms50ew, Contec_cms50dplus
    assert frame[1] == 0xE8  # contec_data takes E0 only
    assert last(decode(frame * 7))["pulse_bpm"] == 128.0


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
    found = last(decode(live(pulse, spo2) * 7))
    assert {name for name, value in found.items() if math.isnan(value)} == gone


@pytest.mark.parametrize("index", [1, 127, 128, 590, 2047, 10_000])
def test_the_perfusion_index_has_sixteen_bits_of_hundredths(index):
    assert last(decode(live(75, 98, index) * 7))["pai_pct"] == pytest.approx(index / 100)


def test_a_clip_without_an_index_gets_none_and_one_with_it_loses_it():
    assert "pai_pct" not in last(decode(live(75, 98) * 7))
    assert "pai_pct" not in last(decode(live(75, 98, 0) * 7))
    assert "pai_pct" not in last(decode(live(75, 98, 10_001) * 7))
    for none in (0, NO_INDEX, 10_001):
        assert math.isnan(last(decode(live(75, 98, 590) * 7 + live(75, 98, none) * 7))["pai_pct"])


@pytest.mark.parametrize(
    ("first_byte", "pleth", "contact", "valid"),
    [
        (0x85, 9, 0.0, False),  # probe error
        (0x05, 0x89, 1.0, False),  # searching
        (0x15, 9, 1.0, False),  # searched too long
        (0x65, 9, 1.0, True),  # beep, saturation low
    ],
)
def test_what_the_flags_say(first_byte, pleth, contact, valid):
    found = last(decode(live(75, 98, 590) * 7 + live(75, 98, 590, pleth, first_byte) * 7))
    assert found["contact_flag"] == contact
    gone = {name for name, value in found.items() if math.isnan(value)}
    assert gone == (set() if valid else {"pulse_bpm", "spo2_pct", "pai_pct"})


@pytest.mark.parametrize("high", [0, 1])
def test_the_pleth_has_sixty_samples_a_second_of_seven_bits(high):
    frames = [live(75, 98, pleth=n | high << 7) for n in range(128)]
    found = decode(b"".join(frames) + b"\x01")
    assert values(found, "pleth_au") == list(range(128))
    assert {run.fs_hz for run in found if run.signal == "pleth_au"} == {60.0}


def test_a_clip_that_hangs_up_has_no_values_any_more():
    found = decode(live(75, 98, 590) * 7 + packed(0x0D, 0x01))
    assert all(math.isnan(last(found)[name]) for name in ("pulse_bpm", "spo2_pct", "pai_pct"))
    assert last(found)["contact_flag"] == 1.0
    back = decode(live(75, 98) * 7 + packed(0x0D, 0x01), live(75, 98) * 7)
    assert values(back, "pulse_bpm")[0::2] == [75.0, 75.0]


def test_a_refused_command_among_live_data_takes_nothing_away():
    refused = packed(0x0B, 0xA1, 0x03)
    found = decode(b"".join(live(75, 98, pleth=n) + refused for n in range(20)) + b"\x01")
    assert values(found, "pleth_au") == list(range(20))
    assert values(found, "pulse_bpm") == [75.0]


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_a_type_moves_no_sample(bit):
    frames = [live(75, 98, pleth=n) for n in range(20)]
    frames[9] = bytes([0x01 ^ 1 << bit]) + frames[9][1:]
    pleth = values(decode(b"".join(frames) + b"\x01"), "pleth_au")
    assert len(pleth) == 20
    assert all(a == b or math.isnan(a) for a, b in zip(pleth, range(20), strict=True))


@pytest.mark.parametrize("flow", [b"\x11", b"\x13", b"\x13\x11", b"\x11\x11"])
def test_xon_and_xoff_between_frames_take_nothing_away(flow):
    found = decode(b"".join(live(75, 98, pleth=n) + flow for n in range(20)) + b"\x01")
    assert values(found, "pleth_au") == list(range(20))


def test_a_frame_is_as_long_as_its_type_says():
    for kind in range(256):
        for n_bytes in range(2, 11):
            line = (
                packed(kind & 0x7F, *[0x55] * (n_bytes - 2)) if kind < 0x80 else bytes([kind] * 9)
            )
            is_one = n_bytes == BYTES.get(kind)
            assert (frame_at(line + b"\x01", 0) == n_bytes) == is_one


@given(st.integers(12, 160), st.sampled_from(("lose", "double", "add")), st.integers(0, 255))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_byte_too_few_or_too_many_makes_no_value_and_moves_no_sample(at, how, byte):
    line = bytearray(b"".join(live(75, 98, pleth=n) for n in range(20)) + b"\x01")
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
    sent = first(by_wire()["cms50_v7"], seed, 60.0)
    line = np.frombuffer(b"".join(one.line for one in sent), np.uint8)
    rng = np.random.default_rng(seed)
    flips = (rng.random((len(line), 8)) < 1e-3).astype(np.uint8)
    damaged = (line ^ np.packbits(flips, axis=1)[:, 0]).tobytes()
    found = decode(*(damaged[at : at + 108] for at in range(0, len(damaged), 108)))
    for signal in ("pulse_bpm", "spo2_pct"):
        told = {value for one in sent for value in one.says.get(signal, ())}
        assert {v for v in values(found, signal) if not math.isnan(v)} <= told
        assert len(values(found, signal)) > 30


def test_stored_data_are_not_read():
    stored = packed(0x0F, 0x5E, 0x42, 0x5E, 0x42, 0x5E, 0x42) * 50
    assert decode(live(75, 98) * 2, stored) != []
    assert values(decode(live(75, 98) * 2, stored), "pulse_bpm") == []
    assert not recognise(stored)


def test_it_is_known_by_live_data_alone():
    assert recognise(CAPTURED * 13)
    assert not recognise(CAPTURED * 12)  # the beginning of the next one is part of the check
    assert not recognise(packed(4, *[0x20] * 7) * 30)
