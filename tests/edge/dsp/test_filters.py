"""Filters equal scipy's to the bit and do not see how their input is cut."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dsp import filters
from edge.dsp.filters import SosFilter, butter_sos, steady_state

DESIGNS = [
    (2, (6.0, 18.0), "bandpass"),
    (3, (5.0, 15.0), "bandpass"),
    (4, 40.0, "lowpass"),
    (2, 0.5, "highpass"),
]


@pytest.mark.parametrize(("order", "band_hz", "kind"), DESIGNS)
@pytest.mark.parametrize("fs_hz", [100.0, 250.0, 360.0, 1000.0])
def test_a_design_has_scipys_response(order, band_hz, kind, fs_hz):
    signal = pytest.importorskip("scipy.signal")
    ours = butter_sos(order, band_hz, fs_hz, kind)
    theirs = signal.butter(order, band_hz, kind, fs=fs_hz, output="sos")

    _, response = signal.sosfreqz(ours, 256, fs=fs_hz)
    _, expected = signal.sosfreqz(theirs, 256, fs=fs_hz)

    assert np.abs(response - expected).max() < 1e-9
    np.testing.assert_allclose(steady_state(ours), signal.sosfilt_zi(ours.copy()), atol=1e-9)


def test_the_kernel_gives_the_bits_of_the_public_function():
    signal = pytest.importorskip("scipy.signal")
    x = np.random.default_rng(1).normal(size=5000)
    sos = butter_sos(2, (6.0, 18.0), 360.0, "bandpass")

    expected, _ = signal.sosfilt(sos.copy(), x, zi=steady_state(sos) * x[0])

    assert np.array_equal(SosFilter(sos).run(x), expected)


def test_without_the_kernel_the_public_function_is_used_and_gives_the_same(monkeypatch):
    x = np.random.default_rng(2).normal(size=700)
    sos = butter_sos(2, (0.5, 40.0), 250.0, "bandpass")
    expected = SosFilter(sos).run(x)

    monkeypatch.setattr(filters, "_KERNEL", filters._public_kernel)
    slow = SosFilter(sos)

    assert np.array_equal(np.concatenate([slow.run(x[:300]), slow.run(x[300:])]), expected)


@given(cuts=st.lists(st.integers(0, 400), max_size=12).map(sorted))
def test_any_cut_gives_the_same_bits(cuts):
    x = np.random.default_rng(3).normal(size=400).astype(np.float32)
    sos = butter_sos(2, (0.5, 40.0), 250.0, "bandpass")
    whole = SosFilter(sos).run(x)
    parts = SosFilter(sos)

    pieces = [parts.run(piece) for piece in np.split(x, cuts)]

    assert np.array_equal(np.concatenate(pieces), whole)


def test_an_offset_rings_no_bell_at_the_start_and_after_a_restart():
    high = SosFilter(butter_sos(2, 0.5, 250.0, "highpass"))

    assert np.abs(high.run(np.full(500, 1000.0))).max() < 1e-6
    high.restart()
    assert np.abs(high.run(np.full(500, -500.0))).max() < 1e-6


@pytest.mark.parametrize("band_hz", [0.0, 125.0, 300.0, (5.0, 130.0)])
def test_a_corner_outside_the_band_is_refused(band_hz):
    kind = "bandpass" if isinstance(band_hz, tuple) else "lowpass"
    with pytest.raises(ValueError, match="between 0 and"):
        butter_sos(2, band_hz, 250.0, kind)


def test_filtering_does_not_import_scipy_signal():
    code = "import sys, edge.dsp.filters; sys.exit('scipy.signal' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
