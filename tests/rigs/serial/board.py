"""A Homeward board of Python at the end of a cable, and what it has truly sent."""

from __future__ import annotations

import numpy as np

from edge import frame

DESCRIPTION = frame.Description(
    250.0,
    (frame.Channel("ecg_mv", "II", 0, 1000.0), frame.Channel("pleth_au", "finger", 0, 1.0)),
    "rig",
    "1.0",
)
ROWS = 25
FRAME_S = ROWS / DESCRIPTION.fs_hz


class Board:
    """Makes frames one after the other; every value tells its place (modulo 30,000)."""

    def __init__(self, first: int = 0) -> None:
        self.n_frames = first

    @property
    def clock_us(self) -> int:
        return round(self.n_frames * FRAME_S * 1e6)

    def hello(self) -> bytes:
        """Return what is sent after switching on."""
        described = frame.pack_description(DESCRIPTION)
        status = frame.pack_status(frame.Status(0, None))
        bodies = ((frame.DESCRIPTION, described), (frame.STATUS, status))
        return b"\0" + b"".join(
            frame.pack(kind, self.n_frames, self.clock_us, body) + b"\0" for kind, body in bodies
        )

    def next(self) -> bytes:
        """Return the next samples frame with its zero."""
        first = self.n_frames * ROWS
        place = np.arange(first, first + ROWS) % 30_000
        rows = np.stack([place, -place], axis=1).astype("<i2")
        packed = frame.pack(frame.SAMPLES, self.n_frames, self.clock_us, frame.pack_rows(rows))
        self.n_frames += 1
        return packed + b"\0"
