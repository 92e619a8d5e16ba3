"""The line under the arrivals of one stream: boot time over the sensor's own time.

A packet is never early, often late. So the arrivals lie on and above a straight line over the
sensor's own clock, and that line (its offset and its rate) is what has to be found. It is the
supporting line of the arrivals' lower convex hull under their middle, after S. B. Moon, P. Skelly
and D. Towsley, *Estimation and removal of clock skew from network delay measurements*, INFCOM
1999, doi:10.1109/INFCOM.1999.749287.

What one end cannot see is a delay that every packet has. Most of it is the wait for the radio's
connection event. Where packets and events drift past each other, some packet waits for nothing and
the line comes down to it; where a packet lasts a whole number of events, all may wait as long.
`locked_s` says how long that can be, and it is part of the stated uncertainty.
"""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache
from operator import sub
from typing import Final

BUCKET_S: Final = 5.0
"""The least delayed packet of each such span is kept."""
N_BUCKETS: Final = 120
"""Spans a line is fitted to: ten minutes, in which a crystal's rate stays put."""
FIRST_FIT_S: Final = 0.5
LAST_FIT_S: Final = 30.0
"""The line is fitted after half a second, then at growing distances up to half a minute."""
CRYSTAL: Final = 50e-6
"""What a crystal is off; a rate that arrivals scatter too much to tell is taken for smaller."""
MAX_RATE: Final = 0.01
"""No sampling clock is further off; the worst ceramic resonator is half of it."""
EARLY_S: Final = 0.0005
SOON_S: Final = 1.0
"""A packet that comes earlier than the line has it moves the line sooner."""
DEAD_BAND_S: Final = 1e-6
"""A line is not moved for less than a sensor's clock can tell."""
N_RECENT: Final = 128
"""Arrivals whose delays tell how they scatter."""
N_SETTLED: Final = 300
"""More arrivals than these do not make a line better: its rate wanders."""
LEAST_SPREAD_S: Final = 0.002
"""No box reads packets more evenly than this, however few of them say so."""
MIN_DELAY_S: Final = 0.005
"""Allowance for the shortest delay of the link itself, which one end alone cannot measure."""
FIRST_S: Final = 1.0
"""How late the first packet may be: the longest usual connection interval."""
BOX_JITTER_S: Final = 0.035
"""Delays that scatter by less may be the box's own, and tell nothing of connection events."""
EVENT_GRID_S: Final = 0.00125
"""Connection intervals are multiples of this (Bluetooth Core 5.4, volume 6, part B, 4.5.1)."""
MAX_GRID: Final = 80
"""Longest interval that is reckoned with in `locked_s`, in such steps: 100 ms."""
MAX_BEAT: Final = 20
"""Packets after which events and packets may meet again, in `locked_s`."""


