"""One device as the small BlueZ sees it: ``org.bluez.Device1``, its link, its services."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bumble.core import ConnectionError as LinkError
from bumble.core import ProtocolError
from bumble.device import Advertisement, Connection
from bumble.hci import Address, HCI_Error

from edge.virtual._advertising import advertised, short
from edge.virtual._dbus_tree import Values, bluez_error
from edge.virtual._faults import ABORTED
from edge.virtual._links import BY_SECURITY, alive, hang_up
from edge.virtual._remote_gatt import RemoteTable

if TYPE_CHECKING:
    from edge.virtual._adapter import Adapter

log = logging.getLogger(__name__)

DEVICE: Final = "org.bluez.Device1"
CONNECT_S: Final = 20.0
"""Time in which a device has to be heard (the kernel's HCI_LE_CONN_TIMEOUT)."""
PAIR_S: Final = 30.0
"""Time the other side has for each step of pairing (SMP timeout, Core 5.4, 3.H.3.4)."""

_FLASH_S: Final = 0.05
_KEPT: Final = ("Alias", "Bonded", "Name", "Paired", "Trusted", "UUIDs")
"""What BlueZ stores of a device with a bond."""


class Remote:
    """A device that was heard of.

    Attributes
    ----------
    address : Address
        Its identity address.
    identity : str
        The same as text.
    link : Connection | None
        The link to it.
    heard : asyncio.Event
        Set at each advertisement.
    heard_s : float
        When it was last heard, by the clock of the event loop.
    """

    def __init__(self, adapter: Adapter, address: Address) -> None:
        self.adapter = adapter
        self.address = address
        self.identity = short(address)
        self.path = f"{adapter.path}/dev_{short(address).replace(':', '_')}"
        self.link: Connection | None = None
        self.table = RemoteTable(self)
        self.heard = asyncio.Event()
        self.heard_s = 0.0
        self._stored: Values = {}
        self._connecting: asyncio.Future[Connection] | None = None
        self._pairing: asyncio.Task[None] | None = None
        self._resolving: asyncio.Task[None] | None = None

    # State

    @property
    def values(self) -> Values:
        """Its properties, or what was stored of them while it is not shown."""
        shown = self.adapter.tree.objects.get(self.path, {}).get(DEVICE)
        if shown is not None:
            self._stored = shown
        return self._stored

    def put(self, **values: Any) -> None:  # noqa: ANN401  # D-Bus values are of any type
        """Change its properties."""
        self.adapter.tree.put(self.path, DEVICE, values)

    @property
    def idle(self) -> bool:
        """Whether nothing holds it: it may be forgotten when it is not heard any more."""
        busy = self.link or self._connecting or self._pairing
        return not (busy or self.values.get("Paired"))

    def show(self) -> None:
        """Show it again, from what was stored of it."""
        kept: Values = {key: self._stored[key] for key in _KEPT if key in self._stored}
        self.adapter.tree.add(self.path, {DEVICE: {**self._unknown(), **kept}})

    def hear(self, told: Advertisement) -> None:
        """Take an advertisement."""
        self.heard_s = asyncio.get_running_loop().time()
        self.heard.set()
        if not self.adapter.discovery:
            return
        news = advertised(told)
        news["RSSI"] = self.adapter.ether.rssi_dbm.get(self.identity, -60)
        if self.path in self.adapter.tree.objects:
            self.adapter.tree.put(self.path, DEVICE, news, always=True)
            return
        name = news.setdefault("Alias", self.identity.replace(":", "-"))
        log.debug("new device %s %s", self.path, name)
        self.adapter.tree.add(self.path, {DEVICE: {**self._unknown(), **news}})

    def _unknown(self) -> Values:
        return {
            "Address": self.identity,
            "AddressType": "public" if self.address.is_public else "random",
            "Adapter": self.adapter.path,
            "Blocked": False,
            "Bonded": False,
            "Connected": False,
            "LegacyPairing": False,
            "Paired": False,
            "ServicesResolved": False,
            "Trusted": False,
            "UUIDs": [],
        }

    # Methods

    async def connect(self) -> None:
        """Make a link, encrypt it where there is a bond, and begin to look at the services.

        Raises
        ------
        DBusError
            It could not be made.
        """
        await self._connect()
        self._resolve_soon()

    async def disconnect(self) -> None:
        """End the link, or the attempt to make one."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self.link is not None:
            await hang_up(self.link)

    async def pair(self, sender: str) -> None:
        """Pair and keep the keys.

        Raises
        ------
        DBusError
            They are paired, or the pairing failed; the link is then down.
        """
        if self.values.get("Paired"):
            raise bluez_error("AlreadyExists", "Already Exists")
        if self._pairing is not None:
            raise bluez_error("InProgress", "In Progress")
        link = await self._connect()
        self.adapter.asker_wanted[self.identity] = sender
        try:
            await self._pair(link)
        finally:
            self.adapter.asker_wanted.pop(self.identity, None)
        self._resolve_soon()

    async def cancel_pairing(self) -> None:
        """Break off a pairing.

        Raises
        ------
        DBusError
            There is none.
        """
        if self._pairing is None:
            raise bluez_error("DoesNotExist", "Does Not Exist")
        self._pairing.cancel()

    async def secure(self) -> bool:
        """Pair because a characteristic demands it; return whether that worked."""
        if self.link is None or self.values.get("Paired"):
            return False
        try:
            await self._pair(self.link, keep_link=True)
        except Exception:  # noqa: BLE001  # the caller tells the refusal of the characteristic
            return False
        return True

    # The link

    async def _connect(self) -> Connection:
        if self.link is not None:
            return self.link
        self._refuse_to_connect()
        if self._connecting is not None:
            raise bluez_error("InProgress", "br-connection-busy")
        self._connecting = asyncio.ensure_future(self._reach())
        try:
            link = await self._connecting
        except asyncio.CancelledError:
            raise bluez_error("Failed", "br-connection-canceled") from None
        except (TimeoutError, LinkError, HCI_Error):
            raise bluez_error("Failed", ABORTED) from None
        finally:
            self._connecting = None
        self._begin(link)
        await self._encrypt(link)
        return link

    def _refuse_to_connect(self) -> None:
        faults = self.adapter.faults
        if not self.adapter.powered:
            raise bluez_error("NotReady", "Resource Not Ready")
        if self.identity in faults.stuck_devices:
            raise bluez_error("InProgress", "br-connection-busy")
        if self.adapter.n_links >= faults.slots:
            raise bluez_error("Failed", "le-connection-concurrent-connection-limit")
        error = faults.next_connect()
        if error is not None:
            if error.text == ABORTED:
                self._flash()
            raise error

    def _flash(self) -> None:
        # BlueZ had the link for a moment, and says so; bleak waits for that.
        self.put(Connected=True)
        asyncio.get_running_loop().call_later(_FLASH_S, lambda: self.put(Connected=False))

    async def _reach(self) -> Connection:
        if self.adapter.faults.take("hang_connects"):
            await asyncio.get_running_loop().create_future()
        async with asyncio.timeout(CONNECT_S), self.adapter.listening():
            while True:
                self.heard.clear()
                await self.heard.wait()
                with suppress(TimeoutError):
                    return await self.adapter.links.make(self.address)

    def _begin(self, link: Connection) -> None:
        if not alive(link):
            # It was refused while it was being made.
            self._flash()
            raise bluez_error("Failed", ABORTED)
        self.link = link
        self.adapter.faults.unheard.discard(self.identity)

        def gone(reason: int) -> None:
            log.info("%s: link down, reason 0x%02x", self.path, reason)
            self.link = None
            if self._resolving is not None:
                self._resolving.cancel()
            self.table.gone()
            self.heard_s = asyncio.get_running_loop().time()
            self.put(ServicesResolved=False)
            self.put(Connected=False)

        link.on("disconnection", gone)
        self.put(Connected=True)

    async def _encrypt(self, link: Connection) -> None:
        if not self.values.get("Paired"):
            return
        try:
            await link.encrypt()
        except (HCI_Error, ProtocolError, asyncio.CancelledError) as error:
            # Linux ends a link whose other side has lost the keys; the bond stays on this side.
            log.info("%s: encryption failed: %r", self.path, error)
            await hang_up(link, BY_SECURITY)
            raise bluez_error("Failed", self.adapter.faults.key_missing) from None

    async def _pair(self, link: Connection, *, keep_link: bool = False) -> None:
        self._pairing = asyncio.ensure_future(_paired(link))
        try:
            await asyncio.wait_for(self._pairing, PAIR_S)
        except (asyncio.CancelledError, TimeoutError) as error:
            log.info("%s: pairing broken off: %r", self.path, error)
            raise bluez_error("AuthenticationCanceled", "Authentication Canceled") from None
        except (ProtocolError, HCI_Error, LinkError) as error:
            log.info("%s: pairing failed: %r", self.path, error)
            raise bluez_error("AuthenticationFailed", "Authentication Failed") from None
        finally:
            self._pairing = None
            paired = await self.adapter.has_keys(self.address)
            self.put(Paired=paired, Bonded=paired)
            if not paired and not keep_link:
                await hang_up(link, BY_SECURITY)

    def _resolve_soon(self) -> None:
        if self.link is not None and self._resolving is None:
            self._resolving = asyncio.ensure_future(self._resolve(self.link))
            self._resolving.add_done_callback(self._resolved)

    async def _resolve(self, link: Connection) -> None:
        uuids = await self.table.resolve(link)
        self.put(UUIDs=sorted(set(self.values.get("UUIDs", [])) | uuids))
        self.put(ServicesResolved=True)

    def _resolved(self, task: asyncio.Task[None]) -> None:
        self._resolving = None
        if not task.cancelled() and task.exception() is not None:
            log.info("%s: services not resolved: %r", self.path, task.exception())


async def _paired(link: Connection) -> None:
    await link.pair()
