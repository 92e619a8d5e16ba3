"""How much room the records have, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def salvage_text(salvage: Mapping[str, Any]) -> str:
    """Return what was recovered of a damaged file.

    >>> salvage_text({"aside": "a", "finished": True, "n_recovered": 9, "n_lost": 0})
    '9 rows of a were recovered, 0 are lost'
    """
    n, aside = salvage["n_recovered"], salvage["aside"]
    if not salvage["finished"]:
        return f"{aside} is being recovered: {n} rows so far"
    return f"{n} rows of {aside} were recovered, {salvage['n_lost']} are lost"


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
