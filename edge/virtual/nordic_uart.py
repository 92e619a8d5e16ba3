"""A two-channel ECG board behind a Nordic UART: our own frames, ``hardware/PACKET.md``.

It samples leads I and II at 250 Hz by a crystal of its own and makes ten frames a second, heard or
not. Where somebody listens they go out as pieces of `chunk_bytes`; what is made while nobody
does is lost, and its numbers are missed. A listener that comes gets a zero (it may have half a
frame left of the last link), a description and a status at once, and both every ten seconds.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge import frame
from edge.frame import Channel, Description, Status
from edge.virtual import Characteristic, Port, Service, Wearable

SERVICE: Final = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
WRITE: Final = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NOTIFY: Final = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"

FS_HZ: Final = 250.0
N_ROWS: Final = 25
COUNTS_PER_MV: Final = 1000.0
CHUNK_BYTES: Final = 20
"""What every link carries, whatever its MTU."""
DESCRIBE_S: Final = 10.0
MOST_PPM: Final = 50.0

_CLOCK_US: Final = 4_000  # between two rows, by the board's own crystal
_RAIL: Final = 32_767
_BOTH_OFF: Final = 0b11
_BATTERY_PCT: Final = 88
_LEADS: Final = ("I", "II")
# P, Q, R, S and T: middle and width in seconds from the R peak, height in mV in lead II.
_WAVES: Final = (
    (-0.17, 0.024, 0.12),
    (-0.026, 0.009, -0.10),
    (0.0, 0.010, 1.10),
    (0.028, 0.010, -0.22),
    (0.26, 0.050, 0.28),
)
_LEAD_I: Final = 0.6
_WANDER_MV: Final = 0.05
_WANDER_HZ: Final = 0.23


class Board:
    """One board.

    Parameters
    ----------
    chunk_bytes : int
        Bytes in one notification; at most the link's MTU less 3.

    Attributes
    ----------
    electrodes_on : bool
        Without them the converter is at its rail, and the status says so.
    fast_ppm : float
        How much too fast its crystal runs.
    rate_bpm : float
        Of the heart it measures, by its own clock.
    n_frames : int
        Samples frames made so far.
    """

    def __init__(self, seed: int, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        rng = np.random.default_rng(seed)
        self.electrodes_on = True
        self.fast_ppm = float(rng.uniform(-MOST_PPM, MOST_PPM))
        self.rate_bpm = float(rng.uniform(56.0, 92.0))
        self.n_frames = 0
        # A free-running counter may stand anywhere when somebody first looks.
        self._clock_us = int(rng.integers(0, frame.CLOCK_WRAP))
        self._chunk_bytes = chunk_bytes
        self._began_s = 0.0
        self._heard = False
        self._described_s = -math.inf
        self._told = Status(0, None)

    def taken_s(self, row: int) -> float:
        """Return when a row was taken, by the port's perfect clock."""
        return self._began_s + row / (FS_HZ * (1.0 + self.fast_ppm * 1e-6))

    def rows_mv(self, first: int, n: int) -> NDArray[np.float64]:
        """Return n rows from row `first` on, shape (n, 2), as the electrodes give them."""
        t_s = np.arange(first, first + n) / FS_HZ
        beat_s = 60.0 / self.rate_bpm
        # The beat whose R peak is nearest: no wave reaches half way to the next.
        from_r_s = (t_s + beat_s / 2) % beat_s - beat_s / 2
        lead_ii = np.zeros(n)
        for middle_s, width_s, height_mv in _WAVES:
            lead_ii += height_mv * np.exp(-0.5 * ((from_r_s - middle_s) / width_s) ** 2)
        wander = _WANDER_MV * np.sin(2 * np.pi * _WANDER_HZ * t_s)
        return np.stack([_LEAD_I * lead_ii + wander, lead_ii + wander], axis=1)

    async def run(self, port: Port) -> None:
        """Sample, and send where somebody listens."""
        self._began_s = port.now_s()
        while True:
            first = self.n_frames * N_ROWS
            await port.sleep(self.taken_s(first + N_ROWS) - port.now_s())
            number, self.n_frames = self.n_frames, self.n_frames + 1
            if not port.subscribed(NOTIFY):
                self._heard = False
                continue
            clock_us = self._clock_us + first * _CLOCK_US
            await self._introduce(port, number, clock_us)
            body = frame.pack_rows(self._counts(first))
            await self._send(port, frame.SAMPLES, number, clock_us, body)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Take what a central sends, which means nothing to it."""

    def value(self, uuid: str, now_s: float) -> bytes | None:  # noqa: ARG002
        """Return nothing: nothing of it is read."""
        return None

    def _counts(self, first: int) -> NDArray[np.int16]:
        if not self.electrodes_on:
            return np.full((N_ROWS, len(_LEADS)), _RAIL, np.int16)
        return np.round(self.rows_mv(first, N_ROWS) * COUNTS_PER_MV).astype("<i2")

    async def _introduce(self, port: Port, number: int, clock_us: int) -> None:
        """Send the description and the status when they are due."""
        status = Status(0 if self.electrodes_on else _BOTH_OFF, _BATTERY_PCT)
        due = port.now_s() - self._described_s >= DESCRIBE_S
        if not self._heard:
            self._heard = True
            await port.send(NOTIFY, b"\0")
            due = True
        if due:
            self._described_s = port.now_s()
            await self._send(port, frame.DESCRIPTION, number, clock_us, _DESCRIPTION)
        if due or status != self._told:
            self._told = status
            await self._send(port, frame.STATUS, number, clock_us, frame.pack_status(status))

    async def _send(self, port: Port, kind: int, number: int, clock_us: int, body: bytes) -> None:
        """Send one frame and its zero in pieces; a link that goes takes the rest with it."""
        line = frame.pack(kind, number, clock_us, body) + b"\0"
        for at in range(0, len(line), self._chunk_bytes):
            if not await port.send(NOTIFY, line[at : at + self._chunk_bytes]):
                self._heard = False
                return


_DESCRIPTION: Final = frame.pack_description(
    Description(
        FS_HZ,
        tuple(Channel("ecg_mv", lead, 0, COUNTS_PER_MV) for lead in _LEADS),
        "virtual board",
        "1.0",
    )
)

WEARABLE = Wearable(
    name="nordic_uart",
    words="ECG board with Nordic UART",
    local_name="Homeward Board",
    services=(
        Service(
            SERVICE,
            (
                Characteristic(WRITE, ("write", "write_without_response")),
                Characteristic(NOTIFY, ("notify",)),
            ),
            advertised=True,
        ),
    ),
    open=Board,
)
