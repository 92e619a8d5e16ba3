"""The simulated devices' clocks and radio: when a sample was really taken, when it arrives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeAlias

import msgspec
import numpy as np

from edge.readers import _scenario as told
from edge.records import Packet, TimeArray

Sent: TypeAlias = Iterator[tuple[float, bytes]]
"""When each payload left its device, ascending, and the payload."""

RESTART_CLOCK_US = 2_000
"""What a sensor's counter shows when it begins anew after a restart."""


class Boot(msgspec.Struct, frozen=True):
    """One life of a device, from switched on to switched off.

    Attributes
    ----------
    on_s, off_s : float
        True times of the first sample and of the end.
    clock_start_us : int
        The counter at the first sample.
    knots_true_s, knots_local_s : tuple[float, ...]
        The sensor's own time since `on_s` against the true time: straight lines between.
    """

    on_s: float
    off_s: float
    clock_start_us: int
    knots_true_s: tuple[float, ...]
    knots_local_s: tuple[float, ...]

    def true_s(self, local_s: TimeArray) -> TimeArray:
        """Return the true times of the sensor's own times (n,), counted from its start."""
        return np.interp(local_s, self.knots_local_s, self.knots_true_s)

    def local_s(self, true_s: TimeArray) -> TimeArray:
        """Return what the sensor's clock says at the true times (n,), counted from its start."""
        return np.interp(true_s, self.knots_true_s, self.knots_local_s)


def plan_boots(
    device: told.DeviceName, scenario: told.Scenario, duration_s: float, seed: int
) -> tuple[Boot, ...]:
    """Return the lives of one device over the whole simulation."""
    rng = np.random.default_rng([seed, 4, *device.encode()])
    link: told.Link = getattr(scenario.links, device)
    restarts = sorted(
        (
            event
            for event in scenario.events
            if isinstance(event, told.Restart) and event.device in (device, "all")
        ),
        key=lambda event: event.at_s,
    )
    on_s, clock_us = float(rng.uniform(0.0, 0.05)), link.clock_start_us
    lives = []
    for restart in restarts:
        if restart.at_s >= duration_s:
            break
        if on_s < restart.at_s:
            lives.append(_boot(device, scenario, (on_s, restart.at_s), clock_us))
        on_s, clock_us = max(on_s, restart.end_s), RESTART_CLOCK_US
    if on_s < duration_s:
        lives.append(_boot(device, scenario, (on_s, duration_s), clock_us))
    return tuple(lives)


def carry(
    sent: Sent, device: told.DeviceName, stream: str, scenario: told.Scenario, seed: int
) -> Iterator[Packet]:
    """Yield the packets that arrive, in order: later, not all of them, sometimes in bursts."""
    rng = np.random.default_rng([seed, 5, *device.encode()])
    link: told.Link = getattr(scenario.links, device)
    faults = [
        event
        for event in scenario.events
        if isinstance(event, told.RadioLoss | told.Bursts) and event.device in (device, "all")
    ]
    latest_s = 0.0
    for sent_s, payload in sent:
        # Two numbers for every packet, used or not: one fault must not change all that follows.
        late_s = link.latency_s + link.jitter_s * rng.exponential()
        luck = rng.uniform()
        under_way = [event for event in faults if event.covers(sent_s)]
        leaves_s = max((_release_s(event, sent_s) for event in under_way), default=sent_s)
        loss = max((_share(event) for event in under_way), default=0.0)
        if luck < max(loss, link.loss):
            continue
        latest_s = max(latest_s, leaves_s + late_s)
        yield Packet(f"sim:{device}", stream, latest_s, payload)


def _boot(
    device: told.DeviceName, scenario: told.Scenario, span_s: tuple[float, float], clock_us: int
) -> Boot:
    link: told.Link = getattr(scenario.links, device)
    drifts = [
        event
        for event in scenario.events
        if isinstance(event, told.ClockDrift) and event.device == device
    ]
    on_s, off_s = span_s
    edges = {edge for event in drifts for edge in (event.at_s, event.end_s) if on_s < edge < off_s}
    # A block of samples may be computed past the end before it is cut off there.
    knots_true = [on_s, *sorted(edges), off_s + 600.0]
    knots_local = [0.0]
    for start_s, end_s in pairwise(knots_true):
        ppm = link.ppm + sum(event.ppm for event in drifts if event.covers(start_s))
        knots_local.append(knots_local[-1] + (end_s - start_s) * (1.0 + ppm * 1e-6))
    return Boot(on_s, off_s, clock_us, tuple(knots_true), tuple(knots_local))


def _release_s(event: told.RadioLoss | told.Bursts, sent_s: float) -> float:
    if isinstance(event, told.RadioLoss):
        return sent_s
    n_bursts = math.floor((sent_s - event.at_s) / event.every_s) + 1
    return min(event.at_s + n_bursts * event.every_s, event.end_s)


def _share(event: told.RadioLoss | told.Bursts) -> float:
    return event.share if isinstance(event, told.RadioLoss) else 0.0
