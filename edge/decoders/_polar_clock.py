"""When the samples of a Polar frame were taken, and how fast; part of `edge.decoders.polar`.

A frame bears the time of its last sample and no number. So what a frame is to the one before is
read from their times: where they are as far apart as its samples last, it follows, and its samples
lie evenly between the two; where they are further apart, frames were lost.

The rate is not in the frame either, and what is asked for is not what comes: an OH1 asked for
130 Hz sends 135, a Verity Sense before firmware 2.1.0 asked for 135 sends 55 (Polar SDK,
``documentation/KnownIssues.md``), and an H10's 130 Hz are 128 to 131 (Polar in polar-ble-sdk
issues 71 and 580). The times of the frames tell: a rate that is off by more than `WORTH` is given
up for the true one after `LEARN_S`, so that a lost frame costs exactly its own samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge.records import Stamp

TICK_S: Final = 1e-9
SECOND_NS: Final = 1_000_000_000
UNSET: Final = 0
"""A device that has no time stamps its frames so."""
FOLLOWS: Final = 0.05
"""Share of a frame, beside half a sample, by which a frame that follows may be late."""
ALIKE: Final = 0.03
"""A clock may be off by this share; beyond it is another rate, or lost frames."""
WORTH: Final = 0.0015
"""A rate nearer than this to its name keeps it: a few lost frames of 73 samples count true with
it, and stamps that are 3 ms out do not change it."""
LEARN_S: Final = 4.0
RELEARN_S: Final = 60.0
"""A rate is measured over this span at first, and over this one once it is known."""
LEARN_FRAMES: Final = 3
SEQUENCE_WRAP: Final = 1 << 16


class FrameClock:
    """Frames of one measurement of one device, in the order in which they come.

    Parameters
    ----------
    fs_hz : float
        Rate that is taken for granted until the frames have shown theirs.
    listed : Sequence[float]
        Rates such devices have.
    fixed : bool
        There is only this rate, give or take the clock.
    """

    def __init__(self, fs_hz: float, listed: Sequence[float], *, fixed: bool = False) -> None:
        self.fs_hz = fs_hz
        self._listed, self._fixed = listed, fixed
        self._step_ns = SECOND_NS / fs_hz
        self._known = False
        self._last_ns: int | None = None
        self._sequence = 0
        self._seen_ns = self._seen_n = self._seen_frames = 0

    def stamp(self, last_ns: int, n: int) -> Stamp | None:
        """Return the stamp of a frame's first sample; `fs_hz` is its rate.

        Parameters
        ----------
        last_ns : int
            The frame's time: of its last sample. `UNSET`: the frame is taken to follow.
        n : int
            Its samples, at least one.

        Returns
        -------
        Stamp | None
            None for a frame that has come before.
        """
        before_ns = self._last_ns
        if last_ns == UNSET:
            before_ns = before_ns or 0
            last_ns = before_ns + round(n * self._step_ns)
        elif before_ns is not None:
            if last_ns == before_ns:
                return None
            self._learn(last_ns - before_ns, n)
        self._last_ns = last_ns
        follows, first_ns = self._first(before_ns, last_ns, n)
        # The device numbers nothing; the number left out says that something is missing.
        self._sequence = (self._sequence + (1 if follows else 2)) % SEQUENCE_WRAP
        return Stamp(first_ns, TICK_S, 0, self._sequence, SEQUENCE_WRAP)

    def _first(self, before_ns: int | None, last_ns: int, n: int) -> tuple[bool, int]:
        """Return whether a frame follows the one before, and the time of its first sample."""
        if before_ns is not None:
            moved_ns = last_ns - before_ns
            if 0 < moved_ns <= (n * (1.0 + FOLLOWS) + 0.5) * self._step_ns:
                return True, before_ns + round(moved_ns / n)
        return False, last_ns - round((n - 1) * self._step_ns)

    def _learn(self, moved_ns: int, n: int) -> None:
        """Measure the rate over frames that are evenly apart."""
        if moved_ns <= 0:
            # A clock that was set, or a device that was switched on anew, perhaps to another rate.
            self._known = False
            self._seen_ns = self._seen_n = self._seen_frames = 0
            return
        if abs(moved_ns * self._seen_n - self._seen_ns * n) > ALIKE * self._seen_ns * n:
            self._seen_ns = self._seen_n = self._seen_frames = 0
        self._seen_ns += moved_ns
        self._seen_n += n
        self._seen_frames += 1
        span_s = RELEARN_S if self._known else LEARN_S
        if self._seen_frames >= LEARN_FRAMES and self._seen_ns >= span_s * SECOND_NS:
            self._judge(self._seen_n * SECOND_NS / self._seen_ns)
            self._seen_ns = self._seen_n = self._seen_frames = 0

    def _judge(self, measured_hz: float) -> None:
        off = measured_hz / self.fs_hz - 1.0
        # Every other frame lost looks like half the rate, and would halve a heart's, too. No loss
        # looks like a faster one.
        if abs(off) > ALIKE and (self._fixed or (self._known and off < 0.0)):
            return
        self._known = True
        self._step_ns = SECOND_NS / measured_hz
        if abs(off) > WORTH:
            self.fs_hz = self._name(measured_hz)

    def _name(self, measured_hz: float) -> float:
        nearest_hz = min(self._listed, key=lambda hz: abs(hz - measured_hz))
        if abs(nearest_hz / measured_hz - 1.0) <= WORTH:
            return nearest_hz
        # A hostile clock must not make a rate of nothing, or one without end.
        return min(max(round(measured_hz, 2), 1.0), 1000.0)
