"""The whole simulated patient: every signal at any moment, without the devices that see it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge.readers import _ecg_model as ecg
from edge.readers import _scenario as told
from edge.readers._rhythm_model import TrueBeat, play_beats
from edge.readers._vitals_model import Vitals, Wander
from edge.records import TimeArray

MAINS_HZ, MAINS_MV = 50.0, 0.008
WANDER_MV, BREATH_WANDER_MV = 0.05, 0.06
LYING_G = (0.06, 0.10, 0.993)
"""Gravity in the chest sensor's axes (up to the head, left, front) while lying on the back."""
UPRIGHT_G = (0.985, 0.05, 0.165)
FALLEN_G = (0.10, -0.985, 0.14)
IMPACT_S = 0.06
KEPT_BEATS = 4096
"""Beats that stay in memory: more than ten minutes of any heart."""


class Body:
    """The patient of one scenario. Methods take ascending times (n,) and return shape (n,)."""

    def __init__(self, scenario: told.Scenario, seed: int) -> None:
        self.vitals = Vitals(scenario, seed)
        self._events = scenario.events
        self._coming: Iterator[TrueBeat] = play_beats(self.vitals, scenario.events, seed)
        self._beats: list[TrueBeat] = []
        rng = np.random.default_rng([seed, 3])
        self._wander = Wander(rng, rng.uniform(0.02, 0.15, 10))
        self._artefact = Wander(rng, rng.uniform(0.8, 9.0, 14))
        self._swing = Wander(rng, rng.uniform(0.15, 0.6, 8))
        self._f_wave = Wander(rng, rng.normal(6.0, 0.5, 6).clip(4.2, 8.5))
        self._mains_phase = rng.uniform(0.0, 2.0 * np.pi)

    def beats_between(self, start_s: float, end_s: float) -> list[TrueBeat]:
        """Return the beats in ``[start_s, end_s)``; only the last ten minutes are remembered."""
        while not self._beats or self._beats[-1].at_s < end_s:
            self._beats.append(next(self._coming))
        if len(self._beats) > 2 * KEPT_BEATS:
            del self._beats[:-KEPT_BEATS]
        first = bisect_left(self._beats, start_s, key=_at_s)
        return self._beats[first : bisect_left(self._beats, end_s, key=_at_s)]

    def ecg_mv(self, times_s: TimeArray) -> NDArray[np.float64]:
        """ECG of lead II as it reaches the skin: with wander, hum and motion, without noise."""
        reach = (times_s[0] - ecg.ECG_AFTER_S, times_s[-1] + ecg.ECG_BEFORE_S)
        breath = self.vitals.breath_au(times_s)
        value = ecg.ecg_of_beats(times_s, self.beats_between(*reach)) * (1.0 + 0.04 * breath)
        value += WANDER_MV * self._wander(times_s) + BREATH_WANDER_MV * breath
        value += MAINS_MV * np.sin(2.0 * np.pi * MAINS_HZ * times_s + self._mains_phase)
        for event in self._events:
            if event.end_s + 1.0 < times_s[0] or event.at_s > times_s[-1]:
                continue
            if isinstance(event, told.AtrialFibrillation):
                here = (times_s >= event.at_s) & (times_s < event.end_s)
                value += event.f_wave_mv * here * self._f_wave(times_s)
            elif isinstance(event, told.Exercise):
                moves = self._artefact(times_s) + 1.5 * self._swing(times_s)
                value += event.artefact_mv * self.vitals.effort(times_s) * moves
            elif isinstance(event, told.Fall):
                value += 2.5 * _thump(times_s, event)
        return value

    def pleth_au(self, times_s: TimeArray) -> NDArray[np.float64]:
        """Pulse wave of the finger; about 1 high at a perfusion index of 3 %."""
        reach = ecg.TRANSIT_S + ecg.PULSE_AFTER_S
        beats = self.beats_between(times_s[0] - reach, times_s[-1] + ecg.PULSE_BEFORE_S)
        size = self.vitals.pai_pct(times_s) / 3.0
        value = size * ecg.pleth_of_beats(times_s, beats)
        value += 0.08 * self.vitals.breath_au(times_s)
        return value + 0.4 * self.vitals.effort(times_s) * self._artefact(times_s)

    def resp_au(self, times_s: TimeArray) -> NDArray[np.float64]:
        """Chest impedance: the breath, a trace of the heart's own, and motion."""
        value = self.vitals.breath_au(times_s) + 0.03 * self._wander(times_s)
        return value + 0.35 * self.vitals.effort(times_s) * self._swing(times_s)

    def accel_g(self, times_s: TimeArray) -> NDArray[np.float64]:
        """Acceleration with gravity, shape (3, n): up to the head, left, front."""
        effort = self.vitals.effort(times_s)
        value = np.outer(LYING_G, 1.0 - effort) + np.outer(UPRIGHT_G, effort)
        value[2] += 0.004 * self.vitals.breath_au(times_s)
        for event in self._events:
            if event.end_s + 1.0 < times_s[0] or event.at_s - 1.0 > times_s[-1]:
                continue
            if isinstance(event, told.Exercise):
                step = 2.0 * np.pi * event.steps_per_min / 60.0 * times_s
                value[0] += effort * (0.32 * np.sin(step) + 0.12 * np.sin(2.0 * step + 0.6))
                value[1] += effort * 0.10 * np.sin(step / 2.0)
                value[2] += effort * 0.14 * np.sin(step + 1.1)
            elif isinstance(event, told.Fall):
                _fall(value, times_s, event)
        return value

    def pulse_bpm(self, at_s: float) -> float:
        """Rate an oximeter shows, over the last eight seconds' pulses; NaN when there are none."""
        beats = [b for b in self.beats_between(at_s - 8.0, at_s) if b.pulse > 0.5]
        if len(beats) < 3 or at_s - beats[-1].at_s > 3.5:
            return float("nan")
        return 60.0 * (len(beats) - 1) / (beats[-1].at_s - beats[0].at_s)


def _at_s(beat: TrueBeat) -> float:
    return beat.at_s


def _thump(times_s: TimeArray, fall: told.Fall) -> NDArray[np.float64]:
    """Return a ringing of size 1 at the impact that dies away within a second."""
    since_s = times_s - fall.at_s - fall.drop_s
    ringing = np.cos(2.0 * np.pi * 4.0 * since_s) * np.exp(-since_s.clip(0.0) / 0.25)
    return np.where((since_s >= 0.0) & (since_s < 1.5), ringing, 0.0)


def _fall(value: NDArray[np.float64], times_s: TimeArray, fall: told.Fall) -> None:
    """Write the fall into the acceleration: weightless, impact, lying on the side."""
    impact_s = fall.at_s + fall.drop_s
    dropping = (times_s >= fall.at_s) & (times_s < impact_s)
    value[:, dropping] *= 0.12
    down = (times_s >= impact_s) & (times_s < fall.end_s)
    value[:, down] = np.outer(FALLEN_G, np.ones(int(down.sum())))
    # Half a sine long enough that a 50 Hz sensor cannot sample past its top.
    since_s = times_s - impact_s
    blow = np.where(
        (since_s >= 0.0) & (since_s < 2 * IMPACT_S), np.sin(np.pi * since_s / (2 * IMPACT_S)), 0.0
    )
    value += np.outer((0.45, -0.85, 0.28), fall.impact_g * blow)
    value += np.outer((0.3, 0.4, 0.2), 0.5 * _thump(times_s, fall) * (since_s < 1.0))
