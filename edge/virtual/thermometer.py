"""An ear thermometer: Health Thermometer Service (0x1809); layout in `edge.decoders.thermometer`.

It brings one measurement from before it was switched on, and takes another every few minutes:
while the probe warms up it notifies intermediate temperatures, then it indicates the measurement,
or keeps it until somebody listens. Its clock can be read.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.bits import pack_medfloat
from edge.gatt import CURRENT_TIME, uuid
from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual._date import SWITCHED_ON, DeviceDate, Truth, time_service
from edge.virtual._outbox import Outbox

MEASUREMENT: Final = uuid(0x2A1C)
PLACE: Final = uuid(0x2A1D)
INTERMEDIATE: Final = uuid(0x2A1E)

TICK_S: Final = 1.0
EVERY_S: Final = 300.0
FIRST_S: Final = 30.0
WARM_UP_S: Final = 8.0
BEFORE_S: Final = 2 * 3600.0
"""How long before it was switched on it took the measurement that it brings."""
N_TRUTH: Final = 4096

_EAR: Final = 3
_HAS_TIME, _HAS_PLACE = 0x02, 0x04
_ROOM_DEGC: Final = 24.0
_WARM_UP_SHARE: Final = 0.45


class EarThermometer:
    """One ear thermometer.

    Attributes
    ----------
    truth : deque[Truth]
        The newest measurements and intermediate temperatures.
    date : DeviceDate
        Its clock.
    outbox : Outbox
        Measurements that nobody has taken yet.
    """

    def __init__(self, seed: int) -> None:
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        rng = np.random.default_rng(seed)
        self.date = DeviceDate(SWITCHED_ON, fast_ppm=float(rng.uniform(-80.0, 80.0)))
        self.outbox = Outbox(MEASUREMENT)
        self._usual_degc = float(rng.uniform(36.4, 37.4))

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
            elif due_s >= next_s - WARM_UP_S:
                await port.send(INTERMEDIATE, self._warm_up(due_s, next_s - due_s))
            await self.outbox.send(port)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Nothing of it can be written."""

    def value(self, uuid: str, now_s: float) -> bytes | None:
        """Return its time."""
        return self.date.current_time(now_s) if uuid == CURRENT_TIME else None

    def _measure(self, at_s: float) -> None:
        degc = self._degc(at_s)
        self.truth.append(Truth(at_s, "temp_degc", degc))
        self.outbox.waiting.append(
            bytes([_HAS_TIME | _HAS_PLACE])
            + pack_medfloat(degc, -1)
            + self.date.date_time(at_s)
            + bytes([_EAR])
        )

    def _warm_up(self, at_s: float, left_s: float) -> bytes:
        """Return an intermediate temperature, so long before the measurement is finished."""
        missing = (self._degc(at_s) - _ROOM_DEGC) * math.exp(-_WARM_UP_SHARE * (WARM_UP_S - left_s))
        degc = round((self._degc(at_s) - missing) * 10) / 10
        self.truth.append(Truth(at_s, "probe_degc", degc))
        return bytes([_HAS_PLACE]) + pack_medfloat(degc, -1) + bytes([_EAR])

    def _degc(self, at_s: float) -> float:
        """Return the temperature of the ear, in tenths: higher in the evening."""
        return round((self._usual_degc + 0.4 * math.sin(2 * math.pi * at_s / 86_400.0)) * 10) / 10


WEARABLE = Wearable(
    name="thermometer",
    words="ear thermometer",
    local_name="Homeward Ear",
    services=(
        Service(
            uuid(0x1809),
            (
                Characteristic(MEASUREMENT, ("indicate",)),
                Characteristic(PLACE, ("read",), bytes([_EAR])),
                Characteristic(INTERMEDIATE, ("notify",)),
            ),
            advertised=True,
        ),
        time_service(),
    ),
    open=EarThermometer,
)
