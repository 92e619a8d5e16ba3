"""How much room the records have, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def room_troubles(room: Mapping[str, Any]) -> Iterator[str]:
    """Yield what should be known of the room, a sentence each.

    >>> list(room_troubles({"floor": "roomy", "n_unsent": 0}))
    []
    """
    if room["floor"] == "low":
        yield "little room on the disk: the oldest summaries and scores make room for new ones"
    if room["floor"] == "full":
        yield "the disk is full: alarms are recorded, all else waits; free space on it"
    if room["n_unsent"]:
        yield f"{room['n_unsent']} summaries were given up unsent while the disk was full"
