"""A HealthyPi 5 with the HealthyBridge firmware; the bytes are those of `edge.decoders.healthypi`.

It uses the UUIDs of the standard services for bytes of its own. Rate, saturation, temperature and
breathing rate come once a second, ECG and respiration 16 times, in counts of its converter.
`HealthyPi.electrodes_on` takes the electrodes off: then it has no rate, and the ECG is flat.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.gatt import uuid
from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual._date import Truth

OWN_SERVICE: Final = "cd5c7491-4448-7db8-ae4c-d1da8cba36d0"
HEART_RATE: Final = uuid(0x2A37)
SATURATION: Final = uuid(0x2A5E)
TEMPERATURE: Final = uuid(0x2A6E)
ECG: Final = uuid(0x1424)
RESPIRATION: Final = "babe4a4c-7789-11ed-a1eb-0242ac120002"
BREATHS: Final = "cd5ca86f-4448-7db8-ae4c-d1da8cba36d0"

FS_HZ: Final = 128.0
N_COUNTS: Final = 8
N_TRUTH: Final = 65_536

_ECG_COUNTS: Final = 2_600.0
_RESP_COUNTS: Final = 4_000.0
_R_WIDTH_S: Final = 0.012
_T_WIDTH_S: Final = 0.05
_T_DELAY_S: Final = 0.28


class HealthyPi:
    """One board.

    Attributes
    ----------
    electrodes_on : bool
        Whether it has an ECG and a rate from it.
    truth : deque[Truth]
        The newest values it had, sent or not.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.electrodes_on = True
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        self._rate_bpm = int(rng.integers(58, 88))
        self._breaths = int(rng.integers(11, 19))
        self._spo2 = int(rng.integers(94, 99))
        self._degc = float(rng.uniform(36.2, 37.4))

    async def run(self, port: Port) -> None:
        """Measure, and send where somebody listens."""
        began_s = port.now_s()
        n_sent = 0
        while True:
            n_sent += 1
            due_s = began_s + n_sent * N_COUNTS / FS_HZ
            await port.sleep(due_s - port.now_s())
            first = (n_sent - 1) * N_COUNTS
            await self._send_counts(port, began_s + first / FS_HZ, first)
            if n_sent * N_COUNTS % FS_HZ == 0:
                await self._send_vitals(port, due_s)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Nothing of it is written here: its command service is left out."""

    def value(self, uuid: str, now_s: float) -> bytes | None:  # noqa: ARG002
        """Return nothing: what it sent last is not read."""
        return None

    async def _send_counts(self, port: Port, at_s: float, first: int) -> None:
        t_s = np.arange(first, first + N_COUNTS) / FS_HZ
        for characteristic, signal, counts in (
            (ECG, "ecg_au", self._ecg(t_s)),
            (RESPIRATION, "resp_au", self._respiration(t_s)),
        ):
            self.truth.extend(Truth(at_s, signal, float(count)) for count in counts)
            await port.send(characteristic, counts.tobytes())

    async def _send_vitals(self, port: Port, at_s: float) -> None:
        rate = self._rate_bpm if self.electrodes_on else 0
        hundredths = round(100 * (self._degc + 0.2 * math.sin(2 * math.pi * at_s / 600.0)))
        for characteristic, signal, value, payload in (
            (HEART_RATE, "hr_bpm", float(rate or math.nan), bytes([0, rate])),
            (SATURATION, "spo2_pct", float(self._spo2), bytes([0, self._spo2])),
            (BREATHS, "resp_brpm", float(self._breaths), self._breaths.to_bytes(2, "little")),
            (TEMPERATURE, "temp_degc", hundredths / 100, hundredths.to_bytes(2, "little")),
        ):
            self.truth.append(Truth(at_s, signal, value))
            await port.send(characteristic, payload)

    def _ecg(self, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        if not self.electrodes_on:
            return np.zeros(len(t_s), "<i4")
        from_r_s = t_s % (60.0 / self._rate_bpm) - _T_DELAY_S / 2
        r_wave = np.exp(-0.5 * (from_r_s / _R_WIDTH_S) ** 2)
        t_wave = 0.25 * np.exp(-0.5 * ((from_r_s - _T_DELAY_S) / _T_WIDTH_S) ** 2)
        return np.round(_ECG_COUNTS * (r_wave + t_wave)).astype("<i4")

    def _respiration(self, t_s: NDArray[np.float64]) -> NDArray[np.int32]:
        wave = np.sin(2 * np.pi * self._breaths / 60.0 * t_s)
        return np.round(_RESP_COUNTS * wave).astype("<i4")


def _notifies(*uuids: str) -> tuple[Characteristic, ...]:
    return tuple(Characteristic(one, ("read", "notify")) for one in uuids)


WEARABLE = Wearable(
    name="healthypi",
    words="HealthyPi 5 board",
    # The quirk goes by this name, so it cannot be one of ours.
    local_name="HealthyPi 5",
    services=(
        Service(uuid(0x180D), _notifies(HEART_RATE)),
        Service(uuid(0x1822), _notifies(SATURATION)),
        Service(uuid(0x1809), _notifies(TEMPERATURE)),
        Service(uuid(0x1122), _notifies(ECG, RESPIRATION)),
        Service(OWN_SERVICE, _notifies(BREATHS)),
    ),
    open=HealthyPi,
    manufacturer="ProtoCentral",
    model="virtual HealthyPi 5",
)
