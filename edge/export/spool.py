"""What is to be exported, on the disk, channel by channel: memory does not grow with the night.

A file's header says what only the whole span tells (its range, its drift, its worst time), and a
file's records hold all channels side by side while packets bring them one after the other. So the
packets are read once and their placed samples are written down here; the formats read them again,
in order, a block at a time. A channel takes 4 bytes a sample and 40 a packet: 110 MB for 24 hours
of one ECG lead at 250 Hz. The files have no name: nobody else can open them, and they are gone with
the process, however it ends.
"""

from __future__ import annotations

import math
import os
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import numpy as np
from numpy.typing import NDArray

from edge.export.placing import Run
from edge.records import FloatArray

MAX_CHANNELS: Final = 64
"""More means that something makes names up."""
HOLE: Final = 1.5
"""Two samples further apart than so many sampling intervals have a gap between them."""
_ROWS_READ: Final = 2048
_ROW_BYTES: Final = 40


class ExportError(Exception):
    """Something cannot be exported; the text says what, why and what to do."""


class Channel:
    """One channel of the span, written down; `runs` reads it again.

    Attributes
    ----------
    patient, source, signal, lead, fs_hz
        As in `edge.export.placing.Run`.
    n : int
        Values, those the sensor called invalid among them.
    first_s, end_s : float
        Time of the first value, and of where the one after the last would be.
    low, high : float
        Smallest and largest value; NaN where every one is invalid.
    step : float
        Smallest difference of two neighbours that differ: no less than the sensor's own step.
    uncertainty_s : float
        The worst bound on the error of a time; NaN: times are those of arrival.
    holes : array of float
        Where samples are missing between others: begin and end of each, one after the other.
    """

    def __init__(self, run: Run, folder: Path) -> None:
        self.patient, self.source = run.patient, run.source
        self.signal, self.lead, self.fs_hz = run.signal, run.lead, run.fs_hz
        self.n = 0
        self.first_s = self.end_s = run.start_s
        self.low = self.high = math.nan
        self.step = math.inf
        self.uncertainty_s = math.nan
        self.holes: array[float] = array("d")
        self._sensed_s = self._nominal_s = 0.0
        self._last = math.nan
        self._values: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # see close
        self._rows: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    @property
    def ppm(self) -> float:
        """How much longer the sensor's seconds are than the box's, in millionths."""
        return 1e6 * (self._sensed_s / self._nominal_s - 1.0) if self._nominal_s else 0.0

    @property
    def n_holes(self) -> int:
        """How many gaps lie between its samples."""
        return len(self.holes) // 2

    @property
    def usual_s(self) -> float:
        """The bound that 95 of 100 runs keep: the first seconds of a clock are its worst."""
        bounds = [np.frombuffer(rows, "<f8").reshape(-1, 5)[:, 4] for rows in self._blocks()]
        return float(np.quantile(np.concatenate(bounds), 0.95)) if bounds else math.nan

    def add(self, run: Run) -> None:
        """Write down a run; what lies before the end of the one before is left out."""
        start_s, values, step_s = run.start_s, run.values, run.step_s
        behind = self.end_s - start_s
        if self.n and step_s and behind > 0.5 * step_s:
            # Samples lie in the order in which they came.
            start_s = self.end_s
        elif self.n and step_s and -behind > (HOLE - 1.0) * step_s:
            self.holes.extend((self.end_s, start_s))
        n = len(values)
        self._values.write(values.astype("<f4", copy=False).tobytes())
        row = np.array([self.n, n, start_s, step_s, run.uncertainty_s], "<f8")
        self._rows.write(row.tobytes())
        self.n += n
        self.end_s = max(self.end_s, start_s + n * step_s)
        if step_s:
            self._sensed_s += n * step_s
            self._nominal_s += n / run.fs_hz
        self.uncertainty_s = _larger(self.uncertainty_s, run.uncertainty_s)
        self._note_range(values)

    def runs(self) -> Iterator[Run]:
        """Yield the runs again, in order."""
        self._values.flush()
        at = 0
        for block in self._blocks():
            for _, n, start_s, step_s, bound_s in np.frombuffer(block, "<f8").reshape(-1, 5):
                # Read at its place: two formats may read at a time.
                raw = os.pread(self._values.fileno(), 4 * int(n), at)
                at += len(raw)
                held: FloatArray = np.frombuffer(raw, "<f4")
                yield Run(
                    self.patient,
                    self.source,
                    self.signal,
                    self.lead,
                    self.fs_hz,
                    float(start_s),
                    float(step_s),
                    held,
                    float(bound_s),
                )

    def _blocks(self) -> Iterator[bytes]:
        self._rows.flush()
        at = 0
        while block := os.pread(self._rows.fileno(), _ROWS_READ * _ROW_BYTES, at):
            at += len(block)
            yield block

    def close(self) -> None:
        """Close the files; they are gone then."""
        self._values.close()
        self._rows.close()

    def _note_range(self, values: FloatArray) -> None:
        steps: NDArray[np.float64] = np.abs(np.diff(values.astype(np.float64), prepend=self._last))
        moved = steps[steps > 0.0]
        if moved.size:
            self.step = min(self.step, float(moved.min()))
        self._last = float(values[-1])
        known = values[np.isfinite(values)]
        if known.size:
            self.low = _smaller(self.low, float(known.min()))
            self.high = _larger(self.high, float(known.max()))


class Spool:
    """All channels of a span.

    Parameters
    ----------
    beside : Path
        The folder the export goes to: there is room.
    """

    def __init__(self, beside: Path) -> None:
        self._folder = beside
        self._channels: dict[tuple[str, str, str, str, float], Channel] = {}

    def add(self, run: Run) -> None:
        """Write down a run of samples.

        Raises
        ------
        ExportError
            There are more channels than a bedside can have.
        OSError
            The disk will not have it.
        """
        key = (run.patient, run.source, run.signal, run.lead, run.fs_hz)
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= MAX_CHANNELS:
                raise ExportError(
                    f"more than {MAX_CHANNELS} channels, the last of {run.source}: something makes "
                    f"names up; export a shorter span, or one patient"
                )
            channel = self._channels[key] = Channel(run, self._folder)
        channel.add(run)

    def channels(self) -> list[Channel]:
        """Return the channels: the waves first, the ECG before all, then by name and source."""
        return sorted(
            self._channels.values(),
            key=lambda c: (c.fs_hz < 1.0, c.signal != "ecg_mv", c.signal, c.lead, c.source),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for channel in self._channels.values():
            channel.close()


def _larger(one: float, other: float) -> float:
    return other if math.isnan(one) or other > one else one


def _smaller(one: float, other: float) -> float:
    return other if math.isnan(one) or other < one else one
