"""One patient's signals: windows hold what came, ages and quality tell what did not."""

import numpy as np
import pytest

from edge.alarms import asystole
from edge.bedside import Bedside
from edge.dsp.timeline import Placement
from edge.features import vitals
from edge.records import Features, Samples

FS_HZ = 250.0


def ecg(start_s, n_s, *, bpm=60.0, noise_mv=0.005):
    """Return a run of narrow QRS complexes, one a beat, with a little noise."""
    t = start_s + np.arange(round(n_s * FS_HZ)) / FS_HZ
    phase = (t * bpm / 60) % 1.0 - 0.5
    qrs = np.exp(-((phase / 0.012) ** 2)) - 0.25 * np.exp(-(((phase - 0.035) / 0.012) ** 2))
    drawn = np.random.default_rng(round(start_s * 1000)).normal(0, noise_mv, len(t))
    return (qrs + drawn).astype(np.float32)


def feed(bedside, values, start_s, *, lead="II", skipped=0, source="board"):
    samples = Samples("ecg_mv", start_s, FS_HZ, values, lead)
    bedside.take_run(samples, Placement(skipped, 0, start_s, 1 / FS_HZ, 0.01), source)
    end_s = start_s + len(values) / FS_HZ
    beats = []
    for now_s in range(int(np.floor(start_s)) + 1, int(np.floor(end_s + 1e-6)) + 1):
        beats += bedside.advance(float(now_s))
    return beats


def test_beats_come_with_their_time_interval_and_sample():
    beats = feed(Bedside("p", 120.0), ecg(0.0, 30.0), 0.0)

    assert len(beats) >= 26
    assert all(abs(beat.at_s - 0.5 - round(beat.at_s - 0.5)) < 0.012 for beat in beats)
    assert all(beat.rr_ms == pytest.approx(1000.0, abs=9.0) for beat in beats[1:])
    assert all(beat.sample_idx == round(beat.at_s * FS_HZ) for beat in beats)


def test_an_interval_over_a_hole_is_not_known():
    bedside = Bedside("p", 120.0)
    feed(bedside, ecg(0.0, 20.0), 0.0)
    beats = feed(bedside, ecg(22.0, 20.0), 22.0, skipped=round(2 * FS_HZ))
    late = [beat for beat in beats if beat.at_s > 22.0]

    assert late[0].rr_ms is None
    assert late[1].rr_ms == pytest.approx(1000.0, abs=9.0)
    assert late[0].sample_idx == round(late[0].at_s * FS_HZ)


def test_a_beat_just_before_a_hole_keeps_its_interval():
    bedside, values = Bedside("p", 120.0), ecg(0.0, 40.0)
    values[round(20.6 * FS_HZ) : round(21.1 * FS_HZ)] = np.nan
    values[round(30.8 * FS_HZ) : round(31.2 * FS_HZ)] = np.nan
    beats = {round(beat.at_s - 0.5): beat.rr_ms for beat in feed(bedside, values, 0.0)}

    assert [n for n, rr_ms in beats.items() if n > 2 and rr_ms is None] == [21, 31]


def test_the_first_beat_after_a_long_pause_has_no_interval():
    bedside, values = Bedside("p", 120.0), ecg(0.0, 60.0)
    noise = np.random.default_rng(5).normal(0, 0.004, len(values)).astype(np.float32)
    values[round(20.3 * FS_HZ) : round(35.3 * FS_HZ)] = noise[: round(15 * FS_HZ)]
    beats = feed(bedside, values, 0.0)
    after = next(beat for beat in beats if beat.at_s > 30.0)

    assert 35.0 < after.at_s < 37.0
    assert after.rr_ms is None


def test_a_long_outage_starts_the_detector_anew_and_beats_come_back():
    bedside = Bedside("p", 120.0)
    feed(bedside, ecg(0.0, 20.0), 0.0)
    for now_s in range(21, 200):
        bedside.advance(float(now_s))
    beats = feed(bedside, ecg(200.0, 20.0), 200.0, skipped=round(180 * FS_HZ))

    assert len([beat for beat in beats if beat.at_s > 200.0]) >= 14
    assert beats[-1].sample_idx == round(beats[-1].at_s * FS_HZ)


