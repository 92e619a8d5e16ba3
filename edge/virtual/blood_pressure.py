"""An upper arm cuff: Blood Pressure Service (0x1810); layout in `edge.decoders.blood_pressure`.

It brings one measurement from before it was switched on, and takes another now and then: while it
is pumped up and let down it notifies the cuff's pressure, then it indicates the measurement, or
keeps it until somebody listens. Every so many measurements the arm moves, the pulse is irregular,
the cuff is loose, or the measurement fails. It has to be paired by typing the digits it shows; its
clock can be read and set.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.bits import pack_sfloat
from edge.gatt import CURRENT_TIME, uuid
from edge.virtual import Characteristic, Guard, Port, Service, Wearable
from edge.virtual._date import SWITCHED_ON, DeviceDate, Truth, time_service
from edge.virtual._outbox import Outbox

MEASUREMENT: Final = uuid(0x2A35)
CUFF: Final = uuid(0x2A36)
FEATURES: Final = uuid(0x2A49)

TICK_S: Final = 1.0
EVERY_S: Final = 900.0
FIRST_S: Final = 45.0
PUMPING_S: Final = 12.0
MEASURING_S: Final = 36.0
BEFORE_S: Final = 40 * 60.0
"""How long before it was switched on it took the measurement that it brings."""
N_TRUTH: Final = 4096

MOVED, LOOSE, IRREGULAR = 1 << 0, 1 << 1, 1 << 2
_HAS_TIME, _HAS_PULSE, _HAS_STATUS = 0x02, 0x04, 0x10
_FLAGS: Final = _HAS_TIME | _HAS_PULSE | _HAS_STATUS
_CAN: Final = MOVED | LOOSE | IRREGULAR

# What is wrong with the measurements, in turn; None: it fails.
_TURNS: Final = (0, 0, IRREGULAR, MOVED, 0, LOOSE, None)


class UpperArmCuff:
    """One cuff.

    Attributes
    ----------
    truth : deque[Truth]
        The newest measurements and cuff pressures.
    date : DeviceDate
        Its clock.
    outbox : Outbox
        Measurements that nobody has taken yet.
    """

    def __init__(self, seed: int) -> None:
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        self._rng = np.random.default_rng(seed)
        self.date = DeviceDate(SWITCHED_ON, fast_ppm=float(self._rng.uniform(-80.0, 80.0)))
        self.outbox = Outbox(MEASUREMENT)
        self._usual_mmhg = float(self._rng.uniform(110.0, 150.0))
        self._n_measured = 0

    async def run(self, port: Port) -> None:
        """Measure now and then, and send what was measured."""
        on_s = due_s = port.now_s()
        self._measure(on_s - BEFORE_S)
        next_s = on_s + FIRST_S
        while True:
            due_s += TICK_S
            await port.sleep(due_s - port.now_s())
            if due_s >= next_s:
                self._measure(due_s)
                next_s += EVERY_S
            elif due_s >= next_s - MEASURING_S:
                await port.send(CUFF, self._pump(due_s, due_s - (next_s - MEASURING_S)))
            await self.outbox.send(port)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Take the time."""
        if uuid == CURRENT_TIME:
            self.date.set(payload, port.now_s())

    def value(self, uuid: str, now_s: float) -> bytes | None:
        """Return its time."""
        return self.date.current_time(now_s) if uuid == CURRENT_TIME else None

    def _measure(self, at_s: float) -> None:
        status = _TURNS[self._n_measured % len(_TURNS)]
        self._n_measured += 1
        systolic = round(float(self._rng.normal(self._usual_mmhg, 5.0)))
        diastolic = round(systolic * 0.62)
        mean = round((systolic + 2 * diastolic) / 3)
        pulse_bpm = round(float(self._rng.normal(68.0, 4.0)))
        numbers: list[float] = [systolic, diastolic, mean, pulse_bpm]
        if status is None:
            numbers = [math.nan] * 4
        self._note(at_s, numbers, status or 0)
        # A whole number is sent with exponent 0, as most cuffs do.
        packed = [pack_sfloat(number) for number in numbers]
        self.outbox.waiting.append(
            bytes([_FLAGS])
            + b"".join(packed[:3])
            + self.date.date_time(at_s)
            + packed[3]
            + (status or 0).to_bytes(2, "little")
        )

    def _note(self, at_s: float, numbers: list[float], status: int) -> None:
        """Note what should be made of a measurement: the pressures of a loose cuff are none."""
        pressures = [math.nan] * 3 if status & LOOSE else numbers[:3]
        values = {
            "nibp_sys_mmhg": pressures[0],
            "nibp_dia_mmhg": pressures[1],
            "nibp_map_mmhg": pressures[2],
            "pulse_bpm": numbers[3],
            "nibp_suspect_flag": float(bool(status & (MOVED | LOOSE))),
            "irregular_pulse_flag": float(bool(status & IRREGULAR)),
        }
        if math.isnan(numbers[2]):
            del values["nibp_map_mmhg"]
        self.truth.extend(Truth(at_s, signal, value) for signal, value in values.items())

    def _pump(self, at_s: float, since_s: float) -> bytes:
        """Return the cuff's pressure, so long after the pump was switched on."""
        highest_mmhg = self._usual_mmhg + 40.0
        if since_s <= PUMPING_S:
            mmhg = highest_mmhg * since_s / PUMPING_S
        else:
            mmhg = highest_mmhg * (1.0 - (since_s - PUMPING_S) / (MEASURING_S - PUMPING_S))
        self.truth.append(Truth(at_s, "cuff_mmhg", float(round(mmhg))))
        return bytes([0]) + pack_sfloat(round(mmhg)) + 2 * pack_sfloat(math.nan)


WEARABLE = Wearable(
    name="blood_pressure",
    words="blood pressure cuff",
    local_name="Homeward Cuff",
    services=(
        Service(
            uuid(0x1810),
            (
                Characteristic(MEASUREMENT, ("indicate",), guard=Guard.AUTHENTICATED),
                Characteristic(CUFF, ("notify",), guard=Guard.AUTHENTICATED),
                Characteristic(FEATURES, ("read",), _CAN.to_bytes(2, "little")),
            ),
            advertised=True,
        ),
        time_service(writable=True),
    ),
    open=UpperArmCuff,
    displays_passkey=True,
)
