"""The box's radios while BlueZ is there: scans, links, and what keeps them working.

A station lives as long as BlueZ does. When bluetoothd or the bus is restarted, everything that
was known of it is worthless, and the reader opens a new station.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import msgspec
import structlog

from edge.bluez.objects import LOST, BluezError
from edge.readers._ble_air import Air
from edge.readers._ble_clean import clean
from edge.readers._ble_ladder import Ladder, Means
from edge.readers._ble_scan import Ears, Scanner

if TYPE_CHECKING:
    from edge.bluez.bus import Bluez

ALIVE_S: Final = 30.0
"""A radio over which a packet came so lately works, whether or not anybody advertises."""
CALL_EVERY_S: Final = 60.0
"""A radio tries no more often to connect to a sensor that it does not hear."""
MISSING_S: Final = 60.0
"""A box without any radio for so long asks for help."""
LOOK_S: Final = 30.0
"""How often it is looked whether radios have come or gone."""

ROOT_DEPTH: Final = 3
"""Slashes in the path of a radio, ``/org/bluez/hci0``; devices have more."""
_DBUS: Final = "org.freedesktop.DBus"
_log = structlog.get_logger("ble")


class Delivering(Protocol):
    """An open link, as a radio sees it."""

    @property
    def heard_s(self) -> float:
        """When something last came over it, on the loop's clock."""
        ...


class Radio:
    """One radio: its scan, its ladder, and the links over it."""

    def __init__(self, adapter: str, air: Air, ears: Ears, ladder: Ladder, max_links: int) -> None:
        self.adapter, self.ladder = adapter, ladder
        self.scanner = Scanner(adapter, air, ears, ladder, self.is_alive)
        self.connecting = asyncio.Lock()
        self.slots = asyncio.Semaphore(max_links)
        self.sessions: set[Delivering] = set()
        self._called_s = -CALL_EVERY_S

    def is_alive(self) -> bool:
        """Return whether open links show that it works."""
        now_s = asyncio.get_running_loop().time()
        return any(now_s - session.heard_s < ALIVE_S for session in self.sessions)

    def may_call(self) -> bool:
        """Return whether an unheard sensor may be tried now, and note that it was."""
        now_s = asyncio.get_running_loop().time()
        busy = self.connecting.locked() or self.slots.locked()
        if busy or now_s - self._called_s < CALL_EVERY_S:
            return False
        self._called_s = now_s
        return True


class Choice(msgspec.Struct, frozen=True):
    """Which radios are used, and how far.

    Attributes
    ----------
    adapters : tuple[str, ...]
        Names; empty: every one that is switched on, or every one there is where none is.
    max_links : int
        Links at a time over one radio.
    """

    adapters: tuple[str, ...]
    max_links: int


