"""When a sample was taken: sensor clocks mapped to the boot clock.

Radio and USB deliver in bursts: a packet is never early, often late. `edge.dsp.clock_line` finds
the line under the arrivals of a stream, boot time over the sensor's own time. That line is moved
every few seconds and never by a jump: sample times are slewed on to it, so they stay in order.

Counters are unwrapped, lost packets become gaps of so many samples, and a sensor that starts anew
(its counter goes back, or leaps) starts a new line. Where nothing counts what was lost, or where a
clock stood still, packets come later from then on, and stay so: that too is a gap. Where a stamp
says that its ticks are the box's own clock (a recording), times are exact and nothing is estimated.

What cannot be seen from one end is a delay that every packet has: times are late by that much (a
few ms on Bluetooth), and it is part of the stated uncertainty.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec
import numpy as np

from edge.dsp.clock_line import DEAD_BAND_S, FIRST_S, MAX_RATE, LineFit
from edge.dsp.stalled import STALL_STAMPED_S, StallWatch
from edge.records import FloatArray, Samples, Stamp

RATE_KNOWN_S: Final = 30.0
"""Before this span has been seen, stamps rounded by a sensor cannot tell its sampling rate."""
MAX_SLEW: Final = 0.02
"""Sample times are stretched by at most this share to get back on to the line."""
SLEW_S: Final = 5.0
"""Time constant with which they do."""
JUMP_S: Final = 5.0
"""The box's own clock and its arrivals that part by more are a restart or a step."""
ON_AIR_S: Final = 0.001
"""No packet is quicker: 100 bytes take 0.8 ms on air at 1 Mbit/s, and 9 ms at 115,200 baud."""
LEAD_S: Final = 1.5
"""Packets do not come before their time: a clock that leads by more has been set, or is another's.
Below this, the packets before may all have waited for an interval that is shorter now."""
SETTLED_S: Final = 10.0
SETTLING_S: Final = 70.0
"""So long may the first packets of a line come from a store, which shows as it empties."""
LATEST_S: Final = 90.0
"""No radio holds a packet back so long: the sensor has started anew."""
RESUMED_S: Final = 0.1
"""A clock that begins anew while samples go on, and arrives no later than this, misses none."""
N_RECENT: Final = 16
"""Packets that are known again when they come twice."""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where a run of samples lies.

    Attributes
    ----------
    n_skipped : int
        Samples missing between the run before and this one.
    n_stale : int
        Leading samples of this run that had come before (a packet sent twice).
    start_s, step_s : float
        Time of the first sample of the run and the distance of two samples.
    uncertainty_s : float
        Bound on the error of these times.
    reason : str
        Why samples are missing: ``lost``, ``restart`` or ``clock``; empty when none are.
    """

    n_skipped: int
    n_stale: int
    start_s: float
    step_s: float
    uncertainty_s: float
    reason: str = ""


class StreamClock:
    """Places the runs of one stream of one source, in the order in which they come.

    Parameters
    ----------
    fs_hz : float
        Nominal sampling rate.
    polled : bool
        Packets wait for a radio's connection events; False for a cable.
    """

    def __init__(self, fs_hz: float, *, polled: bool = True) -> None:
        self.fs_hz = fs_hz
        self._polled = polled
        self._step_s = 1.0 / fs_hz  # sensor time between two samples
        self._last: Stamp | None = None
        self._ticks = 0  # unwrapped, at the start of the last run
        self._n = 0  # samples of the last run
        self._arrived_s = 0.0
        self._next_s = 0.0  # boot time of the first sample after the last run
        self._line: LineFit | None = None
        self._began_s = 0.0  # arrival of the line's first packet
        self._stall = StallWatch()
        self._recent: deque[tuple[int, int, FloatArray]] = deque(maxlen=N_RECENT)
        self._base_s = 0.0  # exact clocks: boot time of sample 0
        self._idx = 0  # exact clocks: number of the sample after the last run
        self._segment = (0.0, 0)  # sensor time and sample count since the clock began

    @property
    def ppm(self) -> float:
        """How much slower than the boot clock the sensor's runs; 0.0 where it is the box's own."""
        return self._line.rate * 1e6 if self._line else 0.0

    def place(self, samples: Samples, arrived_s: float) -> Placement:
        """Return where a run lies.

        Parameters
        ----------
        samples : Samples
            One run as the decoder made it, ``fs_hz`` > 0.
        arrived_s : float
            Arrival of its packet, never before that of the packet before.
        """
        stamp = samples.stamp
        if stamp is None:
            # Where a sensor sends no clock, the count of its samples is the only one.
            counted = Stamp(self._ticks + self._n, 1.0 / self.fs_hz)
            return self._place_estimated(counted, samples.values, arrived_s, stamped=False)
        if stamp.host:
            return self._place_exact(stamp, len(samples.values), arrived_s)
        return self._place_estimated(stamp, samples.values, arrived_s, stamped=True)

    def _place_exact(self, stamp: Stamp, n: int, arrived_s: float) -> Placement:
        last = self._last
        if last is None or not last.host:
            return self._begin_exact(stamp, n, arrived_s, "" if last is None else "restart")
        self._ticks += _moved(stamp, last, arrived_s - self._arrived_s)
        # The clock is rounded to its ticks; the number of the sample is not.
        idx = round(self._ticks * stamp.tick_s * self.fs_hz)
        start_s = self._base_s + idx / self.fs_hz
        if abs(start_s - arrived_s) > JUMP_S:
            # A clock that is truly the box's own does not part from its arrivals.
            return self._begin_exact(stamp, n, arrived_s, "restart")
        n_skipped, step_s = idx - self._idx, 1.0 / self.fs_hz
        self._idx = max(self._idx, idx + n)
        self._remember(stamp, n, arrived_s, start_s + n * step_s)
        if n_skipped > 0:
            return Placement(n_skipped, 0, start_s, step_s, stamp.tick_s, "lost")
        return Placement(0, min(-n_skipped, n), start_s, step_s, stamp.tick_s)

    def _begin_exact(self, stamp: Stamp, n: int, arrived_s: float, reason: str) -> Placement:
        """Count samples from this run on; its arrival is the time of its first sample."""
        start_s, n_skipped, step_s = arrived_s, 0, 1.0 / self.fs_hz
        if reason:
            start_s = max(arrived_s, self._next_s)
            n_skipped = round((start_s - self._next_s) / step_s)
        self._base_s, self._ticks, self._idx = start_s, 0, n
        self._line = None
        self._remember(stamp, n, arrived_s, start_s + n * step_s)
        return Placement(n_skipped, 0, start_s, step_s, stamp.tick_s, reason)

    def _place_estimated(
        self, stamp: Stamp, values: FloatArray, arrived_s: float, *, stamped: bool
    ) -> Placement:
        last, line, tick_s, n = self._last, self._line, stamp.tick_s, len(values)
        if last is None or line is None:
            return self._begin(stamp, values, arrived_s, "" if last is None else "restart")
        followed = _packets(stamp, last) == last.n_packets
        moved = _moved(stamp, last, 0.0 if followed else arrived_s - self._arrived_s)
        if moved <= 0 and self._is_known(stamp, values):
            return Placement(0, n, self._next_s, self._step_s, line.uncertainty_s)
        sensor_s = (self._ticks + moved) * tick_s
        last_s = sensor_s + (n - 1) * self._step_s
        left_s = arrived_s - ON_AIR_S
        late_s = left_s - line.at(last_s)
        if moved <= 0 or self._has_leapt(late_s, arrived_s, followed=followed):
            return self._begin(stamp, values, arrived_s, "restart")
        moved_s = moved * tick_s
        n_skipped = self._count_skipped(moved_s, followed=followed)
        self._ticks += moved
        self._measure_step(moved_s, self._n + n_skipped)
        missing_s, bound_s = 0.0, line.uncertainty_s + tick_s
        if not stamped or late_s > STALL_STAMPED_S or self._stall.waits:
            missing_s, doubt_s = self._stall.take(
                late_s, arrived_s, n * self._step_s, line.spread_s, stamped=stamped
            )
            n_skipped += self._delay(line, missing_s, n)
            bound_s += doubt_s
        if not self._stall.waits or not self._stall.was_held(late_s):
            line.add(last_s, left_s, late_s)
        start_s, rate = self._next_s, line.rate
        if n_skipped:
            start_s += n_skipped * self._step_s * (1.0 + rate)
        off_s = line.at(sensor_s) - start_s
        step_s = self._step_s * (1.0 + rate + _slew(off_s))
        self._remember(stamp, n, arrived_s, start_s + n * step_s)
        self._recent.append((stamp.ticks, stamp.sequence, values))
        bound_s += abs(off_s)
        if not n_skipped:
            return Placement(0, 0, start_s, step_s, bound_s)
        reason = "clock" if followed or (missing_s and stamped) else "lost"
        return Placement(n_skipped, 0, start_s, step_s, bound_s, reason)

    def _delay(self, line: LineFit, missing_s: float, n: int) -> int:
        """Let the line go on so much later; return the samples missing."""
        if not missing_s:
            return 0
        line.delay(missing_s)
        # What is lost on the way is lost by the packet.
        return max(1, round(missing_s / (n * self._step_s))) * n

    def _is_known(self, stamp: Stamp, values: FloatArray) -> bool:
        """Return whether a packet has come before."""
        return any(
            ticks == stamp.ticks and sequence == stamp.sequence and np.array_equal(kept, values)
            for ticks, sequence, kept in self._recent
        )

    def _has_leapt(self, late_s: float, arrived_s: float, *, followed: bool) -> bool:
        """Return whether the sensor's clock is another one than before."""
        if -LEAD_S < late_s <= LATEST_S:
            return False
        if late_s > LATEST_S:
            return not followed
        return late_s < -SETTLING_S or arrived_s - self._began_s > SETTLED_S

    def _count_skipped(self, moved_s: float, *, followed: bool) -> int:
        """Return the samples missing after the last run, whose start lies `moved_s` back."""
        step_s = self._step_s
        run_s = self._n * step_s
        missing_s = moved_s - run_s
        if followed and missing_s < run_s / 4 + step_s:
            # With no packet missing, what the clock moved beyond the samples is their true rate.
            return 0
        return max(0, round(missing_s / step_s))

    def _begin(self, stamp: Stamp, values: FloatArray, arrived_s: float, reason: str) -> Placement:
        """Start a new line; what lies between the old one's end and it is missing."""
        n, old = len(values), self._line
        self._ticks = stamp.ticks
        self._step_s = step_s = 1.0 / self.fs_hz
        self._segment = (0.0, 0)
        self._began_s = arrived_s
        self._stall.forget()
        self._recent.clear()
        self._recent.append((stamp.ticks, stamp.sequence, values))
        run_s = (n - 1) * step_s
        self._line = line = LineFit(
            stamp.ticks * stamp.tick_s + run_s,
            arrived_s - ON_AIR_S,
            n * step_s,
            polled=self._polled,
            rate=old.rate if old is not None else 0.0,
        )
        start_s = arrived_s - run_s
        n_skipped = 0
        if reason:
            resumed_s = RESUMED_S + (2.0 * old.spread_s if old is not None else 0.0)
            if start_s - self._next_s > min(resumed_s, FIRST_S):
                n_skipped = round((start_s - self._next_s) / step_s)
            else:
                # Sampling went on: that the first packet comes a little later says nothing.
                start_s = self._next_s
        self._remember(stamp, n, arrived_s, start_s + n * step_s)
        bound_s = line.uncertainty_s + abs(arrived_s - run_s - start_s)
        return Placement(n_skipped, 0, start_s, step_s, bound_s, reason)

    def _measure_step(self, sensor_s: float, n: int) -> None:
        """Learn the sensor time between two samples once enough of them have been seen."""
        seen_s, seen_n = self._segment
        seen_s, seen_n = self._segment = (seen_s + sensor_s, seen_n + n)
        if seen_s >= RATE_KNOWN_S:
            step_s = seen_s / seen_n
            if abs(step_s * self.fs_hz - 1.0) <= MAX_RATE:
                self._step_s = step_s

    def _remember(self, stamp: Stamp, n: int, arrived_s: float, next_s: float) -> None:
        self._last, self._n, self._arrived_s, self._next_s = stamp, n, arrived_s, next_s


def _slew(off_s: float) -> float:
    """Return by what share samples are stretched while they are this far off the line."""
    if -DEAD_BAND_S <= off_s <= DEAD_BAND_S:
        return 0.0
    return min(max(off_s / SLEW_S, -MAX_SLEW), MAX_SLEW)


def _moved(stamp: Stamp, last: Stamp, elapsed_s: float) -> int:
    """Return the ticks between two stamps, unwrapped; negative where the counter began anew."""
    moved, wrap = stamp.ticks - last.ticks, stamp.wrap
    if wrap and (moved < 0 or stamp.host or 2 * elapsed_s > wrap * stamp.tick_s):
        moved += round((elapsed_s / stamp.tick_s - moved) / wrap) * wrap
    return moved


def _packets(stamp: Stamp, last: Stamp) -> int | None:
    """Return how many packets on this one is; None where they are not numbered."""
    if not stamp.sequence_wrap:
        return None
    return (stamp.sequence - last.sequence) % stamp.sequence_wrap
