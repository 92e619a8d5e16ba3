"""One open link: bring the device to send, hand over what it sends, see that it goes on.

The order matters. What is only read goes first, so that a decoder knows it before the first
measurement; subscriptions go before commands, so that nothing a command brings is missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import structlog

from edge.clock import WallEntry
from edge.devices import Device
from edge.events import DEVICE_CLOCK, tell
from edge.gatt import BATTERY_LEVEL, STORED, Profile
from edge.readers import Rim
from edge.readers._ble_clock import Clocks
from edge.readers._ble_commands import Commands
from edge.readers._ble_errors import LostError, SilentError
from edge.readers._ble_faults import is_grave
from edge.readers._ble_gatt import BATTERY, Characteristic, Connection, Take, Use, pick
from edge.readers._ble_records import Fetch, Memory, control_point
from edge.records import Packet

_log = structlog.get_logger("ble")


class Plan(msgspec.Struct, frozen=True):
    """What a session is handed.

    Attributes
    ----------
    opened : Callable
        Called once, before the first packet is delivered.
    wall : Callable
        Both clocks of the box.
    write_time : bool
        Whether the device's clock may be set.
    """

    device: Device
    rim: Rim
    memory: Memory
    opened: Callable[[], None]
    wall: Callable[[], WallEntry]
    write_time: bool


class _Heard:
    """When a profile last sent something, on the loop's clock."""

    __slots__ = ("at_s", "n")

    def __init__(self) -> None:
        self.at_s, self.n = asyncio.get_running_loop().time(), 0


