"""The breathing wave that is watched, and what is made of it: the rate of every breath."""

from __future__ import annotations

import math
from typing import Final

from edge.bedside.signals import BREATHS, LEAD_OFF, WAVE, Signals
from edge.dsp.breaths import Breaths
from edge.dsp.several import SAID_S
from edge.dsp.track import Track

ON_AGAIN_S: Final = 2.0
"""An electrode that is on again has samples of the time before still on their way: at its rail a
wave swings as no breath does, and nothing learnt from that would ever find one."""


class Breathing:
    """The breathing of one patient.

    Parameters
    ----------
    kept : Signals
        The patient's; the breaths become one of them.
    """

    def __init__(self, kept: Signals) -> None:
        self._kept = kept
        self._wave: Breaths | None = None
        self._off_s = -math.inf
        """When an electrode was last told to be off."""

    @property
    def track(self) -> Track | None:
        """The wave that is watched; `advance` lets it flow."""
        return self._wave.track if self._wave else None

    def begin(self, track: Track) -> None:
        """Watch a wave, where it is one of breathing and the first."""
        if self._wave is None and track.signal == WAVE:
            self._wave = Breaths(track)

    def replace(self, old: Track, new: Track) -> None:
        """Go on with a wave whose board came back with another rate."""
        if self._wave is not None and self._wave.track is old:
            self._wave = Breaths(new)

    def forget(self, source: str) -> None:
        """Watch another wave in place of one whose source is gone."""
        if self._wave is not None and self._wave.track.source == source:
            waves = (t for t in self._kept.tracks.values() if t.signal == WAVE)
            wave = next(waves, None)
            self._wave = Breaths(wave) if wave is not None else None
            self._kept.values.pop(BREATHS, None)

    def advance(self, until_s: float) -> None:
        """Take the breaths that ended before `until_s`."""
        wave, values = self._wave, self._kept.values
        if wave is None:
            return
        for at_s, rate_brpm in wave.advance(until_s):
            self._kept.value_of(BREATHS).take(at_s, rate_brpm)
        off = values.get(LEAD_OFF)
        if off is not None and off.newest == 1.0 and until_s - off.last_s <= SAID_S:
            self._off_s = until_s
        if until_s - self._off_s <= ON_AGAIN_S:
            wave.start_anew()
        if BREATHS in values:
            # Since when one could have been seen; minus infinity while no wave is recognised.
            values[BREATHS].last_s = wave.last_s
