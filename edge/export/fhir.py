"""FHIR R4 (4.0.1): a Bundle of Observations, written as it is made.

Format: hl7.org/fhir/R4, Observation, SampledData, Bundle (type ``collection``). Codes: LOINC for
what is measured, ISO/IEEE 11073-10101 (``urn:iso:std:iso:11073:10101``) for waves and leads as in
HL7's own ECG example, UCUM for units. A signal without a code of theirs has our name only.

A wave is an Observation a minute, and a new one after every gap: its own start, and its period, the
true mean distance of its samples. Its note says how far any sample lies off that line and how well
the time is known. Values that come one by one are laid on one place a second. ``E`` stands where
there is no value. ``data`` are whole numbers: value = data * factor + origin. No
profile is claimed.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

import msgspec
import numpy as np

from edge.export.fhir_codes import CATEGORY, VITAL, Json, codings, quantity
from edge.export.grid import HOLD_S, SLOW_HZ, Grid
from edge.export.placing import Run
from edge.export.span import OnProgress, Span
from edge.export.spool import HOLE, Channel
from edge.records import FloatArray, Reading, TimeArray

BLOCK_S: Final = 60.0
SLOW_BLOCK_S: Final = 600
LEVELS: Final = 1 << 16


def write_fhir(
    path: Path,
    span: Span,
    readings: Sequence[Reading] = (),
    on_progress: OnProgress = lambda _: None,
) -> int:
    """Write the span as one Bundle; return how many Observations it has.

    Parameters
    ----------
    readings : Sequence[Reading]
        Measurements of their own, of this patient.

    Raises
    ------
    OSError
        The disk will not have it, or the file is there already.
    """
    with path.open("x", encoding="utf-8") as file:
        book = _Book(file, span)
        total = max(1, sum(channel.n for channel in span.channels))
        done = 0
        for channel in span.channels:
            device = book.add_device(channel.source)
            blocks = _waves(channel) if channel.fs_hz >= SLOW_HZ else _slow(channel, span)
            for block in blocks:
                book.add(_sampled(block, channel, span, book.subject, device))
                on_progress(min(1.0, (done + len(block.values)) / total))
            done += channel.n
        for reading in readings:
            at_s = reading.arrived_s if reading.at_s is None else reading.at_s
            if span.from_s <= at_s < span.to_s:
                device = book.add_device(reading.source)
                book.add(_measured(reading, at_s, span, book.subject, device))
        book.close()
        return book.n_observations


class _Book:
    """A Bundle that is being written."""

    def __init__(self, file: TextIO, span: Span) -> None:
        self._file, self._span = file, span
        self._space = uuid.uuid5(uuid.NAMESPACE_URL, f"homeward:{span.patient}:{span.name}")
        self._devices: dict[str, str] = {}
        self._n = 0
        self.n_observations = 0
        file.write('{"resourceType":"Bundle","type":"collection","entry":[')
        # The pseudonym and nothing else: who the patient is stays out of exports.
        patient = {"resourceType": "Patient", "identifier": [_identifier("patient", span.patient)]}
        self.subject = self._entry(patient)

    def add_device(self, source: str) -> str:
        """Return the address of a source's Device, which is written when it first comes."""
        if source not in self._devices:
            told = {
                "resourceType": "Device",
                "identifier": [_identifier("source", source)],
                "deviceName": [{"name": source, "type": "user-friendly-name"}],
            }
            self._devices[source] = self._entry(told)
        return self._devices[source]

    def add(self, observation: Json) -> None:
        """Write an Observation."""
        self._entry(observation)
        self.n_observations += 1

    def close(self) -> None:
        """End the Bundle."""
        self._file.write("]}\n")

    def _entry(self, resource: Json) -> str:
        address = f"urn:uuid:{uuid.uuid5(self._space, str(self._n))}"
        entry = {"fullUrl": address, "resource": resource}
        self._file.write("," * bool(self._n) + "\n" + msgspec.json.encode(entry).decode())
        self._n += 1
        return address


class _Block(msgspec.Struct, frozen=True, eq=False):
    """Samples on one line: ``start_s + i * period_s``; `off_s`: the farthest any lies off it."""

    start_s: float
    period_s: float
    values: FloatArray
    off_s: float
    uncertainty_s: float


def _waves(channel: Channel) -> Iterator[_Block]:
    waiting: list[Run] = []
    for run in channel.runs():
        if waiting:
            last = waiting[-1]
            end_s = last.start_s + len(last.values) * last.step_s
            apart = abs(run.start_s - end_s) > (HOLE - 1.0) * last.step_s
            if apart or run.start_s - waiting[0].start_s >= BLOCK_S:
                yield _block(waiting)
                waiting = []
        waiting.append(run)
    if waiting:
        yield _block(waiting)


