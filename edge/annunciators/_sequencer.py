"""Signal -> one endless run of samples: which burst when, and what cuts it off. Pure.

Time is the number of samples that were taken out; so what is heard does not depend on how fast or
in what pieces it is taken, and a test can say to the sample what must come.

What a new signal does to the sound that runs:
- a higher priority cuts it off and begins at once;
- the same priority with another melody begins after the running burst and a rest: of two alarms
  that come together both are heard;
- a pause or the end of the alarm cuts it off: who has answered hears that at once;
- a lower priority cuts it off and begins after a rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.annunciators import Signal
from edge.annunciators._melody import (
    FS_HZ,
    FULL_SCALE,
    GENERAL,
    INTERVAL_S,
    MELODIES,
    REMINDER_S,
    Wave,
    burst,
    gain,
    reminder,
)
from edge.records import Priority

CUT_S: Final = 0.01
"""A burst that is cut off fades so fast: no click, and nobody waits."""
BETWEEN_S: Final = 2.5
"""From the end of a burst to one of the same or a lower priority that takes its place; the least
the inter-burst interval may be, clinical.md §6.2."""
REST_S: Final = 0.5
"""The same after a silence that was wanted: a new alarm does not wait, but two bursts are two."""

Level = Callable[[bool], float]
"""Given whether a high alarm, the volume now in dB under full scale."""


class Cue(NamedTuple):
    """What sounds, again and again.

    Attributes
    ----------
    rank : int
        3 for high to 1 for low, 0 for the reminder.
    category : str
        Of the melody.
    """

    rank: int
    category: str

    def wave(self) -> Wave:
        """Return one burst, full scale 1.0."""
        return burst(_BY_RANK[self.rank], self.category) if self.rank else reminder()

    @property
    def interval_s(self) -> float:
        """From the end of one burst to the start of the next."""
        return INTERVAL_S[_BY_RANK[self.rank]] if self.rank else REMINDER_S


_BY_RANK: Final = {p.rank: p for p in Priority}
_HIGH: Final = Priority.HIGH.rank
_REMINDER: Final = Cue(0, GENERAL)
_NOTHING: Final = -1
"""Rank of silence and of a self-test's tone: everything is higher."""


def cue_of(signal: Signal) -> Cue | None:
    """Return what a signal sounds like; None where it is silent.

    An alarm that sounds needs no reminder; a category without a melody sounds as ``general``.
    """
    if signal.audible and signal.priority is not None and signal.priority.rank > 0:
        category = signal.category if signal.category in MELODIES else GENERAL
        return Cue(signal.priority.rank, category)
    return _REMINDER if signal.reminder else None


class Sequencer:
    """Gives out samples for ever.

    Parameters
    ----------
    level_dbfs : Callable
        Asked at the start of every burst.

    Attributes
    ----------
    n_wanted : int
        Changes of what is wanted.
    n_given : int
        How many of them have begun to come out; those that were overtaken count with the one
        that overtook them.
    """

    def __init__(self, level_dbfs: Level) -> None:
        self._level_dbfs = level_dbfs
        self._cue: Cue | None = None
        self._running = np.zeros(0, dtype=np.int16)
        self._position = self._now = self._due = 0
        self._last_rank, self._last_end = _NOTHING, -_samples(BETWEEN_S)
        self._rest = 0
        self.n_wanted = self.n_given = 0

    @property
    def quiet(self) -> bool:
        """Whether nothing sounds and nothing is to."""
        return self._cue is None and not self._sounding

    def want(self, cue: Cue | None) -> None:
        """Sound this from now on; None is silence. The same again changes nothing."""
        if cue == self._cue:
            return
        before, self._cue = self._cue, cue
        self.n_wanted += 1
        if cue is None:
            if self._last_rank != _REMINDER.rank:  # a reminder is one pulse, and is heard whole
                self._cut()
            self.n_given = self.n_wanted
            return
        if self._sounding and cue.rank != self._last_rank:
            self._cut()
        # Above a lower one that has yet to begin it does not wait as long as that one had to.
        rest_s = REST_S if before is None or cue.rank > before.rank else BETWEEN_S
        rest = 0 if cue.rank > self._last_rank else _samples(rest_s)
        self._due = max(self._now, self._last_end + rest)

    @property
    def tests(self) -> bool:
        """Whether nothing but the tone of a self-test is wanted."""
        return self._cue is None and self._last_rank == _NOTHING

    def play_once(self, wave: Wave, level_dbfs: float | None = None) -> int:
        """Play the tone of a self-test if nothing else sounds; return its length, else 0.

        `level_dbfs`: how loud; None: as a high alarm would be now.
        """
        if not self.quiet:
            return 0
        self._begin(wave, _NOTHING, high=True, level_dbfs=level_dbfs)
        return len(self._running)

    def take(self, n: int) -> NDArray[np.int16]:
        """Return the next `n` samples."""
        out = np.zeros(n, dtype=np.int16)
        done = 0
        while done < n:
            if self._cue is not None and not self._sounding and self._due <= self._now:
                self._begin(self._cue.wave(), self._cue.rank, high=self._cue.rank == _HIGH)
                self._due = self._last_end + _samples(self._cue.interval_s)
                self.n_given = self.n_wanted
            step = self._step(n - done)
            part = self._running[self._position : self._position + step]
            out[done : done + len(part)] = part
            self._position += len(part)
            self._now += step
            done += step
        return out

    def _step(self, at_most: int) -> int:
        """Return for how many samples nothing changes."""
        if self._sounding:
            return min(at_most, len(self._running) - self._position)
        return at_most if self._cue is None else min(at_most, self._due - self._now)

    @property
    def _sounding(self) -> bool:
        return self._position < len(self._running)

    def _begin(self, wave: Wave, rank: int, *, high: bool, level_dbfs: float | None = None) -> None:
        told_dbfs = self._level_dbfs(high) if level_dbfs is None else level_dbfs
        level = np.float32(FULL_SCALE * gain(told_dbfs))
        self._play(np.rint(wave * level).astype(np.int16))
        self._last_rank = rank

    def _cut(self) -> None:
        rest = self._running[self._position :][: _samples(CUT_S)]
        ramp = np.linspace(1.0, 0.0, len(rest), dtype=np.float32)
        self._play(np.rint(rest * ramp).astype(np.int16))

    def _play(self, samples: NDArray[np.int16]) -> None:
        self._running, self._position = samples, 0
        if len(samples):
            self._last_end = self._now + len(samples)


def _samples(span_s: float) -> int:
    return round(span_s * FS_HZ)
