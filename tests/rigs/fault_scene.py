"""A box at its bedside, with two wearables, on the fast rig: what a fault campaign plays on.

The reader runs under the daemon's own `Intake`, and what it delivers goes through the pipeline on
the daemon's tick, so that alerts are those of a real box. Every heart rate that a wearable sends
carries a number of its own: what was lost and what came twice is counted, not guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from edge.assemble import assemble, every_profile
from edge.bluez import Agent
from edge.bluez import Bluez as BlueZ
from edge.daemon.intake import Intake, Link
from edge.devices import Device, put, save
from edge.events import LINK, LinkTold
from edge.gatt import BATTERY_LEVEL
from edge.pipeline import TICK_S, PipelineSettings
from edge.readers.ble import READER, Settings
from edge.records import Alert, AlertState, LinkState, Packet, Security
from edge.virtual import Service, Wearable
from edge.virtual._bluez import Bluez
from edge.virtual._bus import PrivateBus
from edge.virtual._onair import OnAir
from edge.virtual.heart_rate import WEARABLE as HEART_RATE
from edge.virtual.heart_rate import Strap
from tests.rigs.fast_loop import FastLoop
from tests.rigs.fault_meddler import Meddler
from tests.rigs.reader_rig import Anybody
from tests.rigs.running import close_bleak

Result = TypeVar("Result")

ONE, OTHER = "C0:DE:00:00:00:01", "C0:DE:00:00:00:02"
PATIENT = {ONE: "p1", OTHER: "p2"}
SOUND_S = 2.0
"""A sensor that sent so lately streams."""
IDLE = 30.0
"""Speed of waits in which nothing is measured."""
_HAS_ENERGY = 0x08


class PacedLoop(FastLoop):
    """A loop whose speed can be changed while it runs."""

    def __init__(self, speed: float) -> None:
        self._at_s = self._real_s = time.monotonic()
        super().__init__(speed)

    def time(self) -> float:
        """Return the time in seconds."""
        return self._at_s + (time.monotonic() - self._real_s) * self.speed

    def set_speed(self, speed: float) -> None:
        """Let time pass so many times as fast from now on."""
        self._at_s, self._real_s = self.time(), time.monotonic()
        self.speed = self._selector.speed = speed


def play_fast(scenario: Coroutine[Any, Any, Result], speed: float) -> Result:
    """Run a coroutine with time passing `speed` times as fast, or at the speed it sets."""
    with asyncio.Runner(loop_factory=lambda: PacedLoop(speed)) as runner:
        return runner.run(scenario)


class _Counting(Strap):
    """A strap that numbers what it sends, in the field for the energy expended."""

    n = 0

    def _measure(self, now_s: float) -> bytes:
        plain = super()._measure(now_s)
        self.n += 1
        return bytes([plain[0] | _HAS_ENERGY, plain[1]]) + self.n.to_bytes(2, "little") + plain[2:]


STRAP = msgspec.structs.replace(HEART_RATE, open=_Counting)
NO_HEART = (Service("0000fff0-0000-1000-8000-00805f9b34fb", ()),)
"""What a strap has whose table lies."""


class Ledger:
    """What one wearable sent over the air, and what the box got of it."""

    def __init__(self) -> None:
        self.last_s = 0.0
        """When the box last got something."""
        self.n_lost = self.n_double = 0
        self._sent: dict[bytes, float] = {}
        self._got: Counter[bytes] = Counter()
        self._came: list[tuple[float, float]] = []

    def sent(self, one: Any) -> None:
        """Note what reached the box's radio."""
        self._sent[one.payload] = one.at_s

    def got(self, packet: Packet) -> None:
        """Note what the reader delivered."""
        self.last_s = packet.arrived_s
        self._got[packet.payload] += 1
        if packet.payload in self._sent:
            self._came.append((packet.arrived_s, self._sent[packet.payload]))

    def first(self, after_s: float) -> tuple[float, float] | None:
        """Return when the first arrived that was sent later, and when the last one before did."""
        before_s = 0.0
        for arrived_s, sent_s in self._came:
            if sent_s > after_s:
                return arrived_s, before_s
            before_s = arrived_s
        return None

    def settle(self, now_s: float) -> None:
        """Count what was lost and what came twice, and forget it."""
        for payload, at_s in tuple(self._sent.items()):
            if at_s < now_s - 2 * SOUND_S:
                n_got = self._got.pop(payload, 0)
                self.n_lost += n_got == 0
                self.n_double += max(0, n_got - 1)
                del self._sent[payload]
        self._came = self._came[-1:]


