"""WFDB: one record for each nominal rate, so that no program averages one signal for another.

Format: header(5) and signal(5) of the WFDB manual; text and little-endian integers. A channel is
written in format 16, or in format 24 where 16 bits would be coarser than the sensor's own step.
WFDB has a code for a sample that is missing. Annotations are written by the command with the
library wfdb, as those of ``homeward replay --annotations``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.export.grid import Grid, rate_of
from edge.export.span import OnProgress, Span
from edge.export.spool import Channel, ExportError
from edge.records import FloatArray

BLOCK_S: Final = 60
WITHOUT: Final = frozenset({"rr_ms"})
_UNITS: Final = {"mv": "mV", "pct": "%", "degc": "degC", "mmhg": "mmHg", "mgdl": "mg/dL", "v": "V"}


class Written(msgspec.Struct, frozen=True):
    """One record that was written: its name without suffix, its rate, and its files."""

    name: str
    fs_hz: float
    files: tuple[Path, ...]


class _Scale(msgspec.Struct, frozen=True):
    """``value = (digital - baseline) / gain``, in so many bits."""

    bits: int
    gain: float
    baseline: int


def write_records(
    folder: Path, span: Span, on_progress: OnProgress = lambda _: None
) -> list[Written]:
    """Write the span; return the records, the fastest first.

    Raises
    ------
    ExportError
        There is no channel that fits.
    OSError
        The disk will not have it.
    """
    channels = [c for c in span.channels if c.signal not in WITHOUT and not math.isnan(c.low)]
    if not channels:
        raise ExportError("no channel of this span has a value; choose another span for WFDB")
    folder.mkdir(parents=True, exist_ok=True)
    rates = sorted({rate_of(channel) for channel in channels}, reverse=True)
    written = []
    for i, fs_hz in enumerate(rates):
        group = [channel for channel in channels if rate_of(channel) == fs_hz]

        def told(part: float, i: int = i) -> None:
            on_progress((i + part) / len(rates))

        written.append(_write_record(folder, span, fs_hz, group, told))
    return written


def _write_record(
    folder: Path, span: Span, fs_hz: float, channels: Sequence[Channel], on_progress: OnProgress
) -> Written:
    name = f"{plain(span.name)}_{fs_hz:g}hz".replace(".", "p")
    n = max(1, math.ceil(span.length_s * fs_hz - 1e-6))
    scales = [_scale_of(channel) for channel in channels]
    grids = [Grid(channel, fs_hz, span.from_s) for channel in channels]
    checksums = [0] * len(channels)
    firsts = [0] * len(channels)
    # Signals of one file share their format.
    paths = {bits: folder / f"{name}_{bits}.dat" for bits in sorted({s.bits for s in scales})}
    files = {bits: path.open("xb") for bits, path in paths.items()}
    try:
        block = max(1, round(BLOCK_S * fs_hz))
        for at in range(0, n, block):
            size = min(block, n - at)
            columns = [
                _digital(grid.take(size), scale) for grid, scale in zip(grids, scales, strict=True)
            ]
            for i, column in enumerate(columns):
                checksums[i] += int(column.sum())
                firsts[i] = int(column[0]) if at == 0 else firsts[i]
            for bits, file in files.items():
                kept = [c for c, s in zip(columns, scales, strict=True) if s.bits == bits]
                _write_block(file, np.column_stack(kept), bits)
            on_progress((at + size) / n)
    finally:
        for file in files.values():
            file.close()
    header = folder / f"{name}.hea"
    lines = [
        _line(paths[scale.bits].name, scale, channel, firsts[i], checksums[i])
        for bits in paths
        for i, (channel, scale) in enumerate(zip(channels, scales, strict=True))
        if scale.bits == bits
    ]
    head = f"{name} {len(channels)} {fs_hz:.12g} {n}{_start(span)}"
    notes = [_comment(channel, grid) for channel, grid in zip(channels, grids, strict=True)]
    told = [
        f"# Homeward {span.version}, patient {span.patient}, clock {span.origin.quality}",
        *notes,
    ]
    header.write_text("\n".join([head, *lines, *told]) + "\n", encoding="utf-8")
    return Written(name, fs_hz, (header, *paths.values()))


def _scale_of(channel: Channel) -> _Scale:
    span = channel.high - channel.low or 1.0
    bits = 16 if span / 65_000 <= channel.step else 24
    # A little room at both ends, and the lowest number is the code of a missing sample.
    levels = (1 << bits) - 8
    gain = float(f"{levels / span * 0.999:.9g}")
    return _Scale(bits, gain, -round((channel.low + channel.high) / 2 * gain))


def _digital(values: FloatArray, scale: _Scale) -> NDArray[np.int64]:
    laid = np.rint(values.astype(np.float64) * scale.gain) + scale.baseline
    missing = -(1 << (scale.bits - 1))
    return np.where(np.isnan(laid), missing, laid).astype(np.int64)


def _write_block(file: BinaryIO, rows: NDArray[np.int64], bits: int) -> None:
    if bits == 16:
        file.write(rows.astype("<i2").tobytes())
        return
    wide = np.ascontiguousarray(rows, "<i4").view(np.uint8).reshape(-1, 4)
    file.write(np.ascontiguousarray(wide[:, :3]).tobytes())


def _line(file: str, scale: _Scale, channel: Channel, first: int, checksum: int) -> str:
    unit = channel.signal.rpartition("_")[2]
    units = _UNITS.get(unit, unit)
    check = (checksum + (1 << 15)) % (1 << 16) - (1 << 15)
    gain = f"{scale.gain:.9g}({scale.baseline})/{units}"
    name = " ".join(f"{channel.signal} {channel.lead}".split())
    return f"{file} {scale.bits} {gain} {scale.bits} 0 {first} {check} 0 {name}"


def _comment(channel: Channel, grid: Grid) -> str:
    name = f"{channel.signal} {channel.lead}".strip()
    bound_s = grid.bound_s + channel.uncertainty_s
    error = "timed by arrival"
    if not math.isnan(bound_s):
        error = f"times +-{bound_s:.4f} s, 95% +-{grid.bound_s + channel.usual_s:.4f} s"
    return (
        f"# {name} of {channel.source}: clock {channel.ppm:+.1f} ppm, {grid.n_left_out} samples "
        f"left out, {grid.n_repeated} given twice, {channel.n_holes} gaps, {error}"
    )


def _start(span: Span) -> str:
    start = span.origin.at(span.from_s)
    if start is None:
        return ""
    return f" {start:%H:%M:%S}.{start.microsecond // 1000:03d} {start:%d/%m/%Y}"


def plain(name: str) -> str:
    """Return a name with the letters WFDB allows."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name) or "export"
