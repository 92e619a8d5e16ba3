"""A finger clip: Pulse Oximeter Service (0x1822); layout in `edge.decoders.pulse_oximeter`.

Once a second it sends a continuous measurement. Now and then it makes a spot check, sends it where
somebody listens, and keeps it in any case: `edge.virtual._record_access` gives the kept ones out.
A spot check that was sent and is fetched later therefore comes twice, with the same time in it.
It brings some from before it was switched on. `Clip.worn` takes the finger out.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.bits import pack_sfloat
from edge.gatt import CURRENT_TIME, RECORD_ACCESS, uuid
from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual._date import SWITCHED_ON, DeviceDate, Truth, time_service
from edge.virtual._record_access import RecordAccess

CONTINUOUS: Final = uuid(0x2A5F)
SPOT_CHECK: Final = uuid(0x2A5E)
FEATURES: Final = uuid(0x2A60)

PERIOD_S: Final = 1.0
SPOT_EVERY_S: Final = 600.0
FIRST_SPOT_S: Final = 20.0
N_BEFORE: Final = 5
"""Spot checks it made before it was switched on, an hour apart."""
N_TRUTH: Final = 4096

_STATUS, _DEVICE, _AMPLITUDE = 0x04, 0x08, 0x10
_SPOT_FLAGS: Final = 0x01 | 0x02 | 0x04 | 0x08
_ONGOING, _QUALIFIED, _FROM_STORAGE, _UNAVAILABLE = 1 << 5, 1 << 8, 1 << 9, 1 << 13
_NOT_ON_USER: Final = 1 << 11
# It tells both states, stores, has a clock and the amplitude; then the bits it can set.
_CAN: Final = 0x004F


class Clip:
    """One finger clip.

    Attributes
    ----------
    worn : bool
        Without a finger it has no values, and makes no spot checks.
    truth : deque[Truth]
        The newest values of its continuous measurements.
    spots : deque[Truth]
        Those of its spot checks, with the time they were made at.
    date : DeviceDate
        Its clock.
    records : RecordAccess
        The spot checks it kept.
    """

    def __init__(self, seed: int) -> None:
        self.worn = True
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        self.spots: deque[Truth] = deque(maxlen=N_TRUTH)
        rng = np.random.default_rng(seed)
        self.date = DeviceDate(SWITCHED_ON, fast_ppm=float(rng.uniform(-50.0, 50.0)))
        self.records = RecordAccess(numbered=False)
        self._phase = float(rng.uniform(0.0, 2 * math.pi))
        self._pulse_bpm = float(rng.uniform(58.0, 78.0))

    async def run(self, port: Port) -> None:
        """Send every second, and make spot checks."""
        on_s = due_s = port.now_s()
        for hours in range(N_BEFORE, 0, -1):
            self._check(on_s - hours * 3600.0)
        spot_s = on_s + FIRST_SPOT_S
        while True:
            due_s += PERIOD_S
            await port.sleep(due_s - port.now_s())
            await port.send(CONTINUOUS, self._measure(due_s))
            if due_s >= spot_s:
                spot_s += SPOT_EVERY_S
                if self.worn:
                    await port.send(SPOT_CHECK, self._check(due_s))

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Take a request for records."""
        if uuid == RECORD_ACCESS:
            await self.records.answer(port, payload)

    def value(self, uuid: str, now_s: float) -> bytes | None:
        """Return its time."""
        return self.date.current_time(now_s) if uuid == CURRENT_TIME else None

    def _measure(self, now_s: float) -> bytes:
        values = self._values(now_s) if self.worn else (math.nan,) * 3
        contact = 1.0 if self.worn else 0.0
        for signal, value in zip(_SIGNALS, (*values, contact), strict=True):
            self.truth.append(Truth(now_s, signal, value))
        measured = _ONGOING | (_QUALIFIED if self.worn else _UNAVAILABLE)
        device = 0 if self.worn else _NOT_ON_USER
        return (
            bytes([_STATUS | _DEVICE | _AMPLITUDE])
            + _pack_pair(values)
            + _pack_states(measured, device)
            + pack_sfloat(values[2], -1)
        )

    def _check(self, at_s: float) -> bytes:
        """Make a spot check and keep it; return what is sent of it at once."""
        values = self._values(at_s)
        for signal, value in zip(_SIGNALS, (*values, 1.0), strict=True):
            self.spots.append(Truth(at_s, signal, value))
        head = bytes([_SPOT_FLAGS]) + _pack_pair(values) + self.date.date_time(at_s)
        tail = pack_sfloat(values[2], -1)
        kept = head + _pack_states(_QUALIFIED | _FROM_STORAGE, 0) + tail
        self.records.keep(0, (SPOT_CHECK, kept))
        return head + _pack_states(_QUALIFIED, 0) + tail

    def _values(self, at_s: float) -> tuple[float, float, float]:
        """Return saturation, pulse rate and pulse amplitude, as rounded as they are sent."""
        slow, fast = math.sin(at_s / 180.0 + self._phase), math.sin(at_s / 7.0 + self._phase)
        spo2_pct = round(96.5 + 1.5 * slow)
        pulse_bpm = round(self._pulse_bpm + 5.0 * slow + 3.0 * fast)
        return float(spo2_pct), float(pulse_bpm), round(30.0 + 10.0 * fast) / 10


_SIGNALS: Final = ("spo2_pct", "pulse_bpm", "pai_pct", "contact_flag")


def _pack_pair(values: tuple[float, ...]) -> bytes:
    return pack_sfloat(values[0]) + pack_sfloat(values[1])


def _pack_states(measured: int, device: int) -> bytes:
    return measured.to_bytes(2, "little") + device.to_bytes(3, "little")


WEARABLE = Wearable(
    name="pulse_oximeter",
    words="finger clip",
    local_name="Homeward Clip",
    services=(
        Service(
            uuid(0x1822),
            (
                Characteristic(CONTINUOUS, ("notify",)),
                Characteristic(SPOT_CHECK, ("indicate",)),
                Characteristic(
                    FEATURES,
                    ("read",),
                    _CAN.to_bytes(2, "little")
                    + _pack_states(
                        _ONGOING | _QUALIFIED | _FROM_STORAGE | _UNAVAILABLE, _NOT_ON_USER
                    ),
                ),
                Characteristic(RECORD_ACCESS, ("write", "indicate")),
            ),
            advertised=True,
        ),
        time_service(),
    ),
    open=Clip,
)
