"""Eight sensors of eight kinds on the air around one box, and whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from edge.bluez import Agent
from edge.bluez import Bluez as BlueZ
from edge.bluez.objects import BluezDevice
from edge.devices import Device
from edge.gatt import Profile, uuid
from edge.records import Security
from edge.virtual import (
    Guard,
    Port,
    Wearable,
    blood_pressure,
    cgm,
    glucose_meter,
    heart_rate,
    polar,
    pulse_oximeter,
    thermometer,
    viatom,
)
from edge.virtual._bluez import Bluez
from edge.virtual._onair import OnAir
from edge.virtual._record_access import RecordAccess

PAIR_S: Final = 30.0
METER_EVERY_S: Final = 900.0
"""A meter that is used more often than any real one, so that a night has something to fetch."""
METER_BEFORE: Final = 20


class Records(RecordAccess):
    """Records that remember all that was ever kept: the device itself makes room.

    Attributes
    ----------
    made : list[tuple[str, bytes]]
        Characteristic and payload of all, oldest first.
    """

    def __init__(self, *, numbered: bool) -> None:
        super().__init__(numbered=numbered)
        self.made: list[tuple[str, bytes]] = []

    def keep(self, number: int, *sent: tuple[str, bytes]) -> None:
        """Store a record."""
        self.made.extend(sent)
        super().keep(number, *sent)


class _Meter(glucose_meter.GlucoseMeter):
    """A glucose meter that is used often, and goes on where it was when switched on again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.records = Records(numbered=True)
        self._due_s: float | None = None

    async def run(self, port: Port) -> None:
        """Measure now and then."""
        if self._due_s is None:
            self._due_s = port.now_s() - METER_BEFORE * METER_EVERY_S
        while True:
            if self._due_s > port.now_s():
                await port.sleep(self._due_s - port.now_s())
            self._measure(self._due_s)
            self._due_s += METER_EVERY_S


def _clip(seed: int) -> pulse_oximeter.Clip:
    clip = pulse_oximeter.Clip(seed)
    clip.records = Records(numbered=False)
    return clip


def _cgm(seed: int) -> cgm.GlucoseSensor:
    sensor = cgm.GlucoseSensor(seed)
    sensor.records = Records(numbered=True)
    return sensor


class Kind(msgspec.Struct, frozen=True):
    """One of the eight.

    Attributes
    ----------
    wearable : Wearable
        What it is.
    patient : str
        Whose: no signal comes from two sensors of one patient, so that each is missed.
    watched : str
        The stream by which it is known to send; empty: it sends when it has something.
    age : str
        What `edge.alarms.signal_lost` calls the signal that is then missed.
    switches : bool
        Whether it can be switched off; the virtual CGM would begin a new session.
    """

    wearable: Wearable
    patient: str
    watched: str = ""
    age: str = ""
    switches: bool = True


def _opened_by(wearable: Wearable, opener: object) -> Wearable:
    return msgspec.structs.replace(wearable, open=opener)


KINDS: Final = (
    Kind(heart_rate.WEARABLE, "p1", uuid(0x2A37), "hr_age_s"),
    Kind(_opened_by(pulse_oximeter.WEARABLE, _clip), "p1", uuid(0x2A5F), "spo2_age_s"),
    Kind(polar.WEARABLE, "p2", uuid(0x2A37), "hr_age_s"),
    Kind(viatom.WEARABLE, "p2", viatom.NOTIFY, "spo2_age_s"),
    Kind(_opened_by(cgm.WEARABLE, _cgm), "p1", switches=False),
    Kind(_opened_by(glucose_meter.WEARABLE, _Meter), "p2"),
    Kind(thermometer.WEARABLE, "p1"),
    Kind(blood_pressure.WEARABLE, "p2"),
)


class Worn(msgspec.Struct):
    """One of the eight, on the air."""

    kind: Kind
    on_air: OnAir

    @property
    def address(self) -> str:
        """Return its identity address."""
        return self.on_air.address

    @property
    def made(self) -> list[tuple[str, bytes]]:
        """Return all records it ever made; empty where it makes none."""
        records = getattr(self.on_air.peripheral, "records", None)
        return records.made if isinstance(records, Records) else []


async def put_on(bluez: Bluez, seed: int) -> list[Worn]:
    """Put all eight on the air."""
    return [
        Worn(kind, await bluez.put_on_air(kind.wearable, seed=seed + n))
        for n, kind in enumerate(KINDS)
    ]


async def register(worn: Iterable[Worn], profiles: Iterable[Profile]) -> list[Device]:
    """Pair those that want it; return the list of sensors."""
    known = tuple(profiles)
    devices = []
    for one in worn:
        services = {service.uuid for service in one.kind.wearable.services}
        guards = {
            c.guard for service in one.kind.wearable.services for c in service.characteristics
        }
        guarded = guards != {Guard.NONE}
        if guarded:
            await _pair(one.on_air)
        devices.append(
            Device(
                address=one.address,
                name=one.kind.wearable.words,
                patient=one.kind.patient,
                profiles=tuple(p.name for p in known if p.service in services and not p.quirk),
                bonded=guarded,
                consent=not guarded,
                security=Security.ENCRYPTED if guarded else Security.OPEN,
            )
        )
    return devices


class _Person:
    """Reads off the sensor's display what is to be typed."""

    def __init__(self, on_air: OnAir) -> None:
        self._on_air = on_air

    async def allow(self, device: BluezDevice) -> bool:  # noqa: ARG002
        return True

    async def confirm(self, device: BluezDevice, number: int) -> bool:  # noqa: ARG002
        return number == self._on_air.passkey

    async def passkey(self, device: BluezDevice) -> int | None:  # noqa: ARG002
        while self._on_air.passkey is None:  # noqa: ASYNC110  # a display has no event
            await asyncio.sleep(0.1)
        return self._on_air.passkey

    async def show(self, device: BluezDevice, number: int, entered: int) -> None:
        """Nothing has to be typed on any of the eight."""


async def _pair(on_air: OnAir) -> None:
    """Pair one sensor, as `homeward pair` does."""
    async with BlueZ.connect() as bluez, asyncio.timeout(PAIR_S):
        await bluez.start_discovery("hci0")
        while (found := await _seen(bluez, on_air.address)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await bluez.stop_discovery("hci0")
        async with Agent(bluez, found, _Person(on_air)):
            await bluez.pair(found.path)
            while not _is_resolved(await _seen(bluez, on_air.address)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await bluez.disconnect(found.path)


async def _seen(bluez: BlueZ, address: str) -> BluezDevice | None:
    return next((one for one in await bluez.devices() if one.address == address), None)


def _is_resolved(device: BluezDevice | None) -> bool:
    return device is not None and device.services_resolved