def _block(runs: Sequence[Run]) -> _Block:
    times_s: TimeArray = np.concatenate(
        [run.start_s + run.step_s * np.arange(len(run.values)) for run in runs]
    )
    values = np.concatenate([run.values for run in runs])
    n = len(values)
    period_s = float(times_s[-1] - times_s[0]) / (n - 1) if n > 1 else runs[0].step_s
    # As it is written: a period of six digits after the point of a millisecond.
    period_s = round(period_s * 1000.0, 6) / 1000.0
    off_s = float(np.abs(times_s - (times_s[0] + period_s * np.arange(n))).max())
    bound_s = max(run.uncertainty_s for run in runs)
    return _Block(float(times_s[0]), period_s, values, off_s, bound_s)


def _slow(channel: Channel, span: Span) -> Iterator[_Block]:
    grid = Grid(channel, SLOW_HZ, span.from_s)
    n = math.ceil(span.length_s)
    for at in range(0, n, SLOW_BLOCK_S):
        values = grid.take(min(SLOW_BLOCK_S, n - at))
        if not np.isnan(values).all():
            off_s = grid.bound_s
            yield _Block(span.from_s + at, 1.0, values, off_s, channel.uncertainty_s)


def _sampled(block: _Block, channel: Channel, span: Span, subject: str, device: str) -> Json:
    known = block.values[~np.isnan(block.values)].astype(np.float64)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    factor = float(f"{(high - low) / (LEVELS - 2):.6g}") or 1.0
    origin = float(f"{(low + high) / 2:.9g}")
    laid = np.rint((block.values.astype(np.float64) - origin) / factor)
    data = " ".join("E" if value != value else f"{value:.0f}" for value in laid.tolist())  # noqa: PLR0124
    end_s = block.start_s + block.period_s * (len(block.values) - 1)
    found: Json = {
        **_common(channel.signal, channel.lead, subject, device),
        **_when(span, block.start_s, end_s),
        "valueSampledData": {
            "origin": quantity(origin, channel.signal),
            "period": round(block.period_s * 1000.0, 6),
            "factor": factor,
            "dimensions": 1,
            "data": data,
        },
    }
    found["note"] = [{"text": _about(block, channel, span)}]
    return found


def _about(block: _Block, channel: Channel, span: Span) -> str:
    said = [f"Starts {block.start_s - span.from_s:.6f} s after the beginning of the export."]
    said.append(f"Samples lie at most {block.off_s:.6f} s off start + number * period.")
    if math.isnan(block.uncertainty_s):
        said.append(f"Timed by their arrival; a value stands for at most {HOLD_S:g} s.")
    else:
        said.append(f"That time is known to +-{block.uncertainty_s:.6f} s on the box's clock.")
    said.append(f"Wall clock: {span.origin.quality}. Source: {channel.source}.")
    return " ".join(said)


def _measured(reading: Reading, at_s: float, span: Span, subject: str, device: str) -> Json:
    when = _when(span, at_s, at_s)
    # As a vital sign it would have to say when it was measured.
    category = "vital-signs" if reading.signal in VITAL and when else "procedure"
    found = {**_common(reading.signal, "", subject, device, category), **when}
    if math.isfinite(reading.value):
        found["valueQuantity"] = quantity(float(reading.value), reading.signal)
    else:
        reason = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        found["dataAbsentReason"] = {"coding": [{"system": reason, "code": "error"}]}
    bound = f" +-{reading.uncertainty_s:.3f} s" if math.isfinite(reading.uncertainty_s) else ""
    told = f"Taken {at_s - span.from_s:.3f} s{bound} after the beginning of the export."
    found["note"] = [{"text": f"{told} Wall clock: {span.origin.quality}."}]
    return found


def _common(signal: str, lead: str, subject: str, device: str, category: str = "procedure") -> Json:
    coding = codings(signal, lead)
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"coding": coding, "text": f"{signal} {lead}".strip()},
        "subject": {"reference": subject},
        "device": {"reference": device},
    }


def _when(span: Span, start_s: float, end_s: float) -> Json:
    """Return when that was; nothing where nobody knows what the wall clock showed."""
    start, end = span.origin.at(start_s), span.origin.at(end_s)
    if start is None or end is None:
        return {}
    if end == start:
        return {"effectiveDateTime": _instant(start)}
    return {"effectivePeriod": {"start": _instant(start), "end": _instant(end)}}


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _identifier(kind: str, value: str) -> Json:
    return {"system": f"urn:homeward:{kind}", "value": value}
