"""A sketch with a virtual chip, read by the real reader: what was fed, what came, what happened."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge import frame
from edge.decoders.homeward_serial import DECODER
from edge.records import Packet, Samples
from tests.rigs.hil.avr import HZ, Avr, bench, firmware, need_tools, read, wires_at
from tests.rigs.hil.listening import frames_of

SPEED = 50.0
"""What the reader's patience is made for; the bench runs as fast as it goes."""
LAG_MS = 100.0
Rows = NDArray[np.int64]


class Opened(Avr):
    """A board to which things happen from the moment on at which the reader has its port.

    Parameters
    ----------
    later : Sequence[tuple[float, str]]
        Commands at true times in seconds after that moment; see avr_bench.c.
    alone_s : float
        So long it runs before anybody can open its port; 0: its time begins when somebody does.
    """

    def __init__(
        self,
        elf: Path,
        *,
        chips: Sequence[str],
        later: Sequence[tuple[float, str]],
        alone_s: float,
    ) -> None:
        script = [(0.0, "speed 0"), (alone_s, "speed 1")] if alone_s else []
        super().__init__(
            elf, speed=1.0, lag_ms=LAG_MS, chips=chips, script=script, await_open=not alone_s
        )
        self._later = later
        self.opened_s: float | None = None

    def taken(self) -> None:
        """Say that the reader has read all there was."""
        super().taken()
        if self.opened_s is None:
            self.opened_s = self.now_s() + 0.2  # what is told now is heard before
            for at_s, what in self._later:
                self.tell(f"at {self.opened_s + at_s:.6f} {what}")
            self.tell("speed 0")


class Run(msgspec.Struct, dict=True, eq=False):
    """What a run left behind.

    Attributes
    ----------
    fed : NDArray
        Rows the chip puts out, row k at conversion k; from the start again after the last.
    packets, frames : list
        What the reader delivered, and the frames in it.
    events : NDArray
        The bench's log, `tests.rigs.hil.avr.EVENT`.
    opened_s : float
        True time from which the times of the script count.
    """

    fed: Rows
    packets: list[Packet]
    frames: list[frame.Frame]
    events: NDArray[np.void]
    opened_s: float

    def happened(self, name: str) -> NDArray[np.void]:
        """Return the events of one name."""
        return self.events[self.events["name"] == name.encode()]

    def at_us(self, after_s: float) -> float:
        """Return the board's clock, unwrapped, so long after the port was opened."""
        return (self.opened_s + after_s) * 1e6

    @functools.cached_property
    def described(self) -> frame.Description:
        """What the board said about itself."""
        first = next(one for one in self.frames if one.kind == frame.DESCRIPTION)
        return frame.unpack_description(first.body)

    @functools.cached_property
    def blocks(self) -> list[tuple[int, Rows]]:
        """Clock in us and rows of each samples frame."""
        row = frame.row_type(self.described.channels)
        return [
            (one.clock_us, np.frombuffer(one.body, row).astype(np.int64))
            for one in self.frames
            if one.kind == frame.SAMPLES
        ]

    @functools.cached_property
    def sequences(self) -> list[int]:
        """Sequence number of each samples frame."""
        return [one.sequence for one in self.frames if one.kind == frame.SAMPLES]

    @functools.cached_property
    def firsts(self) -> NDArray[np.int64]:
        """Index of the first row of each samples frame in `rows`."""
        return np.cumsum([0] + [len(rows) for _, rows in self.blocks])[:-1]

    @functools.cached_property
    def rows(self) -> Rows:
        """All rows, in the order in which they came."""
        return np.concatenate([rows for _, rows in self.blocks])

    @functools.cached_property
    def clocks_us(self) -> NDArray[np.float64]:
        """Clock of each row: that of its frame, and the nominal period from there on."""
        period_us = 1e6 / self.described.fs_hz
        return np.concatenate([at + period_us * np.arange(len(rows)) for at, rows in self.blocks])

    @functools.cached_property
    def numbers(self) -> Rows:
        """Number of the conversion each row is.

        Raises
        ------
        KeyError
            A row was never fed.
        """
        number_of = {tuple(row): k for k, row in enumerate(self.fed)}
        assert len(number_of) == len(self.fed), "the rows fed must all differ"
        return np.array([number_of[tuple(row)] for row in self.rows])

    @functools.cached_property
    def true_us(self) -> NDArray[np.float64]:
        """When each conversion was, by the board's own clock."""
        return self.happened("sample")["cycle"] * (1e6 / HZ)

    @functools.cached_property
    def samples(self) -> list[tuple[Samples, float]]:
        """What the decoder reads, and when it arrived."""
        assert DECODER.open_batch is not None
        batch = DECODER.open_batch()([p for p in self.packets if p.stream == frame.LINE])
        assert (batch.errors, batch.n_damaged) == ([], 0)
        return batch.found

    @functools.cached_property
    def statuses(self) -> list[tuple[int, int]]:
        """Clock and electrode bits of each status frame."""
        return [
            (one.clock_us, frame.unpack_status(one.body).lead_off)
            for one in self.frames
            if one.kind == frame.STATUS
        ]

    def told(self, lead_off: int, from_s: float) -> float:
        """Return how long after a time of the script these electrode bits were first told."""
        at_us = next(
            at for at, off in self.statuses if off == lead_off and at >= self.at_us(from_s)
        )
        return (at_us - self.at_us(from_s)) * 1e-6


def run(
    sketch: str,
    chip: str,
    fed: Rows,
    script: Sequence[tuple[float, str]],
    *,
    options: str = "",
    defines: Sequence[str] = (),
    alone_s: float = 0.0,
    **settings: object,
) -> Run:
    """Let a sketch run with its chip until the script says ``quit``.

    Parameters
    ----------
    options : str
        More arguments of the chip, ``,key=value``.
    defines : Sequence[str]
        Settings of the sketch, ``NAME=value``.
    alone_s : float
        So long it runs before the reader opens its port.
    **settings
        Of the reader.
    """
    need_tools()
    bench()
    elf = firmware(sketch, *defines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fed"
        fed.astype("<f4").tofile(path)
        chips = [f"{chip}:file={path}{options}"]
        with Opened(elf, chips=chips, later=script, alone_s=alone_s) as board:
            board.until(alone_s)
            wires = wires_at(SPEED, "homeward")
            packets = asyncio.run(read(board, wires, device="homeward", **settings))
            events = board.events()
    assert board.opened_s is not None
    return Run(fed, packets, frames_of(packets), events, board.opened_s)
