"""CSV files: one column a channel, one row a sample, numbers kept to the last bit.

The first row names the columns, with units where the writer was kind: ``Time [s]``, ``ecg_mv``,
``II (mV)``, ``SpO2 [%]``. The rate comes from ``--fs``, from an evenly spaced time column, or from
a column ``Sampling Freq`` (as in the BIDMC data set), in this order. Empty cells are missing
values.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.frame import Channel
from edge.readers import ReadError
from edge.readers._recording import (
    Group,
    Naming,
    Recording,
    is_assumed_millivolts,
    name_channel,
    slicer,
    split,
    unique,
)
from edge.records import UNITS

_F8 = 4  # key of edge.frame.NUMBER_TYPES
_TIME = re.compile(r"^(time|timer|t|elapsed.*|seconds)$", re.IGNORECASE)
_RATE = re.compile(r"^(sampl\w*[\s_]*(freq\w*|rate)|fs)$", re.IGNORECASE)
_NAME_UNIT = re.compile(r"^(.*?)\s*[\[(]([^\])]*)[\])]\s*$")
_NEIGHBOURS = 8
_EMPTY = frozenset({"", "nan", "na", "n/a", "null", "none", "-"})
_TIME_UNITS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}


class _Column(msgspec.Struct, frozen=True):
    """One column of the file: its place, and its name with the unit taken off."""

    at: int
    title: str
    name: str
    unit: str


class _Table(msgspec.Struct, frozen=True):
    """The head of a file and how to read the rest of it."""

    path: Path
    encoding: str
    delimiter: str
    columns: tuple[_Column, ...]
    n_head: int
    first: tuple[str, ...]


def open_csv(path: Path, fs_hz: float | None, chosen: Mapping[str, str]) -> Recording:
    """Return a CSV file; `chosen` also may call a column ``time_s`` or ``time_ms``.

    Raises
    ------
    ReadError
        It is no table of numbers, its times are not evenly spaced, or its rate is not known.
    """
    try:
        table = _look(path)
        time = next((c for c in table.columns if _is_time(c, chosen)), None)
        rate = next((c for c in table.columns if _RATE.match(c.name)), None)
        messages: list[str] = []
        taken, namings = _name_columns(table, (time, rate), chosen, messages)
        wanted = [column.at for column in taken]
        if time is not None and fs_hz is None:
            wanted.append(time.at)
        values = _numbers(table, wanted)
    except OSError as error:
        raise ReadError(f"cannot open {path}: {error.strerror}; check its permissions") from error
    if fs_hz is not None:
        rate_hz = fs_hz
    elif time is not None:
        times_s = values[:, -1] * _time_unit(time, chosen)
        rate_hz = _rate_of(table, times_s, rate, messages)
        values = values[:, :-1]
    else:
        rate_hz = _said_rate(table, rate)
    return Recording(path.stem, _groups(values, rate_hz, namings), tuple(messages))


def _look(path: Path) -> _Table:
    encoding, text = _read_start(path)
    lines = re.split(r"\r\n|\n|\r", text, maxsplit=50)[:50]
    n_skipped = 0
    while n_skipped < len(lines) and (not lines[n_skipped].strip() or lines[n_skipped][0] == "#"):
        n_skipped += 1
    if len(lines) < n_skipped + 2:
        raise ReadError(f"{path} holds no rows of numbers; give a CSV with one row a sample")
    delimiter = max(",;\t", key=lines[n_skipped].count)
    rows = [
        [cell.strip().strip("'\"") for cell in row]
        for row in csv.reader(lines[n_skipped:], delimiter=delimiter)
    ]
    titles, n_head = rows[0], n_skipped + 1
    units = [""] * len(titles)
    if delimiter != ",":
        rows[1:] = [[cell.replace(",", ".") for cell in row] for row in rows[1:]]
    if all(_is_number(cell) for cell in titles):
        titles, n_head = [f"column {i + 1}" for i in range(len(titles))], n_skipped
    elif not any(_is_number(cell) for cell in rows[1]) and len(rows) > 2:
        units, n_head = rows[1] + units, n_head + 1
    first = rows[n_head - n_skipped]
    columns = (_column(i, title, units[i]) for i, title in enumerate(titles) if title)
    return _Table(path, encoding, delimiter, tuple(columns), n_head, tuple(first))


def _read_start(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if b"\x00" in start:
        raise ReadError(f"{path} is not a text; give a CSV in UTF-8")
    # The last line of the piece may be cut inside a letter.
    try:
        return "utf-8-sig", start.decode(
            "utf-8-sig", "strict" if len(start) < 1 << 16 else "ignore"
        )
    except UnicodeDecodeError:
        return "latin-1", start.decode("latin-1")


def _column(at: int, title: str, unit: str) -> _Column:
    if found := _NAME_UNIT.match(title):
        return _Column(at, title, found[1], found[2])
    stem, _, last = title.rpartition("_")
    if not unit and stem and (last.lower() in UNITS or last.lower() in {"s", "ms", "hz"}):
        return _Column(at, title, stem, last)
    return _Column(at, title, title, unit)


def _is_time(column: _Column, chosen: Mapping[str, str]) -> bool:
    choice = chosen.get(column.title)
    return choice.startswith("time_") if choice is not None else bool(_TIME.match(column.name))


def _time_unit(column: _Column, chosen: Mapping[str, str]) -> float:
    unit = chosen[column.title][5:] if column.title in chosen else column.unit.strip().lower()
    if unit not in _TIME_UNITS:
        raise ReadError(f"column {column.title!r}: times in {unit!r} are not known; use s or ms")
    return _TIME_UNITS[unit]


def _name_columns(
    table: _Table,
    apart: tuple[_Column | None, _Column | None],
    chosen: Mapping[str, str],
    messages: list[str],
) -> tuple[list[_Column], list[Naming]]:
    taken, namings = [], []
    for column in table.columns:
        if column in apart:
            continue
        cell = table.first[column.at] if column.at < len(table.first) else ""
        naming = _name(column, chosen)
        if naming is None:
            continue
        if not _is_number(cell) and cell.lower() not in _EMPTY:
            messages.append(f"column {column.title!r} is left out: {cell!r} is not a number")
            continue
        if is_assumed_millivolts(naming, column.unit):
            messages.append(f"the unit of {column.title!r} is not said, millivolts are assumed")
        taken.append(column)
        namings.append(naming)
    if not taken:
        raise ReadError(f"{table.path} has no column of samples; {'; '.join(messages)}")
    return taken, unique(namings)


def _name(column: _Column, chosen: Mapping[str, str]) -> Naming | None:
    if column.title in chosen:
        return name_channel(column.title, column.unit, chosen)
    if column.title == f"{column.name}_{column.unit}" and column.unit in UNITS:
        return Naming(column.title[-31:])  # it is a signal's name already
    return name_channel(column.name, column.unit, {})


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(table: _Table, wanted: list[int]) -> NDArray[np.float64]:
    """Return the wanted columns, shape (rows, columns), NaN for empty cells."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no rows at all are only a warning to numpy
            return np.loadtxt(
                table.path,
                delimiter=table.delimiter,
                skiprows=table.n_head,
                usecols=wanted,
                encoding=table.encoding,
                quotechar='"',
                ndmin=2,
            )
    except (ValueError, Warning):
        # Empty cells, decimal commas, or a row that is wrong: slower, and able to say which.
        return _numbers_row_by_row(table, wanted)


