"""Tables on a terminal: coloured where it is one, plain text where it is not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200
"""Columns where the output is no terminal: wide enough that a reason stays on its line."""

PRIORITY_STYLE = {"high": "bold red", "medium": "yellow", "low": "cyan", "information": "dim"}


def console() -> Console:
    """Return the console of standard output."""
    wide = None if sys.stdout.isatty() else max(PIPE_WIDTH, shutil.get_terminal_size().columns)
    return Console(width=wide, highlight=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """Return a table; cells of plain text are printed as they are, whatever they hold."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, style=None, header_style="dim", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return made


def span_text(seconds: float | None) -> str:
    """Return a span of time for people, in its two largest units; a dash where it is unknown.

    >>> span_text(4.2), span_text(75), span_text(3700), span_text(None)
    ('4 s', '1 min 15 s', '1 h 1 min', '-')
    """
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
