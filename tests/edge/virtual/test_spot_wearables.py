"""What thermometer, cuff and scale have in common: a measurement now and then, kept until taken."""

from __future__ import annotations

import pytest

from edge.bits import date_time_s
from edge.decoders import blood_pressure as cuffs
from edge.decoders import thermometer as thermometers
from edge.decoders import weight_scale as scales
from edge.gatt import CURRENT_TIME
from edge.virtual import Guard, blood_pressure, thermometer, weight_scale
from edge.virtual._outbox import CAPACITY
from tests.edge.virtual.listening import agree, decode, stamps_agree
from tests.edge.virtual.port import Bench

KINDS = {
    "thermometer": (thermometer, thermometers),
    "blood_pressure": (blood_pressure, cuffs),
    "weight_scale": (weight_scale, scales),
}
every_kind = pytest.mark.parametrize(("virtual", "decoders"), KINDS.values(), ids=KINDS.keys())


def listened_to(virtual, *, air_s: float = 0.0, seed: int = 1) -> Bench:
    bench = Bench(virtual.WEARABLE, seed, air_s=air_s)
    bench.subscribe_all()
    return bench


def measurements(bench: Bench, virtual) -> list:
    return [one for one in bench.sent if one.uuid == virtual.MEASUREMENT]


@every_kind
def test_the_decoder_reads_what_it_measured_and_when(virtual, decoders):
    bench = listened_to(virtual)
    found = decode(decoders.DECODER, bench.run(12 * virtual.EVERY_S))
    agree(found, bench.peripheral.truth)
    by_signal = {}
    for at_s, samples in found:
        by_signal.setdefault(samples.signal, []).append((at_s, samples))
    for signal, runs in by_signal.items():
        truth = [one for one in bench.peripheral.truth if one.signal == signal]
        if runs[0][1].spot:
            stamps_agree(runs, truth, bench.peripheral.date)
            assert [at_s for at_s, _ in runs[1:]] == [one.at_s for one in truth[1:]]
        else:
            assert [at_s for at_s, _ in runs] == [one.at_s for one in truth]


@every_kind
def test_the_one_from_before_comes_soon_after_somebody_listens(virtual, decoders):
    bench = Bench(virtual.WEARABLE)
    bench.run(3.0)
    assert bench.sent == []
    bench.subscribe_all()
    (_, samples), *_ = decode(decoders.DECODER, bench.run(2.0))
    (stored,) = measurements(bench, virtual)
    assert stored.at_s <= 5.0
    shown_s = bench.peripheral.date.shown_s(-virtual.BEFORE_S)
    assert samples.stamp.ticks == pytest.approx(shown_s, abs=1.0)


@every_kind
def test_what_was_measured_without_a_link_comes_later_oldest_first_and_once(virtual, decoders):
    bench = Bench(virtual.WEARABLE)
    bench.run(4.5 * virtual.EVERY_S)
    bench.subscribe_all()
    found = decode(decoders.DECODER, bench.run(1.0))
    assert len(measurements(bench, virtual)) == 6
    ticks = [s.stamp.ticks for _, s in found if s.spot]
    assert ticks == sorted(ticks)
    bench.listens.clear()
    bench.run(1.0)
    bench.subscribe_all()
    bench.run(1.0)
    assert len(measurements(bench, virtual)) == 6


@every_kind
def test_a_measurement_that_did_not_get_through_is_sent_again(virtual, decoders):
    bench = listened_to(virtual, air_s=0.5)
    bench.run(1.2)
    listens, bench.listens = bench.listens, set()
    bench.run(5.0)
    assert bench.sent == []
    bench.listens = listens
    assert len(decode(decoders.DECODER, bench.run(2.5))) >= 1
    assert len(measurements(bench, virtual)) == 1


@every_kind
def test_it_keeps_no_more_than_it_can(virtual, decoders):  # noqa: ARG001
    bench = Bench(virtual.WEARABLE)
    bench.run((CAPACITY + 10) * virtual.EVERY_S)
    assert len(bench.peripheral.outbox.waiting) == CAPACITY


@every_kind
def test_the_same_seed_sends_the_same_and_another_something_else(virtual, decoders):  # noqa: ARG001
    def sent(seed: int) -> list[bytes]:
        bench = listened_to(virtual, seed=seed)
        return [one.payload for one in bench.run(3 * virtual.EVERY_S)]

    assert sent(3) == sent(3)
    assert sent(3) != sent(4)


@every_kind
def test_its_clock_can_be_read(virtual, decoders):  # noqa: ARG001
    bench = Bench(virtual.WEARABLE)
    shown_s = date_time_s(bench.read(CURRENT_TIME), 0)
    assert shown_s == pytest.approx(bench.peripheral.date.shown_s(0.0), abs=1.0)


@pytest.mark.parametrize("virtual", [thermometer, weight_scale])
def test_only_the_cuffs_clock_can_be_set(virtual):
    with pytest.raises(AssertionError, match="lets nobody write"):
        Bench(virtual.WEARABLE).write(CURRENT_TIME, bytes(10))


def test_how_each_wants_to_be_paired():
    def guards(virtual) -> set[Guard]:
        return {
            one.guard
            for service in virtual.WEARABLE.services
            for one in service.characteristics
            if one.uuid == virtual.MEASUREMENT
        }

    assert guards(thermometer) == {Guard.NONE}
    assert guards(weight_scale) == {Guard.ENCRYPTED}
    assert guards(blood_pressure) == {Guard.AUTHENTICATED}
    assert blood_pressure.WEARABLE.displays_passkey
