"""One Bluetooth adapter of the small BlueZ: ``org.bluez.Adapter1`` over a bumble central."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from bumble.controller import Controller
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration
from bumble.hci import Address
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig

from edge.virtual._advertising import short
from edge.virtual._agents import Agents, Asker
from edge.virtual._dbus_tree import Tree, Values, bluez_error
from edge.virtual._discovery import Discovery
from edge.virtual._ether import HUNG_UP, HUNG_UP_HERE, Ether
from edge.virtual._faults import Faults
from edge.virtual._links import Linking
from edge.virtual._remote import DEVICE, Remote

log = logging.getLogger(__name__)

ADAPTER: Final = "org.bluez.Adapter1"
FORGET_S: Final = 180.0
"""A device that is not paired and was not heard for so long is forgotten."""

_FRESH: Final[Values] = {
    "AddressType": "public",
    "Name": "homeward",
    "Alias": "homeward",
    "Class": 0,
    "Powered": True,
    "Discoverable": False,
    "DiscoverableTimeout": 180,
    "Pairable": True,
    "PairableTimeout": 0,
    "Discovering": False,
    "UUIDs": [],
    "Modalias": "usb:v1D6Bp0246d0542",
    "Roles": ["central", "peripheral"],
}


_WRITABLE: Final = frozenset(
    {"Alias", "Discoverable", "DiscoverableTimeout", "Pairable", "PairableTimeout"}
)


class Adapter:
    """One radio of the box.

    Attributes
    ----------
    path : str
        Its D-Bus object.
    discovery : Discovery
        Who wants to know what is in range.
    remotes : dict[str, Remote]
        Devices it has heard of, by D-Bus object.
    asker_wanted : dict[str, str]
        By address, which client's ``Pair`` is under way.
    """

    def __init__(
        self, name: str, address: str, ether: Ether, tree: Tree, agents: Agents, faults: Faults
    ) -> None:
        self.path = f"/org/bluez/{name}"
        self.name = name
        self.address = address
        self.ether = ether
        self.tree = tree
        self.agents = agents
        self.faults = faults
        self.remotes: dict[str, Remote] = {}
        self.asker_wanted: dict[str, str] = {}
        self.discovery = Discovery(faults)
        self._n_listening = 0
        self._scanning = asyncio.Lock()
        self._keys = MemoryKeyStore()
        self._aging: asyncio.Task[None] | None = None
        self.controller = Controller(name, link=ether, public_address=address)
        self.device = Device.from_config_with_hci(
            DeviceConfiguration(name=name, address=Address("F0:00:00:00:00:01")),
            self.controller,
            self.controller,
        )
        self.device.keystore = self._keys
        self.device.pairing_config_factory = self._pairing
        self.device.on("advertisement", self._hear)
        self.links = Linking(self.device, self.controller)

    async def start(self) -> None:
        """Switch the radio on."""
        await self.device.power_on()
        self._aging = asyncio.ensure_future(self._age())

    async def stop(self) -> None:
        """Take the radio away for good."""
        if self._aging is not None:
            self._aging.cancel()
        await self.hide()
        self.ether.remove(self.controller)

    def show(self) -> None:
        """Show the adapter and its bonds, as bluetoothd does when it starts."""
        self.tree.add(self.path, {ADAPTER: {**_FRESH, "Address": self.address}})
        for remote in self.remotes.values():
            remote.show()

    async def hide(self) -> None:
        """Take the adapter's objects away; what is bonded is remembered."""
        self.ether.cut(self.controller, HUNG_UP_HERE, HUNG_UP)
        self.discovery.clear(filters=True)
        for path, remote in list(self.remotes.items()):
            await remote.disconnect()
            if not remote.values.get("Paired"):
                self.remotes.pop(path, None)
        await self._scan()
        self.tree.remove(self.path)

    async def unplug(self) -> None:
        """Pull it out, or let its firmware hang: the adapter and its devices are gone."""
        self.ether.leave(self.controller, 0.0)
        await self.hide()

    def plug(self) -> None:
        """Put it in again."""
        self.ether.come(self.controller)
        self.faults.adapter_started()
        self.show()

    @property
    def powered(self) -> bool:
        """Whether it is there and switched on."""
        return bool(self.tree.objects.get(self.path, {}).get(ADAPTER, {}).get("Powered"))

    @property
    def n_links(self) -> int:
        """How many links it holds."""
        return sum(remote.link is not None for remote in self.remotes.values())

    # Methods of Adapter1

    async def call(self, member: str, sender: str, body: list[Any]) -> list[Any]:
        """Carry out a method; return its results.

        Raises
        ------
        DBusError
            It cannot be done.
        """
        match member:
            case "StartDiscovery":
                await self._discover(sender, on=True)
            case "StopDiscovery":
                await self._discover(sender, on=False)
            case "SetDiscoveryFilter":
                values = {key: value.value for key, value in body[0].items()}
                self.discovery.filter(sender, values)
            case "RemoveDevice":
                await self._remove(str(body[0]))
            case _:
                return [["UUIDs", "RSSI", "Pathloss", "Transport", "DuplicateData"]]
        return []

    async def set(self, name: str, value: Any) -> None:  # noqa: ANN401  # D-Bus values
        """Change a property.

        Raises
        ------
        DBusError
            It cannot be changed.
        """
        if name == "Powered":
            await self._power(on=bool(value))
        elif name in _WRITABLE:
            self.tree.put(self.path, ADAPTER, {name: value})
        else:
            raise bluez_error("Failed", f"{name} is read-only")

    async def client_gone(self, sender: str) -> None:
        """End what a client that has left the bus had under way."""
        if self.discovery.forget(sender):
            await self._scan()
        for remote in self.remotes.values():
            remote.table.client_gone(sender)

    async def _discover(self, sender: str, *, on: bool) -> None:
        if not self.powered:
            raise bluez_error("NotReady", "Resource Not Ready")
        if on:
            self.discovery.start(sender)
        else:
            self.discovery.stop(sender)
        await self._scan()
        if not self.discovery:
            for remote in self.remotes.values():
                self.tree.drop(remote.path, DEVICE, "RSSI", "TxPower")

    async def _remove(self, path: str) -> None:
        remote = self.remotes.get(path)
        if remote is None:
            raise bluez_error("DoesNotExist", "Does Not Exist")
        self.faults.stuck_devices.discard(short(remote.address))
        await remote.disconnect()
        await self._keys.delete(str(remote.address))
        self.remotes.pop(path, None)
        self.tree.remove(path)

    async def _power(self, *, on: bool) -> None:
        if on == self.powered:
            return
        if on and self.faults.take("power_fails"):
            raise bluez_error("Failed", "Failed")
        self.faults.adapter_started()
        if not on:
            self.discovery.clear()
            for remote in list(self.remotes.values()):
                await remote.disconnect()
            await self._scan()
        self.tree.put(self.path, ADAPTER, {"Powered": on})

    # The radio

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for advertisements, whether or not anybody discovers."""
        self._n_listening += 1
        try:
            await self._scan()
            yield
        finally:
            self._n_listening -= 1
            await self._scan()

    async def has_keys(self, address: Address) -> bool:
        """Return whether there is a bond with a device."""
        return await self._keys.get(str(address)) is not None

    async def _scan(self) -> None:
        async with self._scanning:
            wanted = bool(self.discovery or self._n_listening)
            if wanted and not self.device.is_scanning:
                await self.device.start_scanning(filter_duplicates=False)
            elif not wanted and self.device.is_scanning:
                await self.device.stop_scanning()
            self.tree.put(self.path, ADAPTER, {"Discovering": bool(self.discovery)})

    def _hear(self, told: Advertisement) -> None:
        if self.faults.deaf or self.faults.deaf_until_cycle or not self.powered:
            return
        remote = next((one for one in self.remotes.values() if one.address == told.address), None)
        if remote is None:
            if not self.discovery or not self.discovery.wants(told):
                return
            remote = Remote(self, told.address)
            self.remotes[remote.path] = remote
        remote.hear(told)

    async def _age(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(FORGET_S / 20)
            for path, remote in list(self.remotes.items()):
                if remote.idle and loop.time() - remote.heard_s > FORGET_S:
                    del self.remotes[path]
                    self.tree.remove(path)

    def _pairing(self, link: Connection) -> PairingConfig:
        name = short(link.peer_address)
        sender = self.asker_wanted.get(name, "")
        path = f"{self.path}/dev_{name.replace(':', '_')}"
        agent = self.agents.of(sender)
        return Asker(self.agents, agent, path, wanted=bool(sender)).pairing()
