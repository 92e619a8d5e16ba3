"""A byte stream cut into frames: ``> n <n bytes> sum`` stands for any device."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoders import BrokenError, NotMineError
from edge.decoders._line import (
    HALF_LASTS_S,
    UNKNOWN_BYTES,
    Repeated,
    one,
    open_line,
    open_line_with_holes,
)
from edge.records import Packet, Samples

LONGEST = 3 + 9


def frame_at(line: bytes, at: int) -> int:
    if line[at] != 0x3E:
        return -1
    if at + 1 == len(line):
        return 0
    n_bytes = 3 + line[at + 1]
    if n_bytes > LONGEST:
        return -1
    if at + n_bytes > len(line):
        return 0
    return n_bytes if sum(line[at + 2 : at + n_bytes - 1]) & 0xFF == line[at + n_bytes - 1] else -1


def frame(*values: int) -> bytes:
    return bytes([0x3E, len(values), *values, sum(values) & 0xFF])


def read(frames, arrived_s: float) -> tuple[Samples, ...]:
    """Give the values of frames, and a hole as the negative of its bytes."""
    values = [v for f in frames for v in ([-f] if isinstance(f, int) else f[2:-1])]
    return (Samples("x_au", arrived_s, 0.0, np.array(values, np.float32)),)


class Device:
    """Packets a tenth of a second apart."""

    def __init__(self, opening=open_line) -> None:
        _, open_batch = opening(frame_at, lambda: read, LONGEST)
        self._decode, self.now_s = open_batch(), 100.0
        self.n_damaged = 0

    def bring(self, payload: bytes, after_s: float = 0.1) -> list[float]:
        self.now_s += after_s
        batch = self._decode((Packet("device", "uart:any", self.now_s, payload),))
        self.n_damaged += batch.n_damaged
        if batch.errors:
            raise batch.errors[0]
        assert all(s.start_s == arrived_s == self.now_s for s, arrived_s in batch.found)
        return [float(v) for s, _ in batch.found for v in s.values]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60), st.integers(0, 40))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_frames_are_read_however_they_are_cut_and_wherever_one_comes_in(sizes, start):
    frames = [frame(*range(i, i + i % 9)) for i in range(1, 30)]
    line, device = b"".join(frames)[start:], Device()
    values, at = [], 0
    for size in [*sizes, len(line)]:
        values += device.bring(line[at : at + size])
        at += size
    wanted = [v for f in frames for v in f[2:-1]]
    assert values == wanted[len(wanted) - len(values) :]
    assert len(wanted) - len(values) <= start
    assert device.n_damaged == 0


@pytest.mark.parametrize("n_bytes", [1, 3, 30, 4000])
def test_what_comes_before_the_first_frame_is_no_damage(n_bytes):
    device = Device()
    assert device.bring(bytes(n_bytes) + frame(1, 2)) == [1, 2]
    assert device.n_damaged == 0


def test_a_damaged_stretch_is_counted_once_however_long_and_cut():
    device = Device(open_line_with_holes)
    bad = bytearray(frame(5, 6, 7))
    bad[3] ^= 1
    assert device.bring(frame(1) + bytes(bad) + frame(2)) == [1, -6, 2]
    assert device.n_damaged == 1
    assert device.bring(frame(3) + bytes(bad)[:5]) == [3]
    assert device.bring(bytes(bad)[5:] + b"xyz" + frame(4) + b"!" + frame(5)) == [-9, 4, -1, 5]
    assert device.n_damaged == 3


def test_a_packet_without_a_good_frame_is_broken_and_the_next_is_read():
    device = Device(open_line_with_holes)
    device.bring(frame(1))
    for _ in range(3):
        with pytest.raises(BrokenError, match="belong to no frame"):
            device.bring(b"garbage")
    assert device.bring(frame(2)) == [-21, 2]
    assert device.n_damaged == 0
    assert device.bring(b"!" + frame(3)) == [-1, 3]
    assert device.n_damaged == 1


def test_half_a_frame_is_neither_good_nor_broken():
    device = Device()
    device.bring(frame(1))
    assert device.bring(frame(2, 3)[:4]) == []
    assert device.bring(frame(2, 3)[4:]) == [2, 3]
    assert device.n_damaged == 0


def test_no_frame_is_made_of_two_halves_on_either_side_of_an_opening():
    device = Device(open_line_with_holes)
    device.bring(frame(1) + frame(2, 3)[:4])
    assert device.bring(b"") == []
    assert device.bring(frame(2, 3)[4:] + frame(4)) == [4]
    assert device.n_damaged == 0  # we came in the middle


def test_half_a_frame_does_not_outlast_a_pause():
    device = Device(open_line_with_holes)
    device.bring(frame(1) + frame(2, 3)[:4])
    assert device.bring(frame(4), after_s=HALF_LASTS_S + 0.1) == [-4, 4]
    assert device.n_damaged == 1
    device.bring(frame(2, 3)[:4])
    with pytest.raises(BrokenError):
        device.bring(frame(4)[:2], after_s=HALF_LASTS_S + 0.1)
    assert device.bring(frame(4)[2:]) == [-4, 4]


def test_a_frame_may_take_its_time_within_the_pause():
    device = Device()
    device.bring(frame(2, 3)[:4])
    assert device.bring(frame(2, 3)[4:], after_s=HALF_LASTS_S - 0.1) == [2, 3]


def test_another_devices_line_is_not_mine_until_a_frame_comes():
    device = Device()
    for _ in range(UNKNOWN_BYTES // 64):
        assert device.bring(b"." * 64) == []
    for _ in range(2):
        with pytest.raises(NotMineError, match="no frame of this device"):
            device.bring(b"." * 64)
    assert device.bring(frame(1)) == [1]
    with pytest.raises(BrokenError):
        device.bring(b"." * 64)


def test_a_begun_frame_that_cannot_end_does_not_hold_up_the_next():
    # A beginning that claims more than it has: what follows is searched again from its second byte.
    device = Device()
    assert device.bring(frame(1) + b"\x3e\x09" + frame(2) + frame(3)) == [1]
    assert device.bring(frame(4) + frame(5)) == [2, 3, 4, 5]
    assert device.n_damaged == 1


def test_a_frame_at_cannot_claim_for_ever_that_more_must_come():
    _, open_batch = open_line(lambda line, at: 0 if line[at] else 1, lambda: read, 4)
    decode = open_batch()
    batch = decode([Packet("d", "s", 1.0, b"\1" * 6 + b"\0")])
    assert len(batch.found) == 0
    batch = decode([Packet("d", "s", 2.0, b"\1\1\1\0" * 4)])
    assert len(batch.found) == 1


def test_readers_that_do_not_ask_for_holes_are_given_frames_only():
    device = Device()
    assert device.bring(frame(1) + b"!!!" + frame(2)) == [1, 2]
    assert device.n_damaged == 1


def test_two_lines_do_not_disturb_each_other():
    one_device, other = Device(), Device()
    one_device.bring(frame(1, 2, 3)[:4])
    assert other.bring(frame(4)) == [4]
    assert one_device.bring(frame(1, 2, 3)[4:]) == [1, 2, 3]


@given(st.lists(st.sampled_from("ab"), max_size=60), st.integers(1, 5), st.integers(1, 7))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_what_is_repeated_is_told_when_it_is_steady_and_then_now_and_again(said, steady, every):
    repeated, n_same, last, since = Repeated(steady, every), 0, None, None
    for what in said:
        n_same = n_same + 1 if what == last else 1
        since = None if what != last else since
        last = what
        due = repeated.is_due(what)
        if n_same < steady:
            assert not due
        elif n_same == steady:
            assert due
            since = 0
        else:
            since += 1
            assert due == (since % every == 0)


def test_one_value_is_single_precision_and_comes_at_its_arrival():
    found = one("spo2_pct", math.nan, 5.0)
    assert (found.signal, found.start_s, found.fs_hz, found.values.dtype) == (
        "spo2_pct",
        5.0,
        0.0,
        np.float32,
    )
    assert np.isnan(found.values).tolist() == [True]
