"""EDF+C: all channels side by side in records of a few seconds, annotations in their own signal.

Format: Kemp and Olivan 2003, doi:10.1016/S1388-2457(03)00123-8. The header is written by edfio,
which keeps to its rules; edfio (0.4.18) writes files only as a whole, from memory, so the records
are written here, one after the other. What the header tells of the whole span (drift, worst time)
is known when the last record is written: it is written again then, and has the same length.

- Label ``ECG II``, dimension ``mV``. The transducer field tells the source, its clock's drift, how
  many samples were left out (-) and given twice (+), and the bound on the error of their times,
  for all and for 95 of 100: ``sim:board; -32 ppm -2 +0; +-1.0082 s, 95% +-0.0254 s``. The first
  second of a clock is the worst.
- Digital -32768 says that there is no sample, or none the sensor called valid. No sample has it.
- Each annotation is in the record its onset lies in, or in one soon after where there is no room.
- Values that come one by one (SpO2 of a clip) stand once a second. RR intervals do not fit on a
  rate: they are in CSV, and as beats among the annotations.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from edge.export.grid import Grid, rate_of
from edge.export.notes import BEAT, Note
from edge.export.span import OnProgress, Span
from edge.export.spool import Channel, ExportError
from edge.export.tals import Tals
from edge.records import FloatArray

NO_SAMPLE: Final = -32768
LOWEST, HIGHEST = -32767, 32767
RECORD_S: Final = (1, 2, 4, 5, 8, 10)
"""Lengths of a record, the first that gives every channel a whole number of samples."""
BLOCK: Final = 60
"""Records that are laid out at a time."""
WITHOUT: Final = frozenset({"rr_ms"})
_DIMENSIONS: Final = {
    "mv": "mV",
    "ms": "ms",
    "pct": "%",
    "bpm": "bpm",
    "brpm": "/min",
    "degc": "degC",
    "mmhg": "mmHg",
    "mgdl": "mg/dL",
    "g": "g",
    "kg": "kg",
    "m": "m",
    "v": "V",
    "ohm": "Ohm",
}
_LABELS: Final = {
    "ecg_mv": "ECG",
    "resp_au": "Resp",
    "spo2_pct": "SpO2",
    "pleth_au": "Pleth",
    "temp_degc": "Temp",
    "accel_g": "Acc",
}


def write_edf(path: Path, span: Span, on_progress: OnProgress = lambda _: None) -> list[str]:
    """Write the span; return what a person should know of the file, in words.

    Raises
    ------
    ExportError
        edfio is missing, or there is no channel that fits.
    OSError
        The disk will not have it.
    """
    channels = [c for c in span.channels if c.signal not in WITHOUT and not math.isnan(c.low)]
    if not channels:
        raise ExportError("no channel of this span has a value; choose another span for EDF+")
    layout = _Layout(span, channels)
    with path.open("xb") as file:
        file.write(layout.header())
        layout.write_records(file, on_progress)
        file.seek(0)
        file.write(layout.header())
    return layout.messages()


class _Layout:
    """How the records of one file are made."""

    def __init__(self, span: Span, channels: Sequence[Channel]) -> None:
        self._span, self._channels = span, channels
        rates = [rate_of(channel) for channel in channels]
        self.record_s, self._per_record = _record_of(rates)
        self.n_records = max(1, math.ceil(span.length_s / self.record_s - 1e-9))
        self._grids = [
            Grid(channel, n / self.record_s, span.from_s)
            for channel, n in zip(channels, self._per_record, strict=True)
        ]
        self._usual_s = [channel.usual_s for channel in channels]
        self._ranges = [_range_of(channel) for channel in channels]
        self._labels = _unique([_label(channel) for channel in channels])
        start = span.origin.at(span.from_s)
        # The header's time has whole seconds; the rest is in every time of the file.
        part_s = 0.0 if start is None else start.microsecond / 1e6
        self._told = Tals(_notes_of(span), self.record_s, self.n_records, part_s)

    def bound_s(self, i: int) -> float:
        """Return the bound on the error of a time of a channel, NaN where there is none."""
        return self._grids[i].bound_s + self._channels[i].uncertainty_s

    def header(self) -> bytes:
        """Return the header as edfio writes it, over as many records as there are."""
        edfio = _library()
        signals = [self._signal(edfio, i) for i in range(len(self._channels))]
        start = self._span.origin.at(self._span.from_s)
        bounds = [bound for i in range(len(signals)) if (bound := self.bound_s(i)) == bound]
        said = (f"clock={self._span.origin.quality}", f"time_error={max(bounds, default=0.0):.4f}s")
        # An annotation of the length that makes edfio give the signal its size.
        filler = "-" * (self._told.capacity - len(b"+0\x14\x14\x00+0\x14\x14\x00"))
        edf = edfio.Edf(
            signals,
            patient=edfio.Patient(code=_word(self._span.patient)[:40]),
            recording=edfio.Recording(
                startdate=None if start is None else _edf_date(start.date()),
                equipment_code=f"Homeward_{_word(self._span.version)}"[:24],
                additional=said,
            ),
            starttime=time() if start is None else start.time().replace(microsecond=0),
            data_record_duration=self.record_s,
            annotations=[edfio.EdfAnnotation(0.0, None, filler)],
        )
        whole = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            edf.write(whole)
        header = bytearray(whole.getvalue()[: edf.bytes_in_header_record])
        # edfio has counted the one record it was given.
        header[236:244] = str(self.n_records).encode().ljust(8)
        return bytes(header)

    def write_records(self, file: BinaryIO, on_progress: OnProgress) -> None:
        """Write all records, some at a time."""
        for first in range(0, self.n_records, BLOCK):
            n = min(BLOCK, self.n_records - first)
            columns = [
                _digital(grid.take(n * per), ends).reshape(n, per)
                for grid, per, ends in zip(self._grids, self._per_record, self._ranges, strict=True)
            ]
            tals = [self._told.record(first + i) for i in range(n)]
            columns.append(np.frombuffer(b"".join(tals), "<i2").reshape(n, -1))
            file.write(np.hstack(columns).astype("<i2").tobytes())
            on_progress((first + n) / self.n_records)

    def messages(self) -> list[str]:
        """Return what was left out."""
        said = sorted({c.signal for c in self._span.channels if c.signal in WITHOUT})
        return [f"{name} has no rate: it is in CSV, not in EDF+" for name in said]

    def _signal(self, edfio: Any, i: int) -> Any:  # noqa: ANN401
        channel, grid = self._channels[i], self._grids[i]
        unit = channel.signal.rpartition("_")[2]
        bound_s = self.bound_s(i)
        error = "timed by arrival"
        if not math.isnan(bound_s):
            usual_s = grid.bound_s + self._usual_s[i]
            error = f"+-{bound_s:.4f} s, 95% +-{usual_s:.4f} s"
        drift = f"{channel.ppm:+.0f} ppm -{grid.n_left_out} +{grid.n_repeated}"
        return edfio.EdfSignal.from_digital(
            np.zeros(self._per_record[i], np.int16),
            self._per_record[i] / self.record_s,
            label=self._labels[i],
            transducer_type=_ascii(f"{channel.source[:24]}; {drift}; {error}", 80),
            physical_dimension=_DIMENSIONS.get(unit, ""),
            physical_range=self._ranges[i],
            digital_range=(NO_SAMPLE, HIGHEST),
            prefiltering="lowest digital value: no sample",
        )


def _notes_of(span: Span) -> list[Note]:
    """Return the annotations, their times counted from the file's beginning."""
    notes = [
        Note(note.at_s - span.from_s, min(note.for_s, span.to_s - note.at_s), note.text)
        for note in span.notes.notes(span.from_s, span.to_s)
    ]
    if span.beats:
        beats = (at_s for at_s in span.notes.beats_s if span.from_s <= at_s < span.to_s)
        notes += [Note(at_s - span.from_s, 0.0, BEAT) for at_s in beats]
    return sorted(notes)


