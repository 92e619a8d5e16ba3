"""The simulated patient: what the real decoders read is the truth that was played."""

import numpy as np
import pytest
import scipy.signal

from edge.readers._body_model import Body
from edge.readers._scenario import read_scenario
from edge.readers.simulated import Settings
from tests.edge.readers.simulated_rig import ALL_DEVICES, play, r_peaks_s, see


@pytest.fixture(scope="module")
def calm():
    return see(Settings("quiet", devices=ALL_DEVICES, duration_s=300.0))


def test_the_ecg_peaks_where_the_beats_are(calm):
    found = r_peaks_s(*calm.wave("board", "ecg_mv", "II"))
    true = np.array([beat.at_s for beat in calm.truth.beats])
    true = true[(true > 0.3) & (true < 299.5)]
    found = found[(found > 0.3) & (found < 299.5)]
    assert found.size == true.size
    # Half a sample of grid, and what noise moves a top of 10 ms.
    assert np.abs(found - true).max() < 0.010
    assert np.abs(np.mean(found - true)) < 0.001


def test_the_ecg_is_the_body_s_with_white_noise_and_nothing_else(calm):
    times_s, values = calm.wave("board", "ecg_mv", "II")
    body = Body(read_scenario("quiet"), read_scenario("quiet").seed)
    rest = values[:50_000] - body.ecg_mv(times_s[:50_000])
    assert rest.std() == pytest.approx(0.01, rel=0.05)
    assert abs(rest.mean()) < 0.001


def test_an_adult_s_lead_ii_has_its_waves_at_their_places(calm):
    times_s, values = calm.wave("board", "ecg_mv", "II")
    beats = [beat.at_s for beat in calm.truth.beats if 1 < beat.at_s < 298]
    first = [np.searchsorted(times_s, at_s) for at_s in beats]
    mean = np.mean([values[i - 75 : i + 125] for i in first], axis=0)
    mean -= np.median(mean)
    at_ms = (np.arange(200) - 75) * 4.0

    def top(start_ms: float, end_ms: float) -> tuple[float, float]:
        here = (at_ms >= start_ms) & (at_ms < end_ms)
        return at_ms[here][np.argmax(mean[here])], mean[here].max()

    (p_ms, p_mv), (_, r_mv), (t_ms, t_mv) = top(-250, -80), top(-30, 30), top(150, 420)
    assert -200 < p_ms < -120
    assert 220 < t_ms < 320
    assert 0.8 < r_mv < 1.4
    assert 0.08 < p_mv < 0.25
    assert 0.2 < t_mv < 0.5


def test_rr_intervals_have_the_mean_and_the_two_bands_of_the_paper():
    seen = see(Settings("quiet", devices=("strap",), duration_s=1200.0))
    rr_s = seen.values("strap", "rr_ms") / 1000
    assert rr_s.mean() == pytest.approx(60 / 64, rel=0.02)
    assert 0.03 < rr_s.std() / rr_s.mean() < 0.06
    at_s = np.cumsum(rr_s)
    even = np.interp(np.arange(at_s[0], at_s[-1], 0.25), at_s, rr_s)
    freq_hz, power = scipy.signal.welch(even, 4.0, nperseg=1024)
    low = (freq_hz > 0.04) & (freq_hz < 0.15)
    high = (freq_hz >= 0.15) & (freq_hz < 0.4)
    assert freq_hz[low][np.argmax(power[low])] == pytest.approx(0.1, abs=0.02)
    assert freq_hz[high][np.argmax(power[high])] == pytest.approx(14 / 60, abs=0.02)
    assert 0.3 < power[low].sum() / power[high].sum() < 1.1


def test_the_strap_s_intervals_are_the_beats(calm):
    found = calm.values("strap", "rr_ms")
    true = np.array([beat.rr_s * 1000 for beat in calm.truth.beats])
    assert abs(found.size - true.size) <= 3
    place = np.argmin([np.abs(true[i : i + 50] - found[:50]).sum() for i in range(5)])
    n = min(true.size - place, found.size)
    assert np.abs(true[place : place + n] - found[:n]).max() <= 1000 / 1024 / 2 + 0.01
    rate = calm.values("strap", "hr_bpm")
    assert rate.mean() == pytest.approx(60_000 / true.mean(), rel=0.02)


