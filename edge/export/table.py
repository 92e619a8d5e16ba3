"""CSV: a file for each channel, every sample with its time and the bound on its error.

Times are those at which samples were placed, uneven as they are; nothing is moved or filled. Where
values come one by one and the sensor tells no time, the time is that of the arrival and the bound
is empty: nobody knows how long the value was on its way.

``<signal>[_<lead>]_<source>.csv``
    ``time_s,uncertainty_s,<signal>``; an empty value: the sensor called it invalid.
``notes.csv``
    ``time_s,duration_s,text``: alerts, answers, measurements, gaps (and beats, where wanted).
``channels.csv``
    One line a channel: its file, source, unit, rates, drift, gaps; and when time 0 was.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from edge.export.notes import BEAT, Note
from edge.export.records import plain
from edge.export.span import OnProgress, Span
from edge.export.spool import Channel

_ABOUT: Final = (
    "file",
    "signal",
    "lead",
    "source",
    "unit",
    "fs_hz",
    "clock_ppm",
    "n_samples",
    "n_gaps",
    "uncertainty_s",
    "time_0_utc",
    "clock_quality",
)


def write_tables(folder: Path, span: Span, on_progress: OnProgress = lambda _: None) -> list[Path]:
    """Write the span; return the files.

    Raises
    ------
    OSError
        The disk will not have it, or a file is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "channels.csv", folder / "notes.csv"]
    total = max(1, sum(channel.n for channel in span.channels))
    done = 0
    with _new(written[0]) as about_file, _new(written[1]) as notes_file:
        about = csv.writer(about_file)
        about.writerow(_ABOUT)
        for channel in span.channels:
            path = _path(folder, channel, written)
            written.append(path)
            with _new(path) as file:
                file.write(f"time_s,uncertainty_s,{channel.signal}\n")
                for text, n in _lines(channel, span):
                    file.write(text)
                    done += n
                    on_progress(done / total)
            about.writerow(_about(path, channel, span))
        notes = csv.writer(notes_file)
        notes.writerow(("time_s", "duration_s", "text"))
        for note in _notes(span):
            notes.writerow((f"{note.at_s - span.from_s:.6f}", f"{note.for_s:.6f}", note.text))
    return written


def _lines(channel: Channel, span: Span) -> Iterator[tuple[str, int]]:
    for run in channel.runs():
        times_s = run.start_s - span.from_s + run.step_s * np.arange(len(run.values))
        bound = "" if math.isnan(run.uncertainty_s) else f"{run.uncertainty_s:.6f}"
        values = run.values.tolist()
        yield (
            "".join(
                f"{at_s:.6f},{bound},{'' if value != value else f'{value:.7g}'}\n"  # noqa: PLR0124
                for at_s, value in zip(times_s.tolist(), values, strict=True)
            ),
            len(values),
        )


def _notes(span: Span) -> list[Note]:
    notes = span.notes.notes(span.from_s, span.to_s)
    if span.beats:
        notes += [Note(at_s, 0.0, BEAT) for at_s in span.notes.beats_s]
    return sorted(note for note in notes if span.from_s <= note.at_s < span.to_s)


def _about(path: Path, channel: Channel, span: Span) -> list[object]:
    start = span.origin.at(span.from_s)
    bound_s = channel.uncertainty_s
    return [
        path.name,
        channel.signal,
        channel.lead,
        channel.source,
        channel.signal.rpartition("_")[2],
        f"{channel.fs_hz:g}" if channel.fs_hz else "",
        f"{channel.ppm:.2f}" if channel.fs_hz else "",
        channel.n,
        channel.n_holes,
        "" if math.isnan(bound_s) else f"{bound_s:.6f}",
        "" if start is None else start.isoformat(),
        span.origin.quality,
    ]


def _path(folder: Path, channel: Channel, taken: list[Path]) -> Path:
    parts = filter(None, (channel.signal, channel.lead, channel.source))
    name = plain("_".join(parts))
    path, number = folder / f"{name}.csv", 2
    while path in taken:
        path, number = folder / f"{name}_{number}.csv", number + 1
    return path


def _new(path: Path) -> TextIO:
    return path.open("x", encoding="utf-8", newline="")
