"""What stands at a moment of a run: whose the sources are, what is known of the patients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from edge.events import BEGUN_LIMITS, LIMIT, BegunLimits, Limits
from edge.packetlog import RECAP
from edge.records import Packet

END: Final = "box:end"
"""Stream of the packet that says to which tick a run was watched; the last of one that ended."""
MAX_STANDING: Final = 512
_START: Final = "box:start"
_BOX: Final = "box"


class Standing:
    """Remembers the last of what the box said about each source, link and patient."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], Packet] = {}

    def __len__(self) -> int:
        return len(self._said)

    def note(self, packet: Packet) -> None:
        """Take a packet; only those of the box count, and the limits that a person set."""
        if packet.stream == LIMIT:
            self._limit(packet)
        if packet.source != _BOX or packet.stream == END:
            return
        if packet.stream == RECAP:
            self._take(packet)
            return
        try:
            said: dict[str, Any] = msgspec.json.decode(packet.payload, type=dict[str, Any])
        except msgspec.DecodeError:
            return
        if packet.stream == _START:
            self._said.clear()  # another run
            said.pop("alerts", None)  # what stood then stands no more
            packet = msgspec.structs.replace(packet, payload=msgspec.json.encode(said))
        whose = str(said.get("source") or said.get("link") or said.get("patient") or "")
        if len(self._said) < MAX_STANDING or (packet.stream, whose) in self._said:
            self._said[packet.stream, whose] = packet

    def note_all(self, packets: Iterable[Packet]) -> None:
        """Take packets in their order."""
        for packet in packets:
            self.note(packet)

    def recap(self, at_s: float) -> Packet:
        """Return all that stands as one packet, for the beginning of what can be read alone."""
        said = list(self._said.values())
        return Packet(_BOX, RECAP, at_s, msgspec.msgpack.encode(said))

    def _limit(self, packet: Packet) -> None:
        """Let what a person set be what the run began with: that is what is in force."""
        try:
            told = msgspec.json.decode(packet.payload, type=Limits)
            begun = self._said[BEGUN_LIMITS, told.patient]
            rules = msgspec.json.decode(begun.payload, type=BegunLimits).rules
        except (KeyError, msgspec.DecodeError):
            return
        said = BegunLimits(told.patient, {**rules, **told.rules})
        self._said[BEGUN_LIMITS, told.patient] = msgspec.structs.replace(
            begun, payload=msgspec.json.encode(said)
        )

    def _take(self, recap: Packet) -> None:
        try:
            said = msgspec.msgpack.decode(recap.payload, type=list[Packet])
        except msgspec.DecodeError:
            return
        self._said.clear()
        self.note_all(said)
