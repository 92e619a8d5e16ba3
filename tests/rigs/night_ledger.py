"""Accounts of a night: what the sensors' radios delivered, and what the box made packets of.

**Delivered** is what the box's radio took off the air (`edge.virtual._radio.Delivered`): a
notification or indication of a characteristic the reader listens to, on a link that stood, to
which the box had subscribed. Each must become one packet, in the order in which they came.

What is missing of it is one of three:

- **known**: a record that had become a packet before, live or fetched, and was sent again;
- **in flight**: nothing that was delivered after it on the same link became a packet either, and
  the link ended within `FLIGHT_S` of it: the link was let go while it was on its way through the
  message bus to the reader;
- **lost**: anything else.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from edge.gatt import STORED, Profile
from edge.records import Packet
from edge.virtual import Wearable
from edge.virtual._radio import Delivered

FLIGHT_S = 1.0
"""A notification is on its way to the reader for no longer; in the night's time."""
N_EXAMPLES = 20


class Item(NamedTuple):
    """One notification that was delivered, and the number of the link it came over."""

    payload: bytes
    at_s: float
    link: int


class Account(msgspec.Struct):
    """What became of the notifications of one sensor."""

    n_delivered: int = 0
    n_packets: int = 0
    n_known: int = 0
    n_in_flight: int = 0
    n_lost: int = 0
    n_twice: int = 0
    n_unasked: int = 0


class Sensor:
    """The books of one sensor."""

    def __init__(self, wearable: Wearable, profiles: Iterable[Profile]) -> None:
        services = {one.uuid for one in wearable.services}
        self.account = Account()
        self.n_links = 0
        self.ended_s: dict[int, float] = {}
        self.coming: dict[str, deque[Item]] = {}
        self.streams: dict[str, str] = {}
        self.records_on: set[str] = set()
        self.record_packets: defaultdict[str, Counter[bytes]] = defaultdict(Counter)
        """Per stream, how often each record came."""
        for one in profiles:
            if one.service not in services or one.quirk is not None:
                continue
            for uuid in one.listen:
                self.coming[uuid] = deque()
                self.streams[uuid] = uuid
            if one.records is not None:
                self.streams[STORED + one.records.on] = one.records.on
                self.records_on |= {*one.listen}

    def records(self) -> set[tuple[str, bytes]]:
        """Return all records that came, live or from storage: characteristic and payload."""
        return {
            (self.streams[stream], payload)
            for stream, counts in self.record_packets.items()
            for payload in counts
        }

    def n_both(self) -> int:
        """Return how many records came live, and once more from storage."""
        return sum(
            len(counts.keys() & self.record_packets[STORED + stream].keys())
            for stream, counts in tuple(self.record_packets.items())
            if not stream.startswith(STORED)
        )


class Ledger:
    """The books of all sensors.

    Parameters
    ----------
    profiles : Iterable[Profile]
        What the reader knows.

    Attributes
    ----------
    troubles : list[str]
        The first notifications that were lost, came twice, or came from nowhere.
    """

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self._profiles = tuple(profiles)
        self.sensors: dict[str, Sensor] = {}
        self.troubles: list[str] = []

    def add(self, address: str, wearable: Wearable) -> Sensor:
        """Keep books of one more sensor."""
        self.sensors[address] = Sensor(wearable, self._profiles)
        return self.sensors[address]

    def linked(self, address: str, at_s: float, *, is_up: bool) -> None:
        """Note that a link came up or ended."""
        sensor = self.sensors[address]
        if is_up:
            sensor.n_links += 1
        else:
            sensor.ended_s[sensor.n_links] = at_s
            sensor.ended_s.pop(sensor.n_links - 50, None)

    def delivered(self, address: str, one: Delivered) -> None:
        """Note what reached the box's radio."""
        sensor = self.sensors[address]
        if one.uuid in sensor.coming:
            sensor.account.n_delivered += 1
            sensor.coming[one.uuid].append(Item(one.payload, one.at_s, sensor.n_links))

    def took(self, packet: Packet) -> None:
        """Note what became a packet."""
        sensor = self.sensors.get(packet.source)
        uuid = sensor.streams.get(packet.stream) if sensor is not None else None
        if sensor is None or uuid is None:
            return
        sensor.account.n_packets += 1
        coming = sensor.coming[uuid]
        at = next((n for n, item in enumerate(coming) if item.payload == packet.payload), None)
        if at is None:
            sensor.account.n_unasked += 1
            self._say(f"{packet.source} {packet.stream}: a packet that was not delivered", packet)
        else:
            link = coming[at].link
            for _ in range(at):  # what lies before it was passed over
                self._missing(packet.source, uuid, coming.popleft(), link)
            coming.popleft()
        if uuid in sensor.records_on:
            seen = sensor.record_packets[packet.stream]
            seen[packet.payload] += 1
            if seen[packet.payload] > 1:
                sensor.account.n_twice += 1
                self._say(f"{packet.source} {packet.stream}: a record came twice", packet)

    def close(self) -> None:
        """Count what never became a packet: the night is over, and all has settled."""
        for address, sensor in self.sensors.items():
            for uuid, coming in sensor.coming.items():
                while coming:
                    self._missing(address, uuid, coming.popleft(), -1)

    def _missing(self, address: str, uuid: str, item: Item, next_link: int) -> None:
        """Judge one notification that was passed over; `next_link`: of the next that was not."""
        sensor = self.sensors[address]
        ended_s = sensor.ended_s.get(item.link)
        packets = sensor.record_packets
        if any(item.payload in packets.get(stream, ()) for stream in (STORED + uuid, uuid)):
            sensor.account.n_known += 1
        elif item.link != next_link and ended_s is not None and ended_s - item.at_s <= FLIGHT_S:
            sensor.account.n_in_flight += 1
        else:
            sensor.account.n_lost += 1
            before = "open" if ended_s is None else f"{ended_s - item.at_s:.2f} s before its end"
            self._say(f"{address} {uuid} lost at {item.at_s:.2f} ({before})", item)

    def _say(self, text: str, told: Packet | Item) -> None:
        if len(self.troubles) < N_EXAMPLES:
            self.troubles.append(f"{text}: {told.payload[:8].hex()}")
