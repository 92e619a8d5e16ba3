"""The line under the arrivals, and how long all packets may wait alike."""

import numpy as np
import pytest

from edge.dsp.clock_line import LineFit, locked_s


def hidden_s(packet_s, interval_s):
    """Return the longest wait all packets can share, by trying phases against phases."""
    waits = [
        np.min(-(phase + np.arange(2000) * packet_s) % interval_s)
        for phase in np.linspace(0.0, interval_s, 97)
    ]
    return max(waits)


@pytest.mark.parametrize("interval_ms", [7.5, 15, 30, 50, 60, 75, 100])
@pytest.mark.parametrize("packet_s", [0.1, 73 / 130, 1 / 130, 0.04, 0.072, 36 / 130, 1.0])
def test_no_interval_hides_more_than_is_stated(packet_s, interval_ms):
    assert hidden_s(packet_s, interval_ms / 1000) <= locked_s(packet_s) + 0.0005


def test_packets_that_never_meet_the_events_hide_nothing():
    assert locked_s(0.0997654321) < 0.002


@pytest.mark.parametrize("ppm", [-5000.0, -100.0, 0.0, 30.0, 5000.0])
def test_the_rate_is_found_through_the_scatter(ppm):
    rng = np.random.default_rng(4)
    line, rate = LineFit(0.0, 100.02, 0.1), 1 + ppm * 1e-6
    for i in range(1, 9000):
        sensor_s = i * 0.1
        arrived_s = 100.0 + sensor_s * rate + rng.exponential(0.02)
        line.add(sensor_s, arrived_s, arrived_s - line.at(sensor_s))

    assert line.rate * 1e6 == pytest.approx(ppm, abs=5.0)
    assert line.at(900.0) == pytest.approx(100.0 + 900.0 * rate, abs=0.002)


def test_few_arrivals_that_scatter_tell_little_of_a_rate():
    rng = np.random.default_rng(4)
    line = LineFit(0.0, 100.9, 0.56)
    for i in range(1, 60):
        arrived_s = 100.0 + i * 0.56 + rng.uniform(0.0, 1.0)
        line.add(i * 0.56, arrived_s, arrived_s - line.at(i * 0.56))

    assert abs(line.rate) < 200e-6