class LineFit:
    """The line under the arrivals, and how far it can be trusted.

    Parameters
    ----------
    sensor_s, arrived_s : float
        Sensor time of the last sample of the first packet, and its arrival.
    packet_s : float
        Time between two packets.
    polled : bool
        Packets wait for a radio's connection events.
    rate : float
        What the clock's rate has been so far.
    """

    def __init__(
        self,
        sensor_s: float,
        arrived_s: float,
        packet_s: float,
        *,
        polled: bool = True,
        rate: float = 0.0,
    ) -> None:
        self._first_s = self._bucket_s = self._fitted_s = self._pivot_s = sensor_s
        self._points = [(sensor_s, arrived_s - sensor_s)]
        self._offset_s = arrived_s - sensor_s
        self._recent: deque[tuple[float, float]] = deque(maxlen=N_RECENT)
        self._locked_s = locked_s(round(packet_s, 7)) if polled else 0.0
        self._n = 1
        self._wait_s = FIRST_FIT_S
        self.rate = rate
        self.spread_s = 0.0
        """How much later than the earliest all but the latest tenth of the packets come."""
        self.uncertainty_s = MIN_DELAY_S + self._locked_s + FIRST_S
        """Bound on the line's error at its newest end."""

    def at(self, sensor_s: float) -> float:
        """Return the boot time the line gives for a sensor time."""
        return sensor_s + self._offset_s + self.rate * (sensor_s - self._pivot_s)

    def add(self, sensor_s: float, arrived_s: float, off_s: float) -> None:
        """Take one arrival, `off_s` above the line, and move the line when it is time to."""
        late_s, points = arrived_s - sensor_s, self._points
        if sensor_s - self._bucket_s >= BUCKET_S:
            self._bucket_s = sensor_s
            points.append((sensor_s, late_s))
            del points[:-N_BUCKETS]
        elif late_s < points[-1][1]:
            points[-1] = (sensor_s, late_s)
        self._recent.append((sensor_s, late_s))
        self._n += 1
        since_s = sensor_s - self._fitted_s
        if since_s >= self._wait_s or (off_s < -EARLY_S and since_s >= SOON_S):
            self._fitted_s = sensor_s
            self._wait_s = min(LAST_FIT_S, max(FIRST_FIT_S, (sensor_s - self._first_s) / 2))
            self._fit()

    def delay(self, by_s: float) -> None:
        """Go on so much later, with the same rate: the sensor's clock stood still, as it seems."""
        x, late_s = self._points[-1]
        self._points = [(x, late_s + by_s)]
        self._offset_s += by_s
        self._first_s = self._fitted_s = x
        self._wait_s, self._n = FIRST_FIT_S, 1
        self._recent.clear()
        self.uncertainty_s = MIN_DELAY_S + self._locked_s + FIRST_S

    def _fit(self) -> None:
        points = self._points
        pivot_s, span_s = points[-1][0], points[-1][0] - points[0][0]
        # Of n delays spread over d, the least is about d / n above the smallest there is.
        noise_s = max(self.spread_s, LEAST_SPREAD_S) * 6.0 / min(self._n, N_SETTLED)
        rate = self.rate
        if len(points) > 2:
            (x0, y0), (x1, y1) = _supporting_edge(points)
            rate = (y1 - y0) / (x1 - x0)
            scatter = noise_s / span_s
            unsure = scatter * scatter / (scatter * scatter + CRYSTAL * CRYSTAL)
            most = abs(rate) - min(abs(rate) * unsure, 2.0 * scatter)
            most = min(most, MAX_RATE)
            rate = min(max(rate, -most), most)
        offset_s = min(late_s - rate * (x - pivot_s) for x, late_s in points)
        moved_s = abs(pivot_s + offset_s - self.at(pivot_s)) + abs(rate - self.rate) * max(
            span_s, BUCKET_S
        )
        if moved_s > DEAD_BAND_S:
            self._offset_s, self.rate, self._pivot_s = offset_s, rate, pivot_s
        self._judge()

    def _judge(self) -> None:
        """Say how the arrivals scatter, and how far off the line may be."""
        offset_s, rate, pivot_s = self._offset_s, self.rate, self._pivot_s
        off_s = sorted(late_s - offset_s - rate * (x - pivot_s) for x, late_s in self._recent)
        off_s = off_s[: max(1, len(off_s) * 9 // 10)]
        self.spread_s = spread_s = off_s[-1] - off_s[0]
        # Where delays come in steps, the step below the smallest may be there and never seen.
        step_s = max(off_s[0], *map(sub, off_s[1:], off_s), 0.0)
        hidden_s = self._locked_s
        if spread_s > BOX_JITTER_S:
            hidden_s = min(hidden_s, step_s + BOX_JITTER_S)
        seen_s = self._fitted_s - self._first_s
        self.uncertainty_s = (
            MIN_DELAY_S
            + max(hidden_s, step_s)
            + spread_s * 6.0 / min(self._n, N_SETTLED)
            + FIRST_S / (1.0 + seen_s * seen_s)
        )


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
    # Exact: Python 3.12 sums otherwise than 3.11 does, and one bit may decide.
    middle = math.fsum(x for x, _ in points) / len(points)
    right = next(i for i in range(1, len(hull)) if hull[i][0] >= middle)
    return hull[right - 1], hull[right]


@lru_cache(maxsize=64)
def locked_s(packet_s: float) -> float:
    """Return the longest wait for a connection event that every packet may have.

    Events come every m steps of 1.25 ms. Where a packet lasts a/b steps, waits differ by multiples
    of the greatest common divisor of a and m, over b: as much may be common to all of them.

    Parameters
    ----------
    packet_s : float
        Time between two packets.

    >>> round(locked_s(0.1), 6)  # every second event of 50 ms, say
    0.1
    >>> round(locked_s(73 / 130), 6)
    0.007692
    """
    most_s = 0.0
    for beat in range(1, MAX_BEAT + 1):
        exact = beat * packet_s / EVENT_GRID_S
        steps = round(exact)
        # Clocks that part faster drift through a whole step within the span of a line.
        if steps == 0 or abs(exact - steps) > 100e-6 * exact:
            continue
        common = next(m for m in range(min(MAX_GRID, steps), 0, -1) if steps % m == 0)
        most_s = max(most_s, common * EVENT_GRID_S / beat)
    return min(packet_s, most_s) if math.isfinite(packet_s) else 0.0
