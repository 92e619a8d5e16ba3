"""What stood when the monitor was last alive, for a start that goes on with it."""

from __future__ import annotations

from pathlib import Path

import structlog

from edge.clock import WallEntry
from edge.pipeline import Kept
from edge.store import History, KeptAlerts, StoreError

_log = structlog.get_logger("resume")


def kept_in(path: Path, now: WallEntry) -> Kept | None:
    """Return what the alert engine remembered, from the store; None: nothing that can be read.

    A start without it is safe: what still holds is raised again, and nothing is paused.
    """
    if not path.exists():
        return None
    try:
        with History.open(path) as history:
            kept = history.kept_alerts()
    except StoreError as error:
        _log.warning("alerts begin anew", error=str(error))
        return None
    return None if kept is None else as_of(kept, now)


def clock_was_set(path: Path, boot_id: str) -> bool:
    """Return whether the store knows that the wall clock was set in this boot."""
    if not path.exists():
        return False
    try:
        with History.open(path) as history:
            return any(e.boot_id == boot_id and e.synchronised for e in history.clock_log())
    except StoreError as error:
        _log.warning("the log of the clock cannot be read", error=str(error))
        return False


def as_of(kept: KeptAlerts, now: WallEntry) -> Kept:
    """Return the state with what the clocks say of the time between.

    Across a boot only wall time can tell, and only where both moments were synchronised: a Pi
    without a clock of its own comes up with the time at which it went down.
    """
    at = kept.at
    if at.boot_id == now.boot_id:
        return Kept(kept.state, at.boot_s, same_boot=True)
    away_s = now.wall_s - at.wall_s
    known = at.synchronised and now.synchronised and away_s >= 0.0
    return Kept(kept.state, at.boot_s, same_boot=False, away_s=away_s if known else None)
