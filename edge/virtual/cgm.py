"""A continuous glucose sensor: CGM Service (0x181F) with E2E-CRC; layouts in `edge.decoders.cgm`.

Once a minute it measures, sends the value where somebody listens, and keeps it in any case: what
was missed while the link was down is fetched by its minutes (`edge.virtual._record_access`). Live
values go on while kept ones are being reported, on the same characteristic; a central has to cope.

Its session began two hours before it was switched on. The value wanders between about 60 and 200
mg/dL; below 70 and above 180 the patient's limits are announced, and for four minutes in every
hundred the sensor has failed. Sessions cannot be started or stopped: no command is supported.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.bits import pack_sfloat
from edge.gatt import RECORD_ACCESS, uuid
from edge.virtual import Characteristic, Guard, Port, Service, Wearable
from edge.virtual._date import SWITCHED_ON, DeviceDate, Truth
from edge.virtual._record_access import RecordAccess

MEASUREMENT: Final = uuid(0x2AA7)
FEATURE: Final = uuid(0x2AA8)
STATUS: Final = uuid(0x2AA9)
SESSION_START: Final = uuid(0x2AAA)
RUN_TIME: Final = uuid(0x2AAB)
CONTROL_POINT: Final = uuid(0x2AAC)

MINUTE_S: Final = 60.0
BEFORE_MIN: Final = 120
"""How long before it was switched on its session began."""
RUN_TIME_H: Final = 14 * 24
LOW_MGDL: Final = 70
HIGH_MGDL: Final = 180
N_TRUTH: Final = 4096

_HAS_TREND, _HAS_QUALITY, _HAS_WARNING, _HAS_STATUS = 0x01, 0x02, 0x20, 0x80
_BELOW_LIMIT, _ABOVE_LIMIT, _MALFUNCTION = 0x01, 0x02, 0x08
# Patient limits, malfunction, E2E-CRC, trend, quality; in the fluid of the tissue under the skin.
_CAN: Final = 1 << 1 | 1 << 6 | 1 << 12 | 1 << 15 | 1 << 16
_TISSUE_FLUID: Final = 0x59
_UTC_PLUS_1, _NO_DAYLIGHT_SAVING = 4, 0
_RESPONSE, _NOT_SUPPORTED = 0x1C, 0x02


class GlucoseSensor:
    """One sensor.

    Parameters
    ----------
    every_min : int
        Minutes between two values.
    date_is_known : bool
        Whether somebody has told it when its session began.

    Attributes
    ----------
    truth : deque[Truth]
        The newest values, trends and qualities.
    date : DeviceDate
        Its clock.
    records : RecordAccess
        What it kept.
    """

    def __init__(self, seed: int, *, every_min: int = 1, date_is_known: bool = True) -> None:
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        rng = np.random.default_rng(seed)
        self.date = DeviceDate(SWITCHED_ON)
        self.records = RecordAccess()
        self._every_min, self._date_is_known = every_min, date_is_known
        self._phases = rng.uniform(0.0, 2 * math.pi, 2).tolist()
        self._began_s = -BEFORE_MIN * MINUTE_S
        self._states = bytes(3)

    async def run(self, port: Port) -> None:
        """Measure and keep, and send from now on."""
        on_s = port.now_s()
        self._began_s = on_s - BEFORE_MIN * MINUTE_S
        minutes = 0
        while True:
            minutes += self._every_min
            due_s = self._began_s + minutes * MINUTE_S
            if due_s > on_s:
                await port.sleep(due_s - port.now_s())
            record = self._measure(due_s, minutes)
            if due_s > on_s:
                await port.send(MEASUREMENT, record)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Take a request for records, and refuse any other command."""
        if uuid == RECORD_ACCESS:
            await self.records.answer(port, payload)
        elif uuid == CONTROL_POINT and payload:
            await port.send(uuid, _seal(bytes([_RESPONSE, payload[0], _NOT_SUPPORTED])))

    def value(self, uuid: str, now_s: float) -> bytes | None:
        """Return what is read when the link is made."""
        if uuid == FEATURE:
            return _seal(_CAN.to_bytes(3, "little") + bytes([_TISSUE_FLUID]))
        if uuid == STATUS:
            minutes = int((now_s - self._began_s) // MINUTE_S)
            return _seal(minutes.to_bytes(2, "little") + self._states)
        if uuid == SESSION_START:
            began = self.date.date_time(self._began_s) if self._date_is_known else bytes(7)
            return _seal(began + bytes([_UTC_PLUS_1, _NO_DAYLIGHT_SAVING]))
        return _seal(RUN_TIME_H.to_bytes(2, "little")) if uuid == RUN_TIME else None

    def _measure(self, at_s: float, minutes: int) -> bytes:
        slow, fast = minutes / 29.0 + self._phases[0], minutes / 7.0 + self._phases[1]
        mgdl = round(130.0 + 55.0 * math.sin(slow) + 15.0 * math.sin(fast))
        trend = round(55.0 / 29.0 * math.cos(slow) + 15.0 / 7.0 * math.cos(fast), 1)
        failed = minutes % 100 >= 96
        quality = 20.0 if failed else 97.0
        values = (math.nan, math.nan) if failed else (float(mgdl), trend)
        for signal, value in zip(_SIGNALS, (*values, quality), strict=True):
            self.truth.append(Truth(at_s, signal, value))
        warning = _BELOW_LIMIT * (mgdl < LOW_MGDL) | _ABOVE_LIMIT * (mgdl > HIGH_MGDL)
        self._states = bytes([_MALFUNCTION * failed, 0, warning])
        flags = _HAS_TREND | _HAS_QUALITY | _HAS_STATUS * failed | _HAS_WARNING * bool(warning)
        fields = (
            bytes([flags])
            + pack_sfloat(mgdl)
            + minutes.to_bytes(2, "little")
            # Of the three only those are sent that are not zero.
            + bytes(state for state in self._states if state)
            + pack_sfloat(trend, -1)
            + pack_sfloat(quality)
        )
        record = _seal(bytes([len(fields) + 3]) + fields)
        self.records.keep(minutes, (MEASUREMENT, record))
        return record


_SIGNALS: Final = ("glucose_mgdl", "glucose_trend_mgdlmin", "glucose_quality_pct")


def _seal(payload: bytes) -> bytes:
    """Return the payload with its E2E-CRC, worked out bit by bit as the service describes it."""
    crc = 0xFFFF
    for byte in payload:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return payload + crc.to_bytes(2, "little")


WEARABLE = Wearable(
    name="cgm",
    words="continuous glucose sensor",
    local_name="Homeward CGM",
    services=(
        Service(
            uuid(0x181F),
            (
                Characteristic(MEASUREMENT, ("notify",), guard=Guard.ENCRYPTED),
                Characteristic(FEATURE, ("read",), guard=Guard.ENCRYPTED),
                Characteristic(STATUS, ("read",), guard=Guard.ENCRYPTED),
                Characteristic(SESSION_START, ("read",), guard=Guard.ENCRYPTED),
                Characteristic(RUN_TIME, ("read",), guard=Guard.ENCRYPTED),
                Characteristic(RECORD_ACCESS, ("write", "indicate"), guard=Guard.ENCRYPTED),
                Characteristic(CONTROL_POINT, ("write", "indicate"), guard=Guard.ENCRYPTED),
            ),
            advertised=True,
        ),
    ),
    open=GlucoseSensor,
)