def _record_of(rates: Sequence[float]) -> tuple[int, list[int]]:
    """Return the length of a record in seconds, and the samples of each channel in one."""
    for length_s in RECORD_S:
        if all(abs(rate * length_s - round(rate * length_s)) < 1e-6 for rate in rates):
            return length_s, [round(rate * length_s) for rate in rates]
    # No length suits: the next higher rate, and now and then a sample is given twice.
    return RECORD_S[-1], [math.ceil(rate * RECORD_S[-1]) for rate in rates]


def _range_of(channel: Channel) -> tuple[float, float]:
    """Return the physical values of the lowest and the highest digital one, in 8 letters each."""
    span = channel.high - channel.low or 1.0
    margin = 2.0 * span / (HIGHEST - LOWEST)
    return _eight(channel.low - margin, math.floor), _eight(channel.high + margin, math.ceil)


def _eight(value: float, towards: Any) -> float:  # noqa: ANN401  # math.floor or math.ceil
    for digits in range(6, -1, -1):
        text = f"{towards(value * 10**digits) / 10**digits:.{digits}f}"
        # The library writes what is smaller than 0.0001 with an exponent, which few programs read.
        if len(text) <= 8 and (float(text) == 0.0 or abs(float(text)) >= 1e-4):
            return float(text)
    raise ExportError(f"the value {value:g} does not fit into 8 letters, as EDF has for a range")


def _digital(values: FloatArray, ends: tuple[float, float]) -> NDArray[np.int16]:
    quantum = (ends[1] - ends[0]) / (HIGHEST - NO_SAMPLE)
    laid = np.rint((values.astype(np.float64) - ends[0]) / quantum) + NO_SAMPLE
    return np.where(np.isnan(laid), NO_SAMPLE, np.clip(laid, LOWEST, HIGHEST)).astype(np.int16)


def _label(channel: Channel) -> str:
    name = _LABELS.get(channel.signal, channel.signal)
    return _ascii(f"{name} {channel.lead}".strip(), 16)


def _unique(labels: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    return [f"{label[:13]} {n}" if (n := _count(seen, label)) > 1 else label for label in labels]


def _count(seen: dict[str, int], label: str) -> int:
    seen[label] = seen.get(label, 0) + 1
    return seen[label]


def _word(text: str) -> str:
    return _ascii("_".join(text.split()) or "X", 60)


def _ascii(text: str, length: int) -> str:
    plain = text.encode("ascii", "replace").decode()[:length]
    return "".join(letter if letter.isprintable() else " " for letter in plain)


def _edf_date(day: date) -> date | None:
    return day if 1985 <= day.year <= 2084 else None


def _library() -> Any:  # noqa: ANN401
    try:
        import edfio  # noqa: PLC0415  # not on every box
    except ImportError as error:
        raise ExportError(
            "EDF+ is written with the library edfio, which is not installed; "
            "pip install 'homeward[export]'"
        ) from error
    return edfio
