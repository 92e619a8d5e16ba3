"""Options of commands that hand out raw data: spans of a source, wall times, who may read."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

import msgspec
import typer

from edge.cli._shared import parse_span

PRIVATE: Final = 0o077
"""What nobody but the owner may do with the files: they are raw data of a person."""


class Range(msgspec.Struct, frozen=True):
    """A span, counted from the beginning of the source; infinity: to its end."""

    from_s: float = 0.0
    to_s: float = math.inf


def parse_range(text: str) -> Range:
    """Return a span ``FROM..TO``; either may be absent.

    >>> parse_range("1h..90m"), parse_range("..20s")
    (Range(from_s=3600.0, to_s=5400.0), Range(from_s=0.0, to_s=20.0))
    """
    first, dots, last = text.partition("..")
    if not dots:
        raise typer.BadParameter(f"{text!r} is no span FROM..TO; write 1h..90m, ..8h or 8h..")
    from_s = 0.0 if first.strip() in ("", "0", "0s") else parse_span(first)
    to_s = parse_span(last) if last.strip() else math.inf
    if not from_s < to_s:
        raise typer.BadParameter(f"{text!r} ends before it begins")
    return Range(from_s, to_s)


def parse_utc(text: str) -> datetime:
    """Return a wall time; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no date and time; write 2026-11-22T22:00:00Z"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