class Scene:
    """One box, its bus, its BlueZ, its patients.

    Attributes
    ----------
    did : list[str]
        What the reader said that it met and did, since it was last cleared.
    alerts : dict[str, list[tuple[float, float]]]
        By patient: from when to when ``signal_lost`` stood.
    """

    def __init__(self, bus: PrivateBus, folder: Path, seed: int, **settings: Any) -> None:
        self.bus, self.folder = bus, folder
        self.dice = random.Random(seed)  # noqa: S311  # chance in a test, no secret
        self.settings = Settings(**settings)
        self.straps: dict[str, OnAir] = {}
        self.ledgers = {ONE: Ledger(), OTHER: Ledger()}
        self.states: dict[str, list[LinkState]] = {ONE: [], OTHER: []}
        self.did: list[str] = []
        self.alerts: dict[str, list[list[float]]] = {"p1": [], "p2": []}
        self.stirred = asyncio.Event()
        self.boot_at_s = 0.0
        """The loop's time at which the box's boot clock was 0."""
        self.reader_failures: list[str] = []
        self.helping: asyncio.Future[None] | None = None
        self.profiles: tuple[str, ...] = ("heart_rate",)
        """What the first sensor is registered with."""

    def now_s(self) -> float:
        """Return the box's boot clock."""
        return asyncio.get_running_loop().time() - self.boot_at_s

    @contextlib.asynccontextmanager
    async def running(self, wearable: Wearable = STRAP, *, bonded: bool = False):
        """Run the box until both sensors are to be taken away."""
        self.bluez = await Bluez(self.bus.address).start()
        self.meddler = Meddler(self.bluez)
        self.faults = self.bluez.faults
        self.adapter = self.bluez.adapters["hci0"]
        before = structlog.get_config()
        structlog.configure(processors=[self._take_log])
        ticking: asyncio.Task[None] | None = None
        try:
            for n, (address, kind) in enumerate(((ONE, wearable), (OTHER, STRAP))):
                strap = await self.bluez.put_on_air(kind, seed=n + 1, address=address)
                strap.on_delivered = self.ledgers[address].sent
                self.straps[address] = strap
            self.one, self.other = self.straps[ONE], self.straps[OTHER]
            if bonded:
                await self.bond()
            save(self.folder, [self.device(bonded=bonded), self.device(OTHER)])
            self.begin()
            ticking = asyncio.create_task(self._tick())
            yield self
            if ticking.done():
                ticking.result()
        finally:
            for task in (ticking, self.helping):
                if task is not None:
                    task.cancel()
            self.meddler.clear()
            await self.end()
            structlog.configure(**before)
            await close_bleak()
            await self.bluez.stop()

    def device(self, address: str = ONE, **changes: Any) -> Device:
        """Return an entry of the list of sensors."""
        profiles = self.profiles if address == ONE else ("heart_rate",)
        known = {"name": "Strap", "patient": PATIENT[address], "profiles": profiles}
        safe = {"security": Security.ENCRYPTED} if changes.get("bonded") else {"consent": True}
        return Device(address=address, **(known | safe | changes))

    def begin(self) -> None:
        """Start the box's program."""
        link = Link("ble", READER, self.settings)
        self.intake = Intake([link], self.now_s, self.folder, every_profile())
        settings = PipelineSettings(default_patient="p1")
        self.pipeline = assemble(settings, "campaign", start_s=self.now_s())
        self.started_s = self.now_s()
        for stood in self.alerts.values():
            stood.clear()
        self.intake.start()

    async def end(self) -> None:
        """End the box's program."""
        await self.intake.stop()
        if self.intake.links[0].n_failures:
            self.reader_failures.append(self.intake.links[0].last_error)

    def person_changes(self, **changes: Any) -> float:
        """Let a person change the sensor's entry, or confirm it; return when."""
        put(self.folder, self.device(paired_utc=f"{self.dice.random()}", **changes))
        return self.loop_s()

    async def bond(self, path: str = "") -> None:
        """Pair the first sensor, as `homeward pair` does."""
        async with BlueZ.connect() as bluez:
            await bluez.start_discovery("hci0")
            while not (found := [d for d in await bluez.devices() if d.address == ONE]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await bluez.stop_discovery("hci0")
            path = found[0].path
            async with Agent(bluez, found[0], Anybody()):
                await bluez.pair(path)
                while not self.adapter.remotes[path].values["ServicesResolved"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await bluez.disconnect(path)

    @property
    def path(self) -> str:
        """BlueZ's object of the first sensor."""
        return f"{self.adapter.path}/dev_{ONE.replace(':', '_')}"

    @staticmethod
    def loop_s() -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    async def for_a_while(self, least_s: float, most_s: float) -> None:
        """Let a seeded time pass, faster: nothing is measured in it."""
        span_s = self.dice.uniform(least_s, most_s)
        with self.pace(IDLE if span_s > 1 else 0):
            await asyncio.sleep(span_s)

    @contextlib.contextmanager
    def pace(self, speed: float):
        """Let time pass at another speed; 0: at the one it has."""
        loop = asyncio.get_running_loop()
        before = loop.speed
        loop.set_speed(max(speed, before))
        try:
            yield
        finally:
            loop.set_speed(before)

    async def until(self, true: Any, within_s: float = 60.0) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(within_s):
            while not true():
                self.stirred.clear()
                await self.stirred.wait()

    async def until_lost(self, address: str = ONE, within_s: float = 60.0) -> None:
        """Wait until the reader has said that a sensor's link is lost."""
        n_told = len(self.states[address])
        await self.until(lambda: len(self.states[address]) > n_told, within_s)

    async def until_streaming(self, addresses: Iterable[str], within_s: float) -> None:
        """Wait until sensors stream."""
        loop_s = self.loop_s
        await self.until(
            lambda: all(
                loop_s() - self.boot_at_s - self.ledgers[one].last_s < SOUND_S for one in addresses
            ),
            within_s,
        )

    def is_watched(self) -> bool:
        """Return whether each patient has had a signal that ``signal_lost`` watches."""
        patients = self.pipeline.live().patients
        return len(patients) == len(PATIENT) and all(
            not {"hr_bpm", "spo2_pct"}.isdisjoint(one.age_s) for one in patients
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S - self.now_s() % TICK_S)
            packets = self.intake.take()
            for packet in packets:
                self._note(packet)
            for record in self.pipeline.advance(packets, self.now_s()).records:
                if isinstance(record, Alert) and record.rule == "signal_lost":
                    self._note_alert(record)
            self.stirred.set()

    def _note(self, packet: Packet) -> None:
        if packet.stream == LINK:
            told = msgspec.json.decode(packet.payload, type=LinkTold)
            self.states[told.source].append(told.state)
        elif packet.source in self.ledgers and packet.stream != BATTERY_LEVEL:
            self.ledgers[packet.source].got(packet)

    def _note_alert(self, alert: Alert) -> None:
        stood = self.alerts[alert.patient]
        if alert.state is AlertState.RAISED:
            stood.append([alert.at_s, float("inf")])
        elif alert.state is AlertState.ENDED and stood:
            stood[-1][1] = alert.at_s

    def _take_log(self, _: object, __: str, event: Any) -> Any:
        what = event["event"]
        if what in ("sensor", "scan failed"):
            self.did.append(event["fault"])
        elif what == "mending the radio":
            self.did.append(f"!{event['step']}")
        elif what == "scan begun anew":
            self.did.append("!scan anew")
        elif what == "bluetooth service gone":
            self.did.append("bus lost")
        raise structlog.DropEvent
