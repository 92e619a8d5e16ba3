"""When a sample was taken: sensor clocks mapped to the boot clock.

Radio and USB deliver in bursts: a packet is never early, often late. So the arrivals of a stream
lie on and above a straight line over the sensor's own clock, and that line (its offset and its
rate) is what has to be found. It is the supporting line of the arrivals' lower convex hull under
their middle, after S. B. Moon, P. Skelly and D. Towsley, *Estimation and removal of clock skew
from network delay measurements*, INFCOM 1999, doi:10.1109/INFCOM.1999.749287. The line is moved
every few seconds and never by a jump: sample times are slewed on to it, so they stay in order.

Counters are unwrapped, lost packets become gaps of so many samples, and a sensor that starts anew
(its counter goes back, or leaps) starts a new line. Where a stamp says that its ticks are the
box's own clock (a recording), times are exact and nothing is estimated.

What cannot be seen from one end is the shortest delay itself: times are late by that much (a few
ms on Bluetooth); `MIN_DELAY_S` of it is part of the stated uncertainty.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from edge.records import Samples, Stamp, TimeArray

BUCKET_S: Final = 5.0
"""The least delayed packet of each such span is kept."""
N_BUCKETS: Final = 120
"""Spans a line is fitted to: ten minutes, in which a crystal's rate stays put."""
FIRST_FIT_S: Final = 0.5
LAST_FIT_S: Final = 30.0
"""The line is fitted after half a second, then at growing distances up to half a minute."""
RATE_KNOWN_S: Final = 30.0
"""Before this span has been seen, arrivals cannot tell a rate from their own jitter."""
MAX_PPM: Final = 10_000.0
"""No sampling clock is further off than 1 %; the worst ceramic resonator is half of that."""
MAX_SLEW: Final = 0.02
"""Sample times are stretched by at most this share to get back on to the line."""
N_SPREAD: Final = 256
"""Arrivals over which their mean distance from the line is taken."""
SLEW_S: Final = 5.0
"""Time constant with which they do."""
DEAD_BAND_S: Final = 1e-6
"""A line is not moved for less than a sensor's clock can tell."""
MOST_MOVED: Final = 1 + MAX_PPM * 1e-6
"""What a sensor's clock can move in one second, beyond which it has leapt."""
JUMP_S: Final = 5.0
"""A sensor's clock and its arrivals that part by more are a restart or a step, not drift."""
MIN_DELAY_S: Final = 0.005
"""Allowance for the shortest delay of the link, which one end alone cannot measure."""
UNSTAMPED_S: Final = 1.0
"""Stated uncertainty of a value that carries no time of its own."""
RR_SLIP_S: Final = 2.0
"""Beats re-timed from their intervals are set anew when they stray this far from arrival."""


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


class LineFit:
    """The line under the arrivals: boot time over the sensor's own time."""

    def __init__(self, sensor_s: float, arrived_s: float) -> None:
        self._first_s = self._bucket_s = self._fitted_s = self._pivot_s = sensor_s
        self._points = [(sensor_s, arrived_s - sensor_s)]
        self._offset_s = arrived_s - sensor_s
        self._spread_s = 0.0
        self._n = 1
        self._wait_s = FIRST_FIT_S
        self.rate = 0.0

    def at(self, sensor_s: float) -> float:
        """Return the boot time the line gives for a sensor time."""
        return sensor_s + self._offset_s + self.rate * (sensor_s - self._pivot_s)

    def add(self, sensor_s: float, arrived_s: float) -> None:
        """Take one arrival, and move the line when it is time to."""
        late_s, points = arrived_s - sensor_s, self._points
        if sensor_s - self._bucket_s >= BUCKET_S:
            self._bucket_s = sensor_s
            points.append((sensor_s, late_s))
            del points[:-N_BUCKETS]
        elif late_s < points[-1][1]:
            points[-1] = (sensor_s, late_s)
        self._n = n = self._n + 1
        spread_s = self._spread_s
        off_s = abs(arrived_s - self.at(sensor_s))
        self._spread_s = spread_s + (off_s - spread_s) / min(n, N_SPREAD)
        if sensor_s - self._fitted_s >= self._wait_s:
            self._fitted_s = sensor_s
            self._wait_s = min(LAST_FIT_S, max(FIRST_FIT_S, (sensor_s - self._first_s) / 2))
            self._fit()

    def uncertainty_s(self) -> float:
        """Return the bound on the line's error at its newest end."""
        # Polling in step with the sensor can hide a delay as long as the ones that are seen; and
        # of n delays spread over d, the least is about d / n above the smallest there is.
        return MIN_DELAY_S + self._spread_s * (0.75 + 6.0 / min(self._n, 50))

    def _fit(self) -> None:
        points = self._points
        rate = 0.0
        if len(points) > 2 and points[-1][0] - points[0][0] >= RATE_KNOWN_S:
            (x0, y0), (x1, y1) = _supporting_edge(points)
            rate = min(max((y1 - y0) / (x1 - x0), -MAX_PPM * 1e-6), MAX_PPM * 1e-6)
        pivot_s = points[-1][0]
        offset_s = min(late_s - rate * (x - pivot_s) for x, late_s in points)
        span_s = max(pivot_s - points[0][0], BUCKET_S)
        moved_s = abs(pivot_s + offset_s - self.at(pivot_s)) + abs(rate - self.rate) * span_s
        if moved_s > DEAD_BAND_S:
            self._offset_s, self.rate, self._pivot_s = offset_s, rate, pivot_s


