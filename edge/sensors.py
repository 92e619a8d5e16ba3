"""What is known of each sensor itself: link, battery, clock, and measurements of its own."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Collection
from typing import Final

import msgspec

from edge.dsp.device_time import DeviceTime
from edge.events import DeviceClock, LinkTold
from edge.live import SensorLive
from edge.records import LinkChange, LinkState, Reading, Samples

BACKFILL_S: Final = 60.0
"""A measurement that was taken so long before it arrived is of the past: it alarms nobody."""
N_KNOWN_READINGS: Final = 4096
"""Readings remembered, so that one fetched twice is recorded once; the store remembers all."""
MAX_SENSORS: Final = 64
"""Sensors kept apart; more means that something makes names up."""


class Sensor:
    """One sensor: how its link is, and what its clock means."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.told = LinkTold(source, LinkState.LOST)
        self.since_s = 0.0
        self.battery_pct = math.nan
        self.time = DeviceTime()


class Sensors:
    """All sensors whose link somebody told of, or that sent a measurement of their own."""

    def __init__(self) -> None:
        self._sensors: dict[str, Sensor] = {}
        self._linked: dict[str, Sensor] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._latest: dict[tuple[str, str], Reading] = {}
        self.batteries: dict[str, float] = {}
        """Source -> the charge of its battery that it told last, in percent."""

    def take_link(self, told: LinkTold, patient: str, at_s: float) -> LinkChange | None:
        """Take what became of a link; None where nothing changed."""
        sensor = self._sensor(told.source)
        if sensor is None or (told == sensor.told and told.source in self._linked):
            return None
        sensor.told, sensor.since_s = told, at_s
        if told.state is LinkState.REMOVED:
            self._linked.pop(told.source, None)
            self.batteries.pop(told.source, None)
        else:
            self._linked[told.source] = sensor
        return LinkChange(
            patient,
            told.source,
            at_s,
            told.state,
            told.security,
            told.name,
            told.place,
            told.reason,
        )

    def take_clock(self, told: DeviceClock) -> None:
        """Take what a sensor's own clock showed."""
        sensor = self._sensor(told.source)
        if sensor is not None:
            sensor.time.note(told.device_s, told.boot_s, told.uncertainty_s)

    def take_battery(self, samples: Samples, source: str) -> None:
        """Take the charge of a sensor's battery."""
        sensor = self._sensor(source)
        if sensor is None:
            return
        sensor.battery_pct = float(samples.values[-1])
        if not math.isnan(sensor.battery_pct):
            self.batteries[source] = sensor.battery_pct

    def read(
        self, samples: Samples, arrived_s: float, source: str, patient: str
    ) -> tuple[list[Reading], bool]:
        """Return the readings in a run that are new, and whether the run is of the past."""
        at_s, uncertainty_s = self._time(samples, arrived_s, source)
        past = samples.backfilled or (at_s is not None and arrived_s - at_s > BACKFILL_S)
        if at_s is None and not samples.backfilled:
            at_s = arrived_s  # sent as it was taken, as far as anybody can tell
        found = [
            Reading(
                reading_id,
                patient,
                source,
                samples.signal,
                float(value),
                at_s,
                uncertainty_s,
                arrived_s,
                past,
            )
            for idx, value in enumerate(samples.values.tolist())
            if not math.isnan(value)
            and self._is_new(reading_id := _reading_id(samples, idx, source, arrived_s))
        ]
        for reading in found:
            self._note_latest(reading)
        return found, past

    def n_keys_lost(self, sources: Collection[str]) -> int:
        """Return how many of the sources can no longer prove who they are."""
        return sum(
            source in self._linked and self._linked[source].told.state is LinkState.KEY_LOST
            for source in sources
        )

    def name_of(self, source: str) -> str:
        """Return what people call a sensor; its source where nobody named it."""
        sensor = self._sensors.get(source)
        return (sensor.told.name if sensor else "") or source

    def live(self, patient_of: dict[str, str], now_s: float) -> tuple[SensorLive, ...]:
        """Return how every sensor is, in the order in which they were first told of."""
        return tuple(
            SensorLive(
                source,
                sensor.told.name,
                sensor.told.place,
                patient_of.get(source, ""),
                sensor.told.state,
                sensor.told.security,
                sensor.told.reason,
                sensor.battery_pct,
                max(0.0, now_s - sensor.since_s),
            )
            for source, sensor in self._linked.items()
        )

    @property
    def latest(self) -> tuple[Reading, ...]:
        """The newest reading of every patient and signal."""
        return tuple(self._latest.values())

    @property
    def linked(self) -> tuple[str, ...]:
        """Sources whose link somebody told of."""
        return tuple(self._linked)

    def _sensor(self, source: str) -> Sensor | None:
        sensor = self._sensors.get(source)
        if sensor is None and len(self._sensors) < MAX_SENSORS:
            sensor = self._sensors[source] = Sensor(source)
        return sensor

    def _time(self, samples: Samples, arrived_s: float, source: str) -> tuple[float | None, float]:
        """Return when a run was taken by the sensor's own clock, and the bound on its error."""
        sensor = self._sensors.get(source)
        if samples.stamp is None or sensor is None:
            return None, math.inf
        device_s = samples.stamp.ticks * samples.stamp.tick_s
        placed = sensor.time.place(device_s, arrived_s)
        if placed is None:
            return None, math.inf
        return placed[0], placed[1] + samples.uncertainty_s

    def _note_latest(self, reading: Reading) -> None:
        key = (reading.patient, reading.signal)
        before = self._latest.get(key)
        if before is None:
            if len(self._latest) < MAX_SENSORS:
                self._latest[key] = reading
        elif _when_s(reading) >= _when_s(before):
            self._latest[key] = reading

    def _is_new(self, reading_id: str) -> bool:
        if reading_id in self._known:
            return False
        self._known[reading_id] = None
        if len(self._known) > N_KNOWN_READINGS:
            self._known.popitem(last=False)
        return True


def _when_s(reading: Reading) -> float:
    return reading.at_s if reading.at_s is not None else -math.inf


def _reading_id(samples: Samples, idx: int, source: str, arrived_s: float) -> str:
    """Return the same id for the same measurement, however often and on whatever way it came."""
    when = samples.stamp.ticks if samples.stamp is not None else f"arrived {arrived_s!r}"
    named = msgspec.json.encode([source, samples.signal, samples.lead, when, idx])
    return hashlib.sha256(named).hexdigest()[:24]