def test_bursts_of_two_seconds_lose_no_beat():
    bedside, beats = Bedside("p", 120.0), []
    for start_s in range(0, 60, 2):
        values = ecg(float(start_s), 2.0)
        samples = Samples("ecg_mv", float(start_s), FS_HZ, values, "II")
        beats += bedside.advance(start_s + 1.0)
        bedside.take_run(samples, Placement(0, 0, float(start_s), 1 / FS_HZ, 0.01), "board")
        beats += bedside.advance(start_s + 2.0)
        if start_s > 10:
            window = bedside.second(start_s + 1.0, 1.0, 30.0)
            assert window.quality["ecg_mv"] > 0.8

    assert len(beats) >= 56


def test_a_window_holds_its_span_and_context_and_says_what_is_missing():
    bedside = Bedside("p", 120.0)
    feed(bedside, ecg(0.0, 49.0), 0.0)
    for now_s in (50, 51, 52):
        bedside.advance(float(now_s))
    window = bedside.window(50.0, 10.0, 30.0, 52.0)
    trace = window.signals["ecg_mv"]

    assert trace.start_s == pytest.approx(10.0)
    assert len(trace.values) == 10_000
    assert np.isnan(trace.values[-250:]).all()
    assert not np.isnan(trace.values[:-250]).any()
    assert 0.8 < window.quality["ecg_mv"] <= 0.9
    assert window.age_s["ecg_mv"] == pytest.approx(3.0, abs=0.01)
    assert len(window.signals["rr_ms"].values) >= 36


def test_quality_is_absent_while_nothing_comes():
    bedside = Bedside("p", 120.0)
    feed(bedside, ecg(0.0, 20.0), 0.0)
    for now_s in range(21, 31):
        bedside.advance(float(now_s))

    assert "ecg_mv" not in bedside.second(30.0, 1.0, 30.0).quality


def test_a_second_lead_stands_beside_the_first():
    bedside = Bedside("p", 60.0)
    feed(bedside, ecg(0.0, 12.0), 0.0)
    feed(bedside, ecg(0.0, 12.0) * 3, 0.0, lead="V1")
    window = bedside.window(10.0, 10.0, 30.0, 12.0)

    assert window.signals["ecg_mv"].lead == "II"
    assert window.signals["ecg_mv:V1"].lead == "V1"


def test_a_value_that_repeats_is_seen_to_be_frozen():
    bedside = Bedside("p", 60.0)
    for i in range(30):
        value = np.array([97.0 if i > 5 else 90.0 + i], np.float32)
        bedside.take_values(Samples("spo2_pct", 0.0, 0.0, value), float(i), "clip")
        bedside.advance(i + 1.0)

    window = bedside.second(30.0, 1.0, 30.0)

    assert window.frozen_s["spo2_pct"] == pytest.approx(23.0)
    assert window.age_s["spo2_pct"] == pytest.approx(1.0)


def test_coverage_is_the_share_of_the_period_with_values():
    bedside = Bedside("p", 120.0)
    feed(bedside, ecg(0.0, 30.0), 0.0)
    for i in range(60):
        if i < 45:
            value = np.array([97.0], np.float32)
            bedside.take_values(Samples("spo2_pct", 0.0, 0.0, value), float(i), "clip")
        bedside.advance(i + 1.0)
    coverage = bedside.close_period(60.0)

    assert coverage["ecg_mv"] == pytest.approx(0.5, abs=0.01)
    assert coverage["spo2_pct"] == pytest.approx(0.77, abs=0.03)
    assert bedside.close_period(60.0)["ecg_mv"] == 0.0


