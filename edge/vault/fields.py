"""Rows of bytes of one length, told apart into numbers and made small to compress; exactly undone.

A sensor's packets of one length have the same structure: counters and clocks first, then samples.
Nobody tells it here; `best_shape` tries what fits these rows, and `split` takes any shape on any
bytes. What comes out are sections: the differences of numbers, sign folded into the lowest bit,
their lowest bytes together, the second bytes together, and so on.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[np.uint64]

WIDTHS: Final = (1, 2, 3, 4, 8)
SAMPLE_WIDTHS: Final = (2, 3, 4, 1)
MAX_CHANNELS: Final = 3
MAX_HEAD: Final = 24
"""Bytes before the samples that are tried."""
LEAST_ROWS: Final = 8
"""Fewer rows tell nothing about their structure."""
_TRIED_ROWS: Final = 128
_ONE: Final = np.uint64(1)


class Shape(msgspec.Struct, frozen=True, array_like=True):
    """How a row is told apart.

    Attributes
    ----------
    fields : tuple[int, ...]
        Widths in bytes of the numbers a row begins with; each is taken against the row before.
    width, channels : int
        The rest of the row: numbers of so many bytes, each taken against the one `channels`
        before it, on through all rows. Width 0: there is no rest.
    """

    fields: tuple[int, ...]
    width: int = 0
    channels: int = 1


def split(rows: Rows, shape: Shape) -> list[bytes]:
    """Return the sections of these rows, (n, length), n at least 1."""
    sections: list[bytes] = []
    at = 0
    for width in shape.fields:
        sections += _planes(_fold(_steps(_numbers(rows[:, at : at + width]), 1), width), width)
        at += width
    if shape.width:
        flat = rows[:, at:].reshape(-1, shape.width)
        steps = _steps(_numbers(flat), shape.channels)
        sections += _planes(_fold(steps, shape.width), shape.width)
    return sections


def join(sections: list[bytes], shape: Shape, n: int, length: int) -> Rows:
    """Return the rows again.

    Raises
    ------
    ValueError
        The sections are not of such rows.
    """
    rows = np.empty((n, length), np.uint8)
    at, used = 0, 0
    for width in shape.fields:
        steps = _unfold(_unplaned(sections[used : used + width], n), width)
        _write(rows[:, at : at + width], _sums(steps, 1))
        at, used = at + width, used + width
    if shape.width:
        n_flat = n * (length - at) // shape.width
        steps = _unfold(_unplaned(sections[used:], n_flat), shape.width)
        flat = np.empty((n_flat, shape.width), np.uint8)
        _write(flat, _sums(steps, shape.channels))
        rows[:, at:] = flat.reshape(n, length - at)
    return rows


def n_sections(shape: Shape) -> int:
    """Return how many sections `split` makes."""
    return sum(shape.fields) + shape.width


def best_shape(rows: Rows) -> Shape:
    """Return the shape under which these rows take the least room, by their bytes' entropy."""
    rows = rows[:_TRIED_ROWS]
    length = rows.shape[1]
    heads = _best_heads(rows[:, :MAX_HEAD])
    least, best = np.inf, Shape((1,) * length if length <= MAX_HEAD else ())
    if length <= MAX_HEAD:
        least, best = heads[length][0], Shape(heads[length][1])
    for at in range(min(length, MAX_HEAD)):
        for width in SAMPLE_WIDTHS:
            if (length - at) % width or (length - at) < 2 * width:
                continue
            for channels in range(1, MAX_CHANNELS + 1):
                flat = _numbers(rows[:, at:].reshape(-1, width))
                cost = heads[at][0] + _cost(_fold(_steps(flat, channels), width), width)
                if cost < least:
                    least, best = cost, Shape(heads[at][1], width, channels)
    return best


def _best_heads(rows: Rows) -> list[tuple[float, tuple[int, ...]]]:
    """Return for each number of leading bytes what they cost at best, and in which fields."""
    found: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for end in range(1, rows.shape[1] + 1):
        tries = []
        for width in WIDTHS:
            if width > end:
                break
            before, fields = found[end - width]
            numbers = _steps(_numbers(rows[:, end - width : end]), 1)
            tries.append((before + _cost(_fold(numbers, width), width), (*fields, width)))
        found.append(min(tries))
    return found


def _cost(folded: Numbers, width: int) -> float:
    """Return the entropy of all planes in bits, with something for the table of each."""
    total = 0.0
    for plane in _planes(folded, width):
        counts = np.bincount(np.frombuffer(plane, np.uint8), minlength=1)
        counts = counts[counts > 0]
        total += float(-(counts * np.log2(counts / len(plane))).sum()) + 4.0 * len(counts)
    return total


def _numbers(columns: Rows) -> Numbers:
    """Return rows of little-endian bytes as numbers."""
    numbers = np.zeros(columns.shape[0], np.uint64)
    for place in range(columns.shape[1]):
        numbers |= columns[:, place].astype(np.uint64) << np.uint64(8 * place)
    return numbers


def _write(columns: Rows, numbers: Numbers) -> None:
    for place in range(columns.shape[1]):
        columns[:, place] = (numbers >> np.uint64(8 * place)).astype(np.uint8)


def _steps(numbers: Numbers, lag: int) -> Numbers:
    steps = numbers.copy()
    steps[lag:] -= numbers[:-lag]
    return steps


def _sums(steps: Numbers, lag: int) -> Numbers:
    sums = steps.copy()
    for channel in range(lag):
        sums[channel::lag] = np.cumsum(steps[channel::lag], dtype=np.uint64)
    return sums


def _fold(steps: Numbers, width: int) -> Numbers:
    """Return differences, of any sign modulo the width, with the sign in the lowest bit."""
    bits = np.uint64(8 * width)
    mask = np.uint64((1 << 8 * width) - 1)
    sign = (steps >> (bits - _ONE)) & _ONE
    folded: Numbers = ((steps << _ONE) ^ (np.uint64(0) - sign)) & mask
    return folded


def _unfold(folded: Numbers, width: int) -> Numbers:
    mask = np.uint64((1 << 8 * width) - 1)
    plain: Numbers = ((folded >> _ONE) ^ (np.uint64(0) - (folded & _ONE))) & mask
    return plain


def _planes(numbers: Numbers, width: int) -> list[bytes]:
    return [(numbers >> np.uint64(8 * i)).astype(np.uint8).tobytes() for i in range(width)]


def _unplaned(planes: list[bytes], n: int) -> Numbers:
    numbers = np.zeros(n, np.uint64)
    for place, plane in enumerate(planes):
        if len(plane) != n:
            raise ValueError("a section is shorter or longer than its rows")
        numbers |= np.frombuffer(plane, np.uint8).astype(np.uint64) << np.uint64(8 * place)
    return numbers


def split_numbers(numbers: NDArray[np.int64], step: int) -> list[bytes]:
    """Return the sections of a column of numbers that grow by about `step`."""
    steps = _steps(numbers.astype(np.uint64), 1)
    steps[1:] -= np.uint64(step % (1 << 64))
    return _planes(_fold(steps, 8), 8)


def join_numbers(sections: list[bytes], step: int, n: int) -> NDArray[np.int64]:
    """Return the column again; raises ValueError where the sections are not of it."""
    steps = _unfold(_unplaned(sections, n), 8)
    steps[1:] += np.uint64(step % (1 << 64))
    return _sums(steps, 1).astype(np.int64)
