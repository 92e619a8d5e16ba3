"""What the virtual meter sends is what its decoder reads, and that is what it measured."""

from __future__ import annotations

import numpy as np

from edge.bits import date_time_s
from edge.decoders.glucose import CONTEXT, DECODER, MEASUREMENT
from edge.gatt import CURRENT_TIME, RECORD_ACCESS, STORED
from edge.records import Packet, Samples
from edge.virtual._date import Truth
from edge.virtual.glucose_meter import EVERY_S, FIRST_NUMBER, N_BEFORE, WEARABLE, GlucoseMeter
from tests.edge.virtual.port import Bench, Sent

RECORDS = DECODER.profiles[0].records
assert RECORDS is not None


def meter_of(bench: Bench) -> GlucoseMeter:
    assert isinstance(bench.peripheral, GlucoseMeter)
    return bench.peripheral


def fetch(bench: Bench, after: int | None = None) -> list[Sent]:
    bench.subscribe_all()
    bench.write(RECORD_ACCESS, RECORDS.request(after))
    return bench.run(60.0)


def decoded(sent: list[Sent]) -> list[Samples]:
    decode = DECODER.open()
    found = []
    for one in sent:
        stream = STORED + one.uuid if one.uuid == MEASUREMENT else one.uuid
        if one.uuid != RECORD_ACCESS:
            found += decode(Packet("meter", stream, one.at_s, one.payload))
    return found


def same(found: list[Samples], truth: list[Truth], meter: GlucoseMeter) -> None:
    assert [s.signal for s in found] == [t.signal for t in truth]
    np.testing.assert_array_equal([s.values[0] for s in found], [t.value for t in truth])
    for samples, true in zip(found, truth, strict=True):
        assert samples.spot
        assert samples.backfilled
        assert samples.stamp is not None
        # Date and time have whole seconds.
        assert 0.0 <= meter.shown_s(true.at_s) - samples.stamp.ticks < 1.0


def test_all_it_kept_is_read_as_it_was_measured():
    bench = Bench(WEARABLE, seed=3)
    sent = fetch(bench)
    assert sent[-1].payload.hex() == "06000101"
    assert sum(one.uuid == MEASUREMENT for one in sent) == N_BEFORE + 1
    found, meter = decoded(sent), meter_of(bench)
    same(found, list(meter.truth), meter)
    assert 0 < np.isnan([s.values[0] for s in found]).sum() < len(found) < N_BEFORE


def test_only_what_is_newer_comes_when_it_is_asked_for():
    bench = Bench(WEARABLE)
    last = RECORDS.sequence([one.payload for one in fetch(bench) if one.uuid == MEASUREMENT][-1])
    assert last == FIRST_NUMBER + N_BEFORE
    again = [RECORDS.sequence(one.payload) for one in fetch(bench, last) if one.uuid == MEASUREMENT]
    assert again == [last]
    n_before = len(meter_of(bench).truth)
    bench.run(4 * EVERY_S)
    sent = [
        one
        for one in fetch(bench, last)
        if one.uuid != MEASUREMENT or RECORDS.sequence(one.payload) != last
    ]
    assert sum(one.uuid == MEASUREMENT for one in sent) == 4
    same(decoded(sent), list(meter_of(bench).truth)[n_before:], meter_of(bench))


def test_a_context_follows_its_measurement():
    sent = fetch(Bench(WEARABLE))
    at = [i for i, one in enumerate(sent) if one.uuid == CONTEXT]
    assert len(at) > 10
    for i in at:
        assert sent[i - 1].payload[0] & 0x10
        assert sent[i - 1].payload[1:3] == sent[i].payload[1:3]


def test_nothing_comes_without_being_asked_for():
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    assert bench.run(10 * EVERY_S) == []


def test_a_link_that_breaks_costs_nothing_that_cannot_be_fetched_again():
    bench = Bench(WEARABLE, air_s=0.03)
    bench.subscribe_all()
    bench.write(RECORD_ACCESS, RECORDS.request(None))
    first = bench.run(2.0)
    bench.listens.clear()
    assert bench.run(5.0) == []
    records = [one for one in first if one.uuid == MEASUREMENT]
    assert 0 < len(records) < N_BEFORE
    rest = [
        one
        for one in fetch(bench, RECORDS.sequence(records[-1].payload))
        if one.payload != records[-1].payload
    ]
    found = decoded(records) + decoded(rest)
    same(found, list(meter_of(bench).truth), meter_of(bench))


def test_the_time_it_shows_is_that_of_its_records():
    bench = Bench(WEARABLE)
    bench.run(100.0)
    shown = date_time_s(bench.read(CURRENT_TIME), 0)
    assert shown is not None
    assert 0.0 <= meter_of(bench).shown_s(100.0) - shown < 1.0


def test_the_same_seed_sends_the_same():
    assert fetch(Bench(WEARABLE, seed=5)) == fetch(Bench(WEARABLE, seed=5))
    assert fetch(Bench(WEARABLE, seed=5)) != fetch(Bench(WEARABLE, seed=6))
