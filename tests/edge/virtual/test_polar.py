from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge.decoders.heart_rate import DECODER as HEART_RATE
from edge.decoders.polar import ACC, DECODER, ECG, PPG, PPI, PROFILE
from edge.dsp.timeline import StreamClock
from edge.records import Packet
from edge.sources import Sources
from edge.virtual import Wearable, polar, polar_armband
from edge.virtual._polar import CONTROL, DATA, FORGOTTEN_S
from edge.virtual._polar_signals import POWER_UP_NS
from tests.edge.virtual.listening import decode, values_of
from tests.edge.virtual.port import Bench, Sent

STARTS = {"ecg": PROFILE.start[0], "acc": PROFILE.start[1], "ppi": PROFILE.start[4]}


def bench(wearable: Wearable = polar.WEARABLE, seed: int = 1) -> Bench:
    made = Bench(wearable, seed)
    made.subscribe_all()
    return made


def variant(habits: polar.Habits) -> Wearable:
    return msgspec.structs.replace(polar.WEARABLE, open=lambda seed: polar.Strap(seed, habits))


def ask(device: Bench, payload: bytes | str) -> bytes:
    """Return the device's answer to one command."""
    raw = bytes.fromhex(payload) if isinstance(payload, str) else payload
    device.write(CONTROL, raw)
    answers = [one.payload for one in device.run(0.0) if one.uuid == CONTROL]
    assert len(answers) == 1
    return answers[0]


def start_as_asked(device: Bench, options: tuple[str, ...] = PROFILE.options) -> dict[bytes, int]:
    """Do what the reader does with the profile; return the status of each command."""
    statuses = {}
    for write in PROFILE.start:
        assert write.needs is not None
        assert write.answer is not None
        can = device.read(write.needs.on)[write.needs.at] >> write.needs.bit & 1
        if can and write.option in options:
            answer = ask(device, write.payload)
            assert answer.startswith(write.answer.begins)
            statuses[write.payload] = answer[write.answer.status_at]
    return statuses


def data(sent: list[Sent], kind: int) -> list[Sent]:
    return [one for one in sent if one.uuid == DATA and one.payload[0] == kind]


# The control point.


def test_it_says_what_it_can_measure():
    assert bench().read(CONTROL)[:3] == bytes([0x0F, 0b0000_0101, 0])
    assert bench(polar_armband.WEARABLE).read(CONTROL)[:3] == bytes([0x0F, 0b0000_1110, 0])


def test_it_lists_its_settings():
    assert ask(bench(), "01 00").hex() == "f00100000000018200" + "01010e00"
    assert ask(bench(), "01 02").hex() == "f0010200000004190032006400c800" + "01011000" + (
        "0203020004000800"
    )


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("02 00 0001 8200 0101 0E00", 0),
        ("02 00 0001 8300 0101 0E00", 8),  # a rate it has not
        ("02 00 0001 8200 0101 1000", 7),  # a resolution it has not
        ("02 02 0001 1900 0101 1000 0201 0300", 9),  # a range it has not
        ("02 02 0001 1900 0101 1000 0201 0200 0401 03", 5),  # a setting it does not know
        ("02 00 0001 8200", 5),  # one is missing
        ("02 00 0001 82", 4),  # cut
        ("02 01 0001 3700 0101 1600 0401 04", 2),  # what it cannot measure
        ("02", 4),
        ("03 00", 6),  # stops what does not run
        ("0F 00", 1),  # no command
    ],
)
def test_it_answers_with_the_status_that_fits(command, status):
    raw = bytes.fromhex(command)
    answer = ask(bench(), raw)
    assert answer[:4] == bytes([0xF0, raw[0], raw[1] if len(raw) > 1 else 0, status])


def test_a_second_start_finds_it_started():
    device = bench()
    assert ask(device, STARTS["ecg"].payload)[3] == 0
    assert ask(device, STARTS["ecg"].payload)[3] == 6


def test_it_wants_an_mtu_for_a_whole_frame():
    device = bench()
    device.peripheral.mtu = PROFILE.mtu - 1
    assert ask(device, STARTS["ecg"].payload)[3] == 10
    device.peripheral.mtu = PROFILE.mtu
    assert ask(device, STARTS["ecg"].payload)[3] == 0
    assert max(len(one.payload) for one in data(device.run(5.0), ECG)) <= PROFILE.mtu - 3


