"""A device on the desk: the other end of a `Connection`, without radio, for the reader's parts."""

from __future__ import annotations

import asyncio

import msgspec

from edge.clock import WallEntry
from edge.devices import Device
from edge.events import DEVICE_CLOCK, DeviceClock
from edge.gatt import Profile, uuid
from edge.readers import Rim
from edge.readers._ble_gatt import Characteristic, Identity, choose
from edge.readers._ble_records import Memory
from edge.readers._ble_session import Plan, Session
from tests.rigs.fast_loop import run_fast


class Desk:
    """Characteristics that are read, written and subscribed to.

    Attributes
    ----------
    values : dict[str, bytes | Exception]
        What a read gives, by UUID.
    written : list[tuple[str, bytes, bool]]
        What was written, in order.
    on_write : dict[str, callable]
        Called with what is written to a UUID; may call `notify`.
    log : list[str]
        What was done, in order.
    """

    def __init__(self, *found: Characteristic, mtu: int = 247) -> None:
        self.name, self.adapter, self.mtu = "desk", "hci0", mtu
        self.found = found
        self.gone = asyncio.Event()
        self.values = {}
        self.written = []
        self.on_write = {}
        self.log = []
        self._takes = {}

    async def read(self, characteristic):
        await asyncio.sleep(0.01)
        self.log.append(f"read {characteristic.uuid[4:8]}")
        value = self.values.get(characteristic.uuid, b"")
        if isinstance(value, Exception):
            raise value
        return value

    async def write(self, characteristic, payload, *, response):
        await asyncio.sleep(0.01)
        self.log.append(f"write {characteristic.uuid[4:8]} {payload.hex()}")
        self.written.append((characteristic.uuid, payload, response))
        react = self.on_write.get(characteristic.uuid)
        if isinstance(react, Exception):
            raise react
        if react is not None:
            asyncio.get_running_loop().call_later(0.01, react, payload)

    async def subscribe(self, characteristic, take):
        await asyncio.sleep(0.01)
        self.log.append(f"subscribe {characteristic.uuid[4:8]}")
        assert characteristic.handle not in self._takes
        self._takes[characteristic.handle] = take

    def notify(self, uuid, payload):
        for one in self.found:
            if one.uuid == uuid and one.handle in self._takes:
                self._takes[one.handle](one, bytearray(payload))

    async def close(self):
        self.gone.set()


def has(service, *characteristics):
    """Return characteristics of a service: pairs of UUID and what it can."""
    return tuple(
        Characteristic(hash((service, uuid)) & 0xFFFFFF, service, uuid, frozenset(can.split()))
        for uuid, can in characteristics
    )


SERVICE, DATA, CONTROL, ONCE = uuid(0xFE00), uuid(0xFE01), uuid(0xFE02), uuid(0xFE03)
WALL = WallEntry("boot", 100.0, 1_800_000_000.0, synchronised=True)
UNSET = msgspec.structs.replace(WALL, synchronised=False)
STREAMING = Profile("streaming", "", SERVICE, (DATA,), deadline_s=5.0)
FOUND = has(
    SERVICE, (DATA, "notify"), (CONTROL, "write write-without-response notify"), (ONCE, "read")
)


class Bench:
    """A session with a device on the desk, and what came out of it."""

    def __init__(self, desk, *profiles, device=None, wall=WALL, write_time=True, memory=None):
        self.desk, self.got, self.log = desk, [], desk.log
        self.memory = memory or Memory()
        loop = asyncio.get_running_loop()
        rim = Rim(self.deliver, loop.time, profiles=profiles)
        uses = choose(profiles, desk.found, Identity())
        plan = Plan(
            device or Device(address="AA:BB:CC:DD:EE:FF", name="x", consent=True),
            rim,
            self.memory,
            lambda: self.log.append("opened"),
            lambda: wall,
            write_time,
        )
        self.session = Session(desk, uses, plan)

    def deliver(self, packet):
        self.got.append(packet)
        self.log.append(f"packet {packet.stream}")

    def payloads(self, stream=DATA):
        return [one.payload for one in self.got if one.stream == stream]

    def clock(self):
        return next(
            msgspec.json.decode(one.payload, type=DeviceClock)
            for one in self.got
            if one.stream == DEVICE_CLOCK
        )


def fast(scenario):
    run_fast(scenario(), 60)
