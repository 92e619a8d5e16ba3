"""Every signal of one patient that came or was made of another: waves, and values one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from edge.bedside.values import Values
from edge.dsp.track import Track
from edge.records import Samples

MAX_SIGNALS: Final = 64
"""Signals of a patient that are kept apart; more means that something makes names up."""
LATE_S: Final = 3.0
"""A second whose ECG is still on its way is judged by the quality of one at most this old."""
BEATS: Final = "rr_ms"
QUALITY: Final = "ecg_quality_au"
"""The ECG's quality, second by second."""
WAVE: Final = "resp_au"
BREATHS: Final = "breath_brpm"
"""Of every breath in a breathing wave, the rate since the one before."""
LEAD_OFF: Final = "lead_off_flag"
ECG_OFF: Final = "ecg_off_flag"
"""What the board whose ECG is watched says of its electrodes: a spare one must not speak for it."""
DERIVED: Final = frozenset({BEATS, QUALITY, BREATHS, ECG_OFF})
"""What may be made here of another signal and covers nothing of its own."""


class Signals:
    """The signals of one patient."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        """Every signal the patient ever had."""
        self.tracks: dict[tuple[str, str, str], Track] = {}
        """Waves, by signal, lead and source."""
        self.shown: dict[str, Track] = {}
        """The same by the name they go by in windows."""
        self.values: dict[str, Values] = {}
        """What comes one by one."""

    def forget(self, source: str) -> None:
        """Stop waiting for a source."""
        for key in [key for key in self.tracks if key[2] == source]:
            del self.tracks[key]
        for name in [name for name, track in self.shown.items() if track.source == source]:
            del self.shown[name]
        for name in [name for name, values in self.values.items() if values.source == source]:
            del self.values[name]

    def value_of(self, signal: str) -> Values:
        """Return a signal that comes value by value; from now on there is one."""
        values = self.values.get(signal)
        if values is None:
            values = self.values[signal] = Values(signal)
            self.names.add(signal)
        return values

    def cut_values(self, start_s: float, end_s: float) -> dict[str, Samples]:
        """Return what came one by one in ``[start_s, end_s)``, by signal."""
        signals: dict[str, Samples] = {}
        for signal, values in self.values.items():
            cut = values.series.cut(start_s, end_s)
            if cut is not None:
                times_s, found = cut
                signals[signal] = Samples(
                    signal, times_s.item(0), 0.0, found, "", 0.0, None, times_s
                )
        return signals

    def cut_wave(self, signal: str, start_s: float, end_s: float, into: dict[str, Samples]) -> None:
        """Put what came of a wave in that span `into` the signals of a window."""
        track = self.shown[signal]
        cut = track.ring.cut(start_s, end_s)
        if cut is not None:
            bound_s = track.uncertainty_s
            into[signal] = Samples(signal, cut[0], track.fs_hz, cut[1], track.lead, bound_s)

    def trace(self, signal: str, length_s: float, now_s: float) -> Samples | None:
        """Return a copy of the last seconds of a fixed-rate signal; None where there is none."""
        track = self.shown.get(signal)
        cut = track.ring.cut(now_s - length_s, now_s) if track else None
        if track is None or cut is None:
            return None
        bound_s = track.uncertainty_s
        return Samples(signal, cut[0], track.fs_hz, cut[1].copy(), track.lead, bound_s)

    def ages_and_frozen_s(self, now_s: float) -> tuple[dict[str, float], dict[str, float]]:
        """Return how old each signal's newest value is, and how long it has been the same."""
        ages: dict[str, float] = {}
        frozen: dict[str, float] = {}
        for kept in (self.shown, self.values):
            for signal, one in kept.items():
                frozen[signal] = one.frozen_s
                last_s = one.last_s
                if last_s > -math.inf:
                    ages[signal] = now_s - last_s if last_s < now_s else 0.0
        return ages, frozen

    def close_period(self, length_s: float) -> dict[str, float]:
        """Return each signal's coverage since the last call, as a share of `length_s`."""
        coverage: dict[str, float] = {}
        for signal, track in self.shown.items():
            share = track.count_valid() / (track.fs_hz * length_s)
            coverage[signal] = round(min(1.0, share), 3)
        for signal, values in self.values.items():
            if signal not in DERIVED:
                coverage[signal] = round(min(1.0, values.n_covered / length_s), 3)
            values.n_covered = 0
        return dict(sorted(coverage.items()))

    @property
    def n_implausible(self) -> int:
        """Values that could be no measurement (`edge.dsp.plausible`) and were taken for missing."""
        return sum(track.n_implausible for track in self.tracks.values()) + sum(
            values.n_implausible for values in self.values.values()
        )

    def implausible(self) -> dict[tuple[str, str], int]:
        """Return how many values could be no measurement, by signal and source."""
        found: dict[tuple[str, str], int] = {}
        for track in self.tracks.values():
            key = (track.signal, track.source)
            found[key] = found.get(key, 0) + track.n_implausible
        for signal, values in self.values.items():
            found |= {(signal, source): n for source, n in values.implausible_of.items()}
        return {key: n for key, n in found.items() if n}

    @property
    def n_overrun(self) -> int:
        """Runs that were dropped while too many waited for their time."""
        return sum(track.n_overrun for track in self.tracks.values())


def mean_quality(found: Samples, end_s: float, length_s: float) -> float | None:
    """Return the mean quality of the window's seconds; seconds without ECG count as 0.

    None: no ECG came lately, so that there is nothing to assess.
    """
    if found.times_s is None:
        return None
    if length_s <= 1.0:
        # One late packet must not blank a second: its neighbour stands for it.
        fresh = end_s - found.times_s.item(-1) <= LATE_S
        return found.values.item(-1) if fresh else None
    low = int(np.searchsorted(found.times_s, end_s - length_s))
    inside: Iterable[float] = found.values[low:].tolist()
    return math.fsum(inside) / length_s