def _numbers_row_by_row(table: _Table, wanted: list[int]) -> NDArray[np.float64]:
    rows = []
    with table.path.open(encoding=table.encoding, errors="replace", newline="") as file:
        for _ in range(table.n_head):
            next(file)
        lines = csv.reader(file, delimiter=table.delimiter)
        try:
            for cells in lines:
                if cells and not cells[0].startswith("#"):
                    row = table.n_head + lines.line_num
                    rows.append([_number(table, cells, at, row) for at in wanted])
        except csv.Error as error:
            row = table.n_head + lines.line_num
            raise ReadError(f"{table.path}, row {row}: {error}; mend this row") from error
    if not rows:
        raise ReadError(f"{table.path} holds no rows of numbers; give one row a sample")
    return np.array(rows, np.float64)


def _number(table: _Table, cells: list[str], at: int, row: int) -> float:
    title = next((c.title for c in table.columns if c.at == at), str(at))
    if at >= len(cells):
        raise ReadError(
            f"{table.path}, row {row}: column {title!r} is missing; the row is cut, mend or drop it"
        )
    cell = cells[at].strip().strip("'")
    if cell.lower() in _EMPTY:
        return np.nan
    try:
        return float(cell.replace(",", ".") if table.delimiter != "," else cell)
    except ValueError:
        raise ReadError(
            f"{table.path}, row {row}: {cell!r} in column {title!r} is not a number; mend it or "
            f"leave the column out"
        ) from None


