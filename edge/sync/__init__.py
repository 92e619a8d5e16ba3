"""Outbox -> records far away, from a process of its own: ``homeward sync``.

It may open network connections, and so it must not be able to see raw data: all it knows of the
monitor is what the monitor hands out on a local socket (`edge.control.syncing`). Whatever happens
to the network, the monitor goes on, and nothing is settled but by a receipt.

    parcel      what is under way, and what came back
    sinks/      one file a destination
"""

from __future__ import annotations


class SyncError(Exception):
    """The sender cannot work as configured; the text says why and what to do."""
