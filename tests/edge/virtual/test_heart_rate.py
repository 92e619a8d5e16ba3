import math

import numpy as np
import pytest

from edge.decoders.heart_rate import DECODER
from edge.virtual.heart_rate import BODY_LOCATION, MEASUREMENT, WEARABLE
from tests.edge.virtual.listening import agree, decode, values_of
from tests.edge.virtual.port import Bench


@pytest.fixture
def strap():
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def test_the_decoder_reads_what_the_strap_measured(strap):
    agree(decode(DECODER, strap.run(300.0)), strap.peripheral.truth)


def test_it_sends_every_second_and_fits_the_least_mtu(strap):
    sent = strap.run(120.0)
    assert [one.at_s for one in sent] == [float(i) for i in range(1, 121)]
    assert max(len(one.payload) for one in sent) <= 20


def test_the_intervals_fill_the_time_and_each_rate_is_that_of_the_last_eight(strap):
    found = decode(DECODER, strap.run(600.0))
    rr_ms: list[float] = []
    for samples in (samples for _, samples in found):
        if samples.signal == "rr_ms":
            rr_ms.extend(samples.values.tolist())
        elif samples.signal == "hr_bpm":
            rate_bpm, before = float(samples.values[0]), len(rr_ms)
        elif before >= 8:
            assert rate_bpm == pytest.approx(60_000 / np.mean(rr_ms[-8:]), abs=0.51)
    assert 598.0 < sum(rr_ms) / 1000 <= 600.0


def test_off_the_skin_it_has_no_rate_and_no_intervals(strap):
    strap.run(30.0)
    strap.peripheral.worn = False
    found = decode(DECODER, strap.run(10.0))
    assert all(math.isnan(rate) for rate in values_of(found, "hr_bpm"))
    assert values_of(found, "rr_ms") == []
    assert values_of(found, "contact_flag") == [0.0] * 10
    strap.peripheral.worn = True
    found = decode(DECODER, strap.run(10.0))
    assert values_of(found, "contact_flag") == [1.0] * 10
    assert sum(values_of(found, "rr_ms")) / 1000 == pytest.approx(10.0, abs=1.2)


def test_what_ends_while_nobody_listens_is_lost(strap):
    strap.run(30.0)
    strap.listens.clear()
    assert strap.run(60.0) == []
    strap.listens.add(MEASUREMENT)
    assert sum(values_of(decode(DECODER, strap.run(1.0)), "rr_ms")) < 3000


def test_the_same_seed_sends_the_same_and_another_something_else():
    def sent(seed: int) -> list[bytes]:
        bench = Bench(WEARABLE, seed)
        bench.subscribe_all()
        return [one.payload for one in bench.run(60.0)]

    assert sent(3) == sent(3)
    assert sent(3) != sent(4)


def test_it_lies_on_the_chest(strap):
    assert strap.read(BODY_LOCATION) == b"\x01"
