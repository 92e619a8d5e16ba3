"""Whatever packets there are, they come back exactly; and they take little room."""

import math
import random
import struct
from contextlib import suppress

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from edge import frame
from edge.readers import simulated
from edge.records import Packet
from edge.vault import fields
from edge.vault.body import unpack
from edge.vault.fields import Shape
from edge.vault.shaping import Shaper

NAMES = st.sampled_from(["a", "b", "", "sim:strap", "\udcff odd", "ü" * 30])
STREAMS = st.sampled_from(["wave", frame.STREAM, frame.LINE, "box:start"])
TIMES = st.floats(allow_nan=False) | st.integers(0, 10**15).map(lambda ns: ns / 1e9)
FRAMES = st.builds(
    frame.pack, st.integers(0, 255), st.integers(0, 70000), st.integers(0, 1 << 33), st.binary()
)
PAYLOADS = st.binary(max_size=60) | FRAMES | FRAMES.map(lambda f: f[:7] + b"\0" + f)
PACKETS = st.builds(Packet, NAMES, STREAMS, TIMES, PAYLOADS)


@settings(max_examples=150, deadline=None)
@given(st.lists(PACKETS, max_size=40))
def test_any_packets_come_back_exactly(packets):
    assert unpack(Shaper().pack(packets)) == packets


@settings(max_examples=100, deadline=None)
@given(
    st.integers(8, 30),
    st.lists(st.sampled_from([1, 2, 3, 4, 8]), max_size=4),
    st.sampled_from([1, 2, 3, 4]),
    st.integers(1, 3),
    st.integers(0, 12),
    st.randoms(use_true_random=False),
)
def test_any_rows_come_back_from_any_shape(n, widths, width, channels, n_samples, rng):
    length = sum(widths) + width * n_samples
    rows = np.frombuffer(rng.randbytes(n * length), np.uint8).reshape(n, length)
    shape = Shape(tuple(widths), width if n_samples else 0, channels)
    sections = fields.split(rows, shape)
    assert len(sections) == fields.n_sections(shape)
    assert np.array_equal(fields.join(sections, shape, n, length), rows)


@pytest.mark.parametrize("at_s", [math.nan, math.inf, -0.0, 5e-324, -1e300])
def test_an_odd_arrival_comes_back_bit_by_bit(at_s):
    packets = [Packet("a", "b", t, b"x") for t in (1.0, at_s, 2.0)]
    (found,) = unpack(Shaper().pack(packets))[1:2]
    assert struct.pack("<d", found.arrived_s) == struct.pack("<d", at_s)


def test_what_would_not_come_back_alike_is_kept_as_it_is(monkeypatch):
    packets = list(simulated.packets(simulated.Settings(duration_s=20.0)))
    monkeypatch.setattr(fields, "join", lambda *_: np.zeros((1, 1), np.uint8))  # a fault of ours
    assert unpack(Shaper().pack(packets)) == packets


@pytest.mark.parametrize("scenario", ["demo", "faults"])
def test_what_every_simulated_device_sends_comes_back_and_is_less_than_half(scenario):
    packets = list(simulated.packets(simulated.Settings(scenario=scenario, duration_s=60.0)))
    body = Shaper().pack(packets)
    assert unpack(body) == packets
    assert len(body) < 0.5 * sum(len(p.payload) for p in packets)


def test_frames_cut_anywhere_on_a_line_are_as_small_as_whole_ones():
    body = struct.Struct("<25h")
    rng = random.Random(3)  # noqa: S311
    frames = [
        frame.pack(
            frame.SAMPLES, i, i * 100_000, body.pack(*(rng.randint(-20, 20) for _ in range(25)))
        )
        for i in range(100)
    ]
    whole = [Packet("s", frame.STREAM, 10.0 + i / 10, f) for i, f in enumerate(frames)]
    line = b"\0".join(frames)
    cut = [
        Packet("s", frame.LINE, 10.0 + at / 620, line[at : at + 62])
        for at in range(0, len(line), 62)
    ]
    sizes = [len(Shaper().pack(packets)) for packets in (whole, cut)]
    assert unpack(Shaper().pack(cut)) == cut
    assert sizes[1] < 1.1 * sizes[0] < 0.75 * len(line)


def test_a_damaged_body_is_told_and_nothing_else_happens():
    good = Shaper().pack(list(simulated.packets(simulated.Settings(duration_s=5.0))))
    rng = random.Random(1)  # noqa: S311
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        with suppress(ValueError):
            unpack(bytes(bad[: rng.choice([len(bad), rng.randrange(len(bad))])]))
