"""When a strap's beats were: intervals added up, held against the arrivals of their packets.

A heart rate strap (`edge.decoders.heart_rate`) sends the intervals of the last second and no
time. Their sum is the sensor's clock; the packets come up to a second and a radio's wait late, so
that the beats lie on the least delayed packets of the last minutes, as samples lie on theirs
(`edge.dsp.clock_line`). A packet that is lost takes its intervals along: all that come after it
are late by as much, and the sum goes on by that many intervals of the usual length.

What a strap takes to be sure of a beat cannot be seen from outside: times are late by it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.records import Samples, TimeArray

N_PACKETS: Final = 200
"""Packets among which the least delayed is looked for, about three minutes: the sum of intervals
that were rounded to 1/1024 s strays by 4 ms in it, a crystal by 10."""
N_USUAL: Final = 32
"""Packets after which it is known by how much they differ."""
WIDEST_S: Final = 1.1
"""Straps send once a second: by so much packets may differ when none is lost."""
NARROW_S: Final = 0.3
"""Where packets differ by less, the strap sends at every beat."""
SLACK_S: Final = 0.1
"""A packet may be late by so much more than any before it."""
DOUBT: Final = 0.7
"""A packet that comes later than its intervals say, by this share of one: one may be lost."""
N_DOUBT: Final = 32
"""Packets after which a lost one would have shown."""
UNSEEN: Final = 0.8
"""Share of the widest difference that has to be seen before it is relied on."""
RESET_S: Final = 8.0
"""After such a silence or step the sum says nothing of how many intervals were lost."""
SLEW: Final = 0.1
"""Share of an interval by which a beat is moved to get back on to the line."""
DETECTION_S: Final = 0.1
"""Allowance for the time a strap takes to be sure of a beat (from memory; no standard says)."""
UNKNOWN_RR_S: Final = 1.0
"""Taken for an interval that the strap does not know, before the first that it does."""


class BeatClock:
    """Times the beats of one source."""

    def __init__(self) -> None:
        self._sum_s = 0.0
        self._offset_s = 0.0
        self._late_s: deque[float] = deque(maxlen=N_PACKETS)
        self._last_s = -np.inf
        self._usual_s = UNKNOWN_RR_S
        self._width_s = WIDEST_S
        self._bound_s = WIDEST_S
        self._n_doubt = 0
        self.n_lost = 0
        """Intervals that are missing, as far as the arrivals tell."""

    def place(self, samples: Samples, arrived_s: float) -> tuple[TimeArray, float]:
        """Return the times of the beats of one packet and the bound on their error.

        Parameters
        ----------
        samples : Samples
            ``rr_ms``, oldest first; NaN is an interval the strap does not know.
        arrived_s : float
            Arrival of the packet, never before that of the packet before.

        Returns
        -------
        tuple[TimeArray, float]
            Shape (n,), ascending, none later than `arrived_s`; and the bound in seconds, to which
            what the strap takes for finding a beat beyond `DETECTION_S` has to be added.
        """
        spans_s = self._spans_s(samples)
        self._sum_s += math.fsum(spans_s)
        late_s = arrived_s - self._sum_s
        rose_s = late_s - self._late_s[-1] if self._late_s else 0.0
        if rose_s > DOUBT * self._usual_s:
            self._n_doubt = N_DOUBT
        elif self._n_doubt:
            self._n_doubt -= 1
        jumped = self._take(late_s)
        at_s, last_s = self._sum_s + self._offset_s, self._last_s
        times_s = np.empty(len(spans_s))
        for i in range(len(spans_s)):
            line_s = at_s - math.fsum(spans_s[i + 1 :])
            if not jumped:
                # Beats slide on to the line: an interval is never bent by more than its share.
                least_s = last_s + spans_s[i] * (1.0 - SLEW)
                line_s = min(max(line_s, least_s), last_s + spans_s[i] * (1.0 + SLEW))
            jumped = False
            last_s = times_s[i] = min(max(line_s, last_s), arrived_s)
        self._last_s = last_s
        return times_s, self._bound_s + abs(last_s - at_s)

    def _spans_s(self, samples: Samples) -> list[float]:
        spans_s = []
        for rr_ms in samples.values.tolist():
            if rr_ms > 0.0:  # NaN is not
                self._usual_s = rr_ms / 1000.0
            spans_s.append(self._usual_s)
        return spans_s

    def _take(self, late_s: float) -> bool:
        """Move the line by what one more packet says; return whether the line was begun anew."""
        late = self._late_s
        over_s = late_s - self._offset_s
        if not late or not -RESET_S < over_s < RESET_S:
            late.clear()
            self._width_s = WIDEST_S
            over_s = 0.0
            self._offset_s = late_s
        lost = over_s > self._width_s + SLACK_S
        if lost:
            # As few as bring the packet back among the others. The sum goes on by what is missing,
            # so that what came before stays comparable.
            n_lost = math.ceil((over_s - self._width_s) / self._usual_s)
            self.n_lost += n_lost
            self._sum_s += n_lost * self._usual_s
            late_s -= n_lost * self._usual_s
            if self._width_s == NARROW_S:
                late.clear()
        late.append(late_s)
        self._judge(sorted(late))
        return lost or len(late) == 1

    def _judge(self, ordered: list[float]) -> None:
        """Move the line under the least late of the packets, and see how they differ."""
        n = len(ordered)
        self._offset_s = ordered[0]
        if n >= N_USUAL:
            narrow = ordered[n * 9 // 10] - ordered[0] < NARROW_S
            self._width_s = NARROW_S if narrow else WIDEST_S
        doubt_s = self._usual_s if self._n_doubt and self._width_s == WIDEST_S else 0.0
        # Were there many close to the least one, it would hardly be above the line.
        step_s = ordered[n // 20] - ordered[0]
        if self._width_s == WIDEST_S:
            # A heart in step with the strap's own second shows only some of the delays.
            doubt_s = max(doubt_s, UNSEEN * WIDEST_S - (ordered[-1] - ordered[0]))
        self._bound_s = DETECTION_S + 3.0 * self._width_s / n + step_s + doubt_s