def _rate_of(
    table: _Table, times_s: NDArray[np.float64], rate: _Column | None, messages: list[str]
) -> float:
    """Return the rate of evenly spaced times, which may be printed with few digits."""
    n = len(times_s)
    mean_s = float(times_s[-1] - times_s[0]) / max(n - 1, 1)
    if n < 2 or not np.isfinite(times_s).all() or not mean_s > 0:
        raise ReadError(
            f"{table.path}: its time column does not rise from the first row to the last; give "
            f"the rate with --fs"
        )
    printed_s = _printed_step(times_s)
    tried = [round(1 / mean_s, digits) for digits in range(4)] + [1 / mean_s]
    if rate is not None and _is_number(cell := table.first[rate.at]):
        tried.insert(0, float(cell))
    wrong_idx = 0
    # A round rate is the writer's only where it fits the times as well as their mean does.
    most_s = 2 * float(np.abs(times_s - times_s[0] - np.arange(n) * mean_s).max()) + 1e-6
    for fs_hz in tried:
        if not fs_hz > 0:
            continue
        off_s = np.abs(times_s - times_s[0] - np.arange(n) / fs_hz)
        # A lost or doubled row puts all times after it one step off.
        wrong = off_s > 0.25 / fs_hz + printed_s / 2
        if wrong.any():
            wrong_idx = max(wrong_idx, int(wrong.argmax()))
        elif off_s.max() <= most_s:
            if times_s[0]:
                messages.append(f"its times begin at {times_s[0]:g} s, which is counted as 0")
            return fs_hz
    raise ReadError(
        f"{table.path}, row {table.n_head + wrong_idx + 1}: time {times_s[wrong_idx]:g} s follows "
        f"{times_s[wrong_idx - 1]:g} s, rows are about {mean_s:.4g} s apart elsewhere; fill the "
        f"gap with empty rows, or give the rate with --fs if the times do not matter"
    )


def _printed_step(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much each time may be rounded: the last digit that its neighbours use."""
    step_s = np.zeros(len(times_s))
    for digits in range(6, -1, -1):
        scaled = times_s * 10.0**digits
        exact = np.abs(scaled - np.rint(scaled)) < 1e-4
        # Digits get fewer where the numbers get longer (99.992, 100.01): look to either side.
        padded = np.pad(exact, _NEIGHBOURS, mode="edge")
        spans = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS + 1)
        runs = np.asarray(spans.all(axis=1))
        step_s[runs[: len(exact)] | runs[_NEIGHBOURS:]] = 10.0**-digits
    return step_s


def _said_rate(table: _Table, rate: _Column | None) -> float:
    cell = table.first[rate.at] if rate is not None and rate.at < len(table.first) else ""
    if _is_number(cell) and 0.001 <= float(cell) <= 100_000:
        return float(cell)
    raise ReadError(
        f"{table.path} has no time column, so its rate is not known; give it with --fs, or name "
        f"the column that holds the time (columns: {', '.join(c.title for c in table.columns)})"
    )


def _groups(values: NDArray[np.float64], fs_hz: float, namings: list[Naming]) -> tuple[Group, ...]:
    groups = []
    for part in split(list(range(len(namings)))):
        channels = tuple(
            Channel(namings[i].signal, namings[i].lead, _F8, 1 / namings[i].factor) for i in part
        )
        rows = np.ascontiguousarray(values[:, part], "<f8")
        groups.append(Group(fs_hz, len(rows), channels, slicer(rows)))
    return tuple(groups)