def test_a_thermometer_is_kept_value_by_value():
    bedside = Bedside("p", 60.0)
    for i in range(4):
        run = Samples("temp_degc", 0.0, 0.1, np.array([36.5 + i / 10], np.float32))
        bedside.take_run(run, Placement(0, 0, 10.0 * i, 10.0, 0.1), "thermometer")
    series = bedside.second(40.0, 1.0, 60.0).signals["temp_degc"]

    assert series.times_s.tolist() == [0.0, 10.0, 20.0, 30.0]
    assert series.fs_hz == 0.0


def test_a_strap_counts_only_where_no_ecg_shows_the_beats():
    bedside = Bedside("p", 60.0)
    rr = Samples("rr_ms", 0.0, 0.0, np.array([800.0], np.float32))

    assert len(bedside.take_values(rr, 5.0, "strap")) == 1
    feed(bedside, ecg(6.0, 2.0), 6.0)
    assert len(bedside.take_values(rr, 8.0, "strap")) == 1  # it has shown none yet
    beats = feed(bedside, ecg(8.0, 8.0), 8.0)
    assert beats
    assert min(beat.at_s for beat in beats) > 8.0  # none that the strap has told of
    assert bedside.take_values(rr, 16.0, "strap") == []


def test_a_strap_counts_again_while_a_new_detector_finds_its_first_beats():
    bedside = Bedside("p", 60.0)
    rr = Samples("rr_ms", 0.0, 0.0, np.array([800.0], np.float32))
    feed(bedside, ecg(0.0, 12.0), 0.0)
    assert bedside.take_values(rr, 12.0, "strap") == []
    # The board comes back with another rate: its detector begins anew.
    anew = Samples("ecg_mv", 12.0, 200.0, ecg(12.0, 1.0)[:200], "II")
    bedside.take_run(anew, Placement(0, 0, 12.0, 1 / 200.0, 0.01), "board")

    assert len(bedside.take_values(rr, 13.0, "strap")) == 1


def test_a_trace_is_a_copy():
    bedside = Bedside("p", 60.0)
    feed(bedside, ecg(0.0, 10.0), 0.0)
    trace = bedside.trace("ecg_mv", 4.0, 10.0)

    assert len(trace.values) == 1000
    assert trace.values.flags.owndata
    assert bedside.trace("pleth_au", 4.0, 10.0) is None


def test_when_the_watched_lead_falls_silent_another_that_sends_is_watched():
    bedside = Bedside("p", 120.0)
    feed(bedside, ecg(0.0, 20.0), 0.0)
    beats = feed(bedside, ecg(20.0, 40.0), 20.0, source="strap", lead="")
    seen = [beat for beat in beats if beat.source == "strap"]

    assert len(seen) >= 24
    assert 29.0 < seen[0].at_s < 36.0
    assert bedside.age_s(60.0)["ecg_mv"] < 0.1
    assert bedside.second(60.0, 1.0, 30.0).quality["ecg_mv"] > 0.8


@pytest.mark.parametrize("fs_hz", [50.0, 4000.0])
def test_an_ecg_at_a_rate_no_beat_is_found_at_is_kept_and_stops_nothing(fs_hz):
    bedside = Bedside("p", 120.0)
    values = np.zeros(round(fs_hz), np.float32)
    for second in range(5):
        run = Samples("ecg_mv", float(second), fs_hz, values, "II")
        bedside.take_run(run, Placement(0, 0, float(second), 1 / fs_hz, 0.01), "board")
        assert bedside.advance(second + 1.0) == []

    assert bedside.age_s(5.0)["ecg_mv"] < 0.1


def test_a_board_that_comes_back_with_another_rate_is_watched_on():
    bedside = Bedside("p", 120.0)
    feed(bedside, ecg(0.0, 20.0), 0.0)
    slow = ecg(20.0, 30.0)[::2]
    run = Samples("ecg_mv", 20.0, FS_HZ / 2, slow, "II")
    bedside.take_run(run, Placement(0, 0, 20.0, 2 / FS_HZ, 0.01), "board")
    beats = [beat for now_s in range(21, 51) for beat in bedside.advance(float(now_s))]

    assert len(beats) >= 24