def _supporting_edge(
    points: list[tuple[float, float]],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the edge of the lower convex hull that lies under the mean of the points."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break
            hull.pop()
        hull.append((x, y))
    middle = sum(x for x, _ in points) / len(points)
    right = next(i for i in range(1, len(hull)) if hull[i][0] >= middle)
    return hull[right - 1], hull[right]


class StreamClock:
    """Places the runs of one stream of one source, in the order in which they come.

    Parameters
    ----------
    fs_hz : float
        Nominal sampling rate.
    """

    def __init__(self, fs_hz: float) -> None:
        self.fs_hz = fs_hz
        self._step_s = 1.0 / fs_hz  # sensor time between two samples
        self._last: Stamp | None = None
        self._ticks = 0  # unwrapped, at the start of the last run
        self._n = 0  # samples of the last run
        self._arrived_s = 0.0
        self._next_s = 0.0  # boot time of the first sample after the last run
        self._line: LineFit | None = None
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
        n = len(samples.values)
        # Where a sensor sends no clock, the count of its samples is the only one.
        stamp = samples.stamp or Stamp(self._ticks + self._n, 1.0 / self.fs_hz)
        if stamp.host:
            return self._place_exact(stamp, n, arrived_s)
        return self._place_estimated(stamp, n, arrived_s)

    def _place_exact(self, stamp: Stamp, n: int, arrived_s: float) -> Placement:
        last = self._last
        if last is None or not last.host:
            return self._begin_exact(stamp, n, arrived_s, "" if last is None else "restart")
        self._ticks += _moved(stamp, last, (arrived_s - self._arrived_s) / stamp.tick_s)
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

    def _place_estimated(self, stamp: Stamp, n: int, arrived_s: float) -> Placement:
        last, line, tick_s = self._last, self._line, stamp.tick_s
        if last is None or line is None:
            return self._begin(stamp, n, arrived_s, "" if last is None else "restart")
        moved, n_packets = _moved(stamp, last), _packets(stamp, last)
        if moved == 0 and n_packets == 0:
            return Placement(0, n, self._next_s, self._step_s, line.uncertainty_s())
        moved_s = moved * tick_s
        if moved <= 0 or moved_s > (arrived_s - self._arrived_s) * MOST_MOVED + JUMP_S:
            return self._begin(stamp, n, arrived_s, "restart")
        followed = n_packets == last.n_packets
        n_skipped = self._count_skipped(moved_s, followed=followed)
        self._ticks += moved
        self._measure_step(moved_s, self._n + n_skipped)
        sensor_s = self._ticks * tick_s
        line.add(sensor_s + n * self._step_s, arrived_s)
        start_s, rate = self._next_s, line.rate
        if n_skipped:
            start_s += n_skipped * self._step_s * (1.0 + rate)
        off_s = line.at(sensor_s) - start_s
        step_s = self._step_s * (1.0 + rate + _slew(off_s))
        self._remember(stamp, n, arrived_s, start_s + n * step_s)
        bound_s = line.uncertainty_s() + abs(off_s) + tick_s
        if not n_skipped:
            return Placement(0, 0, start_s, step_s, bound_s)
        reason = "clock" if followed else "lost"
        return Placement(n_skipped, 0, start_s, step_s, bound_s, reason)

    def _count_skipped(self, moved_s: float, *, followed: bool) -> int:
        """Return the samples missing after the last run, whose start lies `moved_s` back."""
        step_s = self._step_s
        run_s = self._n * step_s
        missing_s = moved_s - run_s
        if followed and missing_s < run_s / 4 + step_s:
            # With no packet missing, what the clock moved beyond the samples is their true rate.
            return 0
        return max(0, round(missing_s / step_s))

    def _begin(self, stamp: Stamp, n: int, arrived_s: float, reason: str) -> Placement:
        """Start a new line; what lies between the old one's end and it is missing."""
        self._ticks = stamp.ticks
        self._step_s = 1.0 / self.fs_hz
        self._segment = (0.0, 0)
        run_s = n * self._step_s
        self._line = LineFit(stamp.ticks * stamp.tick_s + run_s, arrived_s)
        start_s = arrived_s - run_s
        n_skipped = 0
        if reason:
            start_s = max(start_s, self._next_s)
            n_skipped = round((start_s - self._next_s) / self._step_s)
        self._remember(stamp, n, arrived_s, start_s + run_s)
        bound_s = self._line.uncertainty_s() + max(run_s, FIRST_FIT_S)
        return Placement(n_skipped, 0, start_s, self._step_s, bound_s, reason)

    def _measure_step(self, sensor_s: float, n: int) -> None:
        """Learn the sensor time between two samples once enough of them have been seen."""
        seen_s, seen_n = self._segment
        seen_s, seen_n = self._segment = (seen_s + sensor_s, seen_n + n)
        if seen_s >= RATE_KNOWN_S:
            step_s = seen_s / seen_n
            if abs(step_s * self.fs_hz - 1.0) <= MAX_PPM * 1e-6:
                self._step_s = step_s

    def _remember(self, stamp: Stamp, n: int, arrived_s: float, next_s: float) -> None:
        self._last, self._n, self._arrived_s, self._next_s = stamp, n, arrived_s, next_s


def _slew(off_s: float) -> float:
    """Return by what share samples are stretched while they are this far off the line."""
    if -DEAD_BAND_S <= off_s <= DEAD_BAND_S:
        return 0.0
    return min(max(off_s / SLEW_S, -MAX_SLEW), MAX_SLEW)


def _moved(stamp: Stamp, last: Stamp, expected: float | None = None) -> int:
    """Return the ticks between two stamps, unwrapped.

    Without an expectation a counter that went back by less than half its span has restarted,
    and the result is negative.
    """
    moved = stamp.ticks - last.ticks
    if not stamp.wrap:
        return moved
    if expected is not None:
        return moved + round((expected - moved) / stamp.wrap) * stamp.wrap
    return moved + stamp.wrap if moved < -stamp.wrap // 2 else moved


def _packets(stamp: Stamp, last: Stamp) -> int | None:
    """Return how many packets on this one is; None where they are not numbered."""
    if not stamp.sequence_wrap:
        return None
    return (stamp.sequence - last.sequence) % stamp.sequence_wrap


def place_values(samples: Samples, arrived_s: float, last_s: float) -> TimeArray:
    """Return times for values that come one by one and carry none.

    Intervals (``rr_ms``) tell their own distance: beats are timed by adding them up from the
    beat before, and set anew from the arrival when that has strayed. Anything else is stamped
    with its arrival.

    Parameters
    ----------
    last_s : float
        Time of the last value of the signal; minus infinity before the first.

    Returns
    -------
    TimeArray
        Shape (n,), ascending, none later than `arrived_s`.
    """
    n = len(samples.values)
    if samples.signal != "rr_ms":
        return np.full(n, arrived_s)
    spans_s = np.nan_to_num(samples.values.astype(np.float64)) / 1000.0
    from_last = last_s + np.cumsum(spans_s)
    if abs(from_last[-1] - arrived_s) > RR_SLIP_S or from_last[-1] > arrived_s:
        from_last = np.maximum(arrived_s - (np.sum(spans_s) - np.cumsum(spans_s)), last_s)
    return from_last
