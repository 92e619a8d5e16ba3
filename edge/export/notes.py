"""What happened, as annotations: alerts and their answers, single measurements, gaps, beats."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from edge.export.spool import Channel
from edge.records import AlarmEvent, Alert, AlertState, Beat, Reading, Record

BEAT: Final = "beat"
EDGE_S: Final = 1.0
"""No channel begins or ends with the span to the sample: less than this needs no saying."""
MAX_NOTES: Final = 200_000
"""A night has some hundreds; more means that a link comes and goes without an end."""

_SAID: Final = {
    AlertState.RAISED: "alarm",
    AlertState.ACTIVE: "alarm again",
    AlertState.LATCHED: "alarm over, unanswered",
    AlertState.ENDED: "alarm ended",
}


class Note(msgspec.Struct, frozen=True, gc=False, order=True):
    """One annotation: when it begins, how long it lasts (0: a moment) and what is said."""

    at_s: float
    for_s: float
    text: str


class Notebook:
    """Gathers annotations while the packets are read.

    Attributes
    ----------
    patient : str
        Whose are given out; what is said of the box itself is everybody's.
    n_left_out : int
        Notes beyond `MAX_NOTES`.
    """

    def __init__(self) -> None:
        self.patient = ""
        self._notes: list[tuple[str, Note]] = []
        self._beats_s: dict[str, array[float]] = {}
        self.n_left_out = 0

    @property
    def beats_s(self) -> array[float]:
        """Times of the patient's beats, 8 bytes each."""
        return self._beats_s.get(self.patient, array("d"))

    def take(self, records: Iterable[Record]) -> None:
        """Take what the monitor told."""
        for record in records:
            if isinstance(record, Beat):
                self._beats_s.setdefault(record.patient, array("d")).append(record.at_s)
            elif isinstance(record, Alert | AlarmEvent | Reading):
                self._add(record.patient, _note_of(record))

    def add_gaps(self, channels: Sequence[Channel], from_s: float, to_s: float) -> None:
        """Say where a wave of these has no samples, from the span's beginning to its end."""
        for channel in channels:
            if not channel.fs_hz:
                continue
            edges = [from_s, channel.first_s, *channel.holes, channel.end_s, to_s]
            name = f"{channel.signal} {channel.lead}".strip()
            for start_s, end_s in zip(edges[::2], edges[1::2], strict=True):
                at_edge = start_s == from_s or end_s == to_s
                if end_s - start_s > max(EDGE_S * at_edge, 1.5 / channel.fs_hz):
                    text = f"no samples: {name} of {channel.source}"
                    self._add(channel.patient, Note(start_s, round(end_s - start_s, 6), text))

    def notes(self, from_s: float, to_s: float) -> list[Note]:
        """Return what began in the span, in order."""
        return sorted(
            note
            for whose, note in self._notes
            if whose in (self.patient, "") and from_s <= note.at_s < to_s
        )

    def _add(self, patient: str, note: Note) -> None:
        if len(self._notes) >= MAX_NOTES:
            self.n_left_out += 1
        else:
            self._notes.append((patient, note))


def _note_of(record: Alert | AlarmEvent | Reading) -> Note:
    match record:
        case Alert(state=AlertState.ACKNOWLEDGED):
            meaning = record.meaning.replace("_", " ") if record.meaning else ""
            how = ", ".join(filter(None, (record.role or "", meaning)))
            return Note(
                record.at_s, 0.0, f"answered by {record.answered_by} ({how}): {record.rule}"
            )
        case Alert():
            said = f"{_SAID[record.state]}, {record.priority} priority, {record.rule}"
            return Note(record.at_s, 0.0, f"{said}: {record.reason}")
        case AlarmEvent():
            by = f" by {record.by}" if record.by else ""
            return Note(record.at_s, 0.0, f"{record.act.replace('_', ' ')}{by}: {record.reason}")
        case Reading():
            at_s = record.arrived_s if record.at_s is None else record.at_s
            return Note(at_s, 0.0, f"measured: {record.signal} {record.value:g}")
