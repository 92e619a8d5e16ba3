"""Which peaks of the envelope are heart beats: learned thresholds, in the order of events.

Every decision is taken at a place on the envelope (a peak, a deadline, a gap), never at the end
of a block, so how the signal was cut into blocks cannot matter.

Source: P. S. Hamilton and W. J. Tompkins, "Quantitative investigation of QRS detection rules using
the MIT/BIH arrhythmia database", IEEE Trans. Biomed. Eng. 33 (1986) 1157-1165,
doi:10.1109/TBME.1986.325695 (medians of eight beat and noise peaks, the T wave's slope, looking
back after a long interval).
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import NamedTuple

import numpy as np

from edge.dsp.qrs_envelope import QUANTUM_MV, QrsEnvelope


class Tuning(NamedTuple):
    """What was chosen on recordings; see `edge.dsp.beats` for how. Heights are on the envelope."""

    threshold: float = 0.22  # part of the way from the noise peaks up to the beat peaks
    per_noise: float = 0.40  # more of it, times noise over beat level
    crowded: float = 1.5  # raises the threshold where the envelope stays high around a peak ...
    crowded_from: float = 0.2  # ... above this part of its height
    early: float = 3.0  # raises it, times noise over beat level, for a peak that comes early ...
    early_rr: float = 0.75  # ... before this part of the median RR interval
    search_back: float = 0.65  # of the threshold, for a beat that is overdue ...
    overdue: float = 1.66  # ... after so many median RR intervals
    t_slope: float = 0.45  # a T wave is flatter than its beat by this
    ceiling: float = 0.8  # what is as large as the beats is one, come when it may
    growth: float = 1.5  # the most a single beat may count, of the present level
    step: float = 0.97  # a jump that keeps this part of its height is no beat


T_WAVE_S = 0.36  # a T wave comes no later after its beat
BEFORE_S = 0.4  # how far the envelope is looked at ahead of a peak
STEP_S = 0.12  # a jump is looked at from so long before to so long after
FAST_S, FAST = 0.06, 0.6  # a jump takes most of its height in so short a time; drift does not
RINGING_S, RINGING = 0.5, 0.2  # after a jump, smaller peaks than this part of it are its own
LEARN_S = 4.5  # three times 1.5 s, each of which holds a beat down to 40 / min
LOST_S = 4.5  # without a beat for so long: look whether the rhythm has become small
CONTRAST = 5.5  # largest peaks over the envelope's 10th percentile; noise and hum stay below
CLEAR, SMALL = 7.0, 100.0  # the same below so many times the least: 200 uV, as noise may have
ALIKE = 0.5  # of three largest peaks two are within this of each other, or one stands out alone
STILL_S = 120.0  # for so long what is smaller than `FAINT` is taken for standstill, not a rhythm:
FAINT = 0.12  # the P waves of ventricular standstill
LEAST_MV = 3e-4  # mean slope below which nothing is learned: a QRS of some 2 uV
MANY, REGULAR, VALLEY = 9, 1.2, 0.7  # a fast rhythm: so many peaks, so alike, with valleys
N_MEDIAN = 8
N_RHYTHM = 3  # so many RR intervals tell the next
NEVER = -(1 << 62)


class Level:
    """The median of the last `N_MEDIAN` values; `n` of them there are."""

    __slots__ = ("_values", "median", "n")

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=N_MEDIAN)
        self.n = 0
        self.median = 0.0

    def restart(self, values: list[float]) -> None:
        """Forget all and start from these."""
        self._values.clear()
        self.n = 0
        self.median = 0.0
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        """Let the oldest go and take this one in."""
        self._values.append(value)
        ranked = sorted(self._values)
        if self.n < N_MEDIAN:
            self.n = len(ranked)
        n = self.n
        self.median = (ranked[(n - 1) >> 1] + ranked[n >> 1]) / 2


def _spread(ranked: list[int]) -> float:
    """Return the 80th over the 20th percentile of ranked numbers above zero."""
    return ranked[len(ranked) * 4 // 5] / ranked[len(ranked) // 5]


class QrsRules:
    """Tells beats from other peaks.

    What an event makes certain goes to the end of its `found`: envelope indices of beats, in
    increasing order.
    """

    def __init__(self, envelope: QrsEnvelope, fs_hz: float, tuning: Tuning) -> None:
        self._envelope = envelope
        self._tuning = tuning
        self._apart_n = envelope.apart_n
        self._second_n = round(fs_hz)
        self._t_wave_n = round(T_WAVE_S * fs_hz)
        self._before_n = round(BEFORE_S * fs_hz)
        self._step_n, self._fast_n = round(STEP_S * fs_hz), round(FAST_S * fs_hz)
        self._ringing_n = round(RINGING_S * fs_hz)
        self._learn_n = 3 * round(LEARN_S / 3 * fs_hz)
        self._lost_n, self._still_n = round(LOST_S * fs_hz), round(STILL_S * fs_hz)
        self._beat, self._noise, self._rr = Level(), Level(), Level()
        self._known = 0.0  # the level that a full count of beats agreed on
        self._n_beats = 0  # since the learning period; in it an artefact may have been learned
        self._least = LEAST_MV * envelope.window_n / QUANTUM_MV
        self._last = NEVER  # the last beat
        self._last_slope = 0.0
        self._from = 0  # where the present stretch without a gap begins
        self._step = (0, 0.0)  # up to where a jump rings, and what is too small beside it
        self._overdue: list[tuple[int, int, float]] = []
        self._held: list[tuple[int, int]] = []  # peaks of the learning period
        self._learn_end: int | None = self._learn_n
        self._lost_check = 0

    # ---- events -------------------------------------------------------------------------

    def gap(self, end_idx: int, *, learn_anew: bool) -> None:
        """Note that the signal was missing up to `end_idx`."""
        self._from = end_idx
        self._overdue.clear()
        self._lost_check = end_idx + self._lost_n
        if learn_anew:
            self._learn_end = end_idx + self._learn_n
            self._held.clear()
            self._last = NEVER
            self._rr.restart([])

    def peak(self, idx: int, height: int, found: list[int]) -> None:
        """Judge a peak; peaks come in order."""
        self.pass_time(idx, found)
        if self._learn_end is not None:
            self._held.append((idx, height))
        else:
            self._judge(idx, height, found)

    def pass_time(self, to_idx: int, found: list[int]) -> None:
        """Do what falls due before `to_idx`, all peaks up to there having been given."""
        while self._learn_end is not None and to_idx >= self._learn_end:
            self._learn(self._learn_end, found)
        if self._learn_end is not None:
            return
        if self._overdue:
            self._look_back(to_idx, found)
        while to_idx >= self._lost_check:
            self._look_for_lost(self._lost_check)

    @property
    def open_idx(self) -> int | None:
        """The oldest peak that may still become a beat; None where no peak may."""
        if self._learn_end is not None:
            return self._held[0][0] if self._held else self._learn_end - self._learn_n
        return self._overdue[0][0] if self._overdue else None

    # ---- levels -------------------------------------------------------------------------

    def _survey(self, end_idx: int) -> tuple[float, float]:
        """Return the level of the largest peaks and its contrast, over the learning period.

        Where one third holds a far larger peak than the other two, that was an artefact, or the
        heart's last beat: the second largest may then be its T wave, or noise. What goes on has to
        stand out in the third where it is least.
        """
        heights = self._envelope.heights(end_idx - self._learn_n, end_idx)
        least, level, most = np.sort(heights.reshape(3, -1).max(axis=1)).tolist()
        quiet = float(np.partition(heights, len(heights) // 10)[len(heights) // 10])
        sure = level if level >= ALIKE * most else least
        return float(level), sure / max(quiet, 1.0)

    def _learn(self, end_idx: int, found: list[int]) -> None:
        level, contrast = self._survey(end_idx)
        believed = self._stands_out(level, contrast) or self._is_regular(end_idx)
        if not believed or level < self._least:
            self._learn_end = end_idx + self._second_n
            first = self._learn_end - self._learn_n
            self._held = [held for held in self._held if held[0] >= first]
            return
        self._settle_on(level)
        self._learn_end = None
        self._lost_check = end_idx + self._lost_n
        held, self._held = self._held, []
        for idx, height in held:
            self._look_back(idx, found)
            self._judge(idx, height, found)
        self._known, self._n_beats = 0.0, 0

    def _stands_out(self, level: float, contrast: float) -> bool:
        """Tell whether a survey found beats; the smaller they are, the clearer they have to be."""
        return contrast >= (CONTRAST if level >= SMALL * self._least else CLEAR)

    def _is_regular(self, end_idx: int) -> bool:
        """Tell a fast rhythm, which leaves no quiet between its beats, from noise and hum."""
        first_idx = end_idx - self._learn_n
        peaks = [held for held in self._held if first_idx <= held[0] < end_idx]
        if len(peaks) < MANY:
            return False
        gaps = sorted(b[0] - a[0] for a, b in itertools.pairwise(peaks))
        heights = sorted(height for _, height in peaks)
        quiet = np.partition(self._envelope.heights(first_idx, end_idx), self._learn_n // 10)
        return (
            _spread(gaps) < REGULAR
            and _spread(heights) < REGULAR
            and float(quiet[self._learn_n // 10]) < VALLEY * heights[len(heights) // 2]
        )

    def _settle_on(self, level: float) -> None:
        self._beat.restart([level] * 3)
        self._noise.restart([0.1 * level] * 3)

    def _look_for_lost(self, now_idx: int) -> None:
        """After seconds without a beat see whether a smaller rhythm goes on; silence is none."""
        since = max(self._from, self._last)
        if now_idx - since < self._lost_n:
            self._lost_check = since + self._lost_n
            return
        self._lost_check = now_idx + self._second_n
        level, contrast = self._survey(now_idx)
        faint = FAINT * self._known if now_idx - since < self._still_n else 0.0
        is_smaller = max(faint, self._least) < level < self._beat.median
        if is_smaller and self._stands_out(level, contrast):
            self._settle_on(level)
            self._overdue.clear()

    # ---- peaks --------------------------------------------------------------------------

    def _judge(self, idx: int, height: int, found: list[int]) -> None:
        tuning, since = self._tuning, idx - self._last
        ringing = idx < self._step[0] and height < self._step[1]
        if ringing or since < self._apart_n:
            return
        noise, beat = self._noise.median, self._beat.median
        threshold = noise + (tuning.threshold + tuning.per_noise * noise / beat) * (beat - noise)
        if height <= tuning.search_back * threshold:
            self._noise.add(height)
            return
        slope = float(self._envelope.steepest(idx))
        near = since < self._t_wave_n
        if near and slope < tuning.t_slope * self._last_slope:
            self._noise.add(min(height, self._raised(threshold, idx, height)))
        elif self._is_step(idx):
            self._step = (idx + self._ringing_n, RINGING * height)
        elif height > tuning.ceiling * beat or height > self._raised(threshold, idx, height):
            self._accept(idx, height, slope, found)
        else:
            self._noise.add(height)
            if not near:
                self._overdue.append((idx, height, slope))
                self._look_back(idx, found)

    def _raised(self, threshold: float, idx: int, height: int) -> float:
        """Return the threshold with caution, not above the ceiling.

        A QRS rises from a quiet envelope and leaves a quiet one; a burst of muscle noise does
        not. What comes early is doubtful the more, the noisier the signal is.
        """
        tuning, lowest, beat = self._tuning, self._envelope.lowest, self._beat.median
        valleys = lowest(idx - self._before_n, idx) + lowest(idx, idx + self._apart_n)
        caution = 1.0 + tuning.crowded * max(0.0, valleys / (2 * height) - tuning.crowded_from)
        if self._rr.n >= N_RHYTHM:
            early = max(0.0, tuning.early_rr - (idx - self._last) / self._rr.median)
            caution *= 1.0 + tuning.early * early * self._noise.median / beat
        return min(threshold * caution, tuning.ceiling * beat)

    def _is_step(self, idx: int) -> bool:
        """Tell whether the signal jumped under a peak and stayed where it went."""
        middle, step_n = idx - self._envelope.lag_n, self._step_n
        if middle - step_n < self._from:
            return False
        raw = self._envelope.raw(middle - step_n, middle + step_n + 1)
        before = raw.item(0)
        jump = abs(raw.item(-1) - before)
        kept = jump / self._tuning.step
        if abs(raw.item(step_n) - before) > kept:
            return False  # most beats end here; the rest is exact
        if raw.item(raw.argmax()) - raw.item(raw.argmin()) > kept:
            return False
        rise = raw[self._fast_n :] - raw[: -self._fast_n]
        return max(float(rise.max()), -float(rise.min())) > FAST * jump

    def _deadline(self) -> int:
        rr = self._rr.median if self._rr.n >= N_RHYTHM else self._second_n
        return max(self._from, self._last) + int(self._tuning.overdue * rr)

    def _look_back(self, now_idx: int, found: list[int]) -> None:
        """Take the largest of the peaks that were too small, the interval having grown long."""
        while self._overdue and now_idx > self._deadline():
            idx, height, slope = max(self._overdue, key=lambda peak: peak[1])
            self._accept(idx, height, max(slope, 0.5 * self._last_slope), found)

    def _accept(self, idx: int, height: int, slope: float, found: list[int]) -> None:
        beat = self._beat
        beat.add(min(height, self._tuning.growth * beat.median))
        self._n_beats += 1
        if self._n_beats >= N_MEDIAN:
            self._known = beat.median
        rr = idx - self._last
        if self._last >= self._from and rr < 3 * self._second_n:
            self._rr.add(rr)
        self._last = idx
        self._last_slope = slope
        if self._overdue:
            self._overdue = [peak for peak in self._overdue if peak[0] > idx + self._t_wave_n]
        found.append(idx)
