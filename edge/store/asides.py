"""Damaged files that were put aside: which there are, and which are not kept any longer."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Final

from edge.store.head import SUFFIX

MAX_KEPT: Final = 3
MAX_BYTES: Final = 500_000_000
"""Of all that are kept together."""
YOUNG_S: Final = 7 * 86_400.0
"""The newest is not removed while it is younger: somebody may want to look at it."""
PARTS: Final = (SUFFIX, "-wal", "-shm", "")
"""Of a database; its log and its head go before it."""


def asides(path: Path) -> list[Path]:
    """Return the damaged files of a database, the oldest first."""
    name = re.compile(re.escape(path.name) + r"\.damaged-([1-9]\d{0,8})")
    found = [(int(m[1]), p) for p in path.parent.iterdir() if (m := name.fullmatch(p.name))]
    return [aside for _, aside in sorted(found)]


def next_aside(path: Path) -> Path:
    """Return the name the next damaged file gets; numbers do not come again."""
    # Also where only a part of one is there: a power cut may have come between two renames.
    name = re.compile(re.escape(path.name) + r"\.damaged-([1-9]\d{0,8})(-wal|-shm|\.\w+)?")
    found = (name.fullmatch(p.name) for p in path.parent.iterdir())
    last = max((int(m[1]) for m in found if m), default=0)
    return path.with_name(f"{path.name}.damaged-{last + 1}")


def n_bytes(aside: Path) -> int:
    """Return how much room a damaged file takes, with its log and its head."""
    parts = (aside.with_name(aside.name + suffix) for suffix in PARTS)
    return sum(part.stat().st_size for part in parts if part.exists())


def tidy(path: Path, needed: Container[str], wall_s: float) -> list[Path]:
    """Remove the oldest that are too many or too large; return them.

    Parameters
    ----------
    needed : Container[str]
        Names of those that are not yet recovered; they stay.
    wall_s : float
        Now, as the wall clock says.

    Raises
    ------
    OSError
        One could not be removed.
    """
    there = asides(path)
    removed = []
    for aside in list(there):
        over = len(there) > MAX_KEPT or sum(map(n_bytes, there)) > MAX_BYTES
        only_young = len(there) == 1 and wall_s - aside.stat().st_mtime < YOUNG_S
        if not over or only_young:
            break
        if aside.name in needed:
            continue
        for suffix in PARTS:
            aside.with_name(aside.name + suffix).unlink(missing_ok=True)
        there.remove(aside)
        removed.append(aside)
    return removed