class Station:
    """All radios; use it as ``async with Station(...)``."""

    def __init__(self, air: Air, bluez: Bluez, choice: Choice, means: Means) -> None:
        self.air, self.bluez, self.ears = air, bluez, Ears()
        self.radios: dict[str, Radio] = {}
        self.lost = asyncio.Event()
        """Set when BlueZ or the bus has gone: everything must be opened anew."""
        self.why_lost = ""
        self.ears.has_room = self._has_room
        self._choice, self._means = choice, means
        self._scans: dict[str, asyncio.Task[None]] = {}
        self._ready = asyncio.Event()
        self._missing_since_s: float | None = None
        self._absent = Ladder("", bluez, means)
        self._looked_s = 0.0

    async def __aenter__(self) -> Self:
        """Clean up after a crash, and begin.

        Raises
        ------
        BluezError
            BlueZ is not there.
        """
        await self._watch_owner()
        await clean(self.bluez, self._means.ours())
        await self.look()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all scans."""
        for adapter in tuple(self.radios):
            await self._drop(adapter)

    def lose(self, why: str) -> None:
        """Say that BlueZ or the bus has gone."""
        self.why_lost = self.why_lost or why
        self.lost.set()

    def _has_room(self, adapter: str) -> bool:
        radio = self.radios.get(adapter)
        return radio is not None and not radio.slots.locked()

    async def until_ready(self) -> None:
        """Wait until there is a radio that is switched on."""
        await self._ready.wait()

    async def look(self) -> None:
        """See which radios there are; begin with new ones, let go of those that went.

        Raises
        ------
        BluezError
            BlueZ is not there any more.
        """
        loop = asyncio.get_running_loop()
        self._looked_s = loop.time()
        there = await self.bluez.adapters()
        chosen = [
            one
            for one in there
            if one.name in self._choice.adapters
            or (not self._choice.adapters and (one.powered or one.name in self.radios))
        ]
        if not chosen and not self._choice.adapters:
            chosen = list(there)
        for one in chosen:
            if not one.powered and one.name not in self.radios:
                await self._switch_on(one.name)
        names = {one.name for one in chosen}
        for name in self.radios.keys() - names:
            await self._drop(name)
        for name in sorted(names - self.radios.keys()):
            self._begin(name)
        self.ears.n_radios = len(self.radios)
        if names:
            self._missing_since_s = None
            self._ready.set()
            return
        self._ready.clear()
        self._missing_since_s = self._missing_since_s or loop.time()
        if loop.time() - self._missing_since_s >= MISSING_S:
            await self._absent.climb("the box has no radio", is_broken=True)

    async def look_if_due(self) -> None:
        """Do the same now and then, and see that the bus still lives."""
        if not self.bluez.bus.connected:
            raise BluezError(LOST, "the system bus has closed the connection")
        if asyncio.get_running_loop().time() - self._looked_s >= LOOK_S:
            await self.look()

    async def _switch_on(self, adapter: str) -> None:
        try:
            await self.bluez.set_powered(adapter, True)  # noqa: FBT003
        except BluezError as error:
            _log.warning("radio cannot be switched on", radio=adapter, error=str(error))

    def _begin(self, adapter: str) -> None:
        ladder = Ladder(adapter, self.bluez, self._means)
        radio = Radio(adapter, self.air, self.ears, ladder, self._choice.max_links)
        self.radios[adapter] = radio
        self._scans[adapter] = asyncio.create_task(self._scan(radio))
        _log.info("radio", radio=adapter)

    async def _scan(self, radio: Radio) -> None:
        try:
            await radio.scanner.run()
        except Exception as error:  # noqa: BLE001  # told to whoever opens the next station
            self.lose(str(error))

    async def _drop(self, adapter: str) -> None:
        del self.radios[adapter]
        scan = self._scans.pop(adapter)
        scan.cancel()
        await asyncio.gather(scan, return_exceptions=True)

    async def _watch_owner(self) -> None:
        """Notice when bluetoothd goes: its objects do not say goodbye when it crashes."""

        def take(message: Any) -> None:  # noqa: ANN401  # dbus-fast's, which only `edge.bluez` knows
            if message.member in {"InterfacesAdded", "InterfacesRemoved"}:
                if str(message.body[0]).count("/") == ROOT_DEPTH:  # a radio came or went
                    self._looked_s = -LOOK_S
                return
            is_bluez = message.member == "NameOwnerChanged" and message.body[0] == "org.bluez"
            if is_bluez and message.body[1]:  # there was one before
                self.lose("the system's Bluetooth service was restarted")

        rule = (
            f"type='signal',sender='{_DBUS}',interface='{_DBUS}',"
            "member='NameOwnerChanged',arg0='org.bluez'"
        )
        objects = "type='signal',sender='org.bluez',interface='org.freedesktop.DBus.ObjectManager'"
        self.bluez.bus.add_message_handler(take)
        await self.bluez.call("/org/freedesktop/DBus", _DBUS, "AddMatch", "s", [objects], to=_DBUS)
        await self.bluez.call("/org/freedesktop/DBus", _DBUS, "AddMatch", "s", [rule], to=_DBUS)
