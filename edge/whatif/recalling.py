"""Packets -> what the rules saw: the one long part of a what-if, done once."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import msgspec

from edge.assemble import assemble
from edge.pipeline import PipelineSettings, Scores
from edge.pipeline.past import Past
from edge.playback import replay_packets
from edge.whatif.nights import Night


class Recalled(msgspec.Struct, frozen=True):
    """What the rules saw of one night.

    Attributes
    ----------
    begin_s, end_s : float
        What counts of it.
    """

    run_id: str
    past: Past
    begin_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it was watched, as far as it counts."""
        return max(0.0, self.end_s - self.begin_s)


def recall(
    night: Night,
    run_id: str,
    settings: PipelineSettings,
    scorer: Scores | None,
    on_time: Callable[[float], None] | None = None,
) -> Recalled | None:
    """Return what the rules saw; None where the night holds no packets.

    Parameters
    ----------
    run_id : str
        Where the night names none.
    on_time : Callable | None
        Is told how many seconds of the night are done.
    """
    packets = iter(night.packets)
    first = next(packets, None)
    if first is None:
        return None
    start_s = math.floor(first.arrived_s)
    pipeline = assemble(settings, run_id, scorer=scorer, start_s=start_s)
    past = Past()
    pipeline.witness = past
    told = None if on_time is None else lambda now_s: on_time(now_s - start_s)
    end_s = night.end_s if math.isfinite(night.end_s) else None
    last_s = replay_packets(
        chain((first,), packets), pipeline, lambda _record: None, end_s=end_s, on_time=told
    )
    return Recalled(night.run_id, past, night.begin_s, last_s)


def curve(
    recalled: Recalled, patient: str, features: Sequence[str]
) -> tuple[array[float], array[float]]:
    """Return a vital sign second by second: times, and the first of `features` that is known."""
    places: list[tuple[int, ...]] = []
    times, values = array("d"), array("d")
    for at_s, layout, row in _rows(recalled, patient):
        while len(places) <= layout:
            names = recalled.past.layouts[len(places)].names
            places.append(tuple(names.index(name) for name in features if name in names))
        known = (row[place] for place in places[layout])
        times.append(at_s)
        values.append(next((value for value in known if value == value), math.nan))  # noqa: PLR0124
    return times, values


def _rows(recalled: Recalled, patient: str) -> Iterator[tuple[float, int, list[float]]]:
    layouts = recalled.past.layouts
    for second in recalled.past:
        if second.now_s < recalled.begin_s:
            continue
        for asked in second.asked:
            layout = layouts[asked.layout]
            if layout.patient == patient and layout.every_s == layout.length_s == 1.0:
                yield second.now_s, asked.layout, asked.values
