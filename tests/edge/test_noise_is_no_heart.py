"""A lead that shows no heart, whatever else it shows, is told of within ten seconds.

From its first second, and where it comes back after a gap or an electrode that was off. A line that
is dead is a fault of the sensor, a heart that stands still is asystole: told is either.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

import edge.alarms
import edge.features
from edge.alarms import Rule
from edge.decoders import Decoder
from edge.discover import discover
from edge.features import FeatureFamily
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import Alert, AlertState, Packet, Samples
from tests.edge.test_bedside import FS_HZ, ecg

DUE_S = 10.0
SINCE_S = 30.0
N_PACKET = 50
SPEAKS = {"asystole", "poor_signal", "frozen_value", "lead_off", "signal_lost"}
FEATURES = discover(edge.features, "FEATURES", FeatureFamily)
RULES = discover(edge.alarms, "RULE", Rule)

Line = NDArray[np.float64]


def white(rng: np.random.Generator, n: int) -> Line:
    return rng.standard_normal(n)


def muscle(rng: np.random.Generator, n: int) -> Line:
    return np.convolve(rng.standard_normal(n), [0.5, -0.7, 0.5], "same")


def wander(rng: np.random.Generator, n: int) -> Line:
    return 5.0 * np.sin(np.arange(n) * 2 * np.pi * 0.25 / FS_HZ) + rng.standard_normal(n)


def hum(rng: np.random.Generator, n: int) -> Line:
    return np.sin(np.arange(n) * 2 * np.pi * 50 / FS_HZ) + 0.1 * rng.standard_normal(n)


def alerts(
    values: NDArray[np.float32], gap: tuple[float, float], off: tuple[float, float]
) -> list[Alert]:
    """Return the alerts of a board that sends these; in its gap it sends nothing."""

    def decode(packet: Packet) -> tuple[Samples, ...]:
        first = int(packet.payload)
        if packet.stream == "flag":
            said = np.array([first], np.float32)
            return (Samples("lead_off_flag", packet.arrived_s, 0.0, said),)
        part = values[first : first + N_PACKET]
        return (Samples("ecg_mv", packet.arrived_s, FS_HZ, part, "II"),)

    end_s = len(values) / FS_HZ
    packets = [
        Packet("board", "wave", (first + N_PACKET) / FS_HZ, b"%d" % first)
        for first in range(0, len(values), N_PACKET)
    ]
    packets += [
        Packet("board", "flag", at_s + 0.1, b"%d" % (off[0] <= at_s < off[1]))
        for at_s in range(int(end_s))
    ]
    packets = [p for p in packets if not gap[0] < p.arrived_s <= gap[1]]
    packets.sort(key=lambda packet: packet.arrived_s)
    decoder = Decoder("test", ("wave", "flag"), ("ecg_mv", "lead_off_flag"), lambda: decode)
    pipeline = Pipeline(PipelineSettings(), [decoder], FEATURES, RULES, None, "run")
    return [r for r in pipeline.advance(packets, end_s).records if isinstance(r, Alert)]


def standing(found: list[Alert], at_s: float) -> set[str]:
    latest = {alert.id: alert for alert in found if alert.at_s <= at_s}
    return {a.rule for a in latest.values() if a.state is not AlertState.ENDED} & SPEAKS


@pytest.mark.parametrize("kind", [white, muscle, wander, hum])
def test_noise_from_the_start_is_told(kind: Callable[[np.random.Generator, int], Line]) -> None:
    silent = []
    n = round((DUE_S + 2.0) * FS_HZ)
    for seed, mv in product(range(3), (0.0, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 0.3, 1.0)):
        for artefact_mv in (0.0, 5.0):
            line = mv * kind(np.random.default_rng([seed, round(1e4 * mv)]), n)
            line += artefact_mv * np.exp(-np.arange(n) / FS_HZ / 0.3)
            found = alerts(line.astype(np.float32), (0.0, 0.0), (0.0, 0.0))
            if not standing(found, DUE_S):
                silent.append((seed, mv, artefact_mv))

    assert silent == []


@pytest.mark.parametrize("away_s", [3.0, 5.0, 12.0])
@pytest.mark.parametrize("how", ["gap", "electrode off"])
@pytest.mark.parametrize("mv", [0.0, 0.001, 0.005, 0.03])
def test_a_heart_that_stopped_while_its_lead_was_away_is_told(
    mv: float, how: str, away_s: float
) -> None:
    back_s = SINCE_S + away_s
    span = (SINCE_S, back_s)
    for seed in range(2):
        values = ecg(0.0, back_s + DUE_S + 2.0)
        dead = mv * white(np.random.default_rng(seed), len(values))
        values[round(SINCE_S * FS_HZ) :] = dead[round(SINCE_S * FS_HZ) :]
        if how == "gap":
            found = alerts(values, span, (0.0, 0.0))
        else:
            values[round(SINCE_S * FS_HZ) : round(back_s * FS_HZ)] = np.nan
            found = alerts(values, (0.0, 0.0), span)

        assert standing(found, back_s + DUE_S)
