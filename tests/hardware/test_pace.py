"""The even clock of chips with a FIFO (``hw_pace``), against samples whose times are known."""

import subprocess

import numpy as np
import pytest

from tests.hardware.c_core import HERE, SANITISED, SOURCES, compiled

SETTLED_S = 8.0


@pytest.fixture(scope="module")
def looks(tmp_path_factory):
    program = tmp_path_factory.mktemp("pace") / "pace_looks"
    compiled(program, (HERE / "pace_looks.c", SOURCES / "hw_pace.c"), *SANITISED)

    def run(seed, ppm, period_us, stall_us=0, n_lost=0):
        """Return, a sample a row: number, true time, error and span between looks in us."""
        command = [program, *map(str, (seed, ppm, period_us, stall_us, n_lost))]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return np.array([line.split() for line in said.stdout.splitlines()], float)

    return run


@pytest.mark.parametrize("period_us", [10_000, 20_000, 40_000])
@pytest.mark.parametrize("ppm", [-50_000, -8_000, 0, 300, 50_000])
def test_a_sample_is_never_off_by_more_than_the_time_between_two_looks(looks, ppm, period_us):
    for seed in range(3):
        rows = looks(seed, ppm, period_us, stall_us=12_000)
        error, span = np.abs(rows[:, 2]), rows[:, 3]
        # One microsecond is rounding; within a batch only its ends are held.
        assert (error <= np.maximum(span, 4_500.0) + 1.0).all()


@pytest.mark.parametrize("ppm", [-50_000, -8_000, 0, 300, 50_000])
def test_once_settled_it_is_much_better_and_its_rate_is_the_chips_own(looks, ppm):
    for seed in range(3):
        rows = looks(seed, ppm, 10_000, stall_us=12_000)
        rows = rows[rows[:, 1] > rows[0, 1] + SETTLED_S * 1e6]
        assert np.abs(rows[:, 2]).max() < 1_000.0
        assert abs(np.polyfit(rows[:, 1], rows[:, 2], 1)[0]) < 20e-6


@pytest.mark.parametrize("n_lost", [1, 2, 7, 40, 90])
def test_after_samples_were_lost_it_is_as_good_as_before(looks, n_lost):
    for seed in range(3):
        rows = looks(seed, 8_000, 10_000, n_lost=n_lost)
        late = rows[rows[:, 1] > rows[0, 1] + SETTLED_S * 1e6]
        assert np.diff(rows[:, 0]).max() > n_lost  # some were lost
        assert np.abs(late[:, 2]).max() < 1_000.0
