"""A Viatom or Wellue oximeter ring; the bytes are those of `edge.decoders.viatom`.

It says nothing until it is asked: for its sensors (17), or for what it is (14), which gives a text
of several notifications. Other commands are refused, and what is no question is not answered.
`Ring.worn` takes it off the finger; put on again, it takes some seconds to find the pulse.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual._date import Truth

SERVICE: Final = "14839ac4-7d7e-415c-9a42-167340cf2339"
WRITE: Final = "8b00ace7-eb0b-49b0-bbe9-9aee0a26e1a3"
NOTIFY: Final = "0734594a-a8e7-4b1a-a6b1-cd5243059a57"

QUESTION, ANSWER = 0xAA, 0x55
INFORMATION, SENSORS = 0x14, 0x17
DONE, REFUSED = 0, 1
CHUNK_BYTES: Final = 20
FINDING_S: Final = 8.0
HOURS: Final = 16.0
"""How long its battery lasts."""
N_TRUTH: Final = 4096

_NONE: Final = 0xFF
_TEXT: Final = (
    b'{"Region":"CE","Model":"1652","HardwareVer":"AA","SoftwareVer":"1.3.0",'
    b'"CurTIME":"2026-01-31,22:00:00","CurBAT":"97%","CurBatState":"0","CurOxiThr":"88",'
    b'"CurMotor":"50","CurMode":"0","SN":"0000000000","FileList":""}\0'
)


class Ring:
    """One ring.

    Attributes
    ----------
    truth : deque[Truth]
        What it last told of its sensors.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        self._spo2_pct = float(rng.uniform(94.0, 97.5))
        self._pulse_bpm = float(rng.uniform(54.0, 78.0))
        self._phase = float(rng.uniform(0.0, 2 * math.pi))
        self._worn = True
        self._put_on_s: float | None = None

    @property
    def worn(self) -> bool:
        """Whether it is on a finger."""
        return self._worn

    @worn.setter
    def worn(self, worn: bool) -> None:
        if worn and not self._worn:
            self._put_on_s = None
        self._worn = worn

    async def run(self, port: Port) -> None:
        """Do nothing: it only answers."""

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Answer a question."""
        if uuid != WRITE or len(payload) < 8 or payload[0] != QUESTION:
            return
        if payload[1] ^ payload[2] != 0xFF or _crc8(payload[:-1]) != payload[-1]:
            return
        status, content = REFUSED, b""
        if payload[1] == SENSORS:
            status, content = DONE, self._sensors(port.now_s())
        elif payload[1] == INFORMATION:
            status, content = DONE, _TEXT
        answer = bytes([ANSWER, status, status ^ 0xFF, 0, 0])
        answer += len(content).to_bytes(2, "little") + content
        answer += bytes([_crc8(answer)])
        for at in range(0, len(answer), CHUNK_BYTES):
            if not await port.send(NOTIFY, answer[at : at + CHUNK_BYTES]):
                return

    def value(self, uuid: str, now_s: float) -> bytes | None:  # noqa: ARG002
        """Return nothing: nothing of it is read."""
        return None

    def _sensors(self, now_s: float) -> bytes:
        """Return the 13 bytes of what it measures now."""
        if self._put_on_s is None:
            self._put_on_s = now_s
        battery = max(0, math.ceil(100.0 * (1.0 - now_s / (HOURS * 3600.0))))
        if not self._worn:
            self._tell(now_s, math.nan, math.nan, math.nan, 0, battery)
            return bytes([_NONE, _NONE, _NONE, 0, 0, 0, 0, battery, 0, 0, 0, 0, 0])
        slow = 2 * math.pi * now_s / 300.0 + self._phase
        movement = int(40 + 40 * math.sin(slow * 7.0))
        if now_s - self._put_on_s < FINDING_S:
            self._tell(now_s, math.nan, math.nan, math.nan, movement, battery)
            return bytes([0, 0, 0, 0, 0, 0, 0, battery, 0, movement, 0, 1, 0])
        spo2 = round(self._spo2_pct + 2.0 * math.sin(slow))
        pulse = round(self._pulse_bpm + 6.0 * math.sin(slow * 3.0))
        tenths = round(25.0 + 15.0 * math.sin(slow * 2.0))
        self._tell(now_s, spo2, pulse, tenths / 10, movement, battery)
        return bytes([spo2, pulse, 0, 0, 0, 0, 0, battery, 0, movement, tenths, 1, 0])

    def _tell(
        self, now_s: float, spo2: float, pulse: float, pai: float, movement: int, battery: int
    ) -> None:
        told = {
            "spo2_pct": spo2,
            "pulse_bpm": pulse,
            "pai_pct": pai,
            "movement_au": float(movement),
            "battery_pct": float(battery),
            "contact_flag": float(self._worn),
        }
        self.truth.extend(Truth(now_s, signal, value) for signal, value in told.items())


def _crc8(payload: bytes) -> int:
    """Return the CRC-8 (polynomial 0x07), worked out bit by bit."""
    crc = 0
    for byte in payload:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


WEARABLE = Wearable(
    name="viatom",
    words="oximeter ring",
    local_name="O2Ring 0000",
    services=(
        Service(
            SERVICE,
            (
                Characteristic(WRITE, ("write", "write_without_response")),
                Characteristic(NOTIFY, ("notify",)),
            ),
            advertised=True,
        ),
    ),
    open=Ring,
    manufacturer="Viatom",
    model="virtual O2Ring",
)
