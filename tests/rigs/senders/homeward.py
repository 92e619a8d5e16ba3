"""A Homeward board with an ECG and a respiration, by `hardware/PACKET.md`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge import frame
from tests.rigs.serial_senders import Says, Sender, Sent

FS_HZ = 250.0
ROWS = 25
BOARD = frame.Description(
    FS_HZ,
    (frame.Channel("ecg_mv", "II", gain=1000.0), frame.Channel("resp_au", gain=1.0)),
    "made up",
)
DESCRIBED_EVERY = 100
"""Samples frames; ten seconds."""
_STATUS = frame.pack_status(frame.Status(0, 88))


def _run(seed: int) -> Iterator[Sent]:
    rng = np.random.default_rng(seed)
    sequence = n = 0
    walk = np.zeros(2, np.int64)
    while True:
        due_s = n * ROWS / FS_HZ
        says: Says = {}
        frames = []
        if n % DESCRIBED_EVERY == 0:
            frames = [(frame.DESCRIPTION, frame.pack_description(BOARD)), (frame.STATUS, _STATUS)]
            says = {"lead_off_flag": (0.0,), "battery_pct": (88.0,)}
        if n:
            rows = np.clip(walk + np.cumsum(rng.integers(-9, 10, (ROWS, 2)), axis=0), -9999, 9999)
            walk = rows[-1]
            frames.append((frame.SAMPLES, frame.pack_rows(rows.astype("<i2"))))
            ecg, resp = (tuple(column.tolist()) for column in rows.T)
            says = {**says, "ecg_mv/II": tuple(x / 1000 for x in ecg), "resp_au": resp}
        line = b"" if n else b"\0"
        for kind, body in frames:
            clock_us = round(max(due_s - ROWS / FS_HZ, 0.0) * 1e6) % frame.CLOCK_WRAP
            line += frame.pack(kind, sequence, clock_us, body) + b"\0"
            sequence = (sequence + 1) % frame.SEQUENCE_WRAP
        n += 1
        yield Sent(due_s, line, says)


SENDERS = (Sender("homeward", _run),)
