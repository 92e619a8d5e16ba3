"""A radio link in numbers: when samples were taken, when their packets come, what is missing.

A sensor samples by its own clock, packs and hands over; its radio delivers at connection events,
in order, several packets an event; events fail and are made up for at the next one; the box
reads late. Everything is drawn at once with numpy from one seed; nothing of it knows the
estimator. It is the truth `edge.dsp.timeline` is held against.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from edge.records import Samples, Stamp, TimeArray

Clock = Literal["ns", "us32", "count"]
"""``ns``: Polar, ticks of 1 ns, packets not numbered. ``us32``: our boards, 32-bit us and 16-bit
numbers. ``count``: no clock at all."""
EPOCH_2019_NS = 599_616_000_000_000_000
"""2019-01-01 in ns since 2000-01-01: what a Polar strap shows that nobody has told the time."""
NOW_NS = 840_000_000_000_000_000
ECG_130 = {"fs_hz": 130.0, "n": 73, "clock": "ns"}


class Drop(msgspec.Struct, frozen=True):
    """The link is down from `at_s` for `for_s`; the sensor keeps what it could not send, or not."""

    at_s: float
    for_s: float
    keeps: bool


class Link(msgspec.Struct, frozen=True):
    """What one run of the model is made of; the defaults are a quiet strap.

    Attributes
    ----------
    ppm : float
        How much slower than the boot clock the sensor's runs.
    wander_ppm, wander_s : float
        Amplitude and period of what temperature adds.
    central_ppm : float
        How much slower the radio's clock runs, by which the connection events come.
    interval_s : float
        Distance of the connection events.
    loss : float
        Share of the connection events that fail.
    jitter_s : float
        Longest usual delay of the box; one packet in a thousand waits up to 250 ms.
    lost, twice : float
        Share of the notifications that never come, or come a second time.
    drops : tuple[Drop, ...]
        When the link is down.
    updates : tuple[tuple[float, float], ...]
        (time, new connection interval).
    restarts : tuple[tuple[float, float], ...]
        (time, how long it is off): the sensor begins anew.
    resets : tuple[float, ...]
        The sensor's clock goes back to 2019-01-01, or to 0, and sampling goes on.
    """

    fs_hz: float = 130.0
    n: int = 73
    clock: Clock = "ns"
    length_s: float = 1800.0
    ppm: float = 0.0
    wander_ppm: float = 3.0
    wander_s: float = 2400.0
    central_ppm: float = 0.0
    interval_s: float = 0.05
    loss: float = 0.02
    jitter_s: float = 0.02
    lost: float = 0.0
    twice: float = 0.0
    drops: tuple[Drop, ...] = ()
    updates: tuple[tuple[float, float], ...] = ()
    restarts: tuple[tuple[float, float], ...] = ()
    resets: tuple[float, ...] = ()
    first_tick: int = 0


class Arrivals(msgspec.Struct, frozen=True):
    """What came, in the order in which it came.

    Attributes
    ----------
    runs : list[Samples]
        As a decoder makes them; all share one array of values.
    arrived_s : TimeArray
        Shape (n,).
    first_s, last_s : TimeArray
        Shape (n,): when the first and the last sample of each run were truly taken.
    n_missing : np.ndarray
        Shape (n,): samples taken and not delivered between the run before and this one.
    life : np.ndarray
        Shape (n,): how often the sensor's clock had begun anew.
    repeated : np.ndarray
        Shape (n,): whether the packet had come before.
    """

    runs: list[Samples]
    arrived_s: TimeArray
    first_s: TimeArray
    last_s: TimeArray
    n_missing: np.ndarray
    life: np.ndarray
    repeated: np.ndarray


def draw(link: Link, seed: int) -> Arrivals:
    """Return one run of the model."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi)
    began_s = 100.0 + rng.uniform(0, 1)

    def true_s(local_s: TimeArray) -> TimeArray:
        turn = 2 * np.pi / link.wander_s
        wandered = link.wander_ppm * (np.cos(phase) - np.cos(turn * local_s + phase)) / turn
        return began_s + local_s + 1e-6 * (link.ppm * local_s + wandered)

    # Which packets there are: the sensor's own time of each, its life, its number.
    packet_s = link.n / link.fs_hz
    local_s = np.arange(int(link.length_s / packet_s)) * packet_s
    life = np.zeros(len(local_s), int)
    off = np.zeros(len(local_s), bool)
    for at_s, off_s in link.restarts:
        off |= (local_s + packet_s > at_s) & (local_s < at_s + off_s)
        life += local_s >= at_s + off_s
    for at_s in link.resets:
        life += local_s >= at_s
    first_s = true_s(local_s)
    last_s = true_s(local_s + (link.n - 1) / link.fs_hz)
    ready_s = last_s + rng.uniform(0.0002, 0.001, len(local_s))
    there = ~off & (rng.uniform(size=len(local_s)) >= link.lost)
    for drop in link.drops:
        if not drop.keeps:
            down_s = began_s + drop.at_s
            there &= (ready_s < down_s) | (ready_s >= down_s + drop.for_s)

    idx = np.flatnonzero(there)
    events_s = _events(link, began_s, rng)
    n_slots = max(4, int(np.ceil(2.0 * link.interval_s / packet_s)) + 1)
    for _, interval_s in link.updates:
        n_slots = max(n_slots, int(np.ceil(2.0 * interval_s / packet_s)) + 1)
    slot = np.searchsorted(events_s, ready_s[idx]) * n_slots
    order = np.arange(len(idx))
    slot = np.maximum.accumulate(slot - order) + order
    idx = idx[slot // n_slots < len(events_s)]
    delivered_s = events_s[slot[: len(idx)] // n_slots]
    for drop in link.drops:
        # What waited when the link went is gone with it.
        down_s = began_s + drop.at_s
        went = drop.keeps | (ready_s[idx] >= down_s) | (delivered_s < down_s)
        idx, delivered_s = idx[went], delivered_s[went]
    late_s = np.minimum(rng.exponential(link.jitter_s / 5, len(idx)), link.jitter_s)
    rare = rng.uniform(size=len(idx)) < 0.001
    late_s = np.where(rare, rng.uniform(0, 0.25, len(idx)), late_s)
    arrived_s = np.maximum.accumulate(delivered_s + 0.0005 + late_s)

    before = np.concatenate([[idx[0] - 1], idx[:-1]])
    n_missing = (idx - before - 1) * link.n
    repeated = rng.uniform(size=len(idx)) < link.twice
    index = np.repeat(np.arange(len(idx)), 1 + repeated)
    is_copy = np.concatenate([[False], index[1:] == index[:-1]])
    runs = _runs(link, local_s, life, idx)
    return Arrivals(
        [runs[i] for i in index],
        arrived_s[index],
        first_s[idx][index],
        last_s[idx][index],
        np.where(is_copy, 0, n_missing[index]),
        life[idx][index],
        is_copy,
    )


def _events(link: Link, began_s: float, rng: np.random.Generator) -> TimeArray:
    """Return the connection events that succeed; every new link has its own phase."""
    end_s = began_s + link.length_s + 70.0
    marks = [(began_s - 2.0, link.interval_s)]
    marks += [(began_s + at_s, interval_s) for at_s, interval_s in link.updates]
    for drop in link.drops:
        up_s = began_s + drop.at_s + drop.for_s
        interval_s = [i for at_s, i in marks if at_s <= up_s][-1]
        marks.append((up_s, interval_s))
    marks.sort()
    parts = []
    for (from_s, interval_s), to_s in zip(marks, [m[0] for m in marks[1:]] + [end_s], strict=True):
        step_s = interval_s * (1 + link.central_ppm * 1e-6)
        parts.append(np.arange(from_s + rng.uniform(0, interval_s), to_s, step_s))
    events_s = np.concatenate(parts)
    up = rng.uniform(size=len(events_s)) >= link.loss
    for drop in link.drops:
        down_s = began_s + drop.at_s
        up &= (events_s < down_s) | (events_s >= down_s + drop.for_s)
    return events_s[up]


def _runs(link: Link, local_s: TimeArray, life: np.ndarray, idx: np.ndarray) -> list[Samples]:
    values = np.zeros(link.n, np.float32)
    begun = np.searchsorted(life, life)  # number of the first packet of this life
    own_s = np.where(life > 0, local_s - local_s[begun], local_s)
    runs = []
    for i in idx.tolist():
        stamp = None
        if link.clock == "ns":
            base = link.first_tick or (NOW_NS if life[i] == 0 else EPOCH_2019_NS)
            stamp = Stamp(base + round(float(own_s[i]) * 1e9), 1e-9)
        elif link.clock == "us32":
            ticks = (link.first_tick if life[i] == 0 else 2000) + round(float(own_s[i]) * 1e6)
            number = i - begun[i] if life[i] else i
            stamp = Stamp(ticks % 2**32, 1e-6, 2**32, int(number) % 65536, 65536)
        runs.append(Samples("ecg_mv", 0.0, link.fs_hz, values, stamp=stamp))
    return runs


class Found(msgspec.Struct, frozen=True):
    """How well one run of the model was placed; everything of shape (n,), copies left out.

    Attributes
    ----------
    since_s : TimeArray
        Time since the sensor's clock began anew.
    error_s : TimeArray
        Estimated less true time, of the first or the last sample, whichever is worse.
    bound_s : TimeArray
        What was stated.
    least_s : float
        The shortest delay between a last sample and its arrival, which nobody can see.
    n_skipped, n_missing : np.ndarray
        Samples the estimator and the truth miss before the run.
    seam_s : TimeArray
        Jump between the end of the run before (with the missing samples) and this one's start.
    """

    since_s: TimeArray
    error_s: TimeArray
    bound_s: TimeArray
    least_s: float
    n_skipped: np.ndarray
    n_missing: np.ndarray
    seam_s: TimeArray
    life: np.ndarray
    n_stale: int
    n_repeated: int
    step_s: TimeArray


def judge(arrivals: Arrivals, clock, n: int) -> Found:
    """Place every run with `clock` (an `edge.dsp.timeline.StreamClock`) and compare."""
    placed = [
        clock.place(run, at_s)
        for run, at_s in zip(arrivals.runs, arrivals.arrived_s.tolist(), strict=True)
    ]
    fresh = ~arrivals.repeated
    places = [place for place, keep in zip(placed, fresh, strict=True) if keep]
    start_s = np.array([place.start_s for place in places])
    step_s = np.array([place.step_s for place in places])
    n_skipped = np.array([place.n_skipped for place in places])
    first, last = arrivals.first_s[fresh], arrivals.last_s[fresh]
    errors = np.stack([start_s - first, start_s + (n - 1) * step_s - last])
    worse = np.abs(errors).argmax(0)
    seam_s = np.zeros(len(places))
    seam_s[1:] = start_s[1:] - (start_s + n * step_s)[:-1] - n_skipped[1:] * step_s[1:]
    life = arrivals.life[fresh]
    return Found(
        first - first[np.searchsorted(life, life)],
        errors[worse, np.arange(len(places))],
        np.array([place.uncertainty_s for place in places]),
        float((arrivals.arrived_s[fresh] - last).min()),
        n_skipped,
        arrivals.n_missing[fresh],
        seam_s,
        life,
        sum(place.n_stale > 0 for place in placed),
        int(arrivals.repeated.sum()),
        step_s,
    )
