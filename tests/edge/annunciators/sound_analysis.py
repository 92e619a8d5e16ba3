"""Measures alarm sounds from their samples, and compares them with clinical.md §6.2.

It knows nothing of how the sounds are made; the limits are written out here a second time.

The envelope is the root mean square over one period of the fundamental. Rise is from 10 to 90 % of
the pulse's plateau, fall from 90 to 10 %, duration is at 90 % or more, spacing is from 90 % down to
90 % up.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter1d

FS_HZ = 48_000
LIMITS = {
    "high": {"n": (10,), "duration_ms": (75, 200)},
    "medium": {"n": (3,), "duration_ms": (125, 250)},
    "low": {"n": (1, 2), "duration_ms": (125, 250)},
}
INTERVAL_S = {"high": (2.5, 15), "medium": (2.5, 30), "low": (15, np.inf)}
NOTES_HZ = {
    name: 440 * 2 ** (steps / 12)
    for name, steps in zip(
        ("C4", "D4", "E4", "F4", "G4", "A4", "B4", "C5"),
        (-9, -7, -5, -4, -2, 0, 2, 3),
        strict=True,
    )
}


class Pulse(NamedTuple):
    up_s: float
    """The envelope reaches 90 %."""
    down_s: float
    """It leaves 90 %."""
    rise_s: float
    fall_s: float
    fundamental_hz: float
    harmonics_db: tuple[float, ...]
    """Harmonics 2, 3 ... within 300 to 4000 Hz against the fundamental."""
    peak_dbfs: float

    @property
    def duration_s(self) -> float:
        return self.down_s - self.up_s

    @property
    def note(self) -> str:
        return min(NOTES_HZ, key=lambda name: abs(np.log(NOTES_HZ[name] / self.fundamental_hz)))


def pulses_of(samples: np.ndarray) -> list[Pulse]:
    """Find and measure every pulse; `samples` at full scale 1.0."""
    x = np.asarray(samples, dtype=float)
    rough = _envelope(x, FS_HZ // 150)
    if rough.max(initial=0.0) == 0.0:
        return []
    edges = np.diff(np.concatenate([[0], (rough > 0.03 * rough.max()).astype(int), [0]]))
    spans = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    return [_measure(x, max(0, begin - 500), end + 500) for begin, end in spans]


def bursts_of(pulses: list[Pulse], apart_s: float = 1.5) -> list[list[Pulse]]:
    """Group pulses; a silence of `apart_s` ends a burst."""
    if not pulses:
        return []
    groups = [[pulses[0]]]
    for before, pulse in pairwise(pulses):
        if pulse.up_s - before.down_s > apart_s:
            groups.append([])
        groups[-1].append(pulse)
    return groups


def spacings_of(burst: list[Pulse]) -> list[float]:
    return [after.up_s - before.down_s for before, after in pairwise(burst)]


def faults_of(burst: list[Pulse], priority: str) -> list[str]:
    """Say everything in which one burst is not of the shape of its priority."""
    limits = LIMITS[priority]
    faults = [] if len(burst) in limits["n"] else [f"{len(burst)} pulses"]
    low_ms, high_ms = limits["duration_ms"]
    for k, pulse in enumerate(burst):
        faults += [f"pulse {k}: {fault}" for fault in pulse_faults(pulse, low_ms, high_ms)]
    for k, (before, after) in enumerate(pairwise(burst)):
        spacing_s = after.up_s - before.down_s
        if before.fall_s > spacing_s - after.rise_s:
            faults.append(f"pulse {k}: fall {before.fall_s:.3f} s runs into the next pulse")
    return faults + _spacing_faults(spacings_of(burst), burst[0].duration_s, priority)


def pulse_faults(pulse: Pulse, low_ms: float, high_ms: float) -> list[str]:
    faults = []
    if not low_ms <= 1000 * pulse.duration_s <= high_ms:
        faults.append(f"lasts {1000 * pulse.duration_s:.1f} ms")
    if not 0.1 <= pulse.rise_s / pulse.duration_s <= 0.4:
        faults.append(f"rises in {100 * pulse.rise_s / pulse.duration_s:.1f} % of its duration")
    if not 150 <= pulse.fundamental_hz <= 1000:
        faults.append(f"fundamental {pulse.fundamental_hz:.1f} Hz")
    if sum(abs(level) <= 15 for level in pulse.harmonics_db) < 4:
        faults.append(f"harmonics at {[round(level, 1) for level in pulse.harmonics_db]} dB")
    return faults


def _spacing_faults(spacings_s: list[float], duration_s: float, priority: str) -> list[str]:
    s = spacings_s
    if priority == "high" and len(s) == 9:
        x = [s[k] for k in (0, 1, 3, 5, 6, 8)]
        faults = [f"x {value:.3f} s" for value in x if not 0.050 <= value <= 0.125]
        faults += [f"x uneven {x}"] if max(x) - min(x) > 0.005 else []
        for k in (2, 7):
            if abs(s[k] - (2 * np.mean(x) + duration_s)) > 0.005:
                faults.append(f"2x + t_d is {s[k]:.3f} s")
        return faults + ([] if 0.35 <= s[4] <= 1.3 else [f"between the groups {s[4]:.3f} s"])
    return [f"y {value:.3f} s" for value in s if not 0.125 <= value <= 0.250]


def _envelope(x: np.ndarray, n: int) -> np.ndarray:
    return np.sqrt(np.maximum(uniform_filter1d(x * x, n, mode="constant"), 0.0))


def _measure(x: np.ndarray, begin: int, end: int) -> Pulse:
    part = x[begin:end]
    middle = part[len(part) // 2 - len(part) // 5 : len(part) // 2 + len(part) // 5]
    fundamental_hz, harmonics_db = _tones(middle)
    envelope = _envelope(part, round(FS_HZ / fundamental_hz))
    # Of the plateau: the median of what is at least half the most.
    plateau = np.median(envelope[envelope > 0.5 * envelope.max()])
    up10, up90 = (_first(envelope, f * plateau) for f in (0.1, 0.9))
    down10, down90 = (len(part) - 1 - _first(envelope[::-1], f * plateau) for f in (0.1, 0.9))
    return Pulse(
        up_s=(begin + up90) / FS_HZ,
        down_s=(begin + down90) / FS_HZ,
        rise_s=(up90 - up10) / FS_HZ,
        fall_s=(down10 - down90) / FS_HZ,
        fundamental_hz=fundamental_hz,
        harmonics_db=harmonics_db,
        peak_dbfs=20 * np.log10(np.abs(part).max()),
    )


def _first(envelope: np.ndarray, level: float) -> float:
    """Index, with its fraction, at which the envelope first reaches a level."""
    k = int(np.argmax(envelope >= level))
    below, above = envelope[k - 1] if k else 0.0, envelope[k]
    return k - (above - level) / (above - below) if above > below else float(k)


def _tones(x: np.ndarray) -> tuple[float, tuple[float, ...]]:
    """Fundamental: the lowest peak within 20 dB of the highest; and its harmonics' levels."""
    n = 2**18
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)), n))
    step_hz = FS_HZ / n
    width = int(40 / step_hz)
    first = int(np.argmax(spectrum > 0.1 * spectrum.max()))
    peak = first + int(np.argmax(spectrum[first : first + 2 * width]))
    fundamental_hz = peak * step_hz

    def level(f_hz: float) -> float:
        k = round(f_hz / step_hz)
        return float(spectrum[k - width // 4 : k + width // 4].max())

    numbers = range(2, int(4000 / fundamental_hz) + 1)
    return fundamental_hz, tuple(
        20 * np.log10(max(level(k * fundamental_hz), 1e-12) / level(fundamental_hz))
        for k in numbers
        if 300 <= k * fundamental_hz <= 4000
    )
