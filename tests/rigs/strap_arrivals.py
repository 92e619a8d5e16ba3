"""A heart rate strap in numbers: its beats, the packets it sends them in, and their arrivals."""

from __future__ import annotations

import msgspec
import numpy as np

from edge.records import Samples, TimeArray


class Strap(msgspec.Struct, frozen=True):
    """What one run is made of.

    Attributes
    ----------
    timer : bool
        It sends what it has once a second; otherwise at every beat.
    rr_s, spread_s : float
        Mean interval, and how much breathing and chance move it.
    """

    timer: bool = True
    length_s: float = 1800.0
    rr_s: float = 0.86
    spread_s: float = 0.04
    ppm: float = 20.0
    interval_s: float = 0.05
    loss: float = 0.02
    lost: float = 0.0
    jitter_s: float = 0.02


class Notified(msgspec.Struct, frozen=True):
    """One packet: its intervals, its arrival, and when its beats truly were."""

    run: Samples
    arrived_s: float
    true_s: TimeArray


def draw(strap: Strap, seed: int) -> list[Notified]:
    """Return what arrives, in order."""
    rng = np.random.default_rng(seed)
    n = int(strap.length_s / strap.rr_s)
    breath = np.sin(2 * np.pi * np.arange(n) * strap.rr_s / 4.3)
    slow = np.cumsum(rng.normal(0, 0.004, n))
    slow -= np.linspace(0, slow[-1], n)
    rr_s = strap.rr_s + strap.spread_s * (0.7 * breath + 0.5 * rng.normal(size=n)) + slow
    rr_s = np.clip(rr_s, 0.35, 2.0)
    beats_s = 50.0 + np.cumsum(rr_s)
    # The strap measures by its own clock, in 1/1024 s.
    told_ms = np.round(rr_s / (1 + strap.ppm * 1e-6) * 1024) * 1000 / 1024
    if strap.timer:
        ticks_s = np.arange(beats_s[0] + rng.uniform(0, 1), beats_s[-1] + 1.1, 1 + 30e-6)
        packet = np.searchsorted(ticks_s, beats_s)
        sent_s = ticks_s[packet]
    else:
        packet, sent_s = np.arange(n), beats_s
    sent_s = sent_s + 0.001
    events_s = np.arange(49.0 + rng.uniform(0, 0.05), sent_s[-1] + 10, strap.interval_s)
    events_s = events_s[rng.uniform(size=len(events_s)) >= strap.loss]
    arrived_s = events_s[np.searchsorted(events_s, sent_s)] + 0.0005
    first = np.flatnonzero(np.diff(packet, prepend=-1))
    late_s = np.minimum(rng.exponential(strap.jitter_s / 5, len(first)), strap.jitter_s)
    rare = rng.uniform(size=len(first)) < 0.001
    late_s = np.where(rare, rng.uniform(0, 0.25, len(first)), late_s)
    kept = rng.uniform(size=len(first)) >= strap.lost
    found, latest_s = [], 0.0
    ends = [*first[1:], n]
    for i, (start, end) in enumerate(zip(first, ends, strict=True)):
        latest_s = max(latest_s, float(arrived_s[start] + late_s[i]))
        if kept[i]:
            run = Samples("rr_ms", 0.0, 0.0, told_ms[start:end].astype(np.float32))
            found.append(Notified(run, latest_s, beats_s[start:end]))
    return found
