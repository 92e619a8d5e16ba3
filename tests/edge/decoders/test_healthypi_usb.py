"""HealthyPi v4 at a cable: what its frames hold, what they must never become, what damage does."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoders import BrokenError, DecodeError
from edge.decoders.healthypi_usb import (
    CONSTANT,
    DECODER,
    ECG_STEP_MV,
    FRAME_BYTES,
    FS_HZ,
    HEAD,
    SURE_FRAMES,
    TAIL,
    TELL_EVERY,
    frame_at,
    recognise,
)
from edge.records import Packet, Samples
from tests.rigs.serial_senders import by_wire, disagreement, first

WIRE = DECODER.wires[0]


def board_frame(
    ecg: int = 0, *, spo2: int = 97, hr: int = 72, off: int = 0, constant: bytes = CONSTANT
) -> bytes:
    content = struct.pack("<hhiiHBBB", ecg, -ecg, 100_000 + ecg, 90_000, 3650, 15, spo2, hr)
    return HEAD + content + constant + bytes([off]) + TAIL


class Line:
    def __init__(self) -> None:
        self._decode = DECODER.open()

    def bring(self, *payloads: bytes) -> list[Samples]:
        """Return what these packets hold; those that are refused hold nothing."""
        found: list[Samples] = []
        for payload in payloads:
            try:
                found += self._decode(Packet("board", WIRE.stream, 5.0, payload))
            except DecodeError:
                continue
        return found


def values(found: list[Samples], signal: str, lead: str = "") -> list[float]:
    return [float(v) for s in found if (s.signal, s.lead) == (signal, lead) for v in s.values]


def test_a_frame_is_a_sample_of_each_waveform_at_125_hz():
    found = Line().bring(board_frame(41))
    assert [(s.signal, s.lead, s.fs_hz) for s in found] == [
        ("ecg_mv", "", FS_HZ),
        ("resp_au", "", FS_HZ),
        ("pleth_au", "ir", FS_HZ),
        ("pleth_au", "red", FS_HZ),
    ]
    assert [float(s.values[0]) for s in found] == pytest.approx(
        [1.0093, -41, 100_041, 90_000], 1e-4
    )


def test_the_step_of_the_ecg_is_that_of_gain_12_and_two_shifts():
    # 2.42 V over 2**23 and gain 12, the high 16 of 24 bits, two more bits dropped.
    assert pytest.approx(2.42 / 2**23 / 12 * 2**8 * 2**2 * 1000) == ECG_STEP_MV


@given(st.lists(st.integers(0, 255), min_size=2, max_size=2))
@settings(max_examples=300, deadline=None)
def test_80_and_120_never_become_a_blood_pressure(constant: list[int]):
    sent = [board_frame(n, constant=bytes(constant)) for n in range(2 * TELL_EVERY)]
    found = Line().bring(*sent)
    assert bool(found) == (bytes(constant) == CONSTANT)
    assert not [s for s in found if "mmhg" in s.signal or "pressure" in s.signal]
    assert not [s for s in found if set(np.unique(s.values)) & {80.0, 120.0}]
    assert not [signal for signal in DECODER.signals if signal.endswith("mmhg")]


def test_what_changes_slowly_is_told_once_a_second():
    found = Line().bring(*(board_frame() for _ in range(8 * TELL_EVERY)))
    assert len(values(found, "ecg_mv")) == 8 * TELL_EVERY
    for signal in ("temp_degc", "resp_brpm", "spo2_pct", "hr_bpm"):
        assert len(values(found, signal)) == 8


@given(st.lists(st.integers(1, 200), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_values_are_the_same_however_the_line_is_cut(sizes: list[int]):
    sent = [board_frame(n % 90, hr=60 + n // 50) for n in range(300)]
    line = b"".join(sent)
    cuts = [0, *np.cumsum(sizes), len(line)]
    cut = Line().bring(*(line[a:b] for a, b in pairwise(cuts)))
    alone = Line().bring(*sent)
    for signal in DECODER.signals:
        for lead in ("", "ir", "red"):
            assert values(cut, signal, lead) == values(alone, signal, lead)


@given(st.integers(0, 9), st.integers(0, FRAME_BYTES - 1), st.integers(1, FRAME_BYTES))
@settings(max_examples=200, deadline=None)
def test_lost_bytes_cost_no_frame_but_the_damaged_ones(which: int, at: int, n_lost: int):
    sent = [board_frame(n + 1) for n in range(20)]
    line = b"".join(sent)
    place = which * FRAME_BYTES + at
    kept = line[:place] + line[place + n_lost :]
    hit = {
        n for n in range(20) if place < (n + 1) * FRAME_BYTES and n * FRAME_BYTES < place + n_lost
    }
    expected = [(n + 1) * ECG_STEP_MV for n in range(20) if n not in hit]
    got = [v for v in values(Line().bring(kept), "ecg_mv") if np.isfinite(v)]
    # A piece lost over the end of a frame may leave one whole one made of both.
    assert [v for v in got if any(abs(v - e) < 1e-4 for e in expected)] == pytest.approx(expected)
    assert len(got) <= len(expected) + 1


def test_a_damaged_frame_is_a_hole_of_one_sample():
    sent = [board_frame(n + 1) for n in range(5)]
    sent[2] = flipped(sent[2], 8)
    got = np.array(values(Line().bring(b"".join(sent)), "ecg_mv")) / ECG_STEP_MV
    np.testing.assert_allclose(got, [1, 2, np.nan, 4, 5], rtol=1e-5)


def test_a_frame_that_differs_from_the_others_does_not_speak_of_the_patient():
    sent = [board_frame(), board_frame(spo2=33), board_frame(hr=200), board_frame(), board_frame()]
    found = Line().bring(*sent, *(board_frame() for _ in range(2)))
    assert not values(found, "spo2_pct")
    more = Line().bring(*sent, *(board_frame() for _ in range(3)))
    assert (values(more, "spo2_pct"), values(more, "hr_bpm")) == ([97.0], [72.0])


def test_the_electrodes_are_not_said_to_be_on_by_a_board_that_cannot_tell():
    line = Line()
    assert not values(line.bring(*(board_frame() for _ in range(300))), "lead_off_flag")
    off = line.bring(*(board_frame(off=2) for _ in range(250)))
    assert values(off, "lead_off_flag") == [1.0, 1.0]
    assert np.isnan(values(off, "ecg_mv")).all()
    assert np.isfinite(values(off, "pleth_au", "ir")).all()
    on = line.bring(*(board_frame(7) for _ in range(250)))
    assert values(on, "lead_off_flag") == [0.0, 0.0]
    assert np.isfinite(values(on, "ecg_mv")).all()


@pytest.mark.parametrize("constant", [b"\x50\x00", b"\x00\x00", b"\x78\x50"])
def test_boards_with_the_same_frame_are_not_taken_for_this_one(constant: bytes):
    other = b"".join(board_frame(constant=constant) for _ in range(50))
    assert not recognise(other)
    assert not Line().bring(other)


@pytest.mark.parametrize("skipped", [0, 1, 13, 26])
def test_it_is_known_by_three_frames_in_a_row_from_anywhere(skipped: int):
    line = b"".join(board_frame(n) for n in range(SURE_FRAMES + bool(skipped)))[skipped:]
    assert recognise(line)
    assert not recognise(line[:-1])
    assert not recognise(b"".join(board_frame() + b"\n" for _ in range(20)))


def test_what_one_flipped_bit_can_do_is_known():
    """Of 216 bits 101 are watched; the others are waveforms, and what a patient can have."""
    good = board_frame(41)
    kept = [bit for bit in range(8 * FRAME_BYTES) if frame_at(flipped(good, bit), 0) == FRAME_BYTES]
    watched = 8 * FRAME_BYTES - len(kept)
    assert watched == 101
    assert not {bit // 8 for bit in kept} & {0, 1, 2, 3, 4, 22, 23, 25, 26}


def flipped(payload: bytes, bit: int) -> bytes:
    raw = bytearray(payload)
    raw[bit // 8] ^= 1 << bit % 8
    return bytes(raw)


def test_a_packet_of_damage_alone_is_broken():
    decode = DECODER.open()
    decode(Packet("board", WIRE.stream, 5.0, board_frame()))
    with pytest.raises(BrokenError):
        decode(Packet("board", WIRE.stream, 5.1, b"\x00" * 40))


@pytest.mark.parametrize("seed", range(3))
def test_it_reads_all_that_a_made_up_device_sends_however_it_is_cut(seed: int):
    sent = first(by_wire()["healthypi_v4"], seed, 60.0)
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
