"""Read what still reads of a table whose pages are damaged.

Rows are asked for by their key, in order, until SQLite cannot go on; then from the other end, until
it cannot there; what lies between is halved and asked for again. A lost page so costs the rows that
were on it and no others. How far that has come is a list of spans of keys, which can be kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from edge.store.eras import ERA
from edge.store.torn import Torn

ROWS: Final = 200
"""Rows read at a time."""
BEYOND: Final = 1_024
"""Keys looked for beyond the last row that can be found, where the end itself is lost: about what
one lost page of the tree, of which a hundred leaves hang, can have held."""
MAX_FAILED: Final = 20_000
"""After so many a table is given up."""
MAX_SPANS: Final = 100
"""Lost spans that are told one by one; more are told together."""

Span = tuple[int, int]
"""Keys from the first to before the second."""


class Remnant(msgspec.Struct):
    """How far a table has been read.

    Attributes
    ----------
    table, key : str
        The table, and its integer primary key.
    todo : list[Span]
        What is not yet read; None: it is not yet known what there is.
    n_read, n_lost : int
        Rows that were read; keys that could not be (at most so many rows).
    lost : list[Span]
        Where.
    end_known : bool
        Whether the last row could be found.
    n_failed : int
        Times nothing could be read.
    gone : bool
        Nobody knows where it lay: nothing of it can be read.
    """

    table: str
    key: str
    todo: list[Span] | None = None
    n_read: int = 0
    n_lost: int = 0
    lost: list[Span] = []
    end_known: bool = True
    n_failed: int = 0
    gone: bool = False

    def close(self) -> None:
        """Count nothing as lost beyond an end that nobody knows."""
        if not self.end_known and self.lost:
            first, end = self.lost.pop()
            self.n_lost -= end - first

    def lose(self, span: Span) -> None:
        """Note a span as lost."""
        self.n_lost += span[1] - span[0]
        spans = sorted([*self.lost, span])
        self.lost = joined(spans)


def joined(spans: list[Span]) -> list[Span]:
    """Return sorted spans, those that touch as one, and no more than `MAX_SPANS`.

    >>> joined([(1, 3), (3, 4), (9, 10)])
    [(1, 4), (9, 10)]
    """
    whole: list[Span] = []
    for first, end in spans:
        if whole and first <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(end, whole[-1][1]))
        else:
            whole.append((first, end))
    while len(whole) > MAX_SPANS:
        at = min(range(1, len(whole)), key=lambda i: whole[i][0] - whole[i - 1][1])
        whole[at - 1 : at + 1] = [(whole[at - 1][0], whole[at][1])]
    return whole


def plan(damaged: Torn, remnant: Remnant, base: int, known_end: int | None) -> None:
    """Find out which keys a table may hold: a span for every era.

    Parameters
    ----------
    base : int
        No key is larger: one that is was damaged.
    known_end : int | None
        The last key, where something else tells it.
    """
    table, key = remnant.table, remnant.key
    asked = f"SELECT {key} FROM {table} WHERE {key} >= ? AND {key} < ? ORDER BY {key}"  # noqa: S608

    def edge(first: int, end: int, order: str) -> tuple[int | None, bool]:
        """Return the first or last key of a span, and whether that could be read."""
        rows, whole = damaged.rows(f"{asked} {order} LIMIT 1", (first, end))
        return (int(rows[0][0]) if rows else None), whole

    last, remnant.end_known = edge(0, base, "DESC")
    if not remnant.end_known:
        remnant.end_known = known_end is not None
        found = _last_found(lambda at: edge(at, base, "ASC")[0] is not None, base)
        last = found + BEYOND if known_end is None else known_end
    remnant.todo = []
    for first in range(0, (-1 if last is None else last) + 1, ERA):
        end = min(first + ERA, (last or 0) + 1)
        low, low_read = edge(first, end, "ASC")
        high, high_read = edge(first, end, "DESC")
        if low_read and high_read and (low is None or high is None):
            continue
        remnant.todo.append((first + 1 if low is None else low, end if high is None else high + 1))


def _last_found(found: Callable[[int], bool], base: int) -> int:
    """Return the last key from which on a row can be found, as far as that is one place."""
    low, high = 0, 1
    while high < base and found(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if found(middle) else (low, middle)
    return low


def read(damaged: Torn, remnant: Remnant) -> list[tuple[Any, ...]]:
    """Read some more rows, with all columns; what turns out lost is noted.

    The rows come in no order where something is lost. Once `todo` is empty there are no more.
    """
    todo = remnant.todo or []
    first, end = todo.pop()
    table, key = remnant.table, remnant.key
    at = damaged.columns(table).index(key)
    asked = f"SELECT * FROM {table} WHERE {key} >= ? AND {key} < ? ORDER BY {key}"  # noqa: S608
    rows, whole = damaged.rows(f"{asked} LIMIT {ROWS}", (first, end))
    rows = _in_order([row for row in rows if first <= row[at] < end], at)
    if rows:
        first = rows[-1][at] + 1
    if whole:
        if len(rows) == ROWS and first < end:
            todo.append((first, end))
    else:
        back, end_reached = damaged.rows(f"{asked} DESC LIMIT {ROWS}", (first, end))
        back = _in_order([row for row in reversed(back) if first <= row[at] < end], at)
        rows += back
        if not (end_reached and len(back) < ROWS):
            _narrow(remnant, (first, back[0][at] if back else end), split=not rows)
    remnant.n_read += len(rows)
    return rows


def _narrow(remnant: Remnant, span: Span, *, split: bool) -> None:
    """Put what lies between two ends that can be read back in line, or halve it."""
    todo = remnant.todo or []
    first, end = span
    remnant.n_failed += split
    if end - first < 1:
        return
    if end - first == 1 or remnant.n_failed > MAX_FAILED:
        remnant.lose(span)
    elif split:
        middle = (first + end) // 2
        todo += [(middle, end), (first, middle)]
    else:
        todo.append(span)
    remnant.todo = todo


def _in_order(rows: list[tuple[Any, ...]], at: int) -> list[tuple[Any, ...]]:
    """Return rows up to where keys do not rise any more: a damaged tree may lead in a circle."""
    for number in range(1, len(rows)):
        if rows[number][at] <= rows[number - 1][at]:
            return rows[:number]
    return rows
