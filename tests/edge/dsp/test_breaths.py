"""Breaths in a breathing wave: found where they are, and nothing said where none can be seen."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from edge.dsp.breaths import FRESH_S, Breaths
from edge.dsp.breaths import rate_brpm as rate_brpm_of
from edge.dsp.timeline import Placement
from edge.dsp.track import Track
from edge.records import Samples

BIDMC = Path(os.environ.get("HOMEWARD_DATA", "../shared/data")) / "bidmc_sample"
FS_HZ = 25.0


def wave(rate_brpm, length_s, fs_hz=FS_HZ, size=1.0, heart=0.0, seed=1):
    at_s = np.arange(round(length_s * fs_hz)) / fs_hz
    noise = np.random.default_rng(seed).normal(0.0, 0.01, at_s.size)
    breath = size * np.sin(2.0 * np.pi * rate_brpm / 60.0 * at_s)
    return breath + heart * np.sin(2.0 * np.pi * 1.2 * at_s) + noise


class Bed:
    """A track that is fed second by second."""

    def __init__(self, fs_hz=FS_HZ):
        first = Samples("resp_au", 0.0, fs_hz, np.zeros(1, np.float32))
        self.track, self.fs_hz, self.now_s = Track(first, "sim", 120.0), fs_hz, 0.0
        self.breaths, self.found = Breaths(self.track), []

    def feed(self, values):
        n = round(self.fs_hz)
        for start in range(0, len(values) // n * n, n):
            block = np.asarray(values[start : start + n], np.float32)
            place = Placement(
                start_s=self.now_s, step_s=1 / self.fs_hz, uncertainty_s=0.0, n_skipped=0, n_stale=0
            )
            self.track.take(block, place)
            self.now_s += 1.0
            self.found += self.breaths.advance(self.now_s)
        return self

    def silent(self, length_s):
        self.now_s += length_s
        self.breaths.advance(self.now_s)
        return self

    @property
    def age_s(self):
        return self.now_s - self.breaths.last_s


@pytest.mark.parametrize("rate_brpm", [6.0, 10.0, 15.0, 24.0, 35.0, 45.0])
@pytest.mark.parametrize("fs_hz", [10.0, 25.0, 125.0, 250.0])
def test_the_rate_is_that_of_the_wave(rate_brpm, fs_hz):
    bed = Bed(fs_hz).feed(wave(rate_brpm, 120.0, fs_hz, heart=0.1))
    at_s, rates = np.array(bed.found).T
    told = Samples("breath_brpm", at_s[0], 0.0, rates.astype(np.float32), times_s=at_s)

    assert rate_brpm_of(told, 120.0) == pytest.approx(rate_brpm, rel=0.01)
    assert np.sum(at_s > 40.0) == pytest.approx(80.0 * rate_brpm / 60.0, abs=1.5)


def test_a_rate_too_old_or_of_one_breath_is_none():
    at_s = np.array([10.0, 14.0, 18.0])
    told = Samples("breath_brpm", 10.0, 0.0, np.full(3, 15.0, np.float32), times_s=at_s)
    holed = Samples("breath_brpm", 10.0, 0.0, np.array([15, 15, np.nan], np.float32), times_s=at_s)

    assert rate_brpm_of(told, 18.0 + FRESH_S) == 15.0
    assert np.isnan(rate_brpm_of(told, 18.1 + FRESH_S))
    assert np.isnan(rate_brpm_of(holed, 19.0))
    assert np.isnan(rate_brpm_of(None, 19.0))


def test_scale_and_offset_change_nothing():
    one = Bed().feed(wave(15.0, 90.0)).found
    other = Bed().feed(4000.0 * wave(15.0, 90.0) + 90_000.0).found

    assert [at_s for at_s, _ in other] == pytest.approx([at_s for at_s, _ in one], abs=0.3)


def test_a_pause_is_seen_while_the_heart_goes_on_in_the_impedance():
    still = wave(1.0, 40.0, size=0.0, heart=0.1)
    bed = Bed().feed(wave(15.0, 60.0, heart=0.1)).feed(still)

    assert 39.0 <= bed.age_s <= 44.0
    bed.feed(wave(15.0, 30.0, heart=0.1))
    assert bed.age_s <= 6.0


def test_shallow_breathing_that_lasts_is_found_again():
    bed = Bed().feed(wave(15.0, 60.0)).feed(wave(15.0, 150.0, size=0.25))

    assert bed.age_s <= 6.0


@pytest.mark.parametrize("kind", ["noise", "flat", "missing", "drift"])
def test_a_wave_without_breaths_is_never_taken_for_a_breathing_one_that_stopped(kind):
    n = round(200.0 * FS_HZ)
    values = {
        "noise": np.zeros(n),
        "flat": np.full(n, 3.0),
        "missing": np.full(n, np.nan),
        "drift": np.linspace(0.0, 50.0, n),
    }[kind]
    bed = Bed().feed(values)

    assert bed.age_s == np.inf
    assert bed.found == []


def test_nothing_is_said_before_four_breaths():
    bed = Bed().feed(wave(15.0, 20.0))

    assert bed.age_s == np.inf


def test_after_a_hole_the_absence_counts_from_its_end():
    bed = Bed().feed(wave(15.0, 60.0)).silent(40.0).feed(np.zeros(round(20.0 * FS_HZ)))
    assert 19.0 <= bed.age_s <= 21.0

    bed.feed(wave(15.0, 30.0))
    assert bed.age_s <= 6.0
    first = next(rate for at_s, rate in bed.found if at_s > 100.0)
    assert np.isnan(first)


def test_missing_samples_are_a_hole_too():
    bed = Bed().feed(wave(15.0, 60.0)).feed(np.full(round(30.0 * FS_HZ), np.nan))
    bed.feed(np.zeros(round(10.0 * FS_HZ)))

    assert 9.0 <= bed.age_s <= 11.0


def test_after_a_long_hole_the_wave_must_be_recognised_anew():
    bed = Bed().feed(wave(15.0, 60.0)).silent(90.0).feed(np.zeros(round(50.0 * FS_HZ)))
    assert bed.age_s == np.inf

    assert bed.feed(wave(15.0, 60.0)).age_s <= 6.0


@pytest.mark.skipif(
    not BIDMC.exists(), reason="the recordings are not here: set HOMEWARD_DATA to their folder"
)
def test_the_breaths_two_people_marked_in_an_impedance_are_found():
    with (BIDMC / "bidmc_01_Signals.csv").open() as file:
        rows = csv.reader(file)
        column = [name.strip() for name in next(rows)].index("RESP")
        values = np.array([float(row[column]) for row in rows])
    with (BIDMC / "bidmc_01_Breaths.csv").open() as file:
        marked_s = np.array([float(row[0]) / 125.0 for row in list(csv.reader(file))[1:] if row[0]])
    bed = Bed(125.0).feed(values)
    found_s = np.array([at_s for at_s, _ in bed.found])
    due_s = marked_s[(marked_s > found_s[0] - 1.0) & (marked_s < bed.now_s - 5.0)]

    missed = [at_s for at_s in due_s if np.abs(found_s - at_s).min() > 1.0]
    false = [at_s for at_s in found_s if np.abs(marked_s - at_s).min() > 1.0]
    assert len(due_s) > 150
    assert (missed, false) == ([], [])


def test_a_wave_whose_first_seconds_were_a_movement_is_learnt_anew():
    began = np.concatenate([np.full(125, 30.0), wave(15.0, 5.0)])  # of the rail of an amplifier
    bed = Bed().feed(began).feed(wave(15.0, 170.0))
    assert bed.age_s == np.inf
    bed.feed(wave(15.0, 60.0))
    assert bed.age_s < 5.0
