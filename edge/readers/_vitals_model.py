"""The slow side of the simulated patient: what the vital signs are at any moment.

Everything here is a closed form of time, so it can be asked in any order and in any piece and
gives the same numbers. Slow random wandering is a sum of sinusoids of random phase and frequency,
which is how McSharry et al. (2003, doi:10.1109/TBME.2003.808805) make the spectrum of the RR
intervals: two Gaussians, the Mayer wave at 0.1 Hz and the breath (0.25 Hz at 15 breaths a minute).
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.readers import _scenario as told
from edge.records import TimeArray

MAYER_HZ, BAND_SD_HZ = 0.1, 0.01
"""Centre of the low-frequency band of the RR intervals, and the width of both bands."""
LF_HF = 0.5
"""Ratio of the power of the two bands, as in the paper."""
RR_SD = 0.042
"""Standard deviation of the RR intervals at rest, as a share of their mean."""
FEVER_BPM_PER_DEGC = 8.0

E = TypeVar("E", bound=told.Event)


class Wander:
    """A Gaussian-like random process of unit variance: sinusoids of random phase.

    Parameters
    ----------
    freqs_hz : array, shape (k,)
        One sinusoid each; random ones never repeat as a whole.
    """

    def __init__(self, rng: np.random.Generator, freqs_hz: TimeArray) -> None:
        self._turns: list[float] = (2.0 * np.pi * freqs_hz).tolist()
        self._phase: list[float] = rng.uniform(0.0, 2.0 * np.pi, freqs_hz.size).tolist()
        self._size = math.sqrt(2.0 / freqs_hz.size)

    def __call__(self, times_s: TimeArray) -> TimeArray:
        """Return the process at the times, shape (n,)."""
        total = np.zeros(times_s.shape)
        for turn, phase in zip(self._turns, self._phase, strict=True):
            total += np.cos(turn * times_s + phase)
        return self._size * total

    def integral(self, times_s: TimeArray) -> TimeArray:
        """Return the integral of the process up to the times, but for a constant."""
        total = np.zeros(times_s.shape)
        for turn, phase in zip(self._turns, self._phase, strict=True):
            total += np.sin(turn * times_s + phase) / turn
        return self._size * total


def level(times_s: TimeArray, event: told.Event, in_s: float, out_s: float) -> TimeArray:
    """Return how much of the event is there, 0..1: up within `in_s`, down `out_s` after its end."""
    if times_s[-1] < event.at_s or times_s[0] >= event.end_s + out_s:
        return np.zeros(times_s.shape)  # most of a night is in no event's reach
    return _rise(times_s, event.at_s, in_s) - _rise(times_s, event.end_s, out_s)


class Vitals:
    """The vital signs of one scenario.

    All methods take times (n,) in seconds of the simulation and return shape (n,).
    """

    def __init__(self, scenario: told.Scenario, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        self.patient = scenario.patient
        self._events = scenario.events
        self._mayer = Wander(rng, rng.normal(MAYER_HZ, BAND_SD_HZ, 24).clip(0.06, 0.14))
        self._slow = Wander(rng, rng.uniform(0.004, 0.03, 12))
        # The breath's own rate wanders, which gives its band the width the paper asks for.
        self._breath = Wander(rng, rng.uniform(0.01, 0.05, 12))
        self._depth = Wander(rng, rng.uniform(0.01, 0.06, 12))
        self._saturation = Wander(rng, rng.uniform(0.003, 0.04, 12))
        self._warmth = Wander(rng, rng.uniform(1e-4, 1e-3, 8))
        self._perfusion = Wander(rng, rng.uniform(0.002, 0.05, 12))
        self._start_turn = rng.uniform()

    def hr_bpm(self, times_s: TimeArray) -> TimeArray:
        """Sinus rate before the beat-to-beat variation."""
        rate = np.full(times_s.shape, self.patient.hr_bpm)
        for event in self._events:
            rate += self._rate_change(event, times_s)
        rate += FEVER_BPM_PER_DEGC * self._fever_degc(times_s)
        return rate.clip(20.0, 230.0)

    def rr_s(self, times_s: TimeArray) -> TimeArray:
        """Sinus RR interval with the Mayer wave, the respiratory arrhythmia and slow wander."""
        low = math.sqrt(LF_HF / (1.0 + LF_HF)) * self._mayer(times_s)
        # A sinus of amplitude sqrt(2) has unit variance; the heart is quicker while breathing in.
        high = -math.sqrt(2.0 / (1.0 + LF_HF)) * np.sin(self.breath_phase(times_s))
        change = RR_SD * (low + high * self._breathing(times_s)) + 0.012 * self._slow(times_s)
        calm = 1.0 - 0.75 * self.effort(times_s)
        return 60.0 / self.hr_bpm(times_s) * (1.0 + calm * change)

    def resp_brpm(self, times_s: TimeArray) -> TimeArray:
        """Breaths a minute; 0 during an apnoea."""
        hz = self._base_hz() + BAND_SD_HZ * self._breath(times_s)
        for event, change_hz in self._breath_changes():
            hz = hz + change_hz * level(times_s, event, *_ramps(event))
        for event in self._of(told.Apnoea):
            hz[(times_s >= event.at_s) & (times_s < event.end_s)] = 0.0
        return 60.0 * hz

    def breath_phase(self, times_s: TimeArray) -> TimeArray:
        """Phase of the breath in radians; the chest is widest at a quarter turn."""
        turns = self._start_turn + self._base_hz() * times_s
        turns += BAND_SD_HZ * self._breath.integral(times_s)
        for event, change_hz in self._breath_changes():
            in_s, out_s = _ramps(event)
            turns += change_hz * _risen(times_s, event.at_s, in_s)
            turns -= change_hz * _risen(times_s, event.end_s, out_s)
        return 2.0 * np.pi * turns

    def breath_au(self, times_s: TimeArray) -> TimeArray:
        """Chest movement, about -1..1; flat during an apnoea."""
        depth = (1.0 + 0.12 * self._depth(times_s)) * self._breathing(times_s)
        phase = self.breath_phase(times_s)
        # Breathing out takes longer than breathing in: a little of the second harmonic.
        return depth * (np.sin(phase) - 0.15 * np.sin(2.0 * phase))

    def spo2_pct(self, times_s: TimeArray) -> TimeArray:
        """Oxygen saturation in per cent."""
        base = self.patient.spo2_pct
        value = base + 0.35 * self._saturation(times_s)
        for event in self._of(told.Desaturation):
            in_s = min(event.fall_s, 0.9 * event.for_s)
            value += (event.spo2_pct - base) * level(times_s, event, in_s, event.rise_s)
        for rest in self._of(told.Rest):
            if rest.spo2_pct is not None:
                value += (rest.spo2_pct - base) * level(times_s, rest, *_ramps(rest))
        return value.clip(0.0, 100.0)

    def temp_degc(self, times_s: TimeArray) -> TimeArray:
        """Body temperature."""
        calm = self.patient.temp_degc + 0.08 * self._warmth(times_s)
        return calm + self._fever_degc(times_s)

    def pai_pct(self, times_s: TimeArray) -> TimeArray:
        """Pulse amplitude (perfusion) index of the finger in per cent."""
        return 3.0 * (1.0 + 0.15 * self._perfusion(times_s)).clip(0.4, 1.6)

    def effort(self, times_s: TimeArray) -> TimeArray:
        """How hard the patient moves, 0 (still) to 1 (walking)."""
        total = np.zeros(times_s.shape)
        for event in self._of(told.Exercise):
            total += level(times_s, event, 1.0, 1.0)
        return total.clip(0.0, 1.0)

    def during(
        self, kind: type[told.Event], times_s: TimeArray, device: str | None = None
    ) -> NDArray[np.bool_]:
        """Return where an event of that kind (on that device) is under way, bool (n,)."""
        found = np.zeros(times_s.shape, bool)
        for event in self._of(kind):
            if device is None or getattr(event, "device", device) == device:
                found |= (times_s >= event.at_s) & (times_s < event.end_s)
        return found

    def _of(self, kind: type[E]) -> list[E]:
        return [event for event in self._events if isinstance(event, kind)]

    def _base_hz(self) -> float:
        return self.patient.resp_brpm / 60.0

    def _rate_change(self, event: told.Event, times_s: TimeArray) -> TimeArray | float:
        if isinstance(event, told.Fall):
            return 18.0 * level(times_s, event, *_ramps(event))
        if isinstance(event, told.Desaturation):
            return 8.0 * level(times_s, event, min(event.fall_s, 0.9 * event.for_s), event.rise_s)
        if isinstance(event, _SINUS) and event.hr_bpm is not None:
            return (event.hr_bpm - self.patient.hr_bpm) * level(times_s, event, *_ramps(event))
        return 0.0

    def _breath_changes(self) -> list[tuple[told.Event, float]]:
        return [
            (event, event.resp_brpm / 60.0 - self._base_hz())
            for event in self._events
            if isinstance(event, told.Exercise | told.Rest) and event.resp_brpm is not None
        ]

    def _breathing(self, times_s: TimeArray) -> TimeArray:
        share = np.ones(times_s.shape)
        for event in self._of(told.Apnoea):
            share -= level(times_s, event, min(1.0, event.for_s / 2), 1.0)
        return share.clip(0.0, 1.0)

    def _fever_degc(self, times_s: TimeArray) -> TimeArray:
        total = np.zeros(times_s.shape)
        for event in self._of(told.Fever):
            rise_s = min(event.rise_s, 0.9 * event.for_s)
            change = event.temp_degc - self.patient.temp_degc
            total += change * level(times_s, event, rise_s, event.rise_s)
        return total


_SINUS = told.Rest | told.Exercise | told.Bradycardia | told.Tachycardia
_RAMPS: dict[type, tuple[float, float]] = {
    told.Exercise: (20.0, 40.0),
    told.Fall: (5.0, 30.0),
    told.Bradycardia: (4.0, 6.0),
    told.Tachycardia: (4.0, 6.0),
}


def _ramps(event: told.Event) -> tuple[float, float]:
    in_s, out_s = _RAMPS.get(type(event), (3.0, 3.0))
    return min(in_s, event.for_s / 2), out_s


def _rise(times_s: TimeArray, at_s: float, over_s: float) -> TimeArray:
    return ((times_s - at_s) / over_s).clip(0.0, 1.0)


def _risen(times_s: TimeArray, at_s: float, over_s: float) -> TimeArray:
    """Return the integral of `_rise`."""
    since = (times_s - at_s).clip(0.0)
    return np.where(since < over_s, since**2 / (2.0 * over_s), since - over_s / 2.0)
