"""Nonin oximeters in data formats 2, 7 and 8."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edge.decoders import _nonin_packets, nonin
from tests.rigs.serial_senders import Says, Sender, Sent

BYTE_S = 10 / nonin.BAUD


def _numbers(rng: np.random.Generator) -> Iterator[tuple[int, int, int, Says]]:
    """Give pulse rate, saturation and status of each packet: a walk, sometimes without a finger."""
    pulse, spo2 = int(rng.integers(45, 180)), 97
    while True:
        for _ in range(int(rng.integers(20, 60))):
            pulse = int(np.clip(pulse + rng.integers(-2, 3), 18, _nonin_packets.HIGHEST_BPM))
            spo2 = int(np.clip(spo2 + rng.integers(-1, 2), 80, 100))
            yield pulse, spo2, 0, {"pulse_bpm": (pulse,), "spo2_pct": (spo2,), "contact_flag": (1,)}
        status, contact = (_nonin_packets.OUT_OF_TRACK, 1.0) if rng.random() < 0.5 else (0x08, 0.0)
        for _ in range(int(rng.integers(3, 12))):
            # Out of track it still says the last rate, which is not to be believed.
            shown = (pulse, spo2) if status == _nonin_packets.OUT_OF_TRACK else (511, 127)
            none: Says = {
                "pulse_bpm": (math.nan,),
                "spo2_pct": (math.nan,),
                "contact_flag": (contact,),
            }
            yield (*shown, status, none)


def told(pulse: int, spo2: int) -> list[int]:
    """Return the fourth bytes of a packet; what is for the display is another value."""
    told = [0] * _nonin_packets.PACKET_FRAMES
    told[0], told[1], told[2], told[3] = pulse >> 7, pulse & 0x7F, spo2, 0x30
    told[8:11] = [99, 98, 97]
    told[13:17] = [0, 60, 96, 95]
    told[19:23] = [0, 61, 0, 62]
    return told


def _packets(seed: int, *, wide: bool) -> Iterator[Sent]:
    rng = np.random.default_rng(seed)
    n = 0
    for pulse, spo2, status, says in _numbers(rng):
        samples = []
        for place, data in enumerate(told(pulse, spo2)):
            phase = 2 * math.pi * n / _nonin_packets.FS_HZ * pulse / 60
            sample = int((32767 if wide else 127) * (1 + 0.8 * math.sin(phase)))
            samples.append(sample)
            shown = 0x80 | status | (place == 0)
            head = [shown, *sample.to_bytes(2, "big")] if wide else [1, shown, sample]
            body = bytes([*head, data])
            n += 1
            is_last = place == _nonin_packets.PACKET_FRAMES - 1
            yield Sent(
                n / _nonin_packets.FS_HZ,
                body + bytes([sum(body) & 0xFF]),
                {"pleth_au": tuple(samples), **says} if is_last else {},
            )


def _df2(seed: int) -> Iterator[Sent]:
    return _packets(seed, wide=False)


def _df7(seed: int) -> Iterator[Sent]:
    return _packets(seed, wide=True)


def _df8(seed: int) -> Iterator[Sent]:
    rng = np.random.default_rng(seed)
    for n, (pulse, spo2, status, says) in enumerate(_numbers(rng), start=1):
        first = 0x80 | pulse >> 7 | (0x20 if status == _nonin_packets.OUT_OF_TRACK else 0)
        second = 0x08 if status == 0x08 else 0
        line = bytes([first, pulse & 0x7F, spo2, second])
        yield Sent(n + nonin.DF8_BYTES * BYTE_S, line, says)


SENDERS = (
    Sender("nonin_df2", _df2),
    Sender("nonin_df7", _df7),
    Sender("nonin_df8", _df8),
)