def test_saturation_and_pulse_are_right_to_the_clip_s_last_digit(calm):
    arrivals = calm.arrivals_s("clip", "spo2_pct")
    true = calm.truth.vitals.spo2_pct(arrivals)
    # The clip shows whole per cents; the packet is under way for up to half a second.
    assert np.abs(calm.values("clip", "spo2_pct") - true).max() < 0.5 + 0.05
    beats = np.array([beat.at_s for beat in calm.truth.beats])
    for at_s, shown in list(zip(arrivals, calm.values("clip", "pulse_bpm"), strict=True))[12:]:
        last = beats[(beats > at_s - 9) & (beats < at_s)]
        assert shown == pytest.approx(60 / np.diff(last).mean(), abs=3.0)


def test_temperature_is_right_to_the_noise(calm):
    times_s, values = calm.wave("thermometer", "temp_degc")
    rest = values - calm.truth.vitals.temp_degc(times_s)
    assert np.abs(rest).max() < 0.05
    assert values.mean() == pytest.approx(36.6, abs=0.3)


def test_the_breath_has_its_rate_and_moves_with_the_heart(calm):
    times_s, values = calm.wave("board", "resp_au")
    freq_hz, power = scipy.signal.welch(values[::25], 10.0, nperseg=1024)
    true = calm.truth.vitals.resp_brpm(times_s).mean()
    assert 60 * freq_hz[np.argmax(power)] == pytest.approx(true, abs=1.2)


def test_a_patient_at_rest_feels_one_g(calm):
    size = np.sqrt(sum(calm.values("motion", "accel_g", axis) ** 2 for axis in "xyz"))
    assert np.abs(size - 1.0).max() < 0.06


def test_the_pulse_reaches_the_finger_after_every_beat(calm):
    times_s, values = calm.wave("pleth", "pleth_au")
    tops, _ = scipy.signal.find_peaks(values, height=0.5, distance=30)
    beats = np.array([beat.at_s for beat in calm.truth.beats])
    late_s = [times_s[i] - beats[beats < times_s[i]][-1] for i in tops[2:-2]]
    assert abs(len(tops) - len(beats)) <= 2
    assert np.min(late_s) > 0.27
    assert np.max(late_s) < 0.42


def test_premature_beats_are_early_wide_and_followed_by_a_pause(tmp_path):
    seen = play(tmp_path, 'kind="pvcs"\nat_s=10\nfor_s=60\nper_min=12', duration_s=80)
    beats = seen.truth.beats
    places = [i for i, beat in enumerate(beats) if beat.kind == "V"]
    assert 4 <= len(places) <= 25
    times_s, values = seen.wave("board", "ecg_mv", "II")
    # One that follows another's pause has no sinus interval just before it to compare with.
    alone = [i for i in places if not {i - 1, i - 2} & set(places)]
    assert len(alone) >= 4
    for i in alone:
        assert beats[i].rr_s < 0.75 * beats[i - 1].rr_s
        assert beats[i + 1].rr_s > 1.2 * beats[i - 1].rr_s
        # The pause is fully compensatory: the two intervals are two of the sinus node's.
        pair_s = beats[i].rr_s + beats[i + 1].rr_s
        assert pair_s == pytest.approx(2 * beats[i - 1].rr_s, rel=0.15)
        assert width_ms(times_s, values, beats[i].at_s) > 60
        assert width_ms(times_s, values, beats[i - 1].at_s) < 40


def width_ms(times_s: np.ndarray, values: np.ndarray, at_s: float) -> float:
    """Return how long the R wave stays above half of its height."""
    place = int(np.searchsorted(times_s, at_s))
    here = values[place - 40 : place + 40]
    high = here > (here[40] + np.median(values)) / 2
    left = 40 - np.argmin(high[40::-1])
    right = 40 + np.argmin(high[40:])
    return (right - left) * 4.0


def test_fibrillation_is_irregular_and_has_no_p_wave(tmp_path):
    event = 'kind="af"\nat_s=60\nfor_s=60\nhr_bpm=100\nf_wave_mv=0'
    seen = play(tmp_path, event, duration_s=120, patient="hr_bpm=70")
    times_s, values = seen.wave("board", "ecg_mv", "II")
    peaks_s = r_peaks_s(times_s, values)
    before = np.diff(peaks_s[peaks_s < 58])
    during = np.diff(peaks_s[(peaks_s > 62) & (peaks_s < 119)])
    assert during.std() / during.mean() > 0.15 > 2 * before.std() / before.mean()
    assert 60 / during.mean() == pytest.approx(100, rel=0.12)
    assert p_wave_mv(times_s, values, peaks_s[(peaks_s > 5) & (peaks_s < 55)]) > 0.08
    assert abs(p_wave_mv(times_s, values, peaks_s[(peaks_s > 65) & (peaks_s < 115)])) < 0.04


