"""Contec CMS50: five bytes a frame by itself, or nine when it is told to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from edge.decoders import cms50, cms50_v7
from tests.rigs.serial_senders import Says, Sender, Sent


class _Second(NamedTuple):
    """What a clip shows for a second or so."""

    pulse: int
    spo2: int
    index: int
    finger: bool
    searching: bool

    def says(self) -> Says:
        valid = self.finger and not self.searching
        return {
            "pulse_bpm": (self.pulse if valid else math.nan,),
            "spo2_pct": (self.spo2 if valid else math.nan,),
            "contact_flag": (float(self.finger),),
        }


def _seconds(rng: np.random.Generator) -> Iterator[_Second]:
    pulse, spo2 = int(rng.integers(45, 200)), 97
    while True:
        for _ in range(int(rng.integers(5, 15))):
            pulse = int(np.clip(pulse + rng.integers(-3, 4), 30, 250))
            spo2 = int(np.clip(spo2 + rng.integers(-1, 2), 70, 100))
            yield _Second(pulse, spo2, int(rng.integers(10, 2000)), finger=True, searching=False)
        for _ in range(int(rng.integers(1, 4))):
            yield _Second(0, 0, 0, finger=False, searching=False)
        # The last values are still there: they are those of nobody.
        yield _Second(pulse, spo2, 100, finger=True, searching=True)


def _frames(seed: int, fs_hz: float, frame_of) -> Iterator[Sent]:
    rng = np.random.default_rng(seed)
    n = 0
    for second in _seconds(rng):
        for place in range(int(fs_hz)):
            beat = 2 * math.pi * n / fs_hz * second.pulse / 60
            sample = int(63 * (1 + math.sin(beat))) if second.finger else 0
            frame, more = frame_of(second, sample, beat % (2 * math.pi) < 0.3)
            n += 1
            # The next frame's first byte is part of the check, and steady values are believed.
            says = {"pleth_au": (float(sample),)}
            if place == cms50.STEADY - 1:
                says |= second.says() | more
            yield Sent(n / fs_hz, frame, says)


def _five(second: _Second, sample: int, beep: bool) -> tuple[bytes, Says]:
    flags = second.pulse >> 1 & 0x40 | second.searching << 5 | (not second.finger) << 4 | 0x07
    first = 0x80 | beep << 6 | 0x05
    return bytes([first, sample, flags, second.pulse & 0x7F, second.spo2]), {}


def nine(second: _Second, sample: int, beep: bool) -> tuple[bytes, Says]:
    body = [
        (not second.finger) << 7 | beep << 6 | 0x05,
        second.searching << 7 | sample,
        0x15,
        second.pulse or 0xFF,
        second.spo2 or 0x7F,
        second.index & 0xFF,
        second.index >> 8,
    ]
    high = 0x80 | sum((byte >> 7) << bit for bit, byte in enumerate(body))
    valid = second.finger and not second.searching
    says: Says = {"pai_pct": (second.index / 100 if valid else math.nan,)}
    return bytes([1, high, *(0x80 | byte for byte in body)]), says


def _old(seed: int) -> Iterator[Sent]:
    return _frames(seed, cms50.FS_HZ, _five)


def _new(seed: int) -> Iterator[Sent]:
    return _frames(seed, cms50_v7.FS_HZ, nine)


SENDERS = (
    Sender("cms50", _old),
    Sender(
        "cms50_v7",
        _new,
        started_by=cms50_v7.START,
        kept_by=cms50_v7.GO_ON,
        keeps_s=30.0,  # MarkMLl/Contec_cms50dplus
    ),
)
