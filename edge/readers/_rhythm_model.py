"""The beats of the simulated patient, one after the other, and the shapes they have."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from edge.readers import _scenario as told
from edge.readers._vitals_model import Vitals

BEFORE_S = -30.0
"""Beats begin this long before the simulation, so that its first second has a past."""
GRID_HZ, BLOCK_S = 8, 64


class TrueBeat(msgspec.Struct, frozen=True, gc=False):
    """One beat that was played.

    Attributes
    ----------
    at_s : float
        Time of the R peak (the main peak, where the beat is ventricular).
    kind : str
        As annotated in WFDB records: ``N`` conducted, ``V`` ventricular.
    shape : str
        ``sinus``, ``af``, ``pvc`` or ``vt``.
    rr_s : float
        Interval from the beat before.
    """

    at_s: float
    kind: str
    shape: str
    rr_s: float

    @property
    def pulse(self) -> float:
        """Size of the pulse it sends to the finger, 1 for a sinus beat."""
        return {"sinus": 1.0, "af": 0.9, "pvc": 0.35, "vt": 0.55}[self.shape]


def play_beats(vitals: Vitals, events: tuple[told.Event, ...], seed: int) -> Iterator[TrueBeat]:
    """Yield the patient's beats for ever, from `BEFORE_S` on."""
    return _Heart(vitals, events, seed).beats()


class _Heart:
    def __init__(self, vitals: Vitals, events: tuple[told.Event, ...], seed: int) -> None:
        self._vitals = vitals
        self._rng = np.random.default_rng([seed, 2])
        self._rhythms = [e for e in events if isinstance(e, _RHYTHMS)]
        self._asystoles = sorted(
            (e for e in events if isinstance(e, told.Asystole)), key=lambda e: e.at_s
        )
        self._grid: list[float] = []
        self._grid_from_s = math.inf
        self._pvcs_begun: set[told.Pvcs] = set()

    def beats(self) -> Iterator[TrueBeat]:
        last = TrueBeat(BEFORE_S + self._rng.uniform(0.0, 0.8), "N", "sinus", 0.85)
        while True:
            yield last
            last = self._after(last)

    def _after(self, last: TrueBeat) -> TrueBeat:
        planned = self._plan(last)
        at_s = planned.at_s
        for pause in self._asystoles:
            if pause.covers(at_s) or last.at_s < pause.at_s <= at_s - 2.0:
                at_s = pause.end_s + 0.4
        if at_s != planned.at_s:
            return TrueBeat(at_s, "N", "sinus", at_s - last.at_s)
        return planned

    def _plan(self, last: TrueBeat) -> TrueBeat:
        """Return the beat that follows if the heart does not stand still."""
        rr_s = self._sinus_rr_s(last.at_s)
        rhythm = self._rhythm(last.at_s, rr_s)
        if isinstance(rhythm, told.VtRun):
            gap_s = 60.0 / rhythm.hr_bpm * (1.0 + 0.015 * self._rng.standard_normal())
            if last.shape != "vt":
                gap_s = max(gap_s, 0.62 * rr_s)
            return _beat(last, gap_s, "V", "vt")
        if isinstance(rhythm, told.AtrialFibrillation):
            spread = rhythm.rr_spread
            # The logarithm's mean is set so that the mean interval is the wanted one.
            drawn = math.exp(spread * self._rng.standard_normal() - spread**2 / 2.0)
            return _beat(last, min(max(60.0 / rhythm.hr_bpm * drawn, 0.3), 2.2), "N", "af")
        if last.shape == "vt":
            return _beat(last, 1.25 * rr_s, "N", "sinus")
        if last.shape == "pvc":
            # The sinus node keeps its time: the beat it lost leaves two intervals from the last.
            return _beat(last, max(2.0 * rr_s - last.rr_s, 0.5), "N", "sinus")
        if isinstance(rhythm, told.Pvcs) and self._is_premature(rhythm, rr_s):
            return _beat(last, rhythm.coupling * rr_s, "V", "pvc")
        return _beat(last, rr_s, "N", "sinus")

    def _rhythm(self, at_s: float, rr_s: float) -> told.Event | None:
        """Return what governs the beat after `at_s`; a run takes over as soon as it begins."""
        here = [e for e in self._rhythms if e.covers(at_s)]
        soon = [
            e for e in self._rhythms if isinstance(e, told.VtRun) and e.covers(at_s + 0.62 * rr_s)
        ]
        return min(soon + here, key=lambda e: _ORDER[type(e)], default=None)

    def _is_premature(self, rhythm: told.Pvcs, rr_s: float) -> bool:
        drawn = self._rng.uniform() < rhythm.per_min / 60.0 * rr_s
        first = rhythm not in self._pvcs_begun
        self._pvcs_begun.add(rhythm)
        return drawn or first

    def _sinus_rr_s(self, at_s: float) -> float:
        # One look-up a beat in a small table is fifty times cheaper than one call of numpy a beat.
        if not self._grid_from_s <= at_s < self._grid_from_s + BLOCK_S:
            self._grid_from_s = math.floor(at_s / BLOCK_S) * BLOCK_S
            steps = np.arange(BLOCK_S * GRID_HZ + 1) / GRID_HZ
            self._grid = self._vitals.rr_s(self._grid_from_s + steps).tolist()
        place = (at_s - self._grid_from_s) * GRID_HZ
        left = int(place)
        share = place - left
        return (1.0 - share) * self._grid[left] + share * self._grid[left + 1]


_RHYTHMS = told.VtRun | told.AtrialFibrillation | told.Pvcs
_ORDER: dict[type, int] = {told.VtRun: 0, told.AtrialFibrillation: 1, told.Pvcs: 2}


def _beat(last: TrueBeat, gap_s: float, kind: str, shape: str) -> TrueBeat:
    return TrueBeat(last.at_s + gap_s, kind, shape, gap_s)
