"""The shape of the alarm sounds: pulses, bursts and melodies, as samples.

Shaped after IEC 60601-1-8; the numbers are those of ``reference/clinical.md`` §6.2, which are
from memory of a standard that is not free, so nothing here claims to comply with it.

One pulse, times between the points where its envelope is at 10 % and 90 % of the most it has::

            ____________              ________
      10-90/            |90-10       /
       ___/              |__________/
          t_r   t_d (>= 90 %)  |  t_s (spacing: from 90 % down to 90 % up)

A spacing of 2 x + t_d therefore leaves out one beat of an even rhythm. ``rise <= 40 %`` keeps a
sound from startling, ``fall <= t_s - t_r`` keeps pulses apart.

A sine is hard to locate and is lost in a room with one resonance, or in the hearing loss of age;
so every pulse carries harmonics up to 4 kHz, as strong as a small loudspeaker wants them.
"""

from __future__ import annotations

import math
import wave as wave_file
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.records import Priority

Wave: TypeAlias = NDArray[np.float32]

FS_HZ: Final = 48_000
"""Every sound chip has this rate of its own; nothing is resampled."""

FULL_SCALE: Final = 32767
"""Of 16 bits."""

FUNDAMENTAL_HZ: Final = (150.0, 1000.0)
"""Span of the fundamental; clinical.md §6.2."""
HARMONICS_HZ: Final = (300.0, 4000.0)
"""Where at least four harmonics must lie, each within 15 dB of the fundamental; §6.2."""
HARMONIC_DB: Final[tuple[float, ...]] = (0.0, 0.0, -1.0, -3.0, -5.0, -7.0)
"""Level of the first six harmonics. §6.2 allows 15 dB either way; a small loudspeaker takes some
10 dB off the lowest of them, so the upper ones must not be weak already."""

RISE_FRACTION: Final = 0.2
"""Rise of a pulse as a part of its duration; §6.2: 0.1 to 0.4."""
HIGH_PULSE_S: Final = 0.125
"""§6.2: 75 to 200 ms."""
OTHER_PULSE_S: Final = 0.2
"""Of medium and low; §6.2: 125 to 250 ms."""
FALL_S: Final = 0.04
"""§6.2: at most spacing minus rise, 100 ms - 25 ms at the closest pulses here."""
HIGH_SPACING_S: Final = 0.1
"""x of the high priority; §6.2: 50 to 125 ms."""
HIGH_GROUPS_S: Final = 0.5
"""Between the two groups of five; §6.2: 0.35 to 1.30 s."""
OTHER_SPACING_S: Final = 0.2
"""y of medium and low; §6.2: 125 to 250 ms."""
INTERVAL_S: Final[Mapping[Priority, float]] = {
    Priority.HIGH: 4.0,
    Priority.MEDIUM: 10.0,
    Priority.LOW: 30.0,
}
"""From the end of a burst to the start of the next; §6.2: high 2.5 to 15 s, medium 2.5 to 30 s,
low more than 15 s."""
REMINDER_S: Final = 60.0
"""From one reminder to the next; the standard leaves it to who is responsible."""
LEVEL_DB: Final[Mapping[Priority, float]] = {
    Priority.HIGH: 0.0,
    Priority.MEDIUM: -3.0,
    Priority.LOW: -6.0,
}
"""Under the volume that is set: a higher priority is never quieter than a lower one."""
REMINDER_DB: Final = -6.0

NOTES_HZ: Final[Mapping[str, float]] = {
    "C4": 261.63,
    "D4": 293.66,
    "E4": 329.63,
    "F4": 349.23,
    "G4": 392.00,
    "A4": 440.00,
    "B4": 493.88,
    "C5": 523.25,
}
"""Equal temperament, A4 = 440 Hz."""
GENERAL: Final = "general"
MELODIES: Final[Mapping[str, tuple[str, ...]]] = {
    GENERAL: ("C4", "C4", "C4", "C4", "C4"),
    "cardiovascular": ("C4", "E4", "G4", "G4", "C5"),
    "oxygenation": ("C5", "B4", "A4", "G4", "F4"),
    "ventilation": ("C4", "A4", "F4", "A4", "F4"),
    "temperature": ("C4", "D4", "E4", "F4", "G4"),
    "equipment": ("C5", "C4", "C4", "C5", "C4"),
}
"""The five notes of a high burst's half; a medium burst has the first three. §6.2, from
anaesthesia.med.usyd.edu.au/resources/alarms; ``equipment`` is that source's power failure,
from memory."""
LOW_NOTES: Final = ("E4", "C4")
"""Of every low burst: a low priority says only that somebody should look; from memory."""
REMINDER_NOTES: Final = ("C5",)
TEST_NOTES: Final = ("C4", "E4", "G4", "C5")
"""Rises, as no alarm of four pulses does: who knows the alarms is not alarmed by the self-test."""

