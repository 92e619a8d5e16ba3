"""Streams of sources: which decoder reads them, whose they are, when their samples were taken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from edge.decoders import (
    BrokenError,
    DecodeBatch,
    DecodeError,
    Decoder,
    NotMineError,
    one_by_one,
)
from edge.dsp.timeline import Placement, StreamClock
from edge.live import SourceLive
from edge.records import Gap, Packet, Samples

MAX_RATES: Final = 16
"""Signals and rates one stream may have claimed before its clocks are begun anew."""
WIRED: Final = ("uart:", "i2c:")
"""Streams of a cable begin so: what comes over it does not wait for a radio's turn."""
MAX_STREAMS: Final = 256
"""Streams the monitor keeps apart; more means that something makes names up."""


class Stream:
    """One stream of one source.

    Parameters
    ----------
    packet : Packet
        Any packet of the stream: names it.
    patient : str
        Whose it is.
    decodes : Sequence[DecodeBatch]
        Of the decoders that know the stream's name, in the order in which they are tried.
    """

    def __init__(self, packet: Packet, patient: str, decodes: Sequence[DecodeBatch]) -> None:
        self.source, self.stream, self.patient = packet.source, packet.stream, patient
        self.n_read = self.n_not_mine = self.n_broken = self.n_lost = 0
        self.last_error = ""
        self._decodes = decodes
        self._clocks: dict[tuple[str, float], StreamClock] = {}
        self._arrived_s = packet.arrived_s
        self.by_values: bool | None = None
        """Whether it tells numbers one by one and nothing else; None: nothing was read yet."""
        self.waiting: list[Packet] = []
        """Packets of this second; they are read at its end."""

    def decode(self) -> list[tuple[Samples, float]]:
        """Return the samples of the packets that wait, and the arrival each is placed by.

        Packets that cannot be read are counted and dropped. A packet that is not in the first
        decoder's format is offered to the next one that knows the stream.
        """
        waiting = self.waiting
        if not waiting:
            return []
        self.waiting = []
        self.n_read += len(waiting)
        self._arrived_s = waiting[-1].arrived_s
        if len(self._decodes) > 1:
            return [found for packet in waiting for found in self._decode_one(packet)]
        batch = self._decodes[0](waiting)
        for error in batch.errors:
            self._count(error)
        self.n_broken += batch.n_damaged
        return batch.found

    def _decode_one(self, packet: Packet) -> list[tuple[Samples, float]]:
        for decode in self._decodes:
            batch = decode((packet,))
            if not batch.errors or not isinstance(batch.errors[0], NotMineError):
                break
        for error in batch.errors:
            self._count(error)
        self.n_broken += batch.n_damaged
        return batch.found

    def _count(self, error: DecodeError) -> None:
        self.n_broken += isinstance(error, BrokenError)
        self.n_not_mine += isinstance(error, NotMineError)
        self.last_error = str(error)

    def place(self, samples: Samples, arrived_s: float) -> tuple[Placement, Gap | None]:
        """Return where a run lies, and the gap before it if there is one."""
        key = (samples.signal, samples.fs_hz)
        clock = self._clocks.get(key)
        if clock is None:
            if len(self._clocks) >= MAX_RATES:
                self._clocks.clear()
            clock = self._clocks[key] = StreamClock(
                samples.fs_hz, polled=not self.stream.startswith(WIRED)
            )
        place = clock.place(samples, arrived_s)
        if not place.n_skipped:
            return place, None
        self.n_lost += place.n_skipped
        missing_s = place.n_skipped * place.step_s
        return place, Gap(
            self.patient,
            self.source,
            self.stream,
            round(place.start_s - missing_s, 6),
            round(place.start_s, 6),
            place.n_skipped,
            place.reason,
        )

    def live(self, now_s: float) -> SourceLive:
        """Return what has come so far."""
        ppm = next((clock.ppm for clock in self._clocks.values()), 0.0)
        return SourceLive(
            self.source,
            self.stream,
            self.patient,
            self.n_read + len(self.waiting),
            self.n_not_mine,
            self.n_broken,
            self.n_lost,
            max(0.0, now_s - self._arrived_s),
            round(ppm, 2),
            self.last_error,
        )


class Sources:
    """All streams seen so far, and whose each source is.

    Parameters
    ----------
    decoders : Sequence[Decoder]
        As discovered.
    patient_of : Mapping[str, str]
        Source -> patient id.
    default_patient : str
        Whose the sources are that nobody has assigned.
    """

    def __init__(
        self, decoders: Sequence[Decoder], patient_of: Mapping[str, str], default_patient: str
    ) -> None:
        self._decoders: dict[str, list[Decoder]] = {}
        for decoder in decoders:
            for stream in decoder.streams:
                self._decoders.setdefault(stream, []).append(decoder)
        self._patient_of = dict(patient_of)
        self._default_patient = default_patient
        self._streams: dict[tuple[str, str], Stream] = {}
        self._opened: dict[tuple[str, str], DecodeBatch] = {}
        self.n_unknown = 0
        """Packets of streams no decoder knows, or beyond `MAX_STREAMS`."""

    def patient_of(self, source: str) -> str:
        """Return whose a source is."""
        return self._patient_of.get(source, self._default_patient)

    def assign(self, source: str, patient: str) -> bool:
        """Say whose a source is (empty: the first patient's); what it sent before stays there.

        Return whether it was another patient's.
        """
        patient = patient or self._default_patient
        if source not in self._patient_of and len(self._patient_of) >= MAX_STREAMS:
            return False
        changed = self.patient_of(source) != patient
        self._patient_of[source] = patient
        for stream in self._streams.values():
            if stream.source == source:
                stream.patient = patient
        return changed

    def take(self, packet: Packet) -> bool:
        """Let a packet wait for the end of its second; False where no decoder knows it."""
        stream = self._streams.get((packet.source, packet.stream))
        if stream is None:
            stream = self._open(packet)
            if stream is None:
                return False
        stream.waiting.append(packet)
        return True

    def _open(self, packet: Packet) -> Stream | None:
        decoders = self._decoders.get(packet.stream)
        if decoders is None and packet.source in {"person", "box"}:
            return None
        if decoders is None or len(self._streams) >= MAX_STREAMS:
            self.n_unknown += 1
            return None
        decodes = [self._decode_of(packet.source, decoder) for decoder in decoders]
        stream = Stream(packet, self.patient_of(packet.source), decodes)
        self._streams[packet.source, packet.stream] = stream
        return stream

    def _decode_of(self, source: str, decoder: Decoder) -> DecodeBatch:
        """Return what reads a source: one for all its streams, for they explain each other."""
        key = (source, decoder.name)
        if key not in self._opened:
            opened = decoder.open_batch() if decoder.open_batch else one_by_one(decoder.open())
            self._opened[key] = opened
        return self._opened[key]

    def __iter__(self) -> Iterator[Stream]:
        """Iterate over the streams in the order in which they first came."""
        return iter(self._streams.values())

    def live(self, now_s: float) -> tuple[SourceLive, ...]:
        """Return what has come from every stream, in the order in which they first came."""
        return tuple(stream.live(now_s) for stream in self._streams.values())


def on_grid(seconds: float, step_s: float) -> int:
    """Return the number of the last grid point at or before a time, safe against rounding."""
    return math.floor(seconds / step_s + 1e-9)
