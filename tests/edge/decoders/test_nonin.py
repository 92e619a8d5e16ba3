"""Nonin's formats: values from whole packets only, samples in their places."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoders import BrokenError, DecodeError
from edge.decoders._nonin_packets import HIGHEST_BPM, MOST_MISSING, pulse_of
from edge.decoders.nonin import DECODER, DF2, DF7, DF8
from edge.records import Packet
from tests.rigs.senders.nonin import told

PACKET = 25
NONE = {"pulse_bpm": math.nan, "spo2_pct": math.nan}


def frame(stream: str, status: int, pleth: int, data: int) -> bytes:
    head = [1, status, pleth] if stream == DF2 else [status, pleth >> 8, pleth & 0xFF]
    body = bytes([*head, data])
    return body + bytes([sum(body) & 0xFF])


def frames(
    stream: str, pulse: int, spo2: int, first: int = 0, status: int = 0, in_frame: int | None = None
) -> list[bytes]:
    """Return the frames of one packet; `status` in all of them, or in one."""
    return [
        frame(
            stream,
            0x80 | (place == 0) | (status if in_frame in {None, place} else 0),
            first + place,
            data,
        )
        for place, data in enumerate(told(pulse, spo2))
    ]


def packet(stream: str, pulse: int, spo2: int, **more: int) -> bytes:
    return b"".join(frames(stream, pulse, spo2, **more))


class Oximeter:
    def __init__(self, stream: str) -> None:
        self._decode, self._stream, self.now_s = DECODER.open(), stream, 0.0
        self.pleth: list[float] = []
        self.values: list[tuple[str, float]] = []

    def bring(self, payload: bytes, after_s: float = 0.3) -> dict[str, float]:
        """Return the last values that these bytes tell."""
        self.now_s += after_s
        try:
            found = self._decode(Packet("clip", self._stream, self.now_s, payload))
        except DecodeError:
            found = ()
        for run in found:
            if run.signal == "pleth_au":
                assert run.fs_hz == 75.0
                self.pleth += run.values.tolist()
            else:
                assert run.fs_hz == 0.0
                self.values.append((run.signal, float(run.values[0])))
        return {r.signal: float(r.values[-1]) for r in found if r.signal != "pleth_au"}


def read(stream: str, payload: bytes) -> dict[str, float]:
    return Oximeter(stream).bring(payload)


def test_the_pulse_rate_has_nine_bits_of_which_the_first_byte_has_two():
    assert [pulse_of(rate >> 7, rate & 0x7F) for rate in range(512)] == list(range(512))
    # Bits that are reserved say nothing.
    assert [pulse_of(rate >> 7 | 0x7C, rate & 0x7F | 0x80) for rate in range(512)] == [*range(512)]


@pytest.mark.parametrize("rate", [127, 128, 255, 256, HIGHEST_BPM])
@pytest.mark.parametrize("stream", [DF2, DF7, DF8])
def test_fast_hearts_are_read(stream, rate):
    line = packet(stream, rate, 97) if stream != DF8 else df8(rate, 97)
    assert read(stream, line) == {"pulse_bpm": rate, "spo2_pct": 97.0, "contact_flag": 1.0}


def test_known_errors_of_other_parsers_are_not_made():
    first, second = 128 >> 7, 128 & 0x7F
    assert first << 8 | second == 256  # mdpnp Packet.setvar
    assert (first << 7 & second) & 0x1FF == 0  # NoninAndroid Format8.getHeartRate
    assert pulse_of(first, second) == 128


@pytest.mark.parametrize("stream", [DF2, DF7, DF8])
@pytest.mark.parametrize(
    ("pulse", "spo2", "gone"),
    [
        (511, 127, {"pulse_bpm", "spo2_pct"}),
        (0, 97, {"pulse_bpm"}),
        (322, 97, {"pulse_bpm"}),
        (60, 0, {"spo2_pct"}),
        (60, 101, {"spo2_pct"}),
        (60, 127, {"spo2_pct"}),
    ],
)
def test_no_value_is_no_value_and_no_word_on_the_contact(stream, pulse, spo2, gone):
    line = packet(stream, pulse, spo2) if stream != DF8 else df8(pulse, spo2)
    found = read(stream, line)
    assert {name for name, value in found.items() if math.isnan(value)} == gone
    assert found["contact_flag"] == 1.0


@pytest.mark.parametrize("stream", [DF2, DF7])
@pytest.mark.parametrize(
    ("status", "contact", "valid"),
    [
        (0x40, 0.0, False),  # sensor disconnected
        (0x08, 0.0, False),  # sensor alarm: no finger
        (0x10, 1.0, False),  # out of track
        (0x20, 1.0, True),  # artefact of one pulse
        (0x06, 1.0, True),  # amplitude
    ],
)
@pytest.mark.parametrize("place", [0, 13, 24])
def test_what_the_status_of_any_frame_says_holds_for_the_packet(
    stream, status, contact, valid, place
):
    found = read(stream, packet(stream, 60, 97, status=status, in_frame=place))
    assert found["contact_flag"] == contact
    assert math.isnan(found["pulse_bpm"]) == math.isnan(found["spo2_pct"]) == (not valid)


def test_the_value_for_the_display_which_stays_for_ten_seconds_is_not_read():
    data = told(511, 127)
    data[8] = 98  # SpO2-D
    data[19], data[20] = 0, 60  # HR-D
    line = b"".join(frame(DF7, 0x80 | (i == 0), 5, one) for i, one in enumerate(data))
    assert read(DF7, line) == pytest.approx({**NONE, "contact_flag": 1.0}, nan_ok=True)


def test_what_stays_is_told_once_a_second_and_what_changes_at_once():
    clip = Oximeter(DF2)
    told_at = [n for n in range(10) if clip.bring(packet(DF2, 60 + (n >= 8), 97))]
    assert told_at == [0, 3, 6, 8]


@pytest.mark.parametrize("stream", [DF2, DF7])
def test_the_pleth_is_what_was_sent(stream):
    clip = Oximeter(stream)
    top = 255 if stream == DF2 else 65_535
    clip.bring(packet(stream, 60, 97, first=top - 24) + packet(stream, 60, 97, first=0))
    assert clip.pleth == [*range(top - 24, top + 1), *range(25)]


def test_one_comes_in_at_any_place_and_reads_from_the_next_packet_on():
    line = b"".join(packet(DF7, 60 + n, 90 + n, first=1000 * n) for n in range(4))
    for start in range(126):
        clip = Oximeter(DF7)
        clip.bring(line[start:])
        n = 0 if start == 0 else 1 if start < 126 else 2
        assert clip.pleth == [1000 * k + i for k in range(n, 4) for i in range(25)]
        assert clip.values[0] == ("pulse_bpm", 60.0 + n)


def test_no_value_is_read_from_a_packet_in_which_a_frame_is_missing():
    for missing in range(PACKET):
        clip = Oximeter(DF7)
        one, damaged = (frames(DF7, 60 + 100 * n, 97 - n, first=100 * n) for n in range(2))
        del damaged[missing]
        clip.bring(b"".join(one + damaged) + packet(DF7, 62, 95, first=200))
        assert [v for name, v in clip.values if name == "pulse_bpm"] == [60.0, 62.0]
        # Nothing tells which frame it was that left no trace; only how many samples there were.
        # Without its first frame, the packet is one of which nothing is known.
        wanted = [*range(25), *([math.nan] * 25 if missing else []), *range(200, 225)]
        np.testing.assert_array_equal(clip.pleth, wanted)


@given(st.lists(st.tuples(st.integers(0, 299), st.integers(0, 39)), max_size=6), st.data())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_flipped_bits_move_no_sample_and_make_no_value(flips, data):
    n_packets = 12
    rates = [40 + 3 * n for n in range(n_packets)]
    line = bytearray(b"".join(packet(DF7, r, 97, first=300 * n) for n, r in enumerate(rates)))
    sent = [300 * n + i for n in range(n_packets) for i in range(25)]
    for place, bit in {(place, bit) for place, bit in flips if 25 <= place < 275}:
        line[5 * place + bit // 8] ^= 1 << bit % 8
    clip = Oximeter(DF7)
    size = data.draw(st.integers(1, 400))
    for at in range(0, len(line), size):
        clip.bring(bytes(line[at : at + size]), after_s=0.01)
    assert len(clip.pleth) == len(sent)
    wrong = [(a, b) for a, b in zip(clip.pleth, sent, strict=True) if a == a and a != b]  # noqa: PLR0124
    # Two flips may cancel each other in a sum modulo 256; a false frame needs them in one frame.
    assert len(wrong) <= len(flips) // 2
    assert sum(a != a for a in clip.pleth) <= 25 * len(flips)  # noqa: PLR0124
    assert {v for name, v in clip.values if name == "pulse_bpm"} <= set(rates)


@given(st.integers(26, 200), st.integers(1, 300))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_lost_bytes_leave_the_samples_before_and_after_them_in_their_places(at, n_lost):
    n_packets = 20
    line = b"".join(packet(DF7, 60, 97, first=300 * n) for n in range(n_packets))
    sent = [300 * n + i for n in range(n_packets) for i in range(25)]
    clip = Oximeter(DF7)
    clip.bring(line[: 5 * at + 2] + line[5 * at + 2 + n_lost :])
    n_missing = len(sent) - len(clip.pleth)
    # Whole packets that are lost without a trace are told by the arrivals only.
    assert n_missing % 25 == 0
    assert n_missing <= n_lost / 5 + 2
    before = 25 * (at // 25)
    assert clip.pleth[:before] == sent[:before]
    assert clip.pleth[-25:] == sent[-25:]
    kept = {value for value in clip.pleth if value == value}  # noqa: PLR0124
    assert len(kept) >= len(sent) - n_lost / 5 - 50


def test_a_long_hole_is_left_to_the_clock():
    clip = Oximeter(DF2)
    clip.bring(packet(DF2, 60, 97))
    clip.bring(b"\xaa" * (5 * MOST_MISSING + 200))
    clip.bring(packet(DF2, 61, 97))
    assert len(clip.pleth) == 50
    assert not np.isnan(clip.pleth).any()


def df8(pulse: int, spo2: int, status: int = 0, second: int = 0) -> bytes:
    return bytes([0x80 | status | pulse >> 7, pulse & 0x7F, spo2, second])


@pytest.mark.parametrize(
    ("status", "second", "contact", "valid"),
    [
        (0x40, 0, 0.0, False),  # sensor disconnected
        (0x20, 0, 1.0, False),  # out of track
        (0x1C, 0, 1.0, True),  # low and marginal perfusion, artefact
        (0, 0x08, 0.0, False),  # sensor faulty
        (0, 0x27, 1.0, True),  # smart point, spot check, batteries
    ],
)
def test_what_the_status_of_format_8_says(status, second, contact, valid):
    found = read(DF8, df8(60, 97, status, second))
    assert found["contact_flag"] == contact
    assert math.isnan(found["pulse_bpm"]) == math.isnan(found["spo2_pct"]) == (not valid)


def test_every_second_of_format_8_is_told_at_once():
    clip = Oximeter(DF8)
    for _ in range(5):
        assert clip.bring(df8(60, 97), after_s=1.0)["pulse_bpm"] == 60.0
    assert len(clip.values) == 15


def test_a_frame_of_format_8_with_a_byte_too_many_or_too_few_says_nothing():
    clip = Oximeter(DF8)
    clip.bring(df8(60, 97))
    whole = df8(128, 90)
    for at in range(1, 4):
        assert clip.bring(whole[:at] + whole[at + 1 :] + df8(60, 97))["pulse_bpm"] == 60.0
        assert clip.bring(whole[:at] + b"\x05" + whole[at:] + df8(60, 97))["pulse_bpm"] == 60.0
    assert {v for name, v in clip.values if name == "pulse_bpm"} == {60.0}


def test_bytes_of_no_frame_of_format_8_are_broken():
    decode = DECODER.open()
    decode(Packet("clip", DF8, 0.0, df8(60, 97)))
    with pytest.raises(BrokenError):
        decode(Packet("clip", DF8, 1.0, b"\x05\x06"))


def test_formats_of_one_clip_are_kept_apart():
    decode = DECODER.open()
    half = packet(DF2, 60, 97)
    assert decode(Packet("clip", DF2, 0.0, half[:60])) == ()
    assert len(decode(Packet("clip", DF8, 0.1, df8(70, 96)))) == 3
    assert len(decode(Packet("clip", DF2, 0.2, half[60:]))) == 4
