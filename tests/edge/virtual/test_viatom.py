import math

import pytest

from edge.bits import crc8
from edge.decoders.viatom import DECODER, POLL, POLL_S
from edge.virtual.viatom import CHUNK_BYTES, FINDING_S, WEARABLE, WRITE
from tests.edge.virtual.listening import agree, decode, values_of
from tests.edge.virtual.port import Bench

QUESTION_WHAT_IT_IS = bytes.fromhex("AA14EB00000000")


@pytest.fixture
def ring():
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def asked(bench: Bench, span_s: float):
    """Ask every two seconds, as the reader does by the decoder's profile."""
    sent = []
    for _ in range(int(span_s / POLL_S)):
        bench.write(WRITE, POLL)
        sent += bench.run(POLL_S)
    return decode(DECODER, sent)


def test_the_decoder_reads_what_the_ring_measured(ring):
    found = asked(ring, 600.0)
    agree(found, ring.peripheral.truth)
    spo2 = [v for v in values_of(found, "spo2_pct") if not math.isnan(v)]
    assert len(spo2) == (600.0 - FINDING_S) / POLL_S
    assert 90.0 < min(spo2) < max(spo2) <= 100.0


def test_it_says_nothing_unless_it_is_asked(ring):
    assert ring.run(60.0) == []


def test_put_on_it_has_contact_before_it_has_a_pulse(ring):
    found = asked(ring, FINDING_S + 2 * POLL_S)
    contact, pulse = values_of(found, "contact_flag"), values_of(found, "pulse_bpm")
    assert set(contact) == {1.0}
    assert [math.isnan(v) for v in pulse] == [True] * 4 + [False] * 2


def test_taken_off_it_has_neither_and_put_on_again_it_finds_the_pulse_anew(ring):
    asked(ring, 20.0)
    ring.peripheral.worn = False
    found = asked(ring, 10.0)
    assert set(values_of(found, "contact_flag")) == {0.0}
    assert all(math.isnan(v) for v in values_of(found, "spo2_pct"))
    ring.peripheral.worn = True
    pulse = values_of(asked(ring, 20.0), "pulse_bpm")
    assert [math.isnan(v) for v in pulse] == [True] * 4 + [False] * 6


def test_an_answer_comes_in_pieces_of_twenty_bytes(ring):
    ring.write(WRITE, POLL)
    assert [len(one.payload) for one in ring.run(1.0)] == [CHUNK_BYTES, 1]


def test_what_it_is_is_told_in_many_pieces_that_hold_no_samples(ring):
    ring.write(WRITE, QUESTION_WHAT_IT_IS + bytes([crc8(QUESTION_WHAT_IT_IS)]))
    sent = ring.run(1.0)
    assert len(sent) > 8
    assert b'"CurBAT":"97%"' in b"".join(one.payload for one in sent)
    assert decode(DECODER, sent) == []
    agree(asked(ring, 30.0), ring.peripheral.truth)


def test_an_unknown_question_is_refused_and_gives_no_samples(ring):
    question = bytes.fromhex("AA7F8000000000")
    ring.write(WRITE, question + bytes([crc8(question)]))
    sent = ring.run(1.0)
    assert [one.payload[:3] for one in sent] == [b"\x55\x01\xfe"]
    assert decode(DECODER, sent) == []


@pytest.mark.parametrize(
    "written", ["", "AA17E80000000000", "5517E8000000001B", "AA17E7000000001B"]
)
def test_what_is_no_question_is_not_answered(ring, written):
    ring.write(WRITE, bytes.fromhex(written))
    assert ring.run(1.0) == []


def test_the_battery_goes_down(ring):
    assert values_of(asked(ring, 10.0), "battery_pct")[0] == 100.0
    ring.run(8 * 3600.0)
    assert values_of(asked(ring, 10.0), "battery_pct")[-1] == pytest.approx(50.0, abs=1.0)


def test_the_same_seed_sends_the_same_and_another_something_else():
    def sent(seed: int) -> list[list[float]]:
        bench = Bench(WEARABLE, seed)
        bench.subscribe_all()
        return values_of(asked(bench, 60.0), "pulse_bpm")[5:]

    assert sent(3) == sent(3)
    assert sent(3) != sent(4)
