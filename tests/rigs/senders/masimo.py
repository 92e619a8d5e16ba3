"""Masimo Rad-8: a line of text a second."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tests.rigs.serial_senders import Says, Sender, Sent

BYTE_S = 10 / 9600
OFF = 0x820
SEARCH = 0x808
WEAK = 0xC04


def _lines(seed: int) -> Iterator[Sent]:
    rng = np.random.default_rng(seed)
    n, pulse, spo2, index = 0, int(rng.integers(45, 200)), 97, 3.6
    while True:
        for exceptions, n_lines in (
            (0x800, int(rng.integers(20, 60))),
            (WEAK, int(rng.integers(2, 8))),
            (OFF, int(rng.integers(2, 8))),
            (SEARCH, int(rng.integers(1, 4))),
        ):
            for place in range(n_lines):
                pulse = int(np.clip(pulse + rng.integers(-2, 3), 25, 240))
                spo2 = int(np.clip(spo2 + rng.integers(-1, 2), 70, 100))
                index = round(float(np.clip(index + rng.normal(0.0, 0.3), 0.02, 20.0)), 2)
                # A finger that has gone leaves its values in the lines for a while.
                dashes = exceptions in {OFF, SEARCH} and place > 1
                line = text(n, pulse, spo2, index, exceptions, dashes=dashes)
                n += 1
                yield Sent(n + len(line) * BYTE_S, line, says(pulse, spo2, index, exceptions))


def text(
    n: int, pulse: int, spo2: int, index: float, exceptions: int, *, dashes: bool = False
) -> bytes:
    """Return a line; the device's clock was at midnight when the first one was sent."""
    shown = "---% BPM=--- PI=--.--%" if dashes else f"{spo2:03}% BPM={pulse:03} PI={index:05.2f}%"
    return (
        f"03/17/26 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02} SN=0000082221 SPO2={shown} "
        f"SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- ALARM=0000 EXC={exceptions:06X}\r\n"
    ).encode()


def says(pulse: int, spo2: int, index: float, exceptions: int) -> Says:
    """Return what can be read from a line."""
    there = exceptions not in {OFF, SEARCH}
    return {
        "spo2_pct": (spo2 if there else math.nan,),
        "pulse_bpm": (pulse if there else math.nan,),
        "pai_pct": (index if there else math.nan,),
        "contact_flag": (float(exceptions != OFF),),
    }


SENDERS = (Sender("masimo", _lines),)
