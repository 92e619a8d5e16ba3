"""The radio of one virtual wearable: bumble's device, its keys, and the port its peripheral has."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from bumble.att import ATT_CID
from bumble.controller import Controller
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.hci import Address
from bumble.keys import MemoryKeyStore

from edge.virtual import Peripheral, Wearable
from edge.virtual._ether import Ether
from edge.virtual._face import Face, Screen
from edge.virtual._table import Table

log = logging.getLogger(__name__)

ADVERTISING_MS: Final = 100
"""Time between advertisements; wearables that want to be found use 100 ms to 1 s."""
MAX_MTU: Final = 517
_NOTIFICATION: Final = 0x1B
_INDICATION: Final = 0x1D


class Delivered(NamedTuple):
    """A notification or indication that reached the other radio.

    Attributes
    ----------
    uuid : str
        Characteristic.
    payload : bytes
        All of it.
    at_s : float
        By the clock of the event loop.
    """

    uuid: str
    payload: bytes
    at_s: float


class Radio:
    """What a wearable sends with; it is the `edge.virtual.Port` of its peripheral.

    Attributes
    ----------
    delivered : list[Delivered]
        What reached the other radio, in order; clear it in long runs.
    too_long : list[tuple[str, int]]
        Characteristic and length of what was not sent because it exceeds the link's MTU.
    n_overflowed : int
        What was not sent because the radio's buffers were full.
    n_lost : int
        What chance threw away; see `OnAir.lose`.
    battery_pct : int
        Level its battery service tells.
    failure : BaseException | None
        How the peripheral failed, the first time.
    on_delivered : Callable[[Delivered], None] | None
        Called for each; with it set, `delivered` stays empty.
    on_link : Callable[[bool, int], None] | None
        Called when a link comes up (True, 0) or goes down (False, HCI reason).
    """

    def __init__(  # noqa: PLR0913  # what a device is
        self,
        ether: Ether,
        wearable: Wearable,
        seed: int,
        address: str,
        *,
        name: str,
        face: Face,
        secure_connections: bool,
        max_mtu: int,
    ) -> None:
        self.ether = ether
        self.wearable = wearable
        self.name = name
        self.address = address
        self.max_mtu = max_mtu
        self.peripheral: Peripheral = wearable.open(seed)
        self.delivered: list[Delivered] = []
        self.on_delivered: Callable[[Delivered], None] | None = None
        self.on_link: Callable[[bool, int], None] | None = None
        self.too_long: list[tuple[str, int]] = []
        self.n_overflowed = 0
        self.n_lost = 0
        self.battery_pct = 87
        self.failure: BaseException | None = None
        self.loss = 0.0
        self.mute = False
        self._dice = random.Random(seed)  # noqa: S311  # chance in a simulation, not a secret
        self._tasks: set[asyncio.Task[None]] = set()
        self.controller = Controller(name, link=ether)
        self.device = _device(name, address, self.controller)
        self.keys = MemoryKeyStore()
        self.device.keystore = self.keys
        self.screen = Screen(face, self._dice)
        self.device.pairing_config_factory = lambda _: self.screen.pairing(
            secure_connections=secure_connections
        )
        self.table = Table(self)
        self.device.on("connection", self.linked)
        self.device.on("key_store_update", self.bond_kept)
        ether.taps.append(self.tap)

    # The port

    def now_s(self) -> float:
        """Return the time of the event loop."""
        return asyncio.get_running_loop().time()

    async def sleep(self, span_s: float) -> None:
        """Wait."""
        await asyncio.sleep(span_s)

    def subscribed(self, uuid: str) -> bool:
        """Return whether a central wants a characteristic."""
        return self.table.subscriber(uuid) is not None

    async def send(self, uuid: str, payload: bytes) -> bool:
        """Notify or indicate, unless nobody wants it, it is too long, or the radio is full."""
        wanted = self.table.subscriber(uuid)
        if wanted is None or self.mute:
            return False
        link, indicated = wanted
        if len(payload) > link.att_mtu - 3:
            # bumble would cut it, and a device that cut its own data would be of no use.
            self.too_long.append((uuid, len(payload)))
            log.warning("%s: %d bytes exceed the MTU of %d", self.name, len(payload), link.att_mtu)
            return False
        if self.loss and self._dice.random() < self.loss:
            self.n_lost += 1
            return True
        if self.ether.full(self.controller):
            self.n_overflowed += 1
            return False
        return await self.table.send(link, uuid, payload, indicated=indicated)

    # What the table and bumble tell

    def write(self, uuid: str, payload: bytes) -> None:
        """Hand the peripheral what was written; the write is confirmed before it answers."""
        self.spawn(self.peripheral.written(self, uuid, payload))

    def linked(self, link: Connection) -> None:
        """Note that a link was made."""

        def gone(reason: int) -> None:
            self.screen.clear()
            if self.on_link is not None:
                self.on_link(False, reason)  # noqa: FBT003

        link.on("disconnection", gone)
        if self.on_link is not None:
            self.on_link(True, 0)  # noqa: FBT003

    def bond_kept(self) -> None:
        """Note that keys were exchanged."""
        self.screen.clear()
        for keys in self.keys.all_keys.values():
            if keys.ltk is None and keys.ltk_central is not None and keys.ltk_peripheral:
                # With the pairing of Bluetooth 4.0 each side has a key of its own. A peripheral
                # must answer with its own; bumble files it as the other's, and gives that.
                keys.ltk_peripheral, keys.ltk_central = keys.ltk_central, None

    def tap(self, sender: Controller, data: bytes) -> None:
        """Note notifications and indications of ours that arrived (an L2CAP basic frame)."""
        if sender is not self.controller or int.from_bytes(data[2:4], "little") != ATT_CID:
            return
        if data[4] not in (_NOTIFICATION, _INDICATION):
            return
        uuid = self.table.uuid(int.from_bytes(data[5:7], "little"))
        one = Delivered(uuid, data[7:], self.now_s())
        if self.on_delivered is not None:
            self.on_delivered(one)
        else:
            self.delivered.append(one)

    # The peripheral's life

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a part of the peripheral; what it raises is kept."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def end_tasks(self) -> None:
        """Stop all parts of the peripheral."""
        for task in list(self._tasks):
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = self.failure or error
            log.error("%s failed", self.name, exc_info=error)


def _device(name: str, address: str, controller: Controller) -> Device:
    configuration = DeviceConfiguration(
        name=name,
        address=Address(address),
        advertising_interval_min=ADVERTISING_MS,
        advertising_interval_max=ADVERTISING_MS,
    )
    return Device.from_config_with_hci(configuration, controller, controller)
