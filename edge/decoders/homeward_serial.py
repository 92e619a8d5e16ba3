"""Our own serial boards, and recordings turned into packets: ``hardware/PACKET.md``.

A frame is ``COBS(body || CRC-16/CCITT-FALSE)``; body, little endian:

    TT SS SS CC CC CC CC ...

- T: 1 description, 2 samples, 3 status; others are for later versions and are passed over
- S: sequence number of the frame, wraps at 65536
- C: the board's clock in us at the first sample, wraps at 2**32

A samples frame holds rows of one number for each channel; the description frame before it says
what they are. Samples that come before the first description are counted as not mine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import frame
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.records import FloatArray, Packet, Samples, Stamp

TICK_S = 1e-6
EXACT_BASELINE = 65_536
"""Up to this baseline, single precision holds 16-bit counts exactly."""

_INT16 = 0
_COUNT = frame.NUMBER_TYPES[_INT16]
_LOWEST_INT16 = b"\x00\x80"


class _Board:
    """What one board has said about itself."""

    def __init__(self) -> None:
        self._said = b""
        self._described: frame.Description | None = None
        self._row: np.dtype[Any] = np.dtype("<i2")
        self._short = False
        self._baseline = self._gain = np.zeros(1, np.float32)

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        try:
            whole = frame.unpack(packet.payload)
            if whole.kind == frame.SAMPLES:
                return self._read(whole, packet.arrived_s)
            if whole.kind == frame.DESCRIPTION:
                self._describe(whole.body)
            elif whole.kind == frame.STATUS:
                return self._status(frame.unpack_status(whole.body), packet.arrived_s)
        except frame.FrameError as error:
            raise BrokenError(str(error)) from error
        return ()

    def _describe(self, body: bytes) -> None:
        if body == self._said:
            return
        self._described = described = frame.unpack_description(body)
        channels = described.channels
        self._row = frame.row_type(channels)
        self._short = all(
            c.number_type == _INT16 and abs(c.baseline) <= EXACT_BASELINE for c in channels
        )
        if self._short:
            # Other baselines may not fit single precision, and are not used in it.
            self._baseline = np.array([c.baseline for c in channels], np.float32)
            self._gain = np.array([c.gain for c in channels], np.float32)
        self._said = body

    def _read(self, whole: frame.Frame, arrived_s: float) -> tuple[Samples, ...]:
        described = self._described
        if described is None:
            raise NotMineError("samples came before the board described itself")
        n_bytes = len(whole.body)
        if not n_bytes or n_bytes % self._row.itemsize:
            raise BrokenError(f"samples frame of {n_bytes} bytes holds no whole rows")
        fs_hz = described.fs_hz
        stamp = Stamp(
            whole.clock_us,
            TICK_S,
            frame.CLOCK_WRAP,
            whole.sequence,
            frame.SEQUENCE_WRAP,
            described.host_clock,
        )
        columns = self._scale_short(whole.body) if self._short else self._scale_any(whole.body)
        return tuple(
            [
                Samples(channel.signal, arrived_s, fs_hz, column, channel.lead, 0.0, stamp)
                for channel, column in zip(described.channels, columns, strict=True)
            ]
        )

    def _status(self, status: frame.Status, arrived_s: float) -> tuple[Samples, ...]:
        """Return what a status frame says; electrodes matter to boards that have an ECG."""
        channels = self._described.channels if self._described else ()
        found = []
        if any(channel.signal == "ecg_mv" for channel in channels):
            found.append(_one("lead_off_flag", float(status.lead_off != 0), arrived_s))
        if status.battery_pct is not None:
            found.append(_one("battery_pct", float(status.battery_pct), arrived_s))
        return tuple(found)

    def _scale_short(self, body: bytes) -> Sequence[FloatArray]:
        """Return the columns of 16-bit counts, which single precision holds exactly."""
        n_channels = len(self._gain)
        # Along a row of one, numpy would go sample by sample.
        rows = np.frombuffer(body, self._row if n_channels > 1 else _COUNT)
        values: FloatArray = np.subtract(rows, self._baseline)
        values /= self._gain
        # The search also hits two halves of neighbours; the comparison does not.
        if _LOWEST_INT16 in body:
            values[rows == np.iinfo(np.int16).min] = np.nan
        return (values,) if n_channels == 1 else [values[:, i] for i in range(n_channels)]

    def _scale_any(self, body: bytes) -> Sequence[FloatArray]:
        described = self._described
        rows = np.frombuffer(body, self._row)
        channels = described.channels if described else ()
        return [
            _scale(rows[:, i] if rows.ndim == 2 else rows[str(i)], channel)
            for i, channel in enumerate(channels)
        ]


def _scale(raw: NDArray[Any], channel: frame.Channel) -> FloatArray:
    """Return the values in their unit, NaN where the board sent *no value* or an impossible one."""
    # What a damaged or hostile board sends may be too large for the quotient or for single
    # precision. That is no value, and no reason for a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        wide = raw.astype(np.float64)
        if raw.dtype.kind == "i":
            wide[raw == np.iinfo(raw.dtype).min] = np.nan
        narrow = ((wide - channel.baseline) / channel.gain).astype(np.float32)
    narrow[~np.isfinite(narrow)] = np.nan
    return narrow


def _one(signal: str, value: float, arrived_s: float) -> Samples:
    return Samples(signal, arrived_s, 0.0, np.array([value], np.float32))


def _open() -> Decode:
    return _Board().decode


DECODER = Decoder(
    name="homeward_serial",
    streams=(frame.STREAM,),
    signals=("*", "lead_off_flag", "battery_pct"),
    open=_open,
)
