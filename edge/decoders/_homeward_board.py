"""The frames of Homeward boards read, whatever line brings them: part of two decoders.

`edge.decoders.homeward_serial` has them one a packet, `edge.decoders.nordic_uart` cut over
Bluetooth notifications. The layout is in ``hardware/PACKET.md``, the bytes are unpacked by
`edge.frame`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge import frame
from edge.decoders import Batch, BrokenError, DecodeError, NotMineError
from edge.decoders._homeward_start import StartWatch
from edge.records import FloatArray, Packet, Samples, Stamp

TICK_S = 1e-6
EXACT_BASELINE = 65_536
"""Up to this baseline, single precision holds 16-bit counts exactly."""
LINE_BYTES_S = 65_536
"""No line brings more (`edge.readers.uart` closes one that does): memory is not kept for it."""

_INT16 = 0
_COUNT = frame.NUMBER_TYPES[_INT16]
_LOWEST_INT16 = -32_768


class _Run:
    """Samples frames that follow one another without a hole.

    What the next frame must bear to follow is kept ready: ten frames a second are asked.
    """

    __slots__ = (
        "bodies",
        "clock_us",
        "first",
        "first_s",
        "last_s",
        "lasted_us",
        "n_bytes",
        "sequence",
    )

    def __init__(self, whole: frame.Frame, arrived_s: float, lasted_us: float) -> None:
        self.first, self.first_s, self.last_s = whole, arrived_s, arrived_s
        self.bodies = [whole.body]
        self.n_bytes = len(whole.body)
        self.sequence = (whole.sequence + 1) % frame.SEQUENCE_WRAP
        self.clock_us, self.lasted_us = whole.clock_us, lasted_us

    def join(self, whole: frame.Frame, arrived_s: float, lasted_us: float) -> bool:
        """Take a frame that comes right after the last one; return whether it does."""
        sequence, clock_us, before_us = whole.sequence, whole.clock_us, self.lasted_us
        if sequence != self.sequence:
            return False
        moved_us = (clock_us - self.clock_us) % frame.CLOCK_WRAP
        # A little off is the rate; more is a pause, which must not be joined over.
        if abs(moved_us - before_us) > before_us / 8:
            return False
        body = whole.body
        self.bodies.append(body)
        self.n_bytes = len(body)
        self.sequence = (sequence + 1) % frame.SEQUENCE_WRAP
        self.clock_us, self.lasted_us, self.last_s = clock_us, lasted_us, arrived_s
        return True


class Board:
    """What one board has said about itself, and its frames read.

    Parameters
    ----------
    starts : StartWatch | None
        Where the frames come over a line at whose end the board may begin anew.
    """

    def __init__(self, starts: StartWatch | None = None) -> None:
        self._said = b""
        self._described: frame.Description | None = None
        self._row: np.dtype[Any] = np.dtype("<i2")
        self._row_bytes = self._row.itemsize
        self._byte_us = 0.0
        self._short = False
        self._baseline = self._gain = np.zeros(1, np.float32)
        self._starts = starts
        self._tells_contact = False

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return the samples of one packet."""
        batch = self.decode_batch((packet,))
        if batch.errors:
            raise batch.errors[0]
        return tuple(samples for samples, _ in batch.found)

    def decode_batch(self, packets: Sequence[Packet]) -> Batch:
        """Return the samples of several packets, joined where they follow one another."""
        found, failed = self.read(packets)
        return Batch(found, [error for _, error in failed])

    def read(
        self, packets: Sequence[Packet]
    ) -> tuple[list[tuple[Samples, float]], list[tuple[int, DecodeError]]]:
        """Return what frames hold, one a packet, and which of them gave nothing, and why.

        Returns
        -------
        list of (Samples, float)
            As `edge.decoders.Batch.found`.
        list of (int, DecodeError)
            Index in `packets` and reason of each frame that failed, in their order.
        """
        found: list[tuple[Samples, float]] = []
        failed: list[tuple[int, DecodeError]] = []
        run: _Run | None = None
        for at, packet in enumerate(packets):
            try:
                whole = frame.unpack(packet.payload)
                if whole.kind == frame.SAMPLES:
                    run = self._joined(run, whole, packet.arrived_s, found)
                    continue
                self._end(run, found)
                run = None
                if whole.kind == frame.DESCRIPTION:
                    self._describe(whole.body)
                elif whole.kind == frame.STATUS:
                    status = self._status(frame.unpack_status(whole.body), packet.arrived_s)
                    found.extend((samples, packet.arrived_s) for samples in status)
            except frame.FrameError as error:
                failed.append((at, BrokenError(str(error))))
            except NotMineError as error:
                run = None  # it was ended
                failed.append((at, error))
            except DecodeError as error:
                failed.append((at, error))
        self._end(run, found)
        return found, failed

    def _joined(
        self,
        run: _Run | None,
        whole: frame.Frame,
        arrived_s: float,
        found: list[tuple[Samples, float]],
    ) -> _Run:
        """Return the run that ends with a samples frame: the one before it, or one of its own."""
        if run is not None and len(whole.body) == run.n_bytes:
            lasted_us = run.lasted_us
        else:
            lasted_us = self._lasted_us(whole.body)
        if run is not None:
            if run.join(whole, arrived_s, lasted_us):
                return run
            self._end(run, found)
        if self._starts is not None and self._starts.is_anew(whole, arrived_s):
            raise NotMineError("the board began anew and has not described itself since")
        return _Run(whole, arrived_s, lasted_us)

    def _describe(self, body: bytes) -> None:
        try:
            if body != self._said:
                self._take_description(body)
        except frame.FrameError:
            if self._starts is not None:
                self._starts.described_darkly()
            raise
        if self._starts is not None:
            self._starts.described()

    def _take_description(self, body: bytes) -> None:
        described = frame.unpack_description(body)
        bytes_s = described.fs_hz * frame.row_type(described.channels).itemsize
        if self._starts is not None and bytes_s > LINE_BYTES_S:
            raise frame.FrameError(
                f"description tells of {bytes_s:.0f} bytes of samples a second; a line brings "
                f"{LINE_BYTES_S} at most"
            )
        self._described = described
        channels = described.channels
        self._row = frame.row_type(channels)
        self._row_bytes = self._row.itemsize
        self._byte_us = 1e6 / described.fs_hz / self._row_bytes
        self._short = all(
            c.number_type == _INT16 and abs(c.baseline) <= EXACT_BASELINE for c in channels
        )
        if self._short:
            self._baseline = np.array([c.baseline for c in channels], np.float32)
            self._gain = np.array([c.gain for c in channels], np.float32)
        self._said = body

    def _lasted_us(self, body: bytes) -> float:
        """Return how long a frame's samples lasted by the nominal rate."""
        if self._described is None:
            raise NotMineError("samples came before the board described itself")
        n_bytes = len(body)
        if not n_bytes or n_bytes % self._row_bytes:
            raise BrokenError(f"samples frame of {n_bytes} bytes holds no whole rows")
        return n_bytes * self._byte_us

    def _end(self, run: _Run | None, found: list[tuple[Samples, float]]) -> None:
        """Make samples of a run that has come to its end."""
        described = self._described
        if run is None or described is None:
            return
        if self._starts is not None:
            self._starts.read(run.sequence, run.clock_us, run.last_s)
        body = b"".join(run.bodies)
        stamp = Stamp(
            run.first.clock_us,
            TICK_S,
            frame.CLOCK_WRAP,
            run.first.sequence,
            frame.SEQUENCE_WRAP,
            described.host_clock,
            len(run.bodies),
        )
        # A recording's packet bears the time of its first sample, a board's comes after its last.
        arrived_s = run.first_s if described.host_clock else run.last_s
        columns = self._scale_short(body) if self._short else self._scale_any(body)
        for channel, values in zip(described.channels, columns, strict=True):
            found.append(
                (
                    Samples(
                        channel.signal,
                        run.first_s,
                        described.fs_hz,
                        values,
                        channel.lead,
                        0.0,
                        stamp,
                    ),
                    arrived_s,
                )
            )

    def _status(self, status: frame.Status, arrived_s: float) -> tuple[Samples, ...]:
        """Return what a status frame says: of the electrodes of an ECG, the finger of a pleth.

        That a pleth board has a finger is only said once it has shown that it can tell.
        """
        channels = self._described.channels if self._described else ()
        fingers = sum(
            {1 << min(at, 7) for at, one in enumerate(channels) if one.signal.startswith("pleth_")}
        )
        found = []
        if any(channel.signal == "ecg_mv" for channel in channels):
            is_off = status.lead_off & ~fingers != 0
            found.append(_one("lead_off_flag", float(is_off), arrived_s))
        is_bare = status.lead_off & fingers != 0
        self._tells_contact |= is_bare
        if self._tells_contact:
            found.append(_one("contact_flag", float(not is_bare), arrived_s))
        if status.battery_pct is not None:
            found.append(_one("battery_pct", float(status.battery_pct), arrived_s))
        return tuple(found)

    def _scale_short(self, body: bytes) -> Sequence[FloatArray]:
        """Return the columns of 16-bit counts, which single precision holds exactly."""
        n_channels = len(self._gain)  # set where all channels are short
        # Along a row of one, numpy would go sample by sample.
        rows = np.frombuffer(body, self._row if n_channels > 1 else _COUNT)
        values: FloatArray = rows.astype(np.float32)
        values -= self._baseline
        values /= self._gain
        if rows.item(rows.argmin()) == _LOWEST_INT16:
            values[rows == _LOWEST_INT16] = np.nan
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
