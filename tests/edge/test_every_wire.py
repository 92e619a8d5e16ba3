"""What every serial device promises, checked on whatever `discover` finds.

A device is known from the bytes of its line, and by nobody else from any other's. Its bytes are
made up by `tests/rigs/senders`; a wire without a sender fails here.
"""

from __future__ import annotations

import itertools
import os
from functools import cache

import numpy as np
import pytest

from edge import decoders
from edge.decoders import Decoder
from edge.discover import discover
from edge.records import Packet, Samples
from edge.wire import Wire
from tests.rigs.serial_senders import Sent, by_wire, disagreement, first

FOUND = discover(decoders, "DECODER", Decoder)
WIRES = [wire for decoder in FOUND for wire in decoder.wires]
DECODER_OF = {wire.name: decoder for decoder in FOUND for wire in decoder.wires}
SENDERS = by_wire()
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
KEPT_BYTES = 4096
"""The reader keeps so much of a line to know a device by."""
N_BLOCKS = 10_000 if os.environ.get("HOMEWARD_LONG") else 1_000

TEXTS = (
    b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n",
    b"$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*62\r\n",
    b"ECG: 512\tlead off: 0\r\n",
    b"\x1b[2J\x1b[HLinux raspberrypi 6.12.25+rpt-rpi-v8 aarch64\r\nraspberrypi login: ",
    "Température 36,6 °C — 100 %\r\n".encode(),
    b'{"spo2":98,"bpm":72}\n',
    b"13:22:05 SPO2=098 HR=072\r\n",
)


@cache
def sent_by(name: str, seed: int = 1, length_s: float = 40.0) -> tuple[Sent, ...]:
    return tuple(first(SENDERS[name], seed, length_s))


def line_of(sent: tuple[Sent, ...]) -> bytes:
    return b"".join(one.line for one in sent)


def n_bytes_in(wire: Wire) -> int:
    """Return how many bytes the device sends while it is listened to."""
    sent = sent_by(wire.name)
    # The second of two listenings, so that what only comes at first is not counted on.
    start_s = 5.0
    return sum(len(one.line) for one in sent if start_s <= one.due_s < start_s + wire.listen_s)


def test_names_are_unique_and_every_wire_has_a_sender():
    names = [wire.name for wire in WIRES]
    streams = [wire.stream for wire in WIRES]
    assert len(names) == len(set(names)) > 0
    assert len(streams) == len(set(streams))
    assert set(names) == set(SENDERS)


@every_wire
def test_it_is_described_in_full(wire):
    assert wire.stream in DECODER_OF[wire.name].streams
    assert wire.stream.startswith("uart:")
    assert wire.name == wire.name.lower().replace(" ", "_")
    assert wire.words
    assert wire.baud in {9600, 19_200, 38_400, 57_600, 115_200}
    assert bool(wire.poll) == (wire.poll_s > 0)
    assert 0 < wire.gather_s <= 0.5 < wire.listen_s
    assert wire.silent_s > 2 * wire.gather_s


@every_wire
def test_its_sender_is_the_same_again_and_goes_forward(wire):
    once, again = sent_by(wire.name), tuple(first(SENDERS[wire.name], 1, 40.0))
    assert [(one.due_s, one.line) for one in once] == [(one.due_s, one.line) for one in again]
    assert line_of(once) != line_of(sent_by(wire.name, seed=2))
    assert all(a.due_s <= b.due_s for a, b in itertools.pairwise(once))
    # A line carries no more than its rate lets through: ten bits a byte, eleven with parity.
    most = wire.baud / (11 if wire.parity != "N" else 10)
    assert len(line_of(once)) < 40.0 * most


@every_wire
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_what_its_sender_says_is_what_is_decoded(wire, size):
    sent = sent_by(wire.name)
    line, decode = line_of(sent), DECODER_OF[wire.name].open()
    found: list[Samples] = []
    for at in range(0, len(line), size):
        found += decode(Packet("test", wire.stream, at * 1e-3, line[at : at + size]))
    assert disagreement(found, sent, lacks=2) == ""


@every_wire
def test_it_is_known_from_any_starting_point_while_it_is_listened_to(wire):
    line, n_bytes = line_of(sent_by(wire.name)), n_bytes_in(wire)
    rng = np.random.default_rng(3)
    starts = [*range(70), *rng.integers(0, len(line) - n_bytes, 50).tolist()]
    unknown = [at for at in starts if not wire.recognise(line[at : at + n_bytes][-KEPT_BYTES:])]
    assert unknown == []


