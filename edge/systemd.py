"""Tell systemd how we are (sd_notify(3)); outside of a unit nothing is told to nobody."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send a state such as ``READY=1``; true when there was somebody to tell.

    Raises
    ------
    OSError
        systemd is there and does not take it.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.settimeout(0.0)  # a hung systemd must not hold up a tick
        told.sendto(state.encode(), f"\0{address[1:]}" if address[0] == "@" else address)
    return True


def watchdog_period_s() -> float | None:
    """Return how often ``WATCHDOG=1`` is due: half of what systemd waits; None: never."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or int(usec) == 0 or pid not in {"", str(os.getpid())}:
        return None
    return int(usec) / 2e6
