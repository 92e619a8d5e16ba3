"""A chest strap: Heart Rate Service (0x180D); layout in `edge.decoders.heart_rate`.

Once a second it sends its heart rate, the mean of the last intervals, the RR intervals that ended
since the last time, and whether it lies on skin. What ends while nobody listens is lost, as with
real straps. `Strap.worn` takes it off.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np

from edge.gatt import uuid
from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual._date import Truth

MEASUREMENT: Final = uuid(0x2A37)
BODY_LOCATION: Final = uuid(0x2A38)
_CHEST: Final = 1

PERIOD_S: Final = 1.0
N_TRUTH: Final = 4096
N_AVERAGED: Final = 8
_CONTACT_KNOWN, _CONTACT_MADE, _HAS_RR = 0x04, 0x02, 0x10

_RESPIRATORY_HZ: Final = 0.25
_RESPIRATORY_SHARE: Final = 0.04
_DRIFT_S: Final = 600.0
_DRIFT_BPM: Final = 8.0
_JITTER_S: Final = 0.012


class Strap:
    """One strap on one heart.

    Attributes
    ----------
    worn : bool
        Off the skin it has no rate and no intervals.
    truth : deque[Truth]
        The newest values it had, sent or not.
    """

    def __init__(self, seed: int) -> None:
        self.worn = True
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        self._rng = np.random.default_rng(seed)
        self._rest_bpm = float(self._rng.uniform(56.0, 76.0))
        self._beat_s = self._jitter_s = 0.0
        self._rr_raw: deque[int] = deque(maxlen=N_AVERAGED)

    async def run(self, port: Port) -> None:
        """Send every second."""
        self._beat_s = due_s = port.now_s()
        while True:
            due_s += PERIOD_S
            await port.sleep(due_s - port.now_s())
            await port.send(MEASUREMENT, self._measure(due_s))

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Nothing of it can be written."""

    def value(self, uuid: str, now_s: float) -> bytes | None:  # noqa: ARG002
        """Return nothing: all it can be asked for is fixed."""
        return None

    def _measure(self, now_s: float) -> bytes:
        ended = self._beats_until(now_s)
        if not self.worn:
            self._rr_raw.clear()
            self._tell(now_s, "hr_bpm", math.nan)
            self._tell(now_s, "contact_flag", 0.0)
            return bytes([_CONTACT_KNOWN, 0])
        self._rr_raw.extend(ended)
        mean_raw = sum(self._rr_raw) / len(self._rr_raw) if self._rr_raw else 0.0
        rate_bpm = round(60.0 * 1024 / mean_raw) if mean_raw else 0
        self._tell(now_s, "hr_bpm", float(rate_bpm) if rate_bpm else math.nan)
        for raw in ended:
            self._tell(now_s, "rr_ms", raw * 1000 / 1024)
        self._tell(now_s, "contact_flag", 1.0)
        flags = _CONTACT_KNOWN | _CONTACT_MADE | (_HAS_RR if ended else 0)
        return bytes([flags, rate_bpm]) + b"".join(raw.to_bytes(2, "little") for raw in ended)

    def _beats_until(self, now_s: float) -> list[int]:
        """Let the heart beat; return the intervals that ended, in 1/1024 s."""
        ended = []
        while (next_s := self._beat_s + self._interval_s(self._beat_s)) <= now_s:
            # Counted on the strap's own grid, so that rounding does not add up.
            ended.append(math.floor(next_s * 1024) - math.floor(self._beat_s * 1024))
            self._beat_s = next_s
            self._jitter_s = float(self._rng.normal(0.0, _JITTER_S))
        return ended

    def _interval_s(self, at_s: float) -> float:
        bpm = self._rest_bpm + _DRIFT_BPM * math.sin(2 * math.pi * at_s / _DRIFT_S)
        breath = 1.0 + _RESPIRATORY_SHARE * math.sin(2 * math.pi * _RESPIRATORY_HZ * at_s)
        return max(60.0 / bpm * breath + self._jitter_s, 0.3)

    def _tell(self, at_s: float, signal: str, value: float) -> None:
        self.truth.append(Truth(at_s, signal, value))


WEARABLE = Wearable(
    name="heart_rate",
    words="chest strap",
    local_name="Homeward Strap",
    services=(
        Service(
            uuid(0x180D),
            (
                Characteristic(MEASUREMENT, ("notify",)),
                Characteristic(BODY_LOCATION, ("read",), bytes([_CHEST])),
            ),
            advertised=True,
        ),
    ),
    open=Strap,
)
