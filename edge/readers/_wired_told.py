"""What the pipeline and people are told of a wired sensor's link: only what is new."""

from __future__ import annotations

from edge.events import LINK, LinkTold, tell
from edge.readers import Rim
from edge.records import LinkState, Security


class WiredTold:
    """Tells of one wired sensor.

    Parameters
    ----------
    source : str
        As in its packets.
    place : str
        Where on the body it is; empty: nobody said.
    rim : Rim
        Where it is told.
    """

    def __init__(self, source: str, place: str, rim: Rim) -> None:
        self._source, self._place, self._rim = source, place, rim
        self._last: LinkTold | None = None
        self._name = ""

    def connected(self, name: str) -> None:
        """Say that it sends, and what people call it."""
        self._name = name
        self._say(LinkState.CONNECTED, "")

    def lost(self, reason: str) -> None:
        """Say why it does not send; the same is not said twice."""
        self._say(LinkState.LOST, reason)

    def _say(self, state: LinkState, reason: str) -> None:
        told = LinkTold(self._source, state, Security.WIRED, self._name, self._place, reason)
        if told != self._last:
            self._last = told
            self._rim.deliver(tell(LINK, told, self._rim.now_s()))