@every_wire
def test_nobody_else_is_taken_for_it(wire):
    for name in SENDERS.keys() - {wire.name}:
        for seed, start in itertools.product((1, 2), (0, 1, 2, 3, 4, 1001)):
            line = line_of(sent_by(name, seed))[start : start + KEPT_BYTES]
            # The reader looks again and again, at more and more bytes.
            for n_bytes in (*range(16, 400, 17), 800, 1600, len(line)):
                assert not wire.recognise(line[:n_bytes]), (name, start, n_bytes)


def heard_at(sent: tuple[Sent, ...], wire: Wire, other: Wire, length_s: float) -> bytes:
    """Return what a UART with the settings of `other` makes of the bytes a device sends."""
    step_s = 1 / (4 * 115_200)
    level = np.ones(int(length_s / step_s), np.uint8)
    n_bits = 11 if wire.parity != "N" else 10
    free_s = 0.0
    for one in sent:
        start_s = max(free_s, one.due_s - len(one.line) * n_bits / wire.baud)
        for byte in one.line:
            bits = [0, *(byte >> i & 1 for i in range(8)), *parity_bit(byte, wire.parity), 1]
            for i, bit in enumerate(bits):
                a, b = (round((start_s + k / wire.baud) / step_s) for k in (i, i + 1))
                level[a:b] = bit
            start_s += n_bits / wire.baud
        free_s = start_s
    falls = np.flatnonzero((level[:-1] == 1) & (level[1:] == 0)) + 1
    bit_steps = 1 / other.baud / step_s
    n_read = 8 + (other.parity != "N")
    heard, free = bytearray(), 0
    for fall in falls:
        end = fall + round((n_read + 1.5) * bit_steps)
        if fall < free or end >= len(level):
            continue
        heard.append(sum(int(level[fall + round((i + 1.5) * bit_steps)]) << i for i in range(8)))
        free = end
    return bytes(heard)


def parity_bit(byte: int, parity: str) -> list[int]:
    odd = byte.bit_count() & 1
    return {"N": [], "E": [odd], "O": [1 - odd]}[parity]


def test_a_line_heard_with_its_own_settings_is_its_bytes():
    by_name = {wire.name: wire for wire in WIRES}
    sent = sent_by("cms50", length_s=2.0)
    heard = heard_at(sent, by_name["cms50"], by_name["cms50"], 2.1)
    assert heard == line_of(sent)


@every_wire
def test_nobody_is_taken_for_it_who_sends_at_another_rate(wire):
    for other in WIRES:
        if (other.baud, other.parity) == (wire.baud, wire.parity):
            continue
        heard = heard_at(sent_by(other.name, length_s=2.0), other, wire, 2.5)
        assert heard, other.name
        for n_bytes in (*range(16, 400, 17), 800, 1600, 3200):
            assert not wire.recognise(heard[:n_bytes][-KEPT_BYTES:]), (other.name, n_bytes)


@every_wire
def test_noise_is_not_taken_for_it(wire):
    rng = np.random.default_rng(5)
    for _ in range(N_BLOCKS):
        assert not wire.recognise(rng.bytes(KEPT_BYTES))
    for n_bytes in range(16, 64):
        for _ in range(50):
            assert not wire.recognise(rng.bytes(n_bytes))


@every_wire
def test_what_repeats_is_not_taken_for_it(wire):
    rng = np.random.default_rng(6)
    patterns = [bytes([byte]) for byte in range(256)]
    # Not 4, 5 and 9: a clip without a finger repeats one frame of so many bytes.
    patterns += [rng.bytes(n_bytes) for n_bytes in (2, 3, 6, 7, 8, 10, 11, 13) for _ in range(30)]
    for pattern in patterns:
        assert not wire.recognise((pattern * KEPT_BYTES)[:KEPT_BYTES]), pattern.hex()


@every_wire
def test_printed_text_is_not_taken_for_it(wire):
    for text in TEXTS:
        for start in range(len(text)):
            assert not wire.recognise((text * 90)[start : start + KEPT_BYTES])


@every_wire
def test_nothing_is_not_taken_for_it(wire):
    assert not wire.recognise(b"")
    assert not wire.recognise(line_of(sent_by(wire.name))[:1])