def test_a_source_that_makes_names_up_is_bounded():
    bedside = Bedside("p", 60.0)
    for i in range(200):
        run = Samples("resp_au", 0.0, 100.0, np.zeros(10, np.float32), f"lead {i}")
        bedside.take_run(run, Placement(0, 0, 0.0, 0.01, 0.01), "board")
        bedside.take_values(Samples(f"s{i}_pct", 0.0, 0.0, np.ones(1, np.float32)), 1.0, "x")
    bedside.advance(1.0)

    assert bedside.n_refused == 2 * (200 - 64)
    assert len(bedside.age_s(1.0)) <= 128


def test_a_number_that_cannot_be_true_is_no_number():
    bedside = Bedside("p", 60.0)
    for i, value in enumerate((97.0, 312.0, -4.0, 96.0, np.nan)):
        run = Samples("spo2_pct", 0.0, 0.0, np.array([value], np.float32))
        bedside.take_values(run, float(i), "clip")
    seen = bedside.second(5.0, 1.0, 30.0).signals["spo2_pct"].values

    assert seen[[0, 3]].tolist() == [97.0, 96.0]
    assert np.isnan(seen[[1, 2, 4]]).all()
    assert bedside.n_implausible == 2


def breathe(bedside, start_s, n_s):
    """Feed a breathing wave of 15 a minute."""
    fs_hz = 25.0
    t = start_s + np.arange(round(n_s * fs_hz)) / fs_hz
    values = np.sin(2 * np.pi * 0.25 * t).astype(np.float32)
    bedside.take_run(
        Samples("resp_au", start_s, fs_hz, values, ""),
        Placement(0, 0, start_s, 1 / fs_hz, 0.01),
        "belt",
    )
    for now_s in range(int(start_s) + 1, int(start_s + n_s) + 1):
        bedside.advance(float(now_s))


def test_an_electrode_that_was_off_long_ago_does_not_hide_breathing_for_ever():
    bedside = Bedside("p", 120.0)
    off = Samples("lead_off_flag", 0.0, 0.0, np.array([1.0], np.float32))
    bedside.take_values(off, 0.5, "board")  # and then its battery is flat
    breathe(bedside, 1.0, 120.0)
    assert bedside.age_s(121.0)["breath_brpm"] < 10.0


def test_breathing_measured_through_an_electrode_that_is_off_is_none():
    bedside = Bedside("p", 120.0)
    off = Samples("lead_off_flag", 0.0, 0.0, np.array([1.0], np.float32))
    for start_s in range(1, 121, 5):
        bedside.take_values(off, float(start_s), "board")
        breathe(bedside, float(start_s), 5.0)
    assert "breath_brpm" not in bedside.age_s(121.0)


@pytest.mark.parametrize(("source", "present"), [("spare", True), ("board", None)])
def test_only_the_board_whose_ecg_is_watched_says_that_it_cannot_show_a_beat(source, present):
    # A spare board lies on the table, its electrodes open, while the watched heart stands still.
    bedside, noise = Bedside("p", 120.0), np.random.default_rng(1)
    still = noise.normal(0, 0.004, round(10 * FS_HZ)).astype(np.float32)
    values = np.concatenate([ecg(0.0, 20.0), still])
    for start_s in range(0, 30, 2):
        off = Samples("lead_off_flag", 0.0, 0.0, np.array([1.0], np.float32))
        on = Samples("lead_off_flag", 0.0, 0.0, np.array([0.0], np.float32))
        bedside.take_values(off if source == "board" else on, start_s + 0.5, "board")
        bedside.take_values(off, start_s + 0.6, source)
        cut = values[round(start_s * FS_HZ) : round((start_s + 2) * FS_HZ)]
        feed(bedside, cut, float(start_s))
    seen = Features("p", 29.0, 1.0, vitals.compute(bedside.second(30.0, 1.0, 30.0)))

    assert seen.values["lead_off_flag"] == 1.0
    assert asystole.RULE.step(None, seen, None, asystole.RULE.settings)[1].present is present