class Session:
    """One open link to a device that is read by some profiles."""

    def __init__(self, connection: Connection, uses: Sequence[Use], plan: Plan) -> None:
        self._connection, self._uses, self._plan = connection, tuple(uses), plan
        self._source = plan.device.address
        self._held: list[Packet] = []
        self._is_open = False
        self._commands = Commands(connection, plan.device, self._raise_if_grave)
        self._heard = {use.profile.name: _Heard() for use in self._uses}
        self._fetches: list[Fetch] = []
        self._subscribed: set[int] = set()

    @property
    def n_packets(self) -> int:
        """Packets of its profiles so far."""
        return sum(heard.n for heard in self._heard.values())

    @property
    def heard_s(self) -> float:
        """When something last came, on the loop's clock."""
        return max((heard.at_s for heard in self._heard.values()), default=0.0)

    async def start(self) -> None:
        """Bring the device to send; whatever goes wrong is raised."""
        for use in self._uses:
            for one in use.read:
                value = await self._try_read(one)
                self._hold(use.profile.prefix + one.uuid, value)
                records = use.profile.records
                if value is not None and records is not None and records.epoch == one.uuid:
                    self._plan.memory.begin(_stored(use.profile), value)
        await self._start_battery()
        await self._start_clock()
        for use in self._uses:
            await self._subscribe(use)
        for use in self._uses:
            await self._commands.start(use.profile)
            if self._connection.mtu < use.profile.mtu:
                _log.warning(
                    "packets are smaller than the sensor needs",
                    sensor=self._source[-5:],
                    mtu=self._connection.mtu,
                    wanted=use.profile.mtu,
                )
        self._open()

    async def run(self) -> None:
        """Keep the link; returns never, but raises why it ended."""
        loop_s = asyncio.get_running_loop().time()
        for heard in self._heard.values():
            heard.at_s = max(heard.at_s, loop_s)
        # No TaskGroup: in Python 3.11 a cancel that meets a child's error in one is lost.
        polls = (self._commands.poll(use.profile) for use in self._uses)
        tasks = [
            asyncio.create_task(work)
            for work in (self._watch_link(), self._watch_silence(), *polls, self._fetch_all())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def stop(self) -> None:
        """Let the device rest; bounded, and never raises but when cancelled."""
        await self._commands.stop([use.profile for use in self._uses])

    def _open(self) -> None:
        if not self._is_open:
            self._is_open = True
            self._plan.opened()
            # As of now: other sensors' packets may have been delivered since these were read.
            now_s = self._plan.rim.now_s()
            for packet in self._held:
                self._plan.rim.deliver(msgspec.structs.replace(packet, arrived_s=now_s))
            self._held.clear()

    def _hold(self, stream: str, payload: bytes | None) -> None:
        if payload is not None:
            self._held.append(Packet(self._source, stream, self._plan.rim.now_s(), payload))

    async def _try_read(self, one: Characteristic) -> bytes | None:
        """Return a value the link can do without; None where the device does not give it."""
        if "read" not in one.can:
            return None
        try:
            return await self._connection.read(one)
        except Exception as error:  # noqa: BLE001  # judged below
            self._raise_if_grave(error)
            _log.info("not readable", sensor=self._source[-5:], uuid=one.uuid, error=repr(error))
            return None

    def _raise_if_grave(self, error: Exception) -> None:
        """Raise again what ends the link, or what only a person can mend."""
        grave = is_grave(error, is_bonded=self._plan.device.bonded)
        if grave or self._connection.gone.is_set():
            raise error

    async def _start_battery(self) -> None:
        level = pick(self._connection.found, BATTERY_LEVEL, BATTERY)
        if level is None:
            return
        self._hold(BATTERY_LEVEL, await self._try_read(level))
        if level.can_notify:
            try:
                await self._take_from(level, self._listener(BATTERY_LEVEL, None))
            except Exception as error:  # noqa: BLE001  # judged below
                self._raise_if_grave(error)

    async def _start_clock(self) -> None:
        plan = self._plan
        clocks = Clocks(self._connection, self._source, plan.rim.now_s, self._raise_if_grave)
        profiles = [use.profile for use in self._uses]
        for told in await clocks.learn(profiles, plan.wall, write_time=plan.write_time):
            self._held.append(tell(DEVICE_CLOCK, told, plan.rim.now_s()))

    async def _subscribe(self, use: Use) -> None:
        heard = self._heard[use.profile.name]
        for one in use.replies:
            await self._take_from(one, self._commands.listener(one.uuid))
        records = use.profile.records
        fetch = self._fetch_of(use)
        for one in use.listen:
            take = self._listener(use.profile.prefix + one.uuid, heard)
            if one.uuid in self._commands.answering(use.profile):
                take = _both(take, self._commands.listener(one.uuid))
            if records is not None and one.uuid == records.on:
                take = self._sorter(fetch, take)
            await self._take_from(one, take)
        if fetch is not None:
            # Where records are not among what is listened to, only those asked for are taken.
            await self._take_from(fetch.on, self._sorter(fetch, _ignore))
            await self._take_from(fetch.point, lambda _, data: fetch.answered(bytes(data)))
            self._fetches.append(fetch)

    def _fetch_of(self, use: Use) -> Fetch | None:
        """Return what fetches a profile's records; None where the device keeps none."""
        records, service = use.profile.records, use.profile.service
        if records is None:
            return None
        point = control_point(self._connection, service)
        on = pick(self._connection.found, records.on, service)
        if point is None or on is None:
            return None
        return Fetch(
            self._connection,
            (point, on),
            records,
            _stored(use.profile),
            self._plan.memory,
            self._deliver,
        )

    async def _take_from(self, one: Characteristic, take: Take) -> None:
        if one.handle not in self._subscribed:
            self._subscribed.add(one.handle)
            await self._connection.subscribe(one, take)

    def _listener(self, stream: str, heard: _Heard | None) -> Take:
        """Return the short way of a notification to the pipeline: everything is bound here."""
        source, now_s, deliver = self._source, self._plan.rim.now_s, self._plan.rim.deliver
        loop_s = asyncio.get_running_loop().time
        seen = heard or _Heard()

        def take(_: object, data: bytearray) -> None:
            if not self._is_open:
                self._open()
            packet = Packet(source, stream, now_s(), bytes(data))
            seen.at_s = loop_s()
            seen.n += 1
            deliver(packet)

        return take

    def _sorter(self, fetch: Fetch | None, live: Take) -> Take:
        """Return what tells records that were asked for from what is measured now.

        Both come on one characteristic; while a fetch runs, all that comes is taken as stored.
        """

        def take(sender: object, data: bytearray) -> None:
            if fetch is not None and fetch.is_running:
                fetch.take(bytes(data))
                return
            if fetch is not None:
                fetch.pass_by(bytes(data))
            live(sender, data)

        return take

    def _deliver(self, stream: str, payload: bytes) -> None:
        self._plan.rim.deliver(Packet(self._source, stream, self._plan.rim.now_s(), payload))

    async def _watch_link(self) -> None:
        await self._connection.gone.wait()
        raise LostError("the link broke off")

    async def _watch_silence(self) -> None:
        loop = asyncio.get_running_loop()
        watched = [
            (self._heard[use.profile.name], use.profile.deadline_s)
            for use in self._uses
            if use.profile.deadline_s > 0
        ]
        while watched:
            due_s, deadline_s = min((heard.at_s + limit, limit) for heard, limit in watched)
            if due_s <= loop.time():
                raise SilentError(f"nothing came for {deadline_s:g} s")
            await asyncio.sleep(due_s - loop.time())

    async def _fetch_all(self) -> None:
        for fetch in self._fetches:
            try:
                await fetch.run()
            except Exception as error:  # noqa: BLE001  # judged below; live data go on without it
                self._raise_if_grave(error)
                _log.warning("stored records not fetched", error=repr(error))


def _stored(profile: Profile) -> str:
    """Return the stream of a profile's records; empty where it has none."""
    return f"{STORED}{profile.prefix}{profile.records.on}" if profile.records else ""


def _both(first: Take, second: Take) -> Take:
    def take(sender: object, data: bytearray) -> None:
        first(sender, data)
        second(sender, data)

    return take


def _ignore(_: object, __: bytearray) -> None:
    """Take nothing: what comes without having been asked for is no live stream."""
