"""The simulated boards that speak our serial frame: chest board, motion, thermometer, pleth."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge import frame
from edge.readers import _scenario as told
from edge.readers._body_model import Body
from edge.readers._links_model import Boot, Sent
from edge.records import TimeArray

REPEAT_S = 10.0
"""A board describes itself and tells its status first, and this often."""
BLOCK_S = 4.0
"""Samples are computed this much at a time: a demo starts at once, and a night fits in memory."""
FULL_SCALE = 32_767

Values = NDArray[np.float64]


class Board(msgspec.Struct, frozen=True):
    """One kind of board.

    Attributes
    ----------
    description : frame.Description
        What it says about itself.
    n_rows : int
        Rows in a samples frame.
    measure : Callable
        ``measure(body, times_s, rng)`` gives the values, shape (channels, n), NaN where the
        input is at its rail.
    is_off : Callable | None
        ``is_off(body, times_s)`` tells where the electrodes or the probe are off, bool (n,).
    """

    description: frame.Description
    n_rows: int
    measure: Callable[[Body, TimeArray, np.random.Generator], Values]
    is_off: Callable[[Body, TimeArray], NDArray[np.bool_]] | None = None


def run_board(
    device: told.DeviceName,
    body: Body,
    boots: tuple[Boot, ...],
    scenario: told.Scenario,
    seed: int,
) -> Sent:
    """Yield every frame of one board, in the order in which they leave it."""
    rng = np.random.default_rng([seed, 6, *device.encode()])
    board = BOARDS[device]
    freezes = [
        event
        for event in scenario.events
        if isinstance(event, told.FrozenValue) and event.device == device
    ]
    # Of all boards the one on the chest is the one that lasts least.
    batteries = [e for e in scenario.events if isinstance(e, told.Battery) and device == "board"]
    for boot in boots:
        yield from _run_boot(_Life(board, body, boot, freezes, batteries, rng))


class _Life:
    """One boot of one board, and what it remembers from block to block."""

    def __init__(
        self,
        board: Board,
        body: Body,
        boot: Boot,
        freezes: list[told.FrozenValue],
        batteries: list[told.Battery],
        rng: np.random.Generator,
    ) -> None:
        self.board, self.body, self.boot = board, body, boot
        self._freezes, self._rng = freezes, rng
        self._batteries = batteries
        self._last_row: NDArray[np.int16] | None = None

    def block(self, first_idx: int, n: int) -> tuple[TimeArray, NDArray[np.int16]]:
        """Return the true times (n,) and the raw rows (n, channels) from that sample on."""
        times_s = self.boot.true_s((first_idx + np.arange(n)) / self.board.description.fs_hz)
        values = self.board.measure(self.body, times_s, self._rng)
        rows = np.empty((n, len(values)), "<i2")
        for i, channel in enumerate(self.board.description.channels):
            raw = np.rint(values[i] * channel.gain + channel.baseline)
            # NaN is an input at its rail: the converter then shows its largest number.
            rows[:, i] = np.nan_to_num(raw, nan=FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE)
        self._freeze(times_s, rows)
        return times_s, rows

    def _freeze(self, times_s: TimeArray, rows: NDArray[np.int16]) -> None:
        for event in self._freezes:
            first, last = np.searchsorted(times_s, (event.at_s, event.end_s))
            if first < last:
                held = rows[first - 1] if first else self._last_row
                rows[first:last] = rows[first] if held is None else held
        self._last_row = rows[-1].copy()

    def battery_pct(self, at_s: float) -> int:
        """Return what the board says of its battery."""
        return _battery_pct(at_s, self._batteries)

    def lead_off(self, times_s: TimeArray) -> list[int]:
        """Return the lead-off bits at the times (n,)."""
        is_off = self.board.is_off
        if is_off is None:
            return [0] * times_s.size
        bits = (1 << len(self.board.description.channels)) - 1
        return [bits if off else 0 for off in is_off(self.body, times_s)]


def _run_boot(life: _Life) -> Sent:
    board, boot = life.board, life.boot
    fs_hz, n_rows = board.description.fs_hz, board.n_rows
    description = frame.pack_description(board.description)
    n_frames = max(1, round(BLOCK_S * fs_hz / n_rows))
    sequence, due_s, said = 0, 0.0, 0
    while True:
        times_s, rows = life.block(sequence * n_rows, n_frames * n_rows)
        for i, lead_off in enumerate(life.lead_off(times_s[n_rows - 1 :: n_rows])):
            first_s = float(times_s[i * n_rows])
            sent_s = float(times_s[(i + 1) * n_rows - 1])
            if sent_s >= boot.off_s:
                return
            local_s = sequence * n_rows / fs_hz
            clock_us = boot.clock_start_us + round(local_s * 1e6)
            described = local_s >= due_s
            if described:
                due_s = local_s + REPEAT_S
                yield first_s, frame.pack(frame.DESCRIPTION, sequence, clock_us, description)
            if described or lead_off != said:
                said = lead_off
                status = frame.pack_status(frame.Status(lead_off, life.battery_pct(sent_s)))
                yield sent_s, frame.pack(frame.STATUS, sequence, clock_us, status)
            body = frame.pack_rows(rows[i * n_rows : (i + 1) * n_rows])
            yield sent_s, frame.pack(frame.SAMPLES, sequence, clock_us, body)
            sequence += 1


def _battery_pct(at_s: float, events: list[told.Battery]) -> int:
    for event in events:
        if event.covers(at_s):
            share = (at_s - event.at_s) / event.for_s
            return round(event.from_pct + share * (event.to_pct - event.from_pct))
    return max(5, round(94.0 - at_s / 1800.0))


def _chest(body: Body, times_s: TimeArray, rng: np.random.Generator) -> Values:
    values = np.stack((body.ecg_mv(times_s), body.resp_au(times_s)))
    values += 0.01 * rng.standard_normal(values.shape)
    values[:, _electrode_off(body, times_s)] = np.nan
    return values


def _motion(body: Body, times_s: TimeArray, rng: np.random.Generator) -> Values:
    values = body.accel_g(times_s)
    return values + 0.006 * rng.standard_normal(values.shape)


def _thermometer(body: Body, times_s: TimeArray, rng: np.random.Generator) -> Values:
    value = body.vitals.temp_degc(times_s) + 0.01 * rng.standard_normal(times_s.shape)
    return value[np.newaxis]


def _pleth(body: Body, times_s: TimeArray, rng: np.random.Generator) -> Values:
    value = body.pleth_au(times_s)
    # Without a finger there is no light to swing.
    value[_finger_out(body, times_s)] = 0.0
    return (value + 0.01 * rng.standard_normal(times_s.shape))[np.newaxis]


def _electrode_off(body: Body, times_s: TimeArray) -> NDArray[np.bool_]:
    return body.vitals.during(told.ElectrodeOff, times_s, "board")


def _finger_out(body: Body, times_s: TimeArray) -> NDArray[np.bool_]:
    return body.vitals.during(told.ClipOff, times_s)


_AXES = tuple(frame.Channel("accel_g", axis, gain=4096.0) for axis in "xyz")

BOARDS: dict[str, Board] = {
    "board": Board(
        frame.Description(
            250.0,
            (frame.Channel("ecg_mv", "II", gain=1000.0), frame.Channel("resp_au", gain=1000.0)),
            "simulated chest board",
        ),
        25,
        _chest,
        _electrode_off,
    ),
    "motion": Board(frame.Description(50.0, _AXES, "simulated motion sensor"), 10, _motion),
    "thermometer": Board(
        frame.Description(0.1, (frame.Channel("temp_degc", gain=100.0),), "simulated thermometer"),
        1,
        _thermometer,
    ),
    "pleth": Board(
        frame.Description(75.0, (frame.Channel("pleth_au", gain=1000.0),), "simulated pleth"),
        15,
        _pleth,
        _finger_out,
    ),
}
"""The boards by device name."""
