"""What is said of the alarm path in one line. Pure."""

from __future__ import annotations

from datetime import timedelta

from edge.records import SelfTest, Verdict
from edge.selftest._schedule import Moment

HEARD = "annunciator"
NOT_THERE = Verdict.NOT_THERE


def headline(
    now: Moment, last: SelfTest | None, ended_s: float, proven_s: float | None, overdue_s: float
) -> tuple[bool, str]:
    """Return whether the alarm path counts as proven, and the line that says so.

    Parameters
    ----------
    now : Moment
        This moment.
    last : SelfTest | None
        The last self-test; None: there was none.
    ended_s, proven_s : float, float | None
        When the last one ended, and when the last one that passed did, on this boot's clock.
    overdue_s : float
        What was proven longer ago than this counts no more.
    """
    if last is None:
        return False, "alarm path not proven yet: the first self-test comes by itself"
    since = "" if proven_s is None else f" since {moment_text(now, proven_s)}"
    if last.failed:
        told = ", ".join(last.failed)
        return False, f"alarm path NOT proven{since}: {told} failed"
    if now.boot_s - ended_s > overdue_s:
        return False, f"alarm path NOT proven{since}: the self-test is overdue"
    voices = [row for row in last.rows if row.part == HEARD and row.verdict is not NOT_THERE]
    but = "" if voices else " (nothing sounds or shines at this box)"
    return True, f"alarm path proven {moment_text(now, ended_s)}{but}"


def moment_text(now: Moment, at_s: float) -> str:
    """Return a time for people.

    ``08:00``, ``yesterday 08:00``, ``2026-03-01 08:00``, or ``3 h ago`` while the clock is not set.
    """
    ago_s = max(0.0, now.boot_s - at_s)
    if now.local is None:
        return f"{ago_s / 3600:.0f} h ago" if ago_s >= 3600 else f"{ago_s / 60:.0f} min ago"
    then = (now.local - timedelta(seconds=ago_s)).astimezone()
    days = (now.local.date() - then.date()).days
    day = {0: "", 1: "yesterday "}.get(days, f"{then:%Y-%m-%d} ")
    return f"{day}{then:%H:%M}"
