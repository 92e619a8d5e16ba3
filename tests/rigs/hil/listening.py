"""The real serial reader at the end of an emulated board's line, and what it delivered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge import frame
from edge.assemble import every_wire
from edge.decoders.homeward_serial import DECODER
from edge.readers import Rim
from edge.readers import uart as read
from edge.records import Packet


class Listening:
    """`edge.readers.uart` reads a port while the context lasts.

    Attributes
    ----------
    packets : list[Packet]
        Everything it delivered, what it says of the link too.
    """

    def __init__(self, port: str) -> None:
        self._port = port
        rim = Rim(self._take, time.monotonic, None, (), every_wire())
        self._run = read.run(read.Settings(port=port, device="homeward"), rim)
        self.packets: list[Packet] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._run)
        # A board that begins to send before its line is open speaks to nobody.
        await self.until(self._is_open, 5.0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def until(self, is_so: Callable[[], bool], span_s: float) -> None:
        """Wait until something is so; raises `TimeoutError`, or what ended the reader."""
        async with asyncio.timeout(span_s):
            while not is_so():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.02)

    def sends(self) -> bool:
        """Return whether the board has begun to send samples."""
        return any(whole.kind == frame.SAMPLES for whole in frames_of(self.packets))

    def _is_open(self) -> bool:
        fds = Path("/proc/self/fd")
        return any(fd.is_symlink() and str(fd.readlink()) == self._port for fd in fds.iterdir())

    def _take(self, packet: Packet) -> None:
        self.packets.append(packet)


def arrivals(packets: Sequence[Packet]) -> list[tuple[float, frame.Frame]]:
    """Return each frame and when its end came; raises `FrameError` where one is damaged.

    What follows the last zero has not ended yet.
    """
    found: list[tuple[float, frame.Frame]] = []
    rest = b""
    for packet in packets:
        if packet.stream == frame.LINE:
            *ended, rest = (rest + packet.payload).split(b"\0")
            found += [(packet.arrived_s, frame.unpack(piece)) for piece in ended if piece]
    return found


def frames_of(packets: Sequence[Packet]) -> list[frame.Frame]:
    """Return the frames without their times; see `arrivals`."""
    return [whole for _, whole in arrivals(packets)]


def holes(frames: Sequence[frame.Frame], step_us: float) -> int:
    """Return how often a samples frame does not follow the one before it, by number or clock."""
    samples = [whole for whole in frames if whole.kind == frame.SAMPLES]
    assert len(samples) > 2
    return sum(
        after.sequence != (before.sequence + 1) % frame.SEQUENCE_WRAP
        or abs((after.clock_us - before.clock_us) % frame.CLOCK_WRAP - step_us) > step_us / 8
        for before, after in itertools.pairwise(samples)
    )


def columns(packets: Sequence[Packet], signals: Sequence[str]) -> NDArray[np.float64]:
    """Return what the decoder reads, one ``signal:lead`` a column, shape (n, len(signals)).

    Raises where it finds anything that is damaged or not its own.
    """
    assert DECODER.open_batch is not None
    batch = DECODER.open_batch()([p for p in packets if p.stream == frame.LINE])
    if batch.errors:
        raise batch.errors[0]
    assert batch.n_damaged == 0
    runs: dict[str, list[NDArray[np.float32]]] = {}
    for samples, _ in batch.found:
        name = f"{samples.signal}:{samples.lead}" if samples.lead else samples.signal
        runs.setdefault(name, []).append(samples.values)
    return np.column_stack([np.concatenate(runs[name]) for name in signals]).astype(float)
