"""One registered sensor, kept connected: find it, check that it is it, read it, and again.

Trust is the bond: a sensor that was bonded and is not any more, on either side, is not used, and
is not paired again behind a person's back. One without a bond is used only where a person has
agreed to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from edge.bluez.objects import BluezDevice, BluezError
from edge.clock import WallEntry
from edge.devices import Device
from edge.gatt import Profile
from edge.readers import Rim
from edge.readers._ble_air import Sighting
from edge.readers._ble_backoff import Backoff
from edge.readers._ble_errors import KeyLostError, LostError, NothingError, RefusedError
from edge.readers._ble_faults import Action, Fault, Stage, is_grave, judge
from edge.readers._ble_gatt import (
    DEVICE_INFORMATION,
    MANUFACTURER_NAME,
    MODEL_NUMBER,
    Connection,
    Identity,
    choose,
    pick,
)
from edge.readers._ble_records import Memory
from edge.readers._ble_session import Plan, Session
from edge.readers._ble_station import Radio, Station
from edge.readers._ble_told import Told
from edge.records import LinkState, Security

CONNECT_S: Final = 20.0
OUTER_S: Final = 30.0
"""BlueZ can stall, and then the inner bound, which asks it to give up, does not hold."""
START_S: Final = 30.0
"""Asking a sensor what it has, subscribing and starting it take no longer."""
UNHEARD_S: Final = 5.0
"""A bonded sensor that was not heard for so long is tried without: some only call their own."""
CONFIRM_S: Final = 2.0
"""BlueZ loads its bonds one by one when it starts: a missing one is looked for twice."""
SOUND_S: Final = 5.0
"""A link that held so long was a good one, even if the sensor had nothing to say."""
UNHEARD_DBM: Final = -127
"""Strength of a sensor that is tried without having been heard."""
VAIN: Final = 6
"""Links in a row that a bonded sensor, though heard, let fall before it sent anything."""
VAIN_ROWS: Final = frozenset({"aborted", "dropped", "gone", "hangs", "lost"})
VAIN_WORDS: Final = (
    "it is heard and lets every link fall: it may have lost its keys, or something else uses its "
    "address; if it goes on, pair it again with `homeward pair --again`"
)
STUCK: Final = 3
"""Failures of one kind after which the radio is mended, though others are using it."""

_T = TypeVar("_T")

_log = structlog.get_logger("ble")


class Keeper:
    """Keeps one sensor connected; what it knows of it outlives links and restarts of BlueZ."""

    def __init__(
        self, device: Device, rim: Rim, wall: Callable[[], WallEntry], *, write_time: bool
    ) -> None:
        self.device = device
        self.told = Told(device, rim)
        self.changed = asyncio.Event()
        """Set when a person changed something, so that what failed may work now."""
        self._rim, self._wall, self._write_time = rim, wall, write_time
        self._memory = Memory()
        self._backoff = Backoff()
        self._stage = Stage.CONNECT
        self._last_row = ""
        self._is_quiet = False
        self._n_vain = 0
        self._is_heard = self._was_good = False
        self._radio: Radio | None = None

    async def keep(self, station: Station) -> None:
        """Find, connect and read, again and again; raises what nobody here can mend."""
        while True:
            self._stage = Stage.CONNECT
            self.changed.clear()
            try:
                await self._once(station)
            except Exception as error:  # noqa: BLE001  # whatever it is, the table says what to do
                await self._failed(station, error)

    async def _once(self, station: Station) -> None:
        sighting = await self._find(station)
        self._is_heard = sighting.rssi_dbm > UNHEARD_DBM
        radio = self._radio = station.radios.get(sighting.adapter)
        if radio is None or radio.slots.locked():
            return  # it went, or another sensor was quicker: listen again
        async with radio.slots:
            connection = await self._connect(radio, station, sighting)
            radio.scanner.answered()
            try:
                self._stage = Stage.LINK
                await self._read(station, radio, connection, sighting)
            finally:
                await connection.close()

    async def _find(self, station: Station) -> Sighting:
        """Wait until the sensor can be connected to, and may be."""
        device = self.device
        if not device.bonded:
            if not device.consent:
                raise RefusedError(
                    "it is not paired, and nobody agreed to use it as it is: see `homeward pair`"
                )
            return await station.ears.wait_for(device.address)
        bonds = await self._bonds(station)
        radios = frozenset(one.adapter for one in bonds) & frozenset(station.radios)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(UNHEARD_S):
                    return await station.ears.wait_for(device.address, radios)
            for one in bonds:
                if one.adapter in station.radios and station.radios[one.adapter].may_call():
                    return station.air.known(one.adapter, one.path, one.address, one.name)

    async def _bonds(self, station: Station) -> list[BluezDevice]:
        """Return what BlueZ has of a bonded sensor, on any radio."""
        for _ in range(2):
            await station.until_ready()
            known = await station.bluez.devices()
            bonds = [one for one in known if one.address == self.device.address and one.bonded]
            if bonds:
                return bonds
            await asyncio.sleep(CONFIRM_S)
        raise KeyLostError("this box has lost its keys")

    async def _connect(self, radio: Radio, station: Station, sighting: Sighting) -> Connection:
        await radio.ladder.steady.wait()
        # One at a time: a controller makes one link at a time, and others would only time out.
        async with radio.connecting:
            rest = radio.scanner.resting() if self._is_quiet else contextlib.nullcontext()
            async with rest, asyncio.timeout(OUTER_S):
                return await station.air.connect(sighting, CONNECT_S)

    async def _read(
        self, station: Station, radio: Radio, connection: Connection, sighting: Sighting
    ) -> None:
        device = self.device
        security = Security.OPEN
        if device.bonded:
            known = await station.bluez.devices(sighting.adapter)
            if not any(one.address == device.address and one.bonded for one in known):
                raise KeyLostError("this box has lost its keys")
            security = device.security
        identity = await while_open(connection, self._identify(connection, sighting))
        uses = choose(_by_name(self._rim.profiles), connection.found, identity)
        if not uses:
            raise NothingError("it has nothing this box can read")

        def opened() -> None:
            self._last_row = ""
            self.told.connected(security)

        plan = Plan(device, self._rim, self._memory, opened, self._wall, self._write_time)
        session = Session(connection, uses, plan)
        radio.sessions.add(session)
        began_s = asyncio.get_running_loop().time()
        try:
            await while_open(connection, session.start())
            await session.run()
        except asyncio.CancelledError:
            await session.stop()
            raise
        finally:
            radio.sessions.discard(session)
            lasted_s = asyncio.get_running_loop().time() - began_s
            if session.n_packets or lasted_s >= SOUND_S:
                self._was_good = True
                self._backoff.clear()
                self._is_quiet = False
                self._n_vain = 0

    async def _identify(self, connection: Connection, sighting: Sighting) -> Identity:
        return Identity(
            await self._text(connection, MANUFACTURER_NAME),
            await self._text(connection, MODEL_NUMBER),
            sighting.name,
        )

    async def _text(self, connection: Connection, uuid: str) -> str:
        one = pick(connection.found, uuid, DEVICE_INFORMATION)
        if one is None or "read" not in one.can:
            return ""
        try:
            value = await connection.read(one)
        except Exception as error:
            if is_grave(error, is_bonded=self.device.bonded) or connection.gone.is_set():
                raise
            return ""
        return value.decode("utf-8", "replace").rstrip("\x00").strip()

    async def _failed(self, station: Station, error: Exception) -> None:
        """Say what happened where it is new, mend what can be mended, and wait."""
        fault = judge(error, self._stage)
        if fault.row != self._last_row:
            self._last_row = fault.row
            _log.warning(
                "sensor", sensor=self.device.address[-5:], fault=fault.row, error=repr(error)
            )
        self._tell(fault, error)
        if fault.action is Action.REBUILD:
            station.lose(fault.words)
        await self._mend(station, fault)
        wait_s = self._backoff.wait_s(fault)
        if self._was_good:
            # The end of a link that worked is no failure to connect.
            self._was_good = False
            self._backoff.clear()
        if fault.action is Action.PERSON:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.changed.wait()
        else:
            await asyncio.sleep(wait_s)

    def _tell(self, fault: Fault, error: Exception) -> None:
        if fault.row == "nothing to read":
            self.told.not_usable(LinkState.REFUSED, str(error))
        elif fault.action is not Action.PERSON:
            # BlueZ before 5.79 has no word for a key that is missing on the other side.
            self._n_vain += self._is_heard and self.device.bonded and fault.row in VAIN_ROWS
            if self._n_vain >= VAIN:
                self.told.not_usable(LinkState.KEY_LOST, VAIN_WORDS)
            else:
                self.told.lost(fault.words)
        elif isinstance(error, RefusedError):
            self.told.not_usable(LinkState.REFUSED, str(error))
        elif self.device.bonded:
            self.told.not_usable(LinkState.KEY_LOST, fault.words)
        else:
            self.told.not_usable(LinkState.REFUSED, "it wants to be paired: see `homeward pair`")

    async def _mend(self, station: Station, fault: Fault) -> None:
        try:
            if fault.action is Action.QUIET:
                self._is_quiet = True
            elif fault.action is Action.CLEAR:
                await self._clear(station)
            if self._radio is None:
                return
            broken = fault.action is Action.RADIO
            enough = STUCK - 1 if broken else STUCK
            if self._backoff.n_failures + 1 >= enough and (broken or self._is_stuck(fault)):
                await self._radio.ladder.climb(fault.words, is_broken=broken)
        except BluezError as error:
            _log.info("not mended", sensor=self.device.address[-5:], error=str(error))

    def _is_stuck(self, fault: Fault) -> bool:
        """Return whether only the radio can help: clearing did not, and it serves nobody else."""
        if self._stage is not Stage.CONNECT or self._radio is None:
            return False
        if fault.row == "connect stuck":
            # Of a sensor that is bonded BlueZ's memory must not be cleared.
            return self.device.bonded or not self._radio.is_alive()
        return fault.row == "hangs" and not self._radio.is_alive()

    async def _clear(self, station: Station) -> None:
        """Close what BlueZ thinks is open; forget the sensor only where no bond is lost by it."""
        for one in await station.bluez.devices():
            if one.address != self.device.address:
                continue
            with contextlib.suppress(BluezError):
                await station.bluez.disconnect(one.path)
            if not one.bonded and not self.device.bonded:
                with contextlib.suppress(BluezError):
                    await station.bluez.remove(one.path)


async def while_open(connection: Connection, doing: Coroutine[Any, Any, _T]) -> _T:
    """Do something on a link as long as it stands, and within `START_S`.

    Raises
    ------
    LostError
        The link broke off; BlueZ may leave what was asked unanswered then.
    TimeoutError
        It took too long.
    """
    work, gone = asyncio.create_task(doing), asyncio.create_task(connection.gone.wait())
    try:
        await asyncio.wait({work, gone}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        if gone.done():
            raise LostError("the link broke off before the sensor had started")
        raise TimeoutError(f"the sensor had not started within {START_S:g} s")
    finally:
        work.cancel()
        gone.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


def _by_name(profiles: tuple[Profile, ...]) -> tuple[Profile, ...]:
    return tuple(sorted(profiles, key=lambda one: one.name))
