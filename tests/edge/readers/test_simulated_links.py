"""The simulated devices and links: every fault appears as the scenario says."""

import numpy as np
import pytest

from tests.edge.readers.simulated_rig import play


def test_an_electrode_off_says_so_at_once_and_rails_the_ecg(tmp_path):
    seen = play(
        tmp_path,
        'kind="electrode_off"\nat_s=20.02\nfor_s=15',
        'kind="electrode_off"\nat_s=45\nfor_s=5\ndevice="strap"',
        devices=("board", "strap"),
    )
    times_s, values = seen.wave("board", "ecg_mv", "II")
    off = (times_s >= 20.02) & (times_s < 35.02)
    assert (values[off] == np.float32(32.767)).all()
    assert np.abs(values[~off]).max() < 3
    told = dict(
        zip(
            seen.arrivals_s("board", "lead_off_flag"),
            seen.values("board", "lead_off_flag"),
            strict=True,
        )
    )
    begun, ended = (min(at for at in told if at > edge) for edge in (20.02, 35.02))
    assert (told[begun], told[ended]) == (1.0, 0.0)
    assert max(begun - 20.02, ended - 35.02) < 0.15
    arrivals, contact = (
        seen.arrivals_s("strap", "contact_flag"),
        seen.values("strap", "contact_flag"),
    )
    assert (contact[(arrivals > 46.5) & (arrivals < 50)] == 0).all()
    assert (contact[(arrivals < 45) | (arrivals > 51.5)] == 1).all()


def test_a_clip_off_has_no_contact_no_value_and_then_searches(tmp_path):
    event = 'kind="clip_off"\nat_s=20\nfor_s=15'
    seen = play(tmp_path, event, devices=("clip", "pleth"))
    arrivals, contact = seen.arrivals_s("clip", "spo2_pct"), seen.values("clip", "contact_flag")
    off, found = (arrivals > 21) & (arrivals < 35), np.isfinite(seen.values("clip", "spo2_pct"))
    assert (contact[off] == 0).all()
    assert not found[(arrivals > 21) & (arrivals < 39)].any()
    assert found[(arrivals < 20) | (arrivals > 41)].all()
    times_s, values = seen.wave("pleth", "pleth_au")
    assert np.ptp(values[(times_s > 20.1) & (times_s < 34.9)]) < 0.12


def test_a_frozen_device_repeats_its_last_value_while_its_clock_runs(tmp_path):
    seen = play(
        tmp_path,
        'kind="frozen_value"\nat_s=20\nfor_s=15\ndevice="board"',
        'kind="frozen_value"\nat_s=20\nfor_s=15\ndevice="clip"',
        'kind="desaturation"\nat_s=15\nfor_s=40\nspo2_pct=80\nfall_s=30',
        devices=("board", "clip"),
    )
    times_s, values = seen.wave("board", "ecg_mv", "II")
    held = values[(times_s >= 20) & (times_s < 35)]
    assert np.unique(held).size == 1
    assert np.unique(values[times_s < 20]).size > 100
    payloads = [p.payload for p in seen.of("clip") if 21 < p.arrived_s < 34]
    assert len(payloads) == 13
    assert len(set(payloads)) == 1
    assert len({p.payload for p in seen.of("clip") if p.arrived_s < 20}) > 3


def test_lost_packets_are_lost_and_numbered(tmp_path):
    seen = play(
        tmp_path,
        'kind="radio_loss"\nat_s=10\nfor_s=10',
        'kind="radio_loss"\nat_s=30\nfor_s=30\ndevice="board"\nshare=0.3',
        devices=("board", "clip"),
    )
    arrivals = np.array([packet.arrived_s for packet in seen.packets])
    assert not ((arrivals > 10.5) & (arrivals < 19.9)).any()
    runs = seen.runs["sim:board", "ecg_mv", "II"]
    numbers = np.array([run.stamp.sequence for run in runs])
    ticks = np.array([run.stamp.ticks for run in runs])
    missing = np.diff(numbers) - 1
    # What the numbers say is missing is what the clock says is missing.
    np.testing.assert_array_equal(np.diff(ticks), (missing + 1) * 100_000)
    late = np.array([run.start_s for run in runs][1:]) > 30
    assert missing[late].sum() / 300 == pytest.approx(0.3, abs=0.08)
    assert missing[~late].max() == pytest.approx(100, abs=2)


def test_bursts_come_several_at_once_and_lose_nothing(tmp_path):
    event = 'kind="bursts"\nat_s=20\nfor_s=20\ndevice="board"\nevery_s=2.0'
    seen = play(tmp_path, event)
    arrivals = np.array([run.start_s for run in seen.runs["sim:board", "ecg_mv", "II"]])
    numbers = [run.stamp.sequence for run in seen.runs["sim:board", "ecg_mv", "II"]]
    assert numbers == list(range(len(numbers)))
    held = arrivals[(arrivals > 20.1) & (arrivals < 40.0)]
    assert held.size >= 170
    assert np.unique(np.round((held - 20) / 2)).size <= 10
    assert np.abs((held - 20) / 2 - np.round((held - 20) / 2)).max() < 0.05


def test_the_sensor_clock_runs_as_the_truth_says(tmp_path):
    event = 'kind="clock_drift"\nat_s=20\nfor_s=20\ndevice="board"\nppm=5000'
    links = "[links.board]\nppm=100\nlatency_s=0.004\njitter_s=0\nclock_start_us=4284967296"
    seen = play(tmp_path, event, links=links)
    runs = seen.runs["sim:board", "ecg_mv", "II"]
    ticks = np.unwrap([float(run.stamp.ticks) for run in runs], period=2.0**32)
    assert ticks[0] == 4_284_967_296
    assert min(run.stamp.ticks for run in runs) < 1_000_000  # it wrapped after ten seconds
    last_s = np.array([run.start_s for run in runs]) - 0.004
    true_s = seen.truth.sample_times_s("sim:board", 0, 25 * len(runs))[24::25]
    np.testing.assert_allclose(last_s, true_s, atol=1e-9)
    (boot,) = seen.truth.boots["sim:board"]
    np.testing.assert_allclose(
        (ticks - ticks[0]) * 1e-6 + 24 / 250, boot.local_s(true_s), atol=2e-6
    )
    rate = np.diff((ticks - ticks[0]) * 1e-6) / np.diff(true_s)
    assert rate[:150] == pytest.approx(1.0001, abs=1e-5)
    assert rate[220:380] == pytest.approx(1.0051, abs=1e-5)


def test_a_restart_begins_the_clock_the_numbers_and_the_description_anew(tmp_path):
    links = "[links.board]\nclock_start_us=500000000"
    seen = play(tmp_path, 'kind="restart"\nat_s=20\nfor_s=5\ndevice="board"', links=links)
    runs = seen.runs["sim:board", "ecg_mv", "II"]
    (place,) = np.flatnonzero(np.diff([run.stamp.ticks for run in runs]) < 0)
    again = runs[place + 1]
    assert (again.stamp.sequence, again.stamp.ticks) == (0, 2_000)
    assert again.start_s - runs[place].start_s > 5.0
    first, second = seen.truth.boots["sim:board"]
    assert (first.off_s, second.on_s) == (20.0, 25.0)
    # A decoder that never saw the first life reads the second.
    later = [p for p in seen.of("board") if p.arrived_s > 20.5]
    assert later[0].payload[1:2] == b"\x01"
    times_s = seen.truth.sample_times_s("sim:board", 0, 25, boot_idx=1)
    assert times_s[0] == 25.0
