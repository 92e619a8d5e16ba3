"""A scale: Weight Scale Service (0x181D); layout in `edge.decoders.weight_scale`.

It brings one measurement from before it was switched on; now and then somebody steps on it, and
every so many times steps off too soon, so that the measurement fails. It indicates each, or keeps
it until somebody listens. It wants an encrypted link; its clock can be read.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.gatt import CURRENT_TIME, uuid
from edge.virtual import Characteristic, Guard, Port, Service, Wearable
from edge.virtual._date import SWITCHED_ON, DeviceDate, Truth, time_service
from edge.virtual._outbox import Outbox

MEASUREMENT: Final = uuid(0x2A9D)
FEATURES: Final = uuid(0x2A9E)

TICK_S: Final = 1.0
EVERY_S: Final = 1200.0
FIRST_S: Final = 25.0
BEFORE_S: Final = 24 * 3600.0
"""How long before it was switched on it took the measurement that it brings."""
FAILS_EVERY: Final = 4
N_TRUTH: Final = 4096

_HAS_TIME, _HAS_USER, _HAS_BODY = 0x02, 0x04, 0x08
_UNKNOWN_USER: Final = 0xFF
_NOT_SUCCESSFUL: Final = 0xFFFF
# It has a clock, knows users and the body mass index; 0.005 kg (7), 0.001 m (3). From memory.
_CAN: Final = 1 << 0 | 1 << 1 | 1 << 2 | 7 << 3 | 3 << 7


class Scale:
    """One scale and the one who steps on it.

    Attributes
    ----------
    truth : deque[Truth]
        The newest measurements.
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
        self._height_mm = round(float(self._rng.uniform(1500.0, 1950.0)))
        self._usual_kg = float(self._rng.uniform(52.0, 95.0))
        self._n_measured = 0

    async def run(self, port: Port) -> None:
        """Be stepped on now and then, and send what was measured."""
        on_s = due_s = port.now_s()
        self._measure(on_s - BEFORE_S)
        next_s = on_s + FIRST_S
        while True:
            due_s += TICK_S
            await port.sleep(due_s - port.now_s())
            if due_s >= next_s:
                self._measure(due_s)
                next_s += EVERY_S
            await self.outbox.send(port)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Nothing of it can be written."""

    def value(self, uuid: str, now_s: float) -> bytes | None:
        """Return its time."""
        return self.date.current_time(now_s) if uuid == CURRENT_TIME else None

    def _measure(self, at_s: float) -> None:
        self._n_measured += 1
        failed = self._n_measured % FAILS_EVERY == 0
        raw = round(float(self._rng.normal(self._usual_kg, 0.4)) * 200)
        self.truth.append(Truth(at_s, "weight_kg", math.nan if failed else raw / 200))
        # A measurement that failed brings neither the index nor the height.
        flags = _HAS_TIME | _HAS_USER | (0 if failed else _HAS_BODY)
        payload = bytes([flags]) + (_NOT_SUCCESSFUL if failed else raw).to_bytes(2, "little")
        payload += self.date.date_time(at_s) + bytes([_UNKNOWN_USER])
        if not failed:
            index = round(raw / 200 / (self._height_mm / 1000) ** 2 * 10)
            self.truth.append(Truth(at_s, "bmi_au", index / 10))
            self.truth.append(Truth(at_s, "height_m", self._height_mm / 1000))
            payload += index.to_bytes(2, "little") + self._height_mm.to_bytes(2, "little")
        self.outbox.waiting.append(payload)


WEARABLE = Wearable(
    name="weight_scale",
    words="scale",
    local_name="Homeward Scale",
    services=(
        Service(
            uuid(0x181D),
            (
                Characteristic(MEASUREMENT, ("indicate",), guard=Guard.ENCRYPTED),
                Characteristic(FEATURES, ("read",), _CAN.to_bytes(4, "little")),
            ),
            advertised=True,
        ),
        time_service(),
    ),
    open=Scale,
)
