"""HealthyPi v4 in its mode *Pi*: what it prints at its start, then a frame a sample."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import numpy as np

from edge.decoders import healthypi_usb as board
from tests.rigs.serial_senders import Says, Sender, Sent

BOOT = b"Setting up Healthy pI V4...\r\n1\r\nStarts in v3 mode\r\nInitialization is complete\r\n"
BEAT_COUNTS = 41
"""1 mV."""


def _frames(seed: int) -> Iterator[Sent]:
    rng = np.random.default_rng(seed)
    yield Sent(0.001, BOOT)
    n, rate, told_off = 0, int(rng.integers(45, 160)), False
    while True:
        # One stretch with its electrodes on, one with them off: the rates are 0 then.
        for off, n_seconds in ((0, int(rng.integers(5, 20))), (2, int(rng.integers(1, 4)))):
            rate = int(np.clip(rate + rng.integers(-3, 4), 40, 200))
            slow = (3650, 0 if off else 15, 97, 0 if off else rate)
            told_off = told_off or bool(off)
            for place in range(n_seconds * board.TELL_EVERY):
                phase = n / board.FS_HZ * rate / 60 % 1.0
                line, says = frame(phase, slow, off)
                if place == board.STEADY_FRAMES - 1:
                    says |= _slow(slow, off, tells_off=told_off)
                n += 1
                yield Sent(n / board.FS_HZ, line, says)


def frame(phase: float, slow: tuple[int, int, int, int], off: int) -> tuple[bytes, dict]:
    """Return the frame at a phase of the beat, and the samples in it."""
    ecg = 0 if off else int(BEAT_COUNTS * math.exp(-(((phase - 0.3) / 0.02) ** 2)))
    breath = 0 if off else int(500 * math.sin(phase))
    infrared, red = 300_000 - int(2_000 * phase), 250_000 - int(1_500 * phase)
    content = struct.pack("<hhiiHBBB", ecg, breath, infrared, red, *slow)
    line = board.HEAD + content + board.CONSTANT + bytes([off]) + board.TAIL
    return line, {
        "ecg_mv": (math.nan if off else ecg * board.ECG_STEP_MV,),
        "resp_au": (math.nan if off else breath,),
        "pleth_au/ir": (infrared,),
        "pleth_au/red": (red,),
    }


def _slow(slow: tuple[int, int, int, int], off: int, *, tells_off: bool) -> Says:
    temperature, breaths, spo2, rate = slow
    told = {
        "temp_degc": (temperature / 100,),
        "resp_brpm": (breaths or math.nan,),
        "spo2_pct": (spo2,),
        "hr_bpm": (rate or math.nan,),
    }
    return told | ({"lead_off_flag": (float(off > 0),)} if tells_off else {})


SENDERS = (Sender("healthypi_v4", _frames),)
