"""A Polar H10: ECG and movement by Polar Measurement Data, heart rate by the standard service.

Its ECG is a sum of Gaussians around each beat, after the model of P. E. McSharry and others,
doi:10.1109/TBME.2003.808805, and `Strap.heart` knows when the beats were. Streams run until they
are stopped, and `ran_s` shows what they cost. Off its strap for a minute it loses its time:
`Strap.power_cycle`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.gatt import uuid
from edge.virtual import Characteristic, Port, Service, Wearable
from edge.virtual import _polar as pmd
from edge.virtual import _polar_signals as signals

HEART_RATE: Final = uuid(0x2A37)
ECG, ACC = 0, 2
ECG_SAMPLES, ACC_SAMPLES = 73, 36
ACC_PACKED_SAMPLES: Final = 57
"""Samples in a frame of an H10, raw, and of a strap that compresses."""
_HAS_RR: Final = 0x10
_PERIOD_S: Final = 1.0

# Of the waves P, Q, R, S, T: their height in uV, their distance from R and their width in s.
_WAVES: Final = (
    (110.0, -0.17, 0.022),
    (-90.0, -0.030, 0.009),
    (1100.0, 0.0, 0.011),
    (-210.0, 0.030, 0.010),
    (280.0, 0.27, 0.045),
)
_REACH_S: Final = 0.6
_NOISE_UV: Final = 8.0


class Habits(msgspec.Struct, frozen=True):
    """How one strap differs from another.

    Attributes
    ----------
    fast_ppm : float | None
        Of its crystal; None: its seed decides, within `pmd.MOST_PPM`.
    ecg_hz : float
        What its 130 Hz are; Polar's own figure is 128 to 131.
    compressed : bool
        Whether it sends movement as differences, which a real H10 does not.
    """

    fast_ppm: float | None = None
    ecg_hz: float = 130.0
    compressed: bool = False


class Strap(pmd.Sensor):
    """One strap on one heart.

    Attributes
    ----------
    heart : signals.Heart
        It knows every beat's true time.
    """

    def __init__(self, seed: int, habits: Habits = Habits()) -> None:  # noqa: B008  # it is frozen
        self._rng = rng = np.random.default_rng(seed)
        self.heart = signals.Heart(rng)
        ppm = float(rng.uniform(-pmd.MOST_PPM, pmd.MOST_PPM))
        clock = signals.Clock(ppm if habits.fast_ppm is None else habits.fast_ppm)
        self._habits = habits
        ecg = {pmd.RATE: (130,), pmd.RESOLUTION: (14,)}
        acc = {pmd.RATE: (25, 50, 100, 200), pmd.RESOLUTION: (16,), pmd.RANGE: (2, 4, 8)}
        super().__init__(
            {ECG: pmd.Offer(ecg, 232, self._open_ecg), ACC: pmd.Offer(acc, 229, self._open_acc)},
            clock,
        )

    async def run(self, port: Port) -> None:
        """Send what was started, and the heart rate every second."""
        due_s = port.now_s()
        self.heart.begin(due_s)
        self.clock.power_up(due_s)
        while True:
            due_s += _PERIOD_S
            await self.send_until(port, due_s)
            await port.send(HEART_RATE, self._heart_rate(due_s))

    def ecg_uv(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the ECG without noise at some moments, shape (n,)."""
        beats_s = self.heart.between(times_s[0] - _REACH_S, times_s[-1] + _REACH_S)
        total = np.zeros(len(times_s))
        for beat_s in beats_s:
            for height_uv, at_s, width_s in _WAVES:
                total += height_uv * np.exp(-0.5 * ((times_s - beat_s - at_s) / width_s) ** 2)
        return total

    def _open_ecg(self, now_s: float, chosen: Mapping[int, int]) -> pmd.Stream:  # noqa: ARG002
        period_s = self.clock.period_s(self._habits.ecg_hz)
        return signals.Sampled(
            (ECG, 0x00), self.clock, now_s, period_s, ECG_SAMPLES, self._sample_ecg
        )

    def _open_acc(self, now_s: float, chosen: Mapping[int, int]) -> pmd.Stream:
        packed, period_s = self._habits.compressed, self.clock.period_s(chosen[pmd.RATE])
        form, n = (0x81, ACC_PACKED_SAMPLES) if packed else (0x01, ACC_SAMPLES)
        return signals.Sampled((ACC, form), self.clock, now_s, period_s, n, self._sample_acc)

    def _sample_ecg(self, times_s: NDArray[np.float64]) -> bytes:
        noise_uv = self._rng.normal(0.0, _NOISE_UV, len(times_s))
        return signals.pack_raw(np.rint(self.ecg_uv(times_s) + noise_uv)[:, None], 3)

    def _sample_acc(self, times_s: NDArray[np.float64]) -> bytes:
        noise_g = self._rng.normal(0.0, 0.002, (len(times_s), 3))
        rows = np.rint(1000.0 * (signals.breathing_g(times_s, 2) + noise_g))
        return (
            signals.pack_deltas(rows, 2) if self._habits.compressed else signals.pack_raw(rows, 2)
        )

    def _heart_rate(self, now_s: float) -> bytes:
        # Counted on the strap's own grid, so that rounding does not add up.
        ticks = [math.floor(at_s * 1024) for at_s in self.heart.between(now_s - 10.0, now_s)]
        n_new = len(self.heart.between(now_s - _PERIOD_S, now_s))
        rr = [b - a for a, b in pairwise(ticks)][-n_new:] if n_new else []
        flags = _HAS_RR if rr else 0x00
        told = b"".join(one.to_bytes(2, "little") for one in rr)
        return bytes([flags, self.heart.rate_bpm(now_s)]) + told


WEARABLE = Wearable(
    name="polar",
    words="ECG strap (Polar H10)",
    local_name="Polar H10 Homeward",
    services=(
        Service(uuid(0x180D), (Characteristic(HEART_RATE, ("notify",)),), advertised=True),
        pmd.PMD,
    ),
    open=Strap,
    manufacturer="Polar Electro Oy",
    model="H10",
)
