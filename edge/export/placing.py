"""Packets -> placed runs of samples: the one way in for every export.

Read and placed by the same parts as in the monitor (`edge.sources`), so that an export shows each
sample where the monitor saw it. Whoever has packets, in the order of their arrival (a log, a
recording, a simulation, a span of the vault), hands them to `placed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

import msgspec
import numpy as np

from edge.decoders import Decoder
from edge.dsp.timeline import Placement
from edge.events import ASSIGN, Assignment
from edge.live import Live
from edge.pipeline import Pipeline
from edge.records import FloatArray, Packet, Record, Samples, Stamp
from edge.sources import Sources, Stream

SETTLE_S: Final = 5.0
"""A monitor lives on for so long after its last packet, so that its last beats are told."""
STILL_S: Final = 86_400.0
"""A standstill that is passed over at once: the box slept, or nothing was worn."""
BEATS: Final = "rr_ms"


class Run(msgspec.Struct, frozen=True, eq=False):
    """Samples of one channel that follow one another.

    Attributes
    ----------
    patient, source, signal, lead : str
        The channel.
    fs_hz : float
        Nominal rate; 0.0 where values come one by one.
    start_s, step_s : float
        Time of the first value and the distance of two; 0.0 where values come one by one.
    values : FloatArray
        Shape (n,), NaN where the sensor called a value invalid.
    uncertainty_s : float
        Bound on the error of the times. NaN: there is none, the time is that of the arrival.
    """

    patient: str
    source: str
    signal: str
    lead: str
    fs_hz: float
    start_s: float
    step_s: float
    values: FloatArray
    uncertainty_s: float


class Second(msgspec.Struct, frozen=True):
    """What a second of the box's clock brought.

    Attributes
    ----------
    end_s : float
        The second's end.
    packets : Sequence[Packet]
        What arrived.
    runs : Sequence[Run]
        Its samples, placed.
    records : Sequence[Record]
        What the monitor made of it; empty where none was asked.
    ask : Callable | None
        Asks the monitor for its numbers of this moment; only until the next second.
    """

    end_s: float
    packets: Sequence[Packet]
    runs: Sequence[Run]
    records: Sequence[Record] = ()
    ask: Callable[[], Live] | None = None


def placed(
    packets: Iterable[Packet],
    decoders: Sequence[Decoder],
    default_patient: str = "patient-1",
    pipeline: Pipeline | None = None,
) -> Iterator[Second]:
    """Yield the packets second by second, read and placed.

    Parameters
    ----------
    packets : Iterable[Packet]
        In the order of their arrival, from where their sources began (or from ten minutes before
        the span that is wanted: clocks and descriptions have to be learned).
    decoders : Sequence[Decoder]
        As discovered.
    default_patient : str
        Whose the sources are that nobody has assigned.
    pipeline : Pipeline | None
        A fresh monitor that is to live through it too, its first tick not after the first packet.
    """
    placer = Placer(decoders, default_patient)
    waiting: list[Packet] = []
    end_s: float | None = None

    def live(to_s: float) -> Second:
        records = pipeline.advance(waiting, to_s).records if pipeline is not None else ()
        ask = None if pipeline is None else pipeline.live
        second = Second(to_s, tuple(waiting), placer.place(waiting), records, ask)
        waiting.clear()
        return second

    for packet in packets:
        if end_s is None:
            end_s = math.floor(packet.arrived_s) + 0.0
        if packet.arrived_s - end_s > STILL_S:
            # Nothing came for so long: nobody waits through that second by second.
            yield live(end_s)
            end_s = math.floor(packet.arrived_s) + 0.0
        while packet.arrived_s > end_s:
            yield live(end_s)
            end_s += 1.0
        waiting.append(packet)
    if end_s is not None:
        for late_s in range(int(SETTLE_S) + 1 if pipeline is not None else 1):
            yield live(end_s + late_s)


class Placer:
    """Reads and places packets, as the monitor does at the end of every second.

    Parameters
    ----------
    decoders : Sequence[Decoder]
        As discovered.
    default_patient : str
        Whose the sources are that nobody has assigned.
    """

    def __init__(self, decoders: Sequence[Decoder], default_patient: str) -> None:
        self._sources = Sources(decoders, {}, default_patient)

    @property
    def n_broken(self) -> int:
        """Packets that could not be read."""
        return sum(stream.n_broken for stream in self._sources)

    def place(self, packets: Iterable[Packet]) -> list[Run]:
        """Return the samples of one second's packets, placed."""
        for packet in packets:
            if not self._sources.take(packet) and packet.stream == ASSIGN:
                # What cannot be understood is noted by the monitor; here it changes nothing.
                with suppress(ValueError, RecursionError):
                    told = msgspec.json.decode(packet.payload, type=Assignment)
                    self._sources.assign(told.source, told.patient)
        runs: list[Run] = []
        for stream in self._sources:
            _place_stream(stream, runs)
        return runs


def _place_stream(stream: Stream, runs: list[Run]) -> None:
    place: Placement | None = None
    stamp: Stamp | float | None = None
    channels: set[tuple[str, str]] = set()
    for samples, arrived_s in stream.decode():
        if samples.fs_hz == 0.0:
            if not samples.spot and not samples.backfilled:  # those are records of their own
                runs += _one_by_one(stream, samples, arrived_s)
            continue
        # As in edge.pipeline.sent: the channels of one packet are placed together.
        sent = arrived_s if samples.stamp is None else samples.stamp
        channel = (samples.signal, samples.lead)
        if place is None or not (sent is stamp or sent == stamp) or channel in channels:
            place, _ = stream.place(samples, arrived_s)
            stamp, channels = sent, set()
        channels.add(channel)
        if place.n_stale < len(samples.values):
            runs.append(_run(stream, samples, place))


def _run(stream: Stream, samples: Samples, place: Placement) -> Run:
    stale = place.n_stale
    return Run(
        stream.patient,
        stream.source,
        samples.signal,
        samples.lead,
        samples.fs_hz,
        place.start_s + stale * place.step_s,
        place.step_s,
        samples.values[stale:],
        place.uncertainty_s,
    )


def _one_by_one(stream: Stream, samples: Samples, arrived_s: float) -> Iterator[Run]:
    """Yield values that carry no time: they are of their arrival; of several beats the last is."""
    values = samples.values
    before_s = np.zeros(len(values))
    if samples.signal == BEATS:
        intervals_s = np.nan_to_num(values.astype(np.float64)) / 1000.0
        before_s[:-1] = intervals_s[:0:-1].cumsum()[::-1]
    for i, behind_s in enumerate(before_s.tolist()):
        yield Run(
            stream.patient,
            stream.source,
            samples.signal,
            samples.lead,
            0.0,
            arrived_s - behind_s,
            0.0,
            values[i : i + 1],
            math.nan,
        )
