"""What every file in `edge/features` must keep, a new one too."""

from __future__ import annotations

import copy
import importlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.features
from edge.discover import discover, plugin_names
from edge.features import FeatureFamily
from edge.records import CONTEXT_S, SECOND_S, WINDOW_S, Samples, Window, check_signal

FAMILIES = discover(edge.features, "FEATURES", FeatureFamily)
each_family = pytest.mark.parametrize("family", FAMILIES, ids=[f.name for f in FAMILIES])

FS_HZ = 250.0
HELD = {
    "years_au": 70.0,
    "pregnant_flag": 0.0,
    "spo2_scale_au": 1.0,
    "oxygen_flag": 0.0,
    "acvpu_au": 0.0,
    "nibp_sys_mmhg": 128.0,
    "temp_degc": 36.9,
    "resp_brpm": 16.0,
}
START_S = 1000.0


def fixed(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def one_by_one(signal: str, times_s: np.ndarray, values: np.ndarray) -> Samples:
    values = fixed(np.asarray(values, dtype=np.float32))
    times_s = fixed(np.asarray(times_s, dtype=np.float64))
    return Samples(signal, float(times_s[0]), 0.0, values, times_s=times_s)


def beat_shape(at_s: np.ndarray) -> np.ndarray:
    bumps = ((-0.16, 0.1, 0.025), (0.0, 1.2, 0.012), (0.03, -0.3, 0.012), (0.25, 0.3, 0.05))
    return sum(a * np.exp(-0.5 * ((at_s - m) / s) ** 2) for m, a, s in bumps)


def lying(n_s, rng):
    """Return acceleration of somebody who lies on the back, (3, n)."""
    still = np.array([[0.06], [0.10], [0.99]])
    return (still + rng.normal(0.0, 0.006, (3, n_s * 50))).astype(np.float32)


def full_window(length_s: float, start_s: float = START_S, seed: int = 1) -> Window:
    """A patient with every signal the monitor knows of."""
    rng = np.random.default_rng(seed)
    begin_s, end_s = start_s - CONTEXT_S, start_s + length_s
    rr_ms = np.round(rng.normal(800.0, 60.0, 60))
    beats_s = begin_s + 0.4 + np.cumsum(rr_ms) / 1000.0
    rr_ms, beats_s = rr_ms[beats_s < end_s], beats_s[beats_s < end_s]
    at_s = begin_s + np.arange(round((end_s - begin_s) * FS_HZ)) / FS_HZ
    ecg_mv = sum(beat_shape(at_s - beat_s) for beat_s in beats_s)
    ecg_mv = ecg_mv + rng.normal(0.0, 0.01, at_s.size)
    each_s = np.arange(begin_s + 0.5, end_s)
    n = each_s.size
    signals = {
        "ecg_mv": Samples("ecg_mv", begin_s, FS_HZ, fixed(ecg_mv.astype(np.float32))),
        "rr_ms": one_by_one("rr_ms", beats_s, rr_ms),
        "ecg_quality_au": one_by_one("ecg_quality_au", each_s + 0.5, np.full(n, 0.9)),
        "spo2_pct": one_by_one("spo2_pct", each_s, np.round(rng.normal(95.0, 1.0, n))),
        "pulse_bpm": one_by_one("pulse_bpm", each_s, np.round(rng.normal(75.0, 1.0, n))),
        "hr_bpm": one_by_one("hr_bpm", each_s, np.full(n, 75.0)),
        "temp_degc": Samples("temp_degc", begin_s, 1.0, fixed(np.full(n, 36.6, np.float32))),
        "skin_degc": one_by_one("skin_degc", each_s, np.full(n, 33.5)),
        "lead_off_flag": one_by_one("lead_off_flag", each_s, np.zeros(n)),
        "ecg_off_flag": one_by_one("ecg_off_flag", each_s, np.zeros(n)),
        "contact_flag": one_by_one("contact_flag", each_s, np.ones(n)),
        "resp_brpm": one_by_one("resp_brpm", each_s, np.full(n, 16.0)),
        "breath_brpm": one_by_one("breath_brpm", each_s[::4], np.full(each_s[::4].size, 15.0)),
        **{
            name: Samples(name, begin_s, 50.0, fixed(axis))
            for name, axis in zip(("accel_g", "accel_g:y", "accel_g:z"), lying(n, rng), strict=True)
        },
        # What was entered an hour ago and still stands.
        **{
            f"held_{name}": one_by_one(f"held_{name}", np.array([end_s - 3600.0]), [value])
            for name, value in HELD.items()
        },
    }
    return Window(
        patient="p",
        start_s=start_s,
        length_s=length_s,
        context_s=CONTEXT_S,
        signals=signals,
        quality={"ecg_mv": 0.9},
        age_s=dict.fromkeys(signals, 0.25) | {"pleth_au": 0.1, "accel_g": 0.2},
        frozen_s=dict.fromkeys(signals, 0.0),
    )


def changed(window: Window, **parts: object) -> Window:
    fields = {name: getattr(window, name) for name in Window.__struct_fields__}
    return Window(**(fields | parts))


def only(window: Window, names: tuple[str, ...]) -> Window:
    signals = {name: s for name, s in window.signals.items() if name in names}
    return changed(window, signals=signals, quality={}, age_s={}, frozen_s={})


def with_values(samples: Samples, values: np.ndarray) -> Samples:
    return Samples(
        samples.signal,
        samples.start_s,
        samples.fs_hz,
        fixed(np.asarray(values, dtype=np.float32)),
        times_s=samples.times_s,
    )


def with_all(window: Window, change: object) -> Window:
    signals = {n: with_values(s, change(s.values)) for n, s in window.signals.items()}
    return changed(window, signals=signals)


def late(samples: Samples, since_s: float) -> Samples:
    """The same signal, begun at `since_s`; at least its last value."""
    if samples.times_s is None:
        n = min(max(round((since_s - samples.start_s) * samples.fs_hz), 0), samples.values.size - 1)
        begin_s = samples.start_s + n / samples.fs_hz
        return Samples(samples.signal, begin_s, samples.fs_hz, samples.values[n:])
    n = min(int(np.searchsorted(samples.times_s, since_s)), samples.values.size - 1)
    return one_by_one(samples.signal, samples.times_s[n:].copy(), samples.values[n:].copy())


def odd_windows(family: FeatureFamily) -> dict[str, Window]:
    window = full_window(family.every_s)
    end_s = window.end_s

    def begun(since_s: float) -> Window:
        return changed(window, signals={n: late(s, since_s) for n, s in window.signals.items()})

    return {
        "all signals": window,
        "only what it needs": only(window, family.needs),
        "all NaN": with_all(window, lambda v: np.full(v.size, np.nan)),
        "all zero": with_all(window, np.zeros_like),
        "one value for ever": with_all(window, lambda v: np.full(v.size, 70.0)),
        "every third missing": with_all(
            window, lambda v: np.where(np.arange(v.size) % 3 == 0, np.nan, v)
        ),
        "one valid value": with_all(
            window, lambda v: np.where(np.arange(v.size) == v.size // 2, v, np.nan)
        ),
        "huge": with_all(window, lambda v: np.where(np.arange(v.size) % 7 == 0, 1e9, v)),
        "upside down": with_all(window, lambda v: -v),
        "begun a second ago": begun(end_s - 1.0),
        "only the last values": begun(end_s),
        "no context": begun(window.start_s),
        "ended before the window": changed(window, start_s=window.start_s + 20.0),
    }


def check_numbers(family: FeatureFamily, window: Window) -> dict[str, float]:
    values = dict(family.compute(window))
    assert set(values) == set(family.names)
    for name, value in values.items():
        assert type(value) is float, name
        assert not math.isinf(value), name
    return values


def same(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(one[n] == other[n] or (math.isnan(one[n]) and math.isnan(other[n])) for n in one)


def test_there_are_families_for_alarms_and_for_the_model():
    assert {f.name for f in FAMILIES} >= {"vitals", "rr", "morphology", "ecg_quality", "oximetry"}
    assert any(f.model for f in FAMILIES)
    assert any(f.every_s == SECOND_S for f in FAMILIES)


def test_no_two_families_promise_the_same_name():
    names = [name for family in FAMILIES for name in family.names]
    assert len(names) == len(set(names))


def test_every_family_is_named_after_its_file():
    for name in plugin_names(edge.features):
        assert importlib.import_module(f"edge.features.{name}").FEATURES.name == name


@each_family
def test_a_family_runs_at_one_of_the_two_cadences_and_needs_real_signals(family):
    assert family.every_s in (SECOND_S, WINDOW_S)
    assert not family.model or family.every_s == WINDOW_S
    for signal in family.needs:
        assert check_signal(signal) == signal


@each_family
def test_every_name_has_words_of_its_own(family):
    assert set(family.words) == set(family.names)
    assert len(set(family.words.values())) == len(family.names)
    for name, words in family.words.items():
        assert " " in words
        assert "_" not in words, name
        assert words == words.strip()


@each_family
def test_a_full_window_gives_every_number_that_is_no_age(family):
    window = full_window(family.every_s)
    values = check_numbers(family, window)
    missing = {name for name, value in values.items() if math.isnan(value)}
    assert not {name for name in missing if not name.endswith("_age_s")}


@each_family
@pytest.mark.parametrize("kind", list(odd_windows(FAMILIES[0])))
def test_an_odd_window_gives_exactly_the_promised_names_and_never_infinity(family, kind):
    check_numbers(family, odd_windows(family)[kind])


@each_family
def test_the_same_window_gives_the_same_numbers_and_stays_as_it_was(family):
    window = full_window(family.every_s)
    before = copy.deepcopy({n: (s.values, s.times_s) for n, s in window.signals.items()})
    first = check_numbers(family, window)
    # Another window in between: nothing may be carried over.
    check_numbers(family, odd_windows(family)["every third missing"])
    assert same(first, check_numbers(family, window))
    for name, (values, times_s) in before.items():
        np.testing.assert_array_equal(window.signals[name].values, values)
        np.testing.assert_array_equal(window.signals[name].times_s, times_s)


@each_family
def test_what_time_it_is_changes_nothing(family):
    window = full_window(family.every_s)
    by_s = 86400.0 * 40
    signals = {}
    for name, s in window.signals.items():
        times_s = None if s.times_s is None else fixed(s.times_s + by_s)
        signals[name] = Samples(name, s.start_s + by_s, s.fs_hz, s.values, times_s=times_s)
    moved = changed(window, start_s=window.start_s + by_s, signals=signals)
    assert check_numbers(family, moved) == pytest.approx(
        check_numbers(family, window), rel=1e-4, abs=1e-4, nan_ok=True
    )


@each_family
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), share=st.floats(0.0, 1.0), size=st.sampled_from([1e-3, 1, 1e3])
)
def test_noise_and_gaps_give_numbers_or_nan(family, seed, share, size):
    rng = np.random.default_rng(seed)
    window = full_window(family.every_s, seed=seed)

    def spoil(values: np.ndarray) -> np.ndarray:
        spoilt = values * rng.normal(0.0, size, values.size)
        return np.where(rng.random(values.size) < share, np.nan, spoilt)

    check_numbers(family, with_all(window, spoil))
