"""What the virtual sensor sends is what its decoder reads, and that is what it measured."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge.bits import uint16
from edge.decoders import Decode
from edge.decoders.cgm import DECODER, MEASUREMENT, SESSION_START, STATUS, e2e_crc
from edge.gatt import RECORD_ACCESS, STORED
from edge.records import Packet, Samples
from edge.virtual import Wearable
from edge.virtual._date import Truth
from edge.virtual.cgm import BEFORE_MIN, CONTROL_POINT, WEARABLE, GlucoseSensor
from tests.edge.virtual.port import Bench, Sent

(PROFILE,) = DECODER.profiles
RECORDS = PROFILE.records
assert RECORDS is not None


def switched_on(wearable: Wearable = WEARABLE, seed: int = 1, *, air_s: float = 0.0) -> Bench:
    bench = Bench(wearable, seed, air_s=air_s)
    bench.run(0.0)
    return bench


def sensor_of(bench: Bench) -> GlucoseSensor:
    assert isinstance(bench.peripheral, GlucoseSensor)
    return bench.peripheral


def connect(bench: Bench) -> Decode:
    """Begin a link: read what the profile names, and subscribe."""
    decode = DECODER.open()
    for uuid in PROFILE.read:
        assert decode(Packet("cgm", uuid, 0.0, bench.read(uuid))) == ()
    bench.subscribe_all()
    return decode


def decoded(decode: Decode, sent: list[Sent], *, stored: bool = False) -> list[Samples]:
    found: list[Samples] = []
    for one in sent:
        if one.uuid == MEASUREMENT:
            stream = STORED + one.uuid if stored else one.uuid
            found += decode(Packet("cgm", stream, one.at_s, one.payload))
    return found


def same(found: list[Samples], truth: list[Truth], sensor: GlucoseSensor) -> None:
    assert [s.signal for s in found] == [t.signal for t in truth]
    np.testing.assert_allclose(
        [s.values[0] for s in found], [t.value for t in truth], rtol=1e-6, atol=0.0
    )
    for samples, true in zip(found, truth, strict=True):
        assert samples.stamp is not None
        assert abs(sensor.date.shown_s(true.at_s) - samples.stamp.ticks) <= samples.uncertainty_s


def test_a_value_comes_every_minute_as_it_was_measured():
    bench = switched_on(seed=4)
    decode, n_before = connect(bench), len(sensor_of(bench).truth)
    sent = bench.run(3 * 3600.0)
    assert [one.at_s for one in sent] == [60.0 * i for i in range(1, 181)]
    found = decoded(decode, sent)
    same(found, list(sensor_of(bench).truth)[n_before:], sensor_of(bench))
    assert not any(s.backfilled for s in found)
    values = np.array([s.values[0] for s in found if s.signal == "glucose_mgdl"])
    assert np.isnan(values).sum() == 8  # two failures of four minutes
    assert np.nanmin(values) < 70.0
    assert np.nanmax(values) > 180.0


def test_its_trend_is_how_its_values_change():
    bench = switched_on()
    found = decoded(connect(bench), bench.run(90 * 60.0))
    values = np.array([s.values[0] for s in found if s.signal == "glucose_mgdl"])
    trends = np.array([s.values[0] for s in found if s.signal == "glucose_trend_mgdlmin"])
    assert np.nanmax(np.abs(np.gradient(values)[1:-1] - trends[1:-1])) < 1.0


def test_what_was_missed_without_a_link_is_fetched_by_its_minutes():
    bench = switched_on()
    decode = connect(bench)
    live = bench.run(10 * 60.0)
    bench.listens.clear()
    assert bench.run(20 * 60.0 + 1.0) == []
    decode = connect(bench)
    bench.write(RECORD_ACCESS, RECORDS.request(RECORDS.sequence(live[-1].payload)))
    kept = bench.run(30.0)
    assert kept[-1].payload.hex() == "06000101"
    assert [uint16(one.payload, 4) for one in kept[:-1]] == list(
        range(BEFORE_MIN + 10, BEFORE_MIN + 31)
    )
    found = decoded(decode, kept[1:], stored=True)  # the first had come live
    assert all(s.backfilled for s in found)
    same(found, list(sensor_of(bench).truth)[-len(found) :], sensor_of(bench))


def test_live_values_go_on_while_kept_ones_are_reported():
    bench = switched_on(air_s=1.0)
    decode = connect(bench)
    bench.write(RECORD_ACCESS, RECORDS.request(None))
    sent = bench.run(70.0)
    minutes = [uint16(one.payload, 4) for one in sent]
    at = minutes.index(BEFORE_MIN + 1)
    assert minutes[at - 1] + 1 == minutes[at + 1] < BEFORE_MIN - 2
    # The reader cannot tell them apart; the decoder can.
    found = decoded(decode, sent, stored=True)
    assert [s.backfilled for s in found] == [i // 3 != at for i in range(len(found))]


def test_all_it_kept_is_from_its_session():
    bench = switched_on()
    decode = connect(bench)
    bench.write(RECORD_ACCESS, RECORDS.request(None))
    found = decoded(decode, bench.run(30.0), stored=True)
    assert len(found) == 3 * BEFORE_MIN
    same(found, list(sensor_of(bench).truth), sensor_of(bench))


def test_without_a_known_date_its_values_have_no_time():
    nameless = msgspec.structs.replace(
        WEARABLE, open=lambda seed: GlucoseSensor(seed, date_is_known=False)
    )
    bench = switched_on(nameless)
    found = decoded(connect(bench), bench.run(120.0))
    assert len(found) == 6
    assert all(s.stamp is None for s in found)


def test_it_can_measure_every_five_minutes():
    slow = msgspec.structs.replace(WEARABLE, open=lambda seed: GlucoseSensor(seed, every_min=5))
    bench = switched_on(slow)
    connect(bench)
    assert [one.at_s for one in bench.run(900.0)] == [300.0, 600.0, 900.0]


def test_its_status_tells_the_minutes_of_its_session():
    bench = switched_on()
    bench.run(150.0)
    assert uint16(bench.read(STATUS), 0) == BEFORE_MIN + 2


@pytest.mark.parametrize("uuid", PROFILE.read)
def test_all_that_is_read_ends_in_its_crc(uuid):
    payload = switched_on().read(uuid)
    assert uint16(payload, len(payload) - 2) == e2e_crc(payload[:-2])


def test_its_session_can_be_neither_started_nor_stopped():
    bench = switched_on()
    bench.subscribe_all()
    started = bench.read(SESSION_START)
    bench.write(CONTROL_POINT, bytes([0x1B]))
    (answer,) = bench.run(1.0)
    assert answer.uuid == CONTROL_POINT
    assert answer.payload[:3].hex() == "1c1b02"
    assert bench.read(SESSION_START) == started


def test_the_same_seed_sends_the_same():
    def sent(seed: int) -> list[Sent]:
        bench = switched_on(seed=seed)
        bench.subscribe_all()
        return bench.run(600.0)

    assert sent(5) == sent(5)
    assert sent(5) != sent(6)
