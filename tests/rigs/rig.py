"""What the contract asks of a rig, whichever tier it is; and tier (a)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from edge.gatt import uuid
from edge.virtual import Characteristic, Guard, Port, Service, Wearable
from edge.virtual._bluez import Bluez
from edge.virtual._face import Face

MEASUREMENT = uuid(0x2A37)
COUNTER = "f0d10001-6f6d-4577-a1d5-686f6d657761"
SECRET = "f0d10002-6f6d-4577-a1d5-686f6d657761"  # noqa: S105  # a UUID
CONFIRMED_SECRET = "f0d10003-6f6d-4577-a1d5-686f6d657761"  # noqa: S105  # a UUID
INBOX = "f0d10004-6f6d-4577-a1d5-686f6d657761"
LONG = "f0d10005-6f6d-4577-a1d5-686f6d657761"
MINE = "f0d10000-6f6d-4577-a1d5-686f6d657761"
BIG = bytes(range(200))
PERIOD_S = 0.05


class _Gadget:
    """Counts: ten numbers in half a second, notified and indicated, and echoes what is written."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.n = 0

    async def run(self, port: Port) -> None:
        while True:
            await port.sleep(PERIOD_S)
            if port.subscribed(MEASUREMENT):
                self.n += 1
                await port.send(MEASUREMENT, self.n.to_bytes(4, "little"))
            if port.subscribed(COUNTER):
                self.n += 1
                await port.send(COUNTER, self.n.to_bytes(4, "little"))
            if port.subscribed(LONG):
                await port.send(LONG, BIG)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:  # noqa: ARG002
        await port.send(INBOX, payload[::-1])

    def value(self, uuid: str, now_s: float) -> bytes | None:  # noqa: ARG002
        return None


GADGET = Wearable(
    name="gadget",
    words="a device of all kinds",
    local_name="Gadget",
    services=(
        Service(uuid(0x180D), (Characteristic(MEASUREMENT, ("notify",)),), advertised=True),
        Service(
            MINE,
            (
                Characteristic(COUNTER, ("indicate",)),
                Characteristic(SECRET, ("read",), b"secret", guard=Guard.ENCRYPTED),
                Characteristic(CONFIRMED_SECRET, ("read",), b"top", guard=Guard.AUTHENTICATED),
                Characteristic(INBOX, ("write", "write_without_response", "notify")),
                Characteristic(LONG, ("notify", "read"), BIG),
            ),
        ),
    ),
    open=_Gadget,
)
"""A wearable with one characteristic of each kind."""


class InHand(Protocol):
    """A wearable the test holds in its hand."""

    name: str
    address: str

    @property
    def passkey(self) -> int | None: ...
    @property
    def connected(self) -> bool: ...
    def fade(self) -> None: ...
    def back(self) -> None: ...
    def hang_up(self) -> None: ...
    def forget_bond(self) -> None: ...


class Rig(Protocol):
    """A BlueZ that this process reaches through DBUS_SYSTEM_BUS_ADDRESS, and air around it.

    Attributes
    ----------
    patience : float
        How much longer than tier (a) everything may take.
    """

    patience: float

    async def put_on_air(
        self, wearable: Wearable, *, face: Face | None = None, max_mtu: int = 517
    ) -> InHand: ...


class _Fast:
    """Tier (a): the small BlueZ."""

    patience = 1.0

    def __init__(self, bluez: Bluez) -> None:
        self.bluez = bluez

    async def put_on_air(
        self, wearable: Wearable, *, face: Face | None = None, max_mtu: int = 517
    ) -> InHand:
        return await self.bluez.put_on_air(wearable, face=face, max_mtu=max_mtu)


@asynccontextmanager
async def fast_rig(address: str) -> AsyncIterator[Rig]:
    """Run tier (a) on a private bus."""
    bluez = await Bluez(address).start()
    try:
        yield _Fast(bluez)
    finally:
        await bluez.stop()
