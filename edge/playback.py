"""Packets that are there already, run through the pipeline: a recording, a log, a night."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from edge.dsp.ecg import SILENCE_S
from edge.pipeline import TICK_S, Pipeline
from edge.records import Packet, Record

OnRecord: TypeAlias = Callable[[Record], None]
OnTime: TypeAlias = Callable[[float], None]

SETTLED_S: Final = SILENCE_S + 1.0
"""The pipeline lives on for so long after the end: then the last beats are told, and nothing has
been missed for long enough to be an alert."""


def replay_packets(
    source: Iterable[Packet],
    pipeline: Pipeline,
    on_record: OnRecord,
    *,
    end_s: float | None = None,
    settle: bool = True,
    speed: float = 0.0,
    on_time: OnTime | None = None,
) -> float:
    """Run the packets through the pipeline; return the time at which they ended.

    Parameters
    ----------
    source : Iterable[Packet]
        In the order of their arrival.
    pipeline : Pipeline
        Fresh, its first tick not after the first packet.
    on_record : OnRecord
        Is called for every record, in their order.
    end_s : float | None
        Where the recording ends; None: with its last packet.
    settle : bool
        Run on until the last beats and windows have settled; false: to the last tick, as the
        monitor that wrote this did, and no record more.
    speed : float
        1 keeps real time; 0 does not wait.
    on_time : OnTime | None
        Is told how far it is, once a step.
    """
    # Without a wait whole seconds are as good as ticks: the pipeline runs each tick by itself.
    step_s = TICK_S if speed else 1.0
    begun_s = time.monotonic()
    now_s: float | None = None
    first_s = last_s = 0.0
    waiting: list[Packet] = []

    def live(to_s: float) -> None:
        if speed:
            time.sleep(max(0.0, begun_s + (to_s - first_s) / speed - time.monotonic()))
        for record in pipeline.advance(waiting, to_s).records:
            on_record(record)
        waiting.clear()
        if on_time is not None:
            on_time(to_s)

    for packet in source:
        if now_s is None:
            first_s = now_s = math.floor(packet.arrived_s)
        while packet.arrived_s > now_s:
            live(now_s)
            now_s += step_s
        last_s = max(last_s, packet.arrived_s)
        waiting.append(packet)
    stop_s = last_s if end_s is None else end_s
    begin_s = math.floor(stop_s) if now_s is None else now_s
    for to_s in _rest(begin_s, stop_s, step_s, settle=settle):
        live(to_s)
    return stop_s


def _rest(from_s: float, stop_s: float, step_s: float, *, settle: bool) -> Iterator[float]:
    """Yield the steps after the last packet."""
    last_s = math.ceil(stop_s) + SETTLED_S if settle else math.ceil(stop_s / TICK_S) * TICK_S
    while from_s <= last_s:
        yield from_s
        from_s += step_s
    if not settle:
        yield last_s
