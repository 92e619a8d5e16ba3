"""A blood glucose meter: Glucose Service (0x1808); layouts in `edge.decoders.glucose`.

It keeps its results and sends them when it is asked for (`edge.virtual._record_access`); it brings
four weeks of them, four a day, and makes new ones. It measures in kg/L, whole blood from a finger.
One record in seven is of a control solution, one in seven went wrong (the drop was too small), and
one in seven comes with a context. Its clock was once set forward by an hour, so what it shows is
base time and offset.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.bits import pack_sfloat
from edge.gatt import CURRENT_TIME, RECORD_ACCESS, uuid
from edge.virtual import Characteristic, Guard, Port, Service, Wearable
from edge.virtual._date import SWITCHED_ON, DeviceDate, Truth, time_service
from edge.virtual._record_access import RecordAccess

MEASUREMENT: Final = uuid(0x2A18)
CONTEXT: Final = uuid(0x2A34)
FEATURE: Final = uuid(0x2A51)

N_BEFORE: Final = 112
"""Records it made before it was switched on."""
EVERY_S: Final = 21_600.0
OFFSET_MIN: Final = 60
"""What people set the clock forward by, after the factory had set it."""
FIRST_NUMBER: Final = 300
N_TRUTH: Final = 4096

_HAS_OFFSET, _HAS_RESULT, _HAS_STATUS, _CONTEXT_FOLLOWS = 0x01, 0x02, 0x08, 0x10
_FINGER_BLOOD, _CONTROL = 0x11, 0x4A
_DROP_TOO_SMALL: Final = 1 << 2
_HAS_MEAL, _BEFORE_MEAL = 0x02, 0x01
# Low battery, malfunction and a drop that is too small are detected.
_CAN: Final = 0x0007


class GlucoseMeter:
    """One meter.

    Attributes
    ----------
    truth : deque[Truth]
        The newest results that are the patient's; NaN for those that went wrong.
    date : DeviceDate
        Its clock, as the factory set it.
    records : RecordAccess
        What it kept.
    """

    def __init__(self, seed: int) -> None:
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        self._rng = np.random.default_rng(seed)
        self.date = DeviceDate(SWITCHED_ON, fast_ppm=float(self._rng.uniform(-50.0, 50.0)))
        self.records = RecordAccess()
        self._number = FIRST_NUMBER

    async def run(self, port: Port) -> None:
        """Measure now and then; nothing is sent without being asked for."""
        due_s = port.now_s() - N_BEFORE * EVERY_S
        while True:
            if due_s > port.now_s():
                await port.sleep(due_s - port.now_s())
            self._measure(due_s)
            due_s += EVERY_S

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Take a request for records."""
        if uuid == RECORD_ACCESS:
            await self.records.answer(port, payload)

    def value(self, uuid: str, now_s: float) -> bytes | None:
        """Return its time, as people have set it."""
        return self.date.current_time(now_s + 60 * OFFSET_MIN) if uuid == CURRENT_TIME else None

    def shown_s(self, now_s: float) -> float:
        """Return the date and time it shows, in seconds since 2000-01-01."""
        return self.date.shown_s(now_s) + 60 * OFFSET_MIN

    def _measure(self, at_s: float) -> None:
        number, self._number = self._number, self._number + 1
        control, failed, context = (number % 7 == rest for rest in (2, 4, 6))
        mgdl = round(float(np.clip(self._rng.normal(130.0, 45.0), 45.0, 400.0)))
        if not control:
            self.truth.append(Truth(at_s, "glucose_mgdl", math.nan if failed else float(mgdl)))
        head = number.to_bytes(2, "little")
        record = (
            bytes([_HAS_OFFSET | _HAS_RESULT | _HAS_STATUS | _CONTEXT_FOLLOWS * context])
            + head
            + self.date.date_time(at_s)
            + OFFSET_MIN.to_bytes(2, "little", signed=True)
            + pack_sfloat(mgdl / 1e5, -5)
            + bytes([_CONTROL if control else _FINGER_BLOOD])
            + (_DROP_TOO_SMALL * failed).to_bytes(2, "little")
        )
        sent = [(MEASUREMENT, record)]
        if context:
            sent.append((CONTEXT, bytes([_HAS_MEAL]) + head + bytes([_BEFORE_MEAL])))
        self.records.keep(number, *sent)


WEARABLE = Wearable(
    name="glucose_meter",
    words="blood glucose meter",
    local_name="Homeward Glucose",
    services=(
        Service(
            uuid(0x1808),
            (
                Characteristic(MEASUREMENT, ("notify",), guard=Guard.ENCRYPTED),
                Characteristic(CONTEXT, ("notify",), guard=Guard.ENCRYPTED),
                Characteristic(FEATURE, ("read",), _CAN.to_bytes(2, "little")),
                Characteristic(RECORD_ACCESS, ("write", "indicate"), guard=Guard.ENCRYPTED),
            ),
            advertised=True,
        ),
        time_service(),
    ),
    open=GlucoseMeter,
)
