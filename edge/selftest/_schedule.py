"""When the daily self-test is due. Pure: times in, a time out.

All is reckoned on the boot clock, so that a wall clock that jumps makes no test twice and none
forgotten; the wall time only says when today's time of day was.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final

import msgspec

DAY_S: Final = 86_400.0
FIRST_S: Final = 120.0
"""Sensors have this long to come after a start before anything is tested."""


class Moment(msgspec.Struct, frozen=True):
    """Now, on both clocks.

    Attributes
    ----------
    boot_s : float
        Boot clock.
    local : datetime | None
        Local time with its offset; None while the clock is not set.
    """

    boot_s: float
    local: datetime | None


def due_since(now: Moment, began_s: float, last_s: float | None, at: str) -> float | None:
    """Return since when a self-test has been due; None: none is.

    Parameters
    ----------
    now : Moment
        This moment.
    began_s : float
        When the monitor was started.
    last_s : float | None
        When the last test ended, on this boot's clock; None: there was none that is known of.
    at : str
        ``HH:MM``, local time.

    Returns
    -------
    float | None
        Boot clock. Never less than `FIRST_S` after the start.
    """
    due_s = began_s
    if last_s is not None:
        due_s = _today_s(now, at) if now.local is not None else last_s + DAY_S
        if last_s >= due_s:
            return None
    due_s = max(due_s, began_s + FIRST_S)
    return due_s if now.boot_s >= due_s else None


def _today_s(now: Moment, at: str) -> float:
    """Return the boot time of the latest moment at which it was `at` o'clock."""
    local = now.local
    if local is None:
        raise ValueError("no local time is known")
    day = local.date()
    then = _at(day.year, day.month, day.day, at)
    if then > local:
        before = day - timedelta(days=1)
        then = _at(before.year, before.month, before.day, at)
    return now.boot_s - (local - then).total_seconds()


def _at(year: int, month: int, day: int, at: str) -> datetime:
    """Return a local time of day with the offset of that day: clocks change in the night."""
    when = time.fromisoformat(at)
    # A naive time is taken for local time; the offset now may not be that day's.
    return datetime(year, month, day, when.hour, when.minute).astimezone()