@pytest.mark.parametrize(
    ("wearable", "kinds"),
    [(polar.WEARABLE, {ECG, ACC}), (polar_armband.WEARABLE, {ACC, PPI})],
)
def test_the_decoders_profile_starts_and_stops_it(wearable, kinds):
    device = bench(wearable)
    statuses = start_as_asked(device)
    assert 0 in statuses.values()
    assert set(device.peripheral.running) == kinds
    device.run(100.0)
    for write in PROFILE.stop:
        device.write(write.to, write.payload)
    device.run(0.0)
    peripheral = device.peripheral
    assert peripheral.running == {}
    assert peripheral.told_to_stop
    assert peripheral.ran_s == dict.fromkeys(kinds, 100.0)
    assert [one for one in device.run(60.0) if one.uuid == DATA] == []


def test_a_strap_that_nobody_stops_goes_on_until_it_notices():
    device = bench()
    start_as_asked(device)
    device.run(10.0)
    device.listens.clear()
    device.run(10 * FORGOTTEN_S)
    assert device.peripheral.running == {}
    assert not device.peripheral.told_to_stop
    assert device.peripheral.ran_s[ECG] == pytest.approx(10.0 + FORGOTTEN_S, abs=2.0)


# What it measures, read by the decoder.


def test_an_ecg_comes_in_frames_of_73_as_soon_as_they_are_taken():
    device = bench()
    ask(device, STARTS["ecg"].payload)
    frames = data(device.run(60.0), ECG)
    assert {len(one.payload) for one in frames} == {10 + 3 * 73}
    assert np.diff([one.at_s for one in frames]) == pytest.approx(73 / 130, abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_beat_is_where_the_heart_had_it(seed):
    device = bench(seed=seed)
    ask(device, STARTS["ecg"].payload)
    device.run(100.0)
    runs = [(at_s, s) for at_s, s in decode(DECODER, device.sent) if s.signal == "ecg_mv"]
    clock = StreamClock(130.0)
    times_s, values_mv = [], []
    for at_s, samples in runs:
        assert samples.fs_hz == 130.0
        place = clock.place(samples, at_s)
        assert place.n_skipped == 0
        times_s.append(place.start_s + np.arange(len(samples.values)) * place.step_s)
        values_mv.append(samples.values)
    at_s, ecg_mv = np.concatenate(times_s), np.concatenate(values_mv)
    beats_s = [t for t in device.peripheral.heart.beats_s if 1.0 < t < at_s[-1] - 1.0]
    assert len(beats_s) > 80
    for beat_s in beats_s:
        near = np.abs(at_s - beat_s) < 0.15
        peak_s = at_s[near][np.argmax(ecg_mv[near])]
        assert peak_s == pytest.approx(beat_s, abs=0.5 / 130 + 0.003)
        assert ecg_mv[near].max() == pytest.approx(1.1, abs=0.15)


def test_its_clock_is_its_own_and_begins_anew_without_power():
    device = bench(variant(polar.Habits(fast_ppm=-40.0)))
    ask(device, STARTS["ecg"].payload)
    frames = data(device.run(1000.0), ECG)
    stamps = [int.from_bytes(one.payload[1:9], "little") for one in frames]
    spent_s = frames[-1].at_s - frames[0].at_s
    assert stamps[0] - POWER_UP_NS == pytest.approx(72 / 130 * 1e9, abs=1e6)
    assert (stamps[-1] - stamps[0]) / 1e9 - spent_s == pytest.approx(-40e-6 * spent_s, rel=1e-3)
    device.peripheral.power_cycle(device.now_s())
    assert device.peripheral.running == {}
    ask(device, STARTS["ecg"].payload)
    again = data(device.run(2.0), ECG)[0]
    assert int.from_bytes(again.payload[1:9], "little") - POWER_UP_NS < 1e9


@pytest.mark.parametrize("ecg_hz", [128.0, 131.0])
def test_a_strap_at_the_end_of_its_range_is_read_without_a_gap(ecg_hz):
    device = bench(variant(polar.Habits(ecg_hz=ecg_hz)))
    ask(device, STARTS["ecg"].payload)
    device.run(120.0)
    runs = [(at_s, s) for at_s, s in decode(DECODER, device.sent) if s.signal == "ecg_mv"]
    assert runs[-1][1].fs_hz == ecg_hz
    clocks = {fs_hz: StreamClock(fs_hz) for fs_hz in (130.0, ecg_hz)}
    assert [clocks[s.fs_hz].place(s, at_s).n_skipped for at_s, s in runs] == [0] * len(runs)


def test_ecg_and_movement_on_one_stream_leave_no_gap():
    device = bench()
    start_as_asked(device)
    sources, gaps, n_runs = Sources([DECODER], {}, "p1"), [], {"ecg_mv": 0, "accel_g": 0}
    for one in device.run(200.0):
        if one.uuid == DATA:
            assert sources.take(Packet("strap", one.uuid, one.at_s, one.payload))
            stream, stamp = next(iter(sources)), None
            for samples, at_s in stream.decode():
                if samples.stamp is not stamp:
                    stamp = samples.stamp
                    n_runs[samples.signal] += 1
                    gaps.append(stream.place(samples, at_s)[1])
    assert n_runs == {"ecg_mv": int(200 * 130 / 73), "accel_g": int(200 * 25 / 36)}
    assert set(gaps) == {None}


@pytest.mark.parametrize(("compressed", "form", "n"), [(False, 0x01, 36), (True, 0x81, 57)])
def test_movement_reads_the_same_raw_and_compressed(compressed, form, n):
    device = bench(variant(polar.Habits(compressed=compressed)))
    ask(device, STARTS["acc"].payload)
    device.run(120.0)
    assert {one.payload[9] for one in data(device.sent, ACC)} == {form}
    found = decode(DECODER, device.sent)
    axes = {lead: np.concatenate([s.values for _, s in found if s.lead == lead]) for lead in "xyz"}
    assert {len(s.values) for _, s in found if s.signal == "accel_g"} == {n}
    assert np.abs(axes["z"] - 1.0).max() < 0.02
    assert np.ptp(axes["x"]) == pytest.approx(0.04, abs=0.02)
    assert found[-1][1].fs_hz == 25.0


def test_its_heart_rate_service_tells_the_same_beats():
    device = bench()
    found = decode(HEART_RATE, device.run(300.0))
    beats_s = [t for t in device.peripheral.heart.beats_s if t <= 300.0]
    rr_ms = values_of(found, "rr_ms")
    assert rr_ms == pytest.approx((np.diff(beats_s) * 1000.0).tolist(), abs=1.0)
    rates_bpm = np.array(values_of(found, "hr_bpm")[20:])
    assert np.abs(rates_bpm - 60_000 / float(np.mean(rr_ms))).max() < 3.0


def test_the_same_seed_sends_the_same_and_another_something_else():
    def sent(seed: int) -> list[bytes]:
        device = bench(seed=seed)
        start_as_asked(device)
        return [one.payload for one in device.run(20.0)]

    assert sent(3) == sent(3)
    assert sent(3) != sent(4)


# The armband.


def test_intervals_come_late_and_in_batches_and_are_those_of_the_heart():
    device = bench(polar_armband.WEARABLE)
    ask(device, STARTS["ppi"].payload)
    device.run(120.0)
    device.peripheral.moving = True
    device.run(30.0)
    batches = data(device.sent, PPI)
    assert [one.at_s for one in batches] == [25.0 + 5.0 * i for i in range(26)]
    found = decode(DECODER, device.sent)
    rr_ms = values_of(found, "rr_ms")
    np.testing.assert_array_equal(rr_ms, [one.value for one in device.peripheral.truth])
    assert np.isnan(rr_ms[-20:]).all()
    assert not np.isnan(rr_ms[:-40]).any()
    assert set(values_of(found, "contact_flag")) == {1.0}
    assert values_of(found, "hr_bpm") == []


def test_an_armband_streams_pleth_when_it_is_asked():
    device = bench(polar_armband.WEARABLE)
    statuses = start_as_asked(device, ("ppg",))
    assert list(statuses.values()) == [0, 6, 6]
    device.run(60.0)
    found = decode(DECODER, device.sent)
    assert {(s.signal, s.lead, s.fs_hz) for _, s in found} == {
        ("pleth_au", lead, 55.0) for lead in ("0", "1", "2", "ambient")
    }
    first = np.concatenate([s.values for _, s in found if s.lead == "0"])
    assert np.ptp(first) == pytest.approx(4000.0, rel=0.2)
    assert len(data(device.sent, PPG)) == pytest.approx(60 * 55 / 42, abs=2)


def test_an_armband_is_never_silent_for_the_deadline():
    device = bench(polar_armband.WEARABLE)
    start_as_asked(device)
    device.run(120.0)
    at_s = [0.0, *(one.at_s for one in device.sent if one.uuid == DATA)]
    assert np.diff(at_s).max() < PROFILE.deadline_s
