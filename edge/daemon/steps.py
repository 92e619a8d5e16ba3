"""The ticks that are due, one by one: what the pipeline is given at each, and what it made of it.

A late monitor runs the ticks it missed one after the other, so that the model can be asked, and
told of, between any two of them (`edge.daemon.model`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from edge.daemon.model import LiveModel
from edge.pipeline import MAX_LAG_TICKS, TICK_S, Pipeline
from edge.records import Outcome, Packet
from edge.sources import on_grid

Step: TypeAlias = tuple[list[Packet], Outcome]


class Steps:
    """Runs a pipeline tick by tick.

    Parameters
    ----------
    pipeline : Pipeline
        What is run.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._waiting: deque[Packet] = deque()
        self.model: LiveModel | None = None
        """The pipeline's model, where it runs in a thread of its own."""

    def due(self, packets: Iterable[Packet], now_s: float) -> Iterator[Step]:
        """Run the ticks up to `now_s`; yield what each was given and what it made of it.

        Parameters
        ----------
        packets : Iterable[Packet]
            What has arrived since the last call, in its order.
        now_s : float
            The boot clock.

        Yields
        ------
        tuple[list[Packet], Outcome]
            The packets as they belong into a log: a replay of them gives the same records.
        """
        self._waiting.extend(packets)
        pipeline, model = self._pipeline, self.model
        while (tick_s := self._next_s(now_s)) <= now_s:
            given = self._take_arrived(tick_s)
            if model is not None:
                # Last: their time is that of the tick, and a log is in the order of its times.
                given += model.told(tick_s)
            outcome = pipeline.advance(given, tick_s)
            if model is not None:
                model.take(outcome, tick_s)
            yield given, outcome

    def _next_s(self, now_s: float) -> float:
        next_s = self._pipeline.now_s + TICK_S
        asked = self.model is not None and self.model.asked
        if now_s - next_s > MAX_LAG_TICKS * TICK_S and not self._waiting and not asked:
            return on_grid(now_s, TICK_S) * TICK_S  # time stood still: nobody makes up for that
        return next_s

    def _take_arrived(self, tick_s: float) -> list[Packet]:
        waiting, taken = self._waiting, list[Packet]()
        while waiting and waiting[0].arrived_s <= tick_s:
            taken.append(waiting.popleft())
        return taken
