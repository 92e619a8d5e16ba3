"""The ECG that emulated boards are fed: 72 beats a minute, known to the count.

Two leads that breathe: twenty seconds, 24 beats, and again. Beats are sums of bell curves as in
McSharry et al. 2003 (doi:10.1109/TBME.2003.808805), without the noise: whatever comes out differs
from what went in only by what the board did to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HR_BPM = 72.0
PERIOD_S = 20.0
COUNTS_A_MV = 1000.0
_WAVES = (  # of lead II: height in mv, place and width in s from the R peak
    (0.12, -0.180, 0.025),
    (-0.12, -0.030, 0.010),
    (1.10, 0.000, 0.012),
    (-0.25, 0.030, 0.012),
    (0.28, 0.250, 0.045),
)
_LEAD_I = (0.6, 0.3, 0.55, 0.9, 0.7)  # each wave's height in lead I, relative to lead II
_BREATHING = 0.06


def wave_mv(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return leads I and II in mv at the given times, shape (n, 2)."""
    beat_s = 60.0 / HR_BPM
    phase_s = (at_s + beat_s / 2) % beat_s - beat_s / 2
    shapes = np.zeros((len(at_s), 2))
    for (height_mv, place_s, width_s), part in zip(_WAVES, _LEAD_I, strict=True):
        off_s = (phase_s - place_s + beat_s / 2) % beat_s - beat_s / 2
        bell = height_mv * np.exp(-0.5 * (off_s / width_s) ** 2)
        shapes += bell[:, None] * (part, 1.0)
    return shapes * (1.0 + _BREATHING * np.sin(2 * np.pi * at_s / (PERIOD_S / 5)))[:, None]


def wave_counts(fs_hz: float) -> NDArray[np.int64]:
    """Return one period in counts, shape (n, 2)."""
    at_s = np.arange(round(PERIOD_S * fs_hz)) / fs_hz
    return np.rint(wave_mv(at_s) * COUNTS_A_MV).astype(np.int64)


def worst_lsb(heard: NDArray[np.float64], sent: NDArray[np.int64]) -> tuple[float, float]:
    """Return the rms and the greatest difference, in counts, of what was heard from what was sent.

    `heard` has shape (n, 2) and begins anywhere in the period: where it fits best.
    """
    n = len(sent)
    head = heard[: n // 10]
    twice = np.concatenate((sent, sent)).astype(float)
    misfits = [np.abs(twice[k : k + len(head)] - head).sum() for k in range(n)]
    shifted = np.roll(sent, -int(np.argmin(misfits)), axis=0)
    expected = shifted[np.arange(len(heard)) % n]
    off = heard - expected
    return float(np.sqrt(np.mean(off**2))), float(np.abs(off).max())