_UP_TO: Final = math.acos(1 - 2 * 0.1) / math.pi
"""Half a cosine is at 10 % here, as a part of its length, and at 90 % at 1 minus this."""


class Beat(NamedTuple):
    """One pulse of a burst: when its plateau begins, how long it is, how high."""

    onset_s: float
    duration_s: float
    fundamental_hz: float


def burst(priority: Priority, category: str) -> Wave:
    """Return one burst of an alarm at its priority's level.

    Parameters
    ----------
    priority : Priority
        High, medium or low.
    category : str
        One of `MELODIES`; any other sounds as ``general``.

    Returns
    -------
    Wave
        Shape (n,), at `FS_HZ`, full scale 1.0, the same array for the same question (read only).

    Raises
    ------
    ValueError
        The priority makes no sound.
    """
    return _rendered(beats(priority, category), LEVEL_DB[priority])


def reminder() -> Wave:
    """Return the sound that says: an alarm is silenced. One medium pulse, high and soft."""
    return _rendered(_even(REMINDER_NOTES, OTHER_PULSE_S, OTHER_SPACING_S), REMINDER_DB)


def test_tone() -> Wave:
    """Return the sound of the self-test, of the same pulses as the alarms, as loud as high."""
    return _rendered(_even(TEST_NOTES, OTHER_PULSE_S, OTHER_SPACING_S), 0.0)


def beats(priority: Priority, category: str) -> tuple[Beat, ...]:
    """Return the pulses of one burst: 10, 3 or 2 of them.

    Raises
    ------
    ValueError
        The priority makes no sound.
    """
    notes = MELODIES.get(category, MELODIES[GENERAL])
    match priority:
        case Priority.HIGH:
            return _high(notes)
        case Priority.MEDIUM:
            return _even(notes[:3], OTHER_PULSE_S, OTHER_SPACING_S)
        case Priority.LOW:
            return _even(LOW_NOTES, OTHER_PULSE_S, OTHER_SPACING_S)
        case Priority.INFORMATION:
            raise ValueError("information makes no alarm sound; only high, medium and low do")


@lru_cache(maxsize=64)
def pulse(duration_s: float, fundamental_hz: float) -> Wave:
    """Return one pulse whose plateau peaks at 1.0.

    Parameters
    ----------
    duration_s : float
        Time at or above 90 % of the envelope.
    fundamental_hz : float
        Within `FUNDAMENTAL_HZ`.

    Returns
    -------
    Wave
        Shape (n,), read only. The plateau begins `lead_s` after its first sample.

    Raises
    ------
    ValueError
        The fundamental is out of its span, or fewer than four harmonics would lie in theirs.
    """
    low_hz, high_hz = FUNDAMENTAL_HZ
    parts_hz = [n * fundamental_hz for n in range(1, len(HARMONIC_DB) + 1)]
    in_span = [f for f in parts_hz[1:] if HARMONICS_HZ[0] <= f <= HARMONICS_HZ[1]]
    if not low_hz <= fundamental_hz <= high_hz or len(in_span) < 4:
        raise ValueError(
            f"a pulse of {fundamental_hz} Hz has {len(in_span)} harmonics in {HARMONICS_HZ} Hz; "
            f"choose a fundamental in {FUNDAMENTAL_HZ} Hz that has four"
        )
    shape = _envelope(duration_s)
    shaped: Wave = (shape * _timbre(fundamental_hz, len(shape))).astype(np.float32)
    shaped.flags.writeable = False
    return shaped


def lead_s(duration_s: float) -> float:
    """Return the time from a pulse's first sample to the start of its plateau (90 %)."""
    return _ramp_s(RISE_FRACTION * duration_s) * (1 - _UP_TO)


def write_wav(path: Path, wave: Wave, level_dbfs: float = -1.0) -> None:
    """Write a sound to a file, to be listened to.

    Parameters
    ----------
    path : Path
        Written over.
    wave : Wave
        Full scale 1.0.
    level_dbfs : float
        Of the peak of a wave that reaches full scale.
    """
    samples = np.rint(wave * np.float32(FULL_SCALE * gain(level_dbfs))).astype("<i2")
    with wave_file.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(FS_HZ)
        file.writeframes(samples.tobytes())


