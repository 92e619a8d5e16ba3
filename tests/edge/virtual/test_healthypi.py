import math

import numpy as np
import pytest

from edge.decoders.healthypi import DECODER, PREFIX
from edge.virtual.healthypi import ECG, FS_HZ, HEART_RATE, WEARABLE
from tests.edge.virtual.listening import agree, decode, values_of
from tests.edge.virtual.port import Bench


@pytest.fixture
def board():
    bench = Bench(WEARABLE)
    bench.subscribe_all()
    return bench


def test_the_decoder_reads_what_the_board_measured(board):
    found = decode(DECODER, board.run(120.0), PREFIX)
    agree(found, board.peripheral.truth)
    assert {samples.signal for _, samples in found} == set(DECODER.signals)


def test_one_of_the_quirks_fits_it_and_asks_for_all_it_sends(board):
    has = {service.uuid for service in WEARABLE.services}
    sends = {one.uuid for one in board.run(2.0)}
    fits = [
        profile
        for profile in DECODER.profiles
        if profile.quirk
        and WEARABLE.local_name.startswith(profile.quirk.name)
        and profile.quirk.service in has
    ]
    assert [profile.name for profile in fits] == ["healthypi_5"]
    assert set(fits[0].listen) == sends


def test_counts_come_sixteen_times_a_second_and_vitals_once(board):
    sent = board.run(60.0)
    assert sum(one.uuid == ECG for one in sent) == 960
    assert sum(one.uuid == HEART_RATE for one in sent) == 60
    assert max(len(one.payload) for one in sent) == 32
    found = decode(DECODER, sent, PREFIX)
    assert len(values_of(found, "ecg_au")) == 60 * FS_HZ


def test_its_ecg_beats_as_often_as_it_says(board):
    found = decode(DECODER, board.run(60.0), PREFIX)
    ecg = np.array(values_of(found, "ecg_au"))
    high = ecg > 0.5 * ecg.max()
    assert np.sum(high[1:] & ~high[:-1]) == pytest.approx(values_of(found, "hr_bpm")[0], abs=1)


def test_without_electrodes_it_has_no_rate_and_a_flat_ecg(board):
    board.run(10.0)
    board.peripheral.electrodes_on = False
    found = decode(DECODER, board.run(10.0), PREFIX)
    assert all(math.isnan(v) for v in values_of(found, "hr_bpm"))
    assert set(values_of(found, "ecg_au")) == {0.0}
    assert not any(math.isnan(v) for v in values_of(found, "spo2_pct"))


def test_the_same_seed_sends_the_same_and_another_something_else():
    def sent(seed: int) -> list[bytes]:
        bench = Bench(WEARABLE, seed)
        bench.subscribe_all()
        return [one.payload for one in bench.run(10.0)]

    assert sent(3) == sent(3)
    assert sent(3) != sent(4)