def p_wave_mv(times_s: np.ndarray, values: np.ndarray, peaks_s: np.ndarray) -> float:
    """Return how far the mean P wave stands above the mean of what is just before the QRS."""
    places = np.searchsorted(times_s, peaks_s)
    top = np.mean([values[i - 45 : i - 35].mean() for i in places])
    return top - np.mean([values[i - 20 : i - 14].mean() for i in places])


def test_fibrillation_brings_its_f_waves(tmp_path):
    fibrillation = 'kind="af"\nat_s=30\nfor_s=60\nf_wave_mv=0.1'
    pause = 'kind="asystole"\nat_s=40\nfor_s=20'
    seen = play(tmp_path, fibrillation, pause, duration_s=90)
    times_s, values = seen.wave("board", "ecg_mv", "II")
    here = values[(times_s > 42) & (times_s < 58)]
    freq_hz, power = scipy.signal.welch(here, 250.0, nperseg=1024)
    band = freq_hz > 1.5
    assert 4.0 < freq_hz[band][np.argmax(power[band])] < 8.0


def test_a_ventricular_run_is_fast_and_wide_and_ends(tmp_path):
    seen = play(tmp_path, 'kind="vt_run"\nat_s=20\nfor_s=8\nhr_bpm=180', duration_s=40)
    run = [beat for beat in seen.truth.beats if beat.kind == "V"]
    assert 60 / np.mean([beat.rr_s for beat in run[1:]]) == pytest.approx(180, rel=0.03)
    assert 20.0 <= run[0].at_s < 21.0
    assert 27.5 < run[-1].at_s < 28.6
    times_s, values = seen.wave("board", "ecg_mv", "II")
    peaks_s = r_peaks_s(times_s, values)
    during = peaks_s[(peaks_s > 20.5) & (peaks_s < 28)]
    assert 60 / np.diff(during).mean() == pytest.approx(180, rel=0.05)
    assert min(width_ms(times_s, values, beat.at_s) for beat in run[2:-2]) > 60


def test_an_asystole_has_no_beat_anywhere(tmp_path):
    seen = play(
        tmp_path,
        'kind="asystole"\nat_s=20\nfor_s=15',
        devices=("board", "clip", "strap", "pleth"),
    )
    beats = [beat.at_s for beat in seen.truth.beats]
    assert not [at_s for at_s in beats if 20 <= at_s < 35]
    assert max(np.diff(beats)) > 15
    times_s, values = seen.wave("board", "ecg_mv", "II")
    flat = values[(times_s > 20.8) & (times_s < 34.8)]
    assert np.abs(flat - flat.mean()).max() < 0.4
    assert np.abs(np.diff(flat)).max() < 0.08  # no QRS: those move 0.2 mV and more a sample
    assert r_peaks_s(times_s, values)[-1] > 58  # and the heart beats again
    arrivals = seen.arrivals_s("clip", "spo2_pct")
    silent = (arrivals > 25) & (arrivals < 34)
    assert np.isnan(seen.values("clip", "pulse_bpm")[silent]).all()
    assert (seen.values("clip", "contact_flag")[silent] == 1).all()
    arrivals = seen.arrivals_s("strap", "hr_bpm")
    assert np.isnan(seen.values("strap", "hr_bpm")[(arrivals > 26) & (arrivals < 34)]).all()
    times_s, values = seen.wave("pleth", "pleth_au")
    assert np.ptp(values[(times_s > 21.8) & (times_s < 34.8)]) < 0.4 < np.ptp(values[times_s < 20])


@pytest.mark.parametrize(("kind", "bpm"), [("bradycardia", 34), ("tachycardia", 155)])
def test_a_slow_and_a_fast_heart_reach_their_rate(tmp_path, kind, bpm):
    seen = play(tmp_path, f'kind="{kind}"\nat_s=20\nfor_s=40', duration_s=60)
    peaks_s = r_peaks_s(*seen.wave("board", "ecg_mv", "II"))
    during = peaks_s[(peaks_s > 28) & (peaks_s < 60)]
    assert 60 / np.diff(during).mean() == pytest.approx(bpm, rel=0.06)