def _high(notes: tuple[str, ...]) -> tuple[Beat, ...]:
    """Two groups of 3 + 2: x, x, 2 x + t_d, x; then the longer rest, and again."""
    x_s, long_s = HIGH_SPACING_S, 2 * HIGH_SPACING_S + HIGH_PULSE_S
    return _spaced(
        notes * 2, HIGH_PULSE_S, (x_s, x_s, long_s, x_s, HIGH_GROUPS_S, x_s, x_s, long_s, x_s)
    )


def _even(notes: tuple[str, ...], duration_s: float, spacing_s: float) -> tuple[Beat, ...]:
    return _spaced(notes, duration_s, (spacing_s,) * (len(notes) - 1))


def _spaced(
    notes: tuple[str, ...], duration_s: float, spacings_s: tuple[float, ...]
) -> tuple[Beat, ...]:
    placed = [Beat(lead_s(duration_s), duration_s, NOTES_HZ[notes[0]])]
    for note, spacing_s in zip(notes[1:], spacings_s, strict=True):
        onset_s = placed[-1].onset_s + duration_s + spacing_s
        placed.append(Beat(onset_s, duration_s, NOTES_HZ[note]))
    return tuple(placed)


@lru_cache(maxsize=8)
def _rendered(placed: tuple[Beat, ...], level_db: float) -> Wave:
    """Put pulses into one array; they never overlap, because the fall fits into the spacing."""
    starts = [round((b.onset_s - lead_s(b.duration_s)) * FS_HZ) for b in placed]
    pulses = [pulse(b.duration_s, b.fundamental_hz) for b in placed]
    ends = [start + len(wave) for start, wave in zip(starts, pulses, strict=True)]
    if any(end > start for (end, _), (_, start) in pairwise(zip(ends, starts, strict=True))):
        raise ValueError(f"the pulses of {placed} overlap; shorten FALL_S or lengthen the spacing")
    out = np.zeros(ends[-1], dtype=np.float32)
    for start, wave in zip(starts, pulses, strict=True):
        out[start : start + len(wave)] = wave * np.float32(gain(level_db))
    out.flags.writeable = False
    return out


def gain(level_db: float) -> float:
    """Return a level as a factor.

    >>> gain(-20.0)
    0.1
    """
    return float(10.0 ** (level_db / 20.0))


def _ramp_s(ten_to_ninety_s: float) -> float:
    """Return the whole length of half a cosine that takes so long from 10 % to 90 %."""
    return ten_to_ninety_s / (1 - 2 * _UP_TO)


def _envelope(duration_s: float) -> NDArray[np.float64]:
    """Half a cosine up, a plateau, half a cosine down: no corner that would click."""
    rise_s, fall_s = _ramp_s(RISE_FRACTION * duration_s), _ramp_s(FALL_S)
    # What of the ramps is above 90 % belongs to the duration.
    flat_s = duration_s - _UP_TO * (rise_s + fall_s)
    if flat_s < 0:
        raise ValueError(f"a pulse of {duration_s} s is too short for a fall of {FALL_S} s")
    n_rise, n_flat, n_fall = (round(s * FS_HZ) for s in (rise_s, flat_s, fall_s))
    up = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_rise) + 0.5) / n_rise)
    down = 0.5 + 0.5 * np.cos(np.pi * (np.arange(n_fall) + 0.5) / n_fall)
    return np.concatenate([up, np.ones(n_flat), down])


def _timbre(fundamental_hz: float, n: int) -> NDArray[np.float64]:
    """Harmonics with phases after Schroeder, which keep the peak low: louder at one full scale."""
    phase = 2 * np.pi * fundamental_hz * np.arange(n) / FS_HZ
    return _sum_of_harmonics(phase) / _timbre_peak()


@lru_cache(maxsize=1)
def _timbre_peak() -> float:
    return float(np.abs(_sum_of_harmonics(2 * np.pi * np.arange(20_000) / 20_000)).max())


def _sum_of_harmonics(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    n_parts = len(HARMONIC_DB)
    total = np.zeros_like(phase)
    for k, level_db in enumerate(HARMONIC_DB, start=1):
        total += gain(level_db) * np.sin(k * phase - np.pi * k * (k - 1) / n_parts)
    return total
