import math

import pytest

from edge.bits import date_time_s
from edge.decoders.pulse_oximeter import DECODER
from edge.gatt import CURRENT_TIME, RECORD_ACCESS, STORED
from edge.virtual._date import Truth
from edge.virtual.pulse_oximeter import CONTINUOUS, FIRST_SPOT_S, N_BEFORE, SPOT_CHECK, WEARABLE
from tests.edge.virtual.listening import agree, decode, stamps_agree, values_of
from tests.edge.virtual.port import Bench, Sent

ALL = bytes([1, 1])


@pytest.fixture
def clip():
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def on(sent: list[Sent], uuid: str) -> list[Sent]:
    return [one for one in sent if one.uuid == uuid]


def fetch(clip: Bench, request: bytes = ALL, span_s: float = 0.9) -> list[Sent]:
    """Ask for records before the next second; return what came."""
    clip.write(RECORD_ACCESS, request)
    return clip.run(span_s)


def test_the_decoder_reads_what_the_clip_measured(clip):
    sent = clip.run(300.0)
    agree(decode(DECODER, on(sent, CONTINUOUS)), clip.peripheral.truth)
    assert [one.at_s for one in on(sent, CONTINUOUS)] == [float(i) for i in range(1, 301)]
    assert max(len(one.payload) for one in sent) <= 20


def test_without_a_finger_it_has_no_values_and_no_contact(clip):
    clip.peripheral.worn = False
    found = decode(DECODER, clip.run(5.0))
    assert all(math.isnan(v) for v in values_of(found, "spo2_pct"))
    assert values_of(found, "contact_flag") == [0.0] * 5


def test_it_gives_out_what_it_kept_and_the_decoder_reads_it(clip):
    sent = fetch(clip)
    found = decode(DECODER, on(sent, SPOT_CHECK), STORED)
    agree(found, clip.peripheral.spots)
    stamps_agree(found, order(clip.peripheral.spots, found), clip.peripheral.date)
    assert {(s.spot, s.backfilled) for _, s in found} == {(True, True)}
    assert len(on(sent, SPOT_CHECK)) == N_BEFORE
    # The control point speaks last.
    assert sent[-1] == (sent[-1].at_s, RECORD_ACCESS, bytes([6, 0, 1, 1]))


def order(truth, found) -> list[Truth]:
    """Return the truth in the order of what was found: four signals a spot check, in turn."""
    kept = list(truth)
    ordered = []
    for at in range(0, len(kept), 4):
        by_signal = {one.signal: one for one in kept[at : at + 4]}
        ordered += [by_signal[s.signal] for _, s in found[at : at + 4]]
    return ordered


def test_a_spot_check_comes_at_once_and_again_from_storage_with_the_same_time(clip):
    (live,) = on(clip.run(FIRST_SPOT_S + 0.5), SPOT_CHECK)
    kept = on(fetch(clip, span_s=0.4), SPOT_CHECK)[-1]
    (_, now), (_, past) = decode(DECODER, [live])[0], decode(DECODER, [kept], STORED)[0]
    assert (now.signal, now.values.tolist()) == (past.signal, past.values.tolist())
    assert now.stamp == past.stamp
    assert (now.spot, now.backfilled, past.spot, past.backfilled) == (True, False, True, True)


def test_it_says_how_many_it_kept(clip):
    assert fetch(clip, bytes([4, 1])) == [(0.0, RECORD_ACCESS, bytes([5, 0, N_BEFORE, 0]))]


def test_it_forgets_them_when_told_to_and_then_has_none(clip):
    clip.run(0.5)
    assert fetch(clip, bytes([2, 1]), 0.1)[-1].payload == bytes([6, 0, 2, 1])
    assert fetch(clip, span_s=0.1)[-1].payload == bytes([6, 0, 1, 6])
    assert fetch(clip, bytes([4, 1]), 0.1)[-1].payload == bytes([5, 0, 0, 0])


def test_it_can_only_be_asked_for_all(clip):
    assert fetch(clip, bytes([1, 6]))[-1].payload == bytes([6, 0, 1, 4])


def test_its_clock_can_be_read_and_runs(clip):
    before = date_time_s(clip.read(CURRENT_TIME), 0)
    clip.run(60.0)
    after = date_time_s(clip.read(CURRENT_TIME), 0)
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(60, abs=1)
    with pytest.raises(AssertionError, match="lets nobody write"):
        clip.write(CURRENT_TIME, bytes(10))


def test_a_control_point_nobody_subscribed_to_says_nothing(clip):
    clip.listens.discard(RECORD_ACCESS)
    assert on(fetch(clip), RECORD_ACCESS) == []