def test_a_desaturation_falls_stays_and_recovers(tmp_path):
    event = 'kind="desaturation"\nat_s=20\nfor_s=60\nspo2_pct=84\nfall_s=15\nrise_s=10'
    seen = play(tmp_path, event, devices=("clip",), duration_s=120)
    arrivals, values = seen.arrivals_s("clip", "spo2_pct"), seen.values("clip", "spo2_pct")
    assert values[arrivals < 20].min() >= 95
    assert np.abs(values[(arrivals > 36) & (arrivals < 80)] - 84).max() <= 1.5
    assert values[arrivals > 92].min() >= 95


def test_a_fever_climbs_and_quickens_the_heart(tmp_path):
    event = 'kind="fever"\nat_s=60\nfor_s=540\ntemp_degc=39.5\nrise_s=200'
    seen = play(tmp_path, event, devices=("thermometer", "strap"), duration_s=600)
    times_s, values = seen.wave("thermometer", "temp_degc")
    assert values[times_s < 60].max() < 37.2
    assert values[times_s > 300].mean() == pytest.approx(39.5, abs=0.3)
    arrivals, rate = seen.arrivals_s("strap", "hr_bpm"), seen.values("strap", "hr_bpm")
    assert rate[arrivals > 300].mean() - rate[arrivals < 60].mean() == pytest.approx(22, abs=5)


def test_a_fall_is_weightless_then_a_blow_then_lying_turned_and_still(tmp_path):
    event = 'kind="fall"\nat_s=20\nfor_s=30\ndrop_s=0.4\nimpact_g=4.0'
    seen = play(tmp_path, event, devices=("motion",), duration_s=60)
    times_s, _ = seen.wave("motion", "accel_g", "x")
    axes = np.stack([seen.values("motion", "accel_g", axis) for axis in "xyz"])
    size = np.linalg.norm(axes, axis=0)
    assert size[(times_s > 20.05) & (times_s < 20.35)].max() < 0.3
    assert size[(times_s > 20.4) & (times_s < 20.6)].max() > 2.5
    assert size[times_s < 19.9].max() < 1.1
    lying = (times_s > 23) & (times_s < 49)
    assert np.abs(size[lying] - 1).max() < 0.06
    before, after = axes[:, times_s < 19].mean(axis=1), axes[:, lying].mean(axis=1)
    turned = np.degrees(np.arccos(before @ after / np.linalg.norm(before) / np.linalg.norm(after)))
    assert turned > 60


def test_exercise_moves_body_heart_breath_and_electrodes(tmp_path):
    event = 'kind="exercise"\nat_s=60\nfor_s=90\nhr_bpm=125\nresp_brpm=28\nsteps_per_min=120'
    seen = play(tmp_path, event, devices=("board", "motion"), duration_s=150)
    times_s, up = seen.wave("motion", "accel_g", "x")
    walking = (times_s > 70) & (times_s < 145)
    assert up[walking].std() > 0.2 > 10 * up[times_s < 55].std()
    freq_hz, power = scipy.signal.welch(up[walking], 50.0, nperseg=1024)
    assert 60 * freq_hz[np.argmax(power)] == pytest.approx(120, abs=4)
    times_s, ecg_mv = seen.wave("board", "ecg_mv", "II")
    late, early = (times_s > 100) & (times_s < 145), times_s < 55
    assert np.median(np.abs(ecg_mv[late])) > 2 * np.median(np.abs(ecg_mv[early]))
    rate = 60 * len([b for b in seen.truth.beats if 100 < b.at_s < 145]) / 45
    assert rate == pytest.approx(125, rel=0.06)
    assert seen.truth.vitals.resp_brpm(np.array([120.0]))[0] == pytest.approx(28, abs=3)


def test_an_apnoea_is_flat_and_rest_can_change_the_patient(tmp_path):
    seen = play(
        tmp_path,
        'kind="apnoea"\nat_s=20\nfor_s=20',
        'kind="rest"\nat_s=50\nfor_s=40\nhr_bpm=50\nresp_brpm=9\nspo2_pct=91',
        duration_s=90,
    )
    times_s, values = seen.wave("board", "resp_au")
    assert np.ptp(values[(times_s > 22) & (times_s < 39)]) < 0.25 < np.ptp(values[times_s < 19])
    at = np.array([80.0])
    assert seen.truth.vitals.hr_bpm(at)[0] == pytest.approx(50)
    assert seen.truth.vitals.resp_brpm(at)[0] == pytest.approx(9, abs=2.5)
    assert seen.truth.vitals.spo2_pct(at)[0] == pytest.approx(91, abs=1.5)
    assert seen.truth.vitals.resp_brpm(np.array([30.0]))[0] == 0.0
