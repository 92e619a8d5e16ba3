"""Who looks on in a night: links, silences and the alarms that are due for them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from edge.alarms.signal_lost import NAME as SIGNAL_LOST
from edge.events import BOX, LINK, LinkTold
from edge.records import Alert, AlertState, LinkState, Packet, Reading, Record
from tests.rigs.night_air import Worn

ALARM_S: Final = 10.0
"""The alarm is due so long after the data stopped."""


class _Sensor:
    def __init__(self, one: Worn) -> None:
        self.kind = one.kind
        self.state = LinkState.LOST
        self.connected_s = math.inf
        self.heard_s = math.nan
        self.heard: list[float] = []
        """Arrivals since the last drop began: one in each second is enough."""
        self.is_dropped = False


class Silence(msgspec.Struct):
    """A time in which a sensor that sends all the time sent nothing; the alarm, if it came."""

    address: str
    from_s: float
    alarm_after_s: float | None = None


class Watch:
    """Sees every packet and every record.

    Attributes
    ----------
    silences : list[Silence]
        Those of more than `ALARM_S`.
    """

    def __init__(self, worn: Iterable[Worn]) -> None:
        self._sensors = {one.address: _Sensor(one) for one in worn}
        self.silences: list[Silence] = []
        self._missed: dict[tuple[str, str], float] = {}
        self._readings: set[int] = set()
        self._latest_s: dict[str, float] = {}
        self.n_readings_twice = self.n_unplanned = self.n_disordered = self.n_overtaken = 0
        self.records: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    def took(self, packet: Packet) -> None:
        """See a packet."""
        self.n_overtaken += packet.arrived_s < self._latest_s.get("", 0.0)
        if packet.source != BOX:
            self.n_disordered += packet.arrived_s < self._latest_s.get(packet.source, 0.0)
        self._latest_s[""] = self._latest_s[packet.source] = packet.arrived_s
        if packet.stream == LINK:
            self._told(msgspec.json.decode(packet.payload, type=LinkTold), packet.arrived_s)
        sensor = self._sensors.get(packet.source)
        if sensor is None or packet.stream != sensor.kind.watched:
            return
        if packet.arrived_s - sensor.heard_s > ALARM_S:
            self._silent(packet.source, sensor, packet.arrived_s)
        sensor.heard_s = packet.arrived_s
        sensor.heard.append(packet.arrived_s)
        del sensor.heard[:-200]
        self._missed.pop((sensor.kind.patient, sensor.kind.age), None)

    def gave(self, record: Record) -> None:
        """See a record."""
        self.records[type(record).__name__.lower()] += 1
        if isinstance(record, Reading):
            number = int(record.id, 16)  # half as large as the text
            self.n_readings_twice += number in self._readings
            self._readings.add(number)
        elif isinstance(record, Alert) and record.rule == SIGNAL_LOST:
            says = record.state in {AlertState.RAISED, AlertState.ACTIVE}
            for age in record.evidence if says else ():
                self._missed.setdefault((record.patient, age), record.at_s)

    def is_well(self, address: str) -> bool:
        """Return whether a sensor is connected, and sends if it is of those that do."""
        sensor = self._sensors[address]
        return sensor.state is LinkState.CONNECTED and (
            not sensor.kind.watched or bool(sensor.heard)
        )

    def drop_begins(self, addresses: Sequence[str]) -> None:
        """Expect links to be lost."""
        for address in addresses:
            self._sensors[address].is_dropped = True
            self._sensors[address].heard.clear()

    def drop_ends(self, addresses: Sequence[str]) -> None:
        """Expect nothing to be lost any more."""
        for address in addresses:
            self._sensors[address].is_dropped = False

    def back_s(self, address: str, began_s: float, there_s: float) -> float | None:
        """Return when a sensor was back after its drop; None: it is not.

        Back is: the reader has said that it is connected anew, and where it is one that sends all
        the time, a measurement has come. One that was silent for less than the reader takes to
        notice needs no new link.
        """
        sensor = self._sensors[address]
        if sensor.state is not LinkState.CONNECTED:
            return None
        since_s = max(there_s, sensor.connected_s)
        if sensor.connected_s < began_s:
            if not sensor.kind.watched or not sensor.heard:
                return None
            # The old link stands: it was only silent.
            since_s = max(there_s, began_s + 2.0)
        if not sensor.kind.watched:
            return since_s
        return next((at_s for at_s in sensor.heard if at_s >= since_s), None)

    def summary(self) -> dict[str, Any]:
        """Return what was seen."""
        late = [one for one in self.silences if one.alarm_after_s is None]
        after = sorted(s.alarm_after_s for s in self.silences if s.alarm_after_s is not None)
        return {
            "n_silences": len(self.silences),
            "n_without_alarm": len(late),
            "alarm_after_s": after,
            "n_readings": len(self._readings),
            "n_readings_twice": self.n_readings_twice,
            "n_disordered": self.n_disordered,
            "n_overtaken": self.n_overtaken,
            "n_unplanned": self.n_unplanned,
            "records": dict(self.records),
            "reasons": dict(self.reasons),
        }

    def _told(self, told: LinkTold, at_s: float) -> None:
        sensor = self._sensors[told.source]
        if told.state is LinkState.CONNECTED:
            sensor.connected_s = at_s
        elif not sensor.is_dropped:
            self.n_unplanned += 1
            self.reasons[told.reason] += 1
        sensor.state = told.state

    def _silent(self, address: str, sensor: _Sensor, until_s: float) -> None:
        """Note a silence that has ended, and when the alarm for it came."""
        missed_s = self._missed.get((sensor.kind.patient, sensor.kind.age))
        after_s = None if missed_s is None else missed_s - sensor.heard_s
        # The alarm had until the silence ended: one that ended as it was due needs none.
        if after_s is not None or until_s - sensor.heard_s > ALARM_S + 1.0:
            self.silences.append(Silence(address, sensor.heard_s, after_s))
