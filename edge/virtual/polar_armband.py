"""A Polar Verity Sense: pulse intervals, movement and PPG by Polar Measurement Data.

It does what its makers warn of: the first intervals come 25 s after the start and the others five
seconds of them at a time; their frames bear no time and no rate; skin contact is always claimed.
While it is shaken (`moving`) intervals are marked as spoilt.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.gatt import uuid
from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual import _polar as pmd
from edge.virtual import _polar_signals as signals
from edge.virtual._date import Truth

HEART_RATE: Final = uuid(0x2A37)
PPG, ACC, PPI = 1, 2, 3
PPG_SAMPLES, ACC_SAMPLES = 42, 57
FIRST_S: Final = 25.0
BATCH_S: Final = 5.0
N_TRUTH: Final = 4096
_PERIOD_S: Final = 1.0
_SPOILT, _CLAIMED_CONTACT = 0x01, 0x06
_USUAL_ERROR_MS, _SHAKEN_ERROR_MS = 8, 60
_TRANSIT_S, _WIDTH_S = 0.37, 0.08
"""How long after the heart's beat the arm has most blood, and for how long."""
_LIGHT: Final = (280e3, 310e3, 295e3, -25e3)
_DIP: Final = (4000.0, 4400.0, 4200.0, 0.0)


class Armband(pmd.Sensor):
    """One armband on one heart.

    Attributes
    ----------
    moving : bool
        While it is shaken, intervals are spoilt.
    heart : signals.Heart
        It knows every beat's true time.
    truth : deque[Truth]
        The newest intervals it sent, NaN where they were spoilt.
    """

    def __init__(self, seed: int) -> None:
        self.moving = False
        self.truth: deque[Truth] = deque(maxlen=N_TRUTH)
        self._rng = rng = np.random.default_rng(seed)
        self.heart = signals.Heart(rng)
        ppg = {pmd.RATE: (55,), pmd.RESOLUTION: (22,), pmd.CHANNELS: (4,)}
        acc = {
            pmd.RATE: (52,),
            pmd.RESOLUTION: (16,),
            pmd.RANGE: (8,),
            pmd.CHANNELS: (3,),
        }
        offers = {
            PPG: pmd.Offer(ppg, 232, self._open_ppg),
            ACC: pmd.Offer(acc, 232, self._open_acc),
            PPI: pmd.Offer({}, 232, self._open_ppi),
        }
        super().__init__(offers, signals.Clock(float(rng.uniform(-pmd.MOST_PPM, pmd.MOST_PPM))))

    async def run(self, port: Port) -> None:
        """Send what was started, and the heart rate every second."""
        due_s = port.now_s()
        self.heart.begin(due_s)
        self.clock.power_up(due_s)
        while True:
            due_s += _PERIOD_S
            await self.send_until(port, due_s)
            await port.send(HEART_RATE, bytes([0x00, self.heart.rate_bpm(due_s)]))

    def _open_acc(self, now_s: float, chosen: Mapping[int, int]) -> pmd.Stream:
        period_s = self.clock.period_s(chosen[pmd.RATE])
        return signals.Sampled(
            (ACC, 0x81), self.clock, now_s, period_s, ACC_SAMPLES, self._sample_acc
        )

    def _open_ppg(self, now_s: float, chosen: Mapping[int, int]) -> pmd.Stream:
        period_s = self.clock.period_s(chosen[pmd.RATE])
        return signals.Sampled(
            (PPG, 0x80), self.clock, now_s, period_s, PPG_SAMPLES, self._sample_ppg
        )

    def _open_ppi(self, now_s: float, chosen: Mapping[int, int]) -> pmd.Stream:  # noqa: ARG002
        return _Intervals(self, now_s)

    def _sample_acc(self, times_s: NDArray[np.float64]) -> bytes:
        noise_g = self._rng.normal(0.0, 0.5 if self.moving else 0.002, (len(times_s), 3))
        return signals.pack_deltas(np.rint(1000.0 * (signals.breathing_g(times_s, 0) + noise_g)), 2)

    def _sample_ppg(self, times_s: NDArray[np.float64]) -> bytes:
        dip = np.zeros(len(times_s))
        for beat_s in self.heart.between(times_s[0] - 2.0, times_s[-1] + 1.0):
            dip += np.exp(-0.5 * ((times_s - beat_s - _TRANSIT_S) / _WIDTH_S) ** 2)
        # More blood takes more light away.
        rows = _LIGHT - np.outer(dip, _DIP) + self._rng.normal(0.0, 40.0, (len(times_s), 4))
        return signals.pack_deltas(np.rint(rows), 3)


class _Intervals:
    """The pulse intervals of an armband, some at a time."""

    def __init__(self, armband: Armband, begin_s: float) -> None:
        self._armband = armband
        self._told_s, self._due_s = begin_s, begin_s + FIRST_S

    def next_s(self) -> float:
        """Return when the next intervals are sent."""
        return self._due_s

    def frame(self) -> bytes:
        """Return them; one that is spoilt too, as long as the true one."""
        armband, due_s = self._armband, self._due_s
        beats_s = armband.heart.between(self._told_s - 3.0, due_s)
        pairs = [(a, b) for a, b in pairwise(beats_s) if b > self._told_s]
        self._told_s, self._due_s = due_s, due_s + BATCH_S
        flags = _CLAIMED_CONTACT | (_SPOILT if armband.moving else 0)
        error_ms = _SHAKEN_ERROR_MS if armband.moving else _USUAL_ERROR_MS
        content = b""
        for before_s, beat_s in pairs:
            pp_ms = round(1000.0 * (beat_s - before_s))
            value_ms = math.nan if armband.moving else float(pp_ms)
            armband.truth.append(Truth(beat_s, "rr_ms", value_ms))
            content += bytes([0]) + pp_ms.to_bytes(2, "little")
            content += error_ms.to_bytes(2, "little") + bytes([flags])
        return bytes([PPI]) + bytes(8) + bytes([0]) + content


WEARABLE = Wearable(
    name="polar_armband",
    words="optical armband (Polar Verity Sense)",
    local_name="Polar Sense Homeward",
    services=(
        Service(uuid(0x180D), (Characteristic(HEART_RATE, ("notify",)),), advertised=True),
        pmd.PMD,
    ),
    open=Armband,
    manufacturer="Polar Electro Oy",
    model="Polar Sense",
)
