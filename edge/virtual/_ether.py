"""What lies between the radios: bumble's LocalLink, with distance, slowness and loss.

bumble's own link delivers everything at once, to everybody, for ever. This one knows who is out of
range, holds back what was sent over a slow or broken link as the link layer of a real radio does
(nothing is lost and nothing overtakes while the link lives), and tells who listens what arrived.

Made for bumble 0.0.236; see `tests/rigs/README.md` for why the version is pinned.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from bumble import ll
from bumble.controller import Connection as Link
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.hci import Address, HCI_ErrorCode
from bumble.link import LocalLink

SUPERVISION_S: Final = 0.42
"""Silence after which a link is given up: Linux's default for LE connections (42 x 10 ms)."""
MAX_HELD: Final = 64
"""Packets a radio keeps for a link that does not move; then it takes no more."""
ESTABLISH_S: Final = 0.1
"""Time after which a new link must be known to both sides."""
NOT_ESTABLISHED: Final = HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
TIMED_OUT: Final = HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
HUNG_UP: Final = HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
HUNG_UP_HERE: Final = HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR

Tap: TypeAlias = Callable[[Controller, bytes], None]
"""Told of every data packet that arrived: who sent it, and its L2CAP bytes."""


class Ether(LocalLink):
    """The space the radios share.

    Attributes
    ----------
    away : set[Controller]
        Radios nobody can hear, and that hear nobody.
    interval_s : dict[Controller, float]
        Radios whose links exchange packets only this often.
    rssi_dbm : dict[str, int]
        By address, how strongly a radio is heard.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.away: set[Controller] = set()
        self.interval_s: dict[Controller, float] = {}
        self.rssi_dbm: dict[str, int] = {}
        self.taps: list[Tap] = []
        self._held: dict[tuple[Controller, Controller], deque[bytes]] = {}
        self._timers: dict[tuple[Controller, Controller], asyncio.TimerHandle] = {}

    # What bumble calls.

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Carry a data packet: now, at the next meeting of the radios, or when back in range."""
        link = sender_controller.le_connections.get(destination_address)
        receiver = self.find_le_controller(destination_address)
        if transport != PhysicalTransport.LE or link is None or receiver is None:
            return
        way = (sender_controller, receiver)
        if way not in self._held and self._reach(*way) and not self._interval(*way):
            asyncio.get_running_loop().call_soon(self._arrive, way, data)
            return
        waiting = self._held.setdefault(way, deque())
        waiting.append(data)
        if self._reach(*way) and way not in self._timers:
            self._meet_later(way)

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Carry an advertisement, or the wish to connect, to all in range."""
        if sender_controller in self.away or sender_controller not in self.controllers:
            return
        loop = asyncio.get_running_loop()
        if isinstance(packet, ll.ConnectInd):
            loop.call_later(ESTABLISH_S, self._check, sender_controller, packet.advertiser_address)
        for radio in self.controllers:
            if radio is not sender_controller and radio not in self.away:
                loop.call_soon(radio.on_ll_advertising_pdu, packet)

    def send_ll_control_pdu(
        self, sender_address: Address, receiver_address: Address, packet: ll.ControlPdu
    ) -> None:
        """Carry a link-layer packet; out of range it is lost."""
        receiver = self.find_le_controller(receiver_address)
        sender = self.find_le_controller(sender_address)
        if receiver is None or sender is None or not self._reach(sender, receiver):
            return
        if receiver.le_connections.get(sender_address) is not None:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)

    # What the rig calls.

    def full(self, sender: Controller) -> bool:
        """Return whether a radio has no room left for what it is asked to send."""
        return any(
            len(waiting) >= MAX_HELD for way, waiting in self._held.items() if way[0] is sender
        )

    def leave(self, radio: Controller, supervision_s: float = SUPERVISION_S) -> None:
        """Take a radio out of range; its links are given up unless it is back soon enough."""
        self.away.add(radio)
        loop = asyncio.get_running_loop()
        for link in list(radio.le_connections.values()):
            loop.call_later(supervision_s, self._time_out, radio, link)

    def come(self, radio: Controller) -> None:
        """Bring a radio back in range; links that still live go on where they stopped."""
        self.away.discard(radio)
        for link in list(radio.le_connections.values()):
            if self._other_end(radio, link) is None:
                radio.on_le_disconnected(link, TIMED_OUT)
        for way in list(self._held):
            if radio in way and self._reach(*way) and way not in self._timers:
                self._meet_later(way)

    def cut(self, radio: Controller, here: int, there: int) -> None:
        """End all links of a radio, and tell both sides why."""
        for link in list(radio.le_connections.values()):
            self._end(radio, link, here, there)

    def remove(self, radio: Controller) -> None:
        """Take a radio away for good."""
        self.controllers.discard(radio)
        self.away.discard(radio)
        self.interval_s.pop(radio, None)
        for way in [way for way in {*self._held, *self._timers} if radio in way]:
            self._forget(way)

    def _time_out(self, radio: Controller, link: Link) -> None:
        if radio in self.away and radio.le_connections.get(link.peer_address) is link:
            self._end(radio, link, TIMED_OUT, TIMED_OUT)

    def _check(self, radio: Controller, address: Address) -> None:
        """End a link that only one side believes in: the other did not hear that it was made."""
        link = radio.le_connections.get(address)
        if link is not None and self._other_end(radio, link) is None:
            radio.on_le_disconnected(link, NOT_ESTABLISHED)

    def _end(self, radio: Controller, link: Link, here: int, there: int) -> None:
        found = self._other_end(radio, link)
        if found is not None:
            peer, other = found
            peer.on_le_disconnected(other, there)
            self._forget((radio, peer))
            self._forget((peer, radio))
        radio.on_le_disconnected(link, here)

    def _other_end(self, radio: Controller, link: Link) -> tuple[Controller, Link] | None:
        for peer in self.controllers:
            other = peer.le_connections.get(link.self_address)
            if peer is not radio and other is not None and other.self_address == link.peer_address:
                return peer, other
        return None

    def _forget(self, way: tuple[Controller, Controller]) -> None:
        self._held.pop(way, None)
        timer = self._timers.pop(way, None)
        if timer is not None:
            timer.cancel()

    def _reach(self, one: Controller, other: Controller) -> bool:
        return one not in self.away and other not in self.away

    def _interval(self, one: Controller, other: Controller) -> float:
        return max(self.interval_s.get(one, 0.0), self.interval_s.get(other, 0.0))

    def _meet_later(self, way: tuple[Controller, Controller]) -> None:
        loop = asyncio.get_running_loop()
        interval_s = self._interval(*way)
        # Connection events lie on a grid, so that packets between two of them come in one burst.
        wait_s = interval_s - loop.time() % interval_s if interval_s else 0.0
        self._timers[way] = loop.call_later(wait_s, self._meet, way)

    def _meet(self, way: tuple[Controller, Controller]) -> None:
        self._timers.pop(way, None)
        if not self._reach(*way):
            return
        for data in self._held.pop(way, ()):
            self._arrive(way, data)

    def _arrive(self, way: tuple[Controller, Controller], data: bytes) -> None:
        sender, receiver = way
        for link in sender.le_connections.values():
            if self.find_le_controller(link.peer_address) is receiver:
                receiver.on_link_acl_data(link.self_address, PhysicalTransport.LE, data)
                for tap in self.taps:
                    tap(sender, data)
                return
