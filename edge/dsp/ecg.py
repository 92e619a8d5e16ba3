"""The ECG lead that is watched: beats and quality, second by second."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge.dsp.beats import BeatDetector
from edge.dsp.quality import EcgQuality
from edge.dsp.track import Track, is_whole
from edge.records import FloatArray

SILENCE_S: Final = 4.0
"""A lead that has sent nothing for this long is told so: what waited for more is settled. Radios
deliver in bursts of up to two seconds; those must not be taken for silence."""
SETTLE_S: Final = 5.0
"""For so long missing samples are pushed while a lead is silent."""
BRIDGE_S: Final = 0.1
"""An interval over a longer hole in the samples is not known."""
LONGEST_RR_MS: Final = 10_000.0
"""After a longer pause the next beat begins anew: a standstill is told by the age of the last
beat, and a heart rate of 3 bpm on average over an electrode that was off is nobody's."""
MAX_HOLES: Final = 100
"""Holes that are remembered while no beat is found behind them."""
MAX_HOLE_S: Final = 60.0
"""After a longer hole the detector starts anew instead of being walked through it."""


class EcgLead:
    """Beats and quality of one track.

    Parameters
    ----------
    track : Track
        The ECG in mV; this object alone calls its `flow`.
    """

    def __init__(self, track: Track) -> None:
        self.track = track
        self.qualities: list[tuple[float, float]] = []
        """Time of the middle and quality of every second of samples that came last."""
        self._second_n = math.ceil(track.fs_hz)
        self._bridge_n = BRIDGE_S * track.fs_hz
        self._start_anew(0)
        self._last_valid_idx = -1
        self._hole_ends: list[int] = []  # samples right after a hole, no beat behind them yet
        self._beat_idx = -1
        self._silent_since_s = math.inf

    @property
    def delay_s(self) -> float:
        """How long after its R peak a beat of a running rhythm is found."""
        return self._detector.delay_s

    def advance(self, until_s: float) -> list[tuple[int, float, float]]:
        """Take the samples before `until_s`; return the beats found.

        Returns
        -------
        list of (int, float, float)
            Number of the R peak's sample, its time in s, the interval before it in ms (NaN when
            a hole, a restart or more than `LONGEST_RR_MS` lies between).
        """
        ring = self.track.ring
        self.qualities.clear()
        start_idx = self.track.flow(until_s)
        head_idx = ring.head_idx
        if head_idx == start_idx:
            return self._wait(until_s)
        self._silent_since_s = until_s
        values = ring.view(max(start_idx, ring.tail_idx), head_idx)
        first_idx = head_idx - len(values)
        self._judge(values, first_idx)
        return self._push(values, first_idx)

    def _judge(self, values: FloatArray, first_idx: int) -> None:
        """Assess the quality in blocks of a second, as many as came."""
        n, n_values, time_s = self._second_n, len(values), self.track.ring.time_s
        if n_values <= n:
            middle_s = time_s(first_idx + n_values // 2)
            self.qualities.append((middle_s, self._assess.push(values)))
            return
        for start in range(0, n_values, n):
            block = values[start : start + n]
            # A rest of a few samples says nothing of its own.
            if 2 * len(block) > n:
                middle_s = time_s(first_idx + start + len(block) // 2)
                self.qualities.append((middle_s, self._assess.push(block)))

    def _push(self, values: FloatArray, first_idx: int) -> list[tuple[int, float, float]]:
        self._notice_holes(values, first_idx)
        pushed_idx = self._base_idx + self._detector.n_pushed
        if first_idx > pushed_idx:
            hole = first_idx - pushed_idx
            if hole > MAX_HOLE_S * self.track.fs_hz:
                self._start_anew(first_idx)
            else:
                values = np.concatenate([np.full(hole, np.nan, np.float32), values])
        elif first_idx < pushed_idx:
            # These came after their time had been given up: the ring has them, beats have not.
            values = values[pushed_idx - first_idx :]
        return self._time(self._detector.push(values))

    def _wait(self, until_s: float) -> list[tuple[int, float, float]]:
        """Let a silent lead's last beats settle."""
        silent_s = until_s - self._silent_since_s
        if not SILENCE_S <= silent_s < SILENCE_S + SETTLE_S:
            return []
        return self._time(self._detector.push(np.full(round(self.track.fs_hz), np.nan, np.float32)))

    def _time(self, found: list[int]) -> list[tuple[int, float, float]]:
        beats = []
        for pushed in found:
            idx = self._base_idx + pushed
            anchor = self.track.ring.anchor_of(idx)
            at_s, rr_ms = anchor.at_s + (idx - anchor.idx) * anchor.step_s, math.nan
            holed = bool(self._hole_ends) and self._pass_holes(idx)
            if self._beat_idx >= 0 and not holed:
                rr_ms = (idx - self._beat_idx) * anchor.step_s * 1000.0
                if rr_ms > LONGEST_RR_MS:
                    rr_ms = math.nan
            beats.append((idx, at_s, rr_ms))
            self._beat_idx = idx
        return beats

    def _pass_holes(self, idx: int) -> bool:
        """Return whether a hole lies between the last beat and this one."""
        ends = self._hole_ends
        n = len(ends)
        while ends and ends[0] <= idx:
            ends.pop(0)
        return len(ends) < n

    def _notice_holes(self, values: FloatArray, first_idx: int) -> None:
        bridge = self._bridge_n
        if is_whole(values):
            if first_idx - self._last_valid_idx - 1 > bridge:
                self._hole_ends.append(first_idx)
            self._last_valid_idx = first_idx + len(values) - 1
            return
        valid_idx = np.flatnonzero(~np.isnan(values)) + first_idx
        if len(valid_idx):
            before = np.concatenate([[self._last_valid_idx], valid_idx[:-1]])
            ends = valid_idx[valid_idx - before - 1 > bridge]
            self._hole_ends += ends.tolist()
            del self._hole_ends[:-MAX_HOLES]
            self._last_valid_idx = int(valid_idx[-1])

    def _start_anew(self, base_idx: int) -> None:
        self._base_idx = base_idx
        self._detector = BeatDetector(self.track.fs_hz)
        self._assess = EcgQuality(self.track.fs_hz)
