"""Pull serial devices out in mid-frame and plug them in again, a thousand times.

    python -m tests.rigs.serial.replug [--cycles 1000] [--ports 25] [--seed 1]

Every port has a board of its own that sends ten frames a second over a real tty to the real reader.
It is pulled out at a random moment of a frame, for a random span, and comes back as another tty
behind the same name: half of the times it went on sampling meanwhile (only the cable was pulled),
half of the times it starts anew. Prints how long each return took (from the plug to the first
whole frame delivered), the frames lost, and what is left open at the end. The outage ends when the
port is open again, which the board sees by the command it is sent; what it sends before nobody can
read, and on a cable it would not be sent. Ends with 1 where a figure of `Verdict` is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
import structlog

from edge import frame
from edge.assemble import every_wire
from edge.readers import Rim
from edge.readers import uart as read
from edge.records import Packet
from tests.rigs.serial.board import FRAME_S, Board
from tests.rigs.serial.cable import Cable

BACK_S = 2.0
MOST_LOST = 1


class Verdict(msgspec.Struct, frozen=True):
    """What came of a campaign.

    Attributes
    ----------
    back_s : list[float]
        How long every return took that succeeded.
    n_missed : int
        Returns that brought nothing within `BACK_S`.
    lost : dict[int, int]
        Frames lost in a cycle while the port was open -> cycles.
    n_shut : int
        Frames sent between a plug and the opening of its port.
    n_false : int
        Frames delivered that were never sent, or twice.
    n_open, n_tasks : int
        File descriptors and tasks left over.
    rss_kb : int
        How much the process has grown after the first tenth of the cycles.
    """

    back_s: list[float]
    n_missed: int
    lost: dict[int, int]
    n_shut: int
    n_false: int
    n_open: int
    n_tasks: int
    rss_kb: int

    @property
    def holds(self) -> bool:
        """Whether all returned in time, at most one frame was lost each, and nothing leaks."""
        return (
            not (self.n_missed or self.n_false or self.n_open or self.n_tasks)
            and max(self.lost) <= MOST_LOST
            and max(self.back_s) <= BACK_S
        )

    def table(self) -> str:
        """Return the figures for people."""
        back = sorted(self.back_s)
        p95_s = back[int(len(back) * 0.95)]
        lost = ", ".join(f"{n} in {self.lost[n]}" for n in sorted(self.lost))
        return (
            f"returns              {len(back)} of {len(back) + self.n_missed} within {BACK_S:g} s\n"
            f"back after           median {statistics.median(back):.3f} s, p95 {p95_s:.3f} s, "
            f"most {back[-1]:.3f} s\n"
            f"frames lost a cycle  {lost} cycles; {self.n_shut} more before the port was open\n"
            f"false frames         {self.n_false}\n"
            f"left open            {self.n_open} files, {self.n_tasks} tasks; "
            f"memory {self.rss_kb:+d} kB after the first tenth"
        )


class Port:
    """One cable with its board, and what came through."""

    def __init__(self, folder: Path, at: int, rng: random.Random) -> None:
        self.cable = Cable(folder / f"usb-Rig_Board_{at:04d}-if00")
        self._rng = rng
        self._board = Board()
        self._half = b""
        self._heard: list[tuple[float, int]] = []
        self._first = self._n_before = 0  # frames of a cycle: the first, and how many too early
        self.back_s: list[float] = []
        self.lost: Counter[int] = Counter()
        self.n_missed = self.n_false = self.n_shut = 0

    def take(self, packet: Packet) -> None:
        """Note the numbers of the samples frames that end in a packet."""
        if packet.stream != frame.LINE:
            return
        *ended, self._half = (self._half + packet.payload).split(b"\0")
        for piece in ended:
            with contextlib.suppress(frame.FrameError):
                whole = frame.unpack(piece)
                if whole.kind == frame.SAMPLES:
                    self._heard.append((packet.arrived_s, whole.sequence))

    async def cycle(self, *, anew: bool) -> None:
        """Plug in, send, pull out in mid-frame."""
        rng, cable = self._rng, self.cable
        self._heard.clear()
        if anew:
            self._board = Board()
        await asyncio.sleep(rng.uniform(0.05, 0.8))
        cable.plug()
        plugged_s = time.monotonic()
        if anew:
            cable.write(self._board.hello())
        sent = await self._send(plugged_s + rng.uniform(0.7, 1.3))
        torn = self._board.next()
        cable.write(torn[: rng.randrange(1, len(torn) - 1)])
        self._board.n_frames += rng.randrange(20)  # it goes on while nobody hears it
        cable.unplug()
        await asyncio.sleep(0.02)
        self._judge(plugged_s, sent)

    async def _send(self, until_s: float) -> list[int]:
        """Send frames until it has been heard, and until then at least; return their numbers."""
        sent: list[int] = []
        self._first, self._n_before = self._board.n_frames, 0
        is_open = False
        await asyncio.sleep(self._rng.uniform(0.0, FRAME_S))
        while (now_s := time.monotonic()) < until_s or (
            not self._heard and now_s < until_s + BACK_S
        ):
            is_open = is_open or bool(self.cable.read())
            if is_open:
                sent.append(self._board.n_frames % frame.SEQUENCE_WRAP)
            self._n_before += not is_open
            self.cable.write(self._board.next())
            await asyncio.sleep(FRAME_S)
        self.n_shut += self._n_before
        return sent

    def _judge(self, plugged_s: float, sent: list[int]) -> None:
        heard = [number for _, number in self._heard]
        # What was sent before it was seen that the port is open may have been heard all the same.
        known = set(range(self._first, self._first + len(sent) + self._n_before))
        self.n_false += len(heard) - len(set(heard) & known)
        if not heard or self._heard[0][0] - plugged_s > BACK_S:
            self.n_missed += 1
        else:
            self.back_s.append(self._heard[0][0] - plugged_s)
        self.lost[len(set(sent) - set(heard))] += 1


async def campaign(n_cycles: int, n_ports: int, seed: int) -> Verdict:
    """Return what came of `n_cycles` returns, spread over `n_ports`."""
    n_open, n_tasks = _n_open(), len(asyncio.all_tasks())
    grown_kb = [0]
    with tempfile.TemporaryDirectory() as name:
        rngs = [random.Random(seed * 1000 + at) for at in range(n_ports)]  # noqa: S311  # repeatable
        ports = [Port(Path(name), at, rng) for at, rng in enumerate(rngs)]
        readers = [asyncio.ensure_future(_read(port)) for port in ports]
        share = [n_cycles // n_ports + (at < n_cycles % n_ports) for at in range(n_ports)]

        async def play(port: Port, n: int) -> None:
            for cycle in range(n):
                await port.cycle(anew=cycle % 2 == 0)
                if cycle == n // 10:
                    grown_kb[0] = _rss_kb()

        await asyncio.gather(*(play(port, n) for port, n in zip(ports, share, strict=True)))
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return Verdict(
        [back_s for port in ports for back_s in port.back_s],
        sum(port.n_missed for port in ports),
        dict(sum((port.lost for port in ports), Counter())),
        sum(port.n_shut for port in ports),
        sum(port.n_false for port in ports),
        _n_open() - n_open,
        len(asyncio.all_tasks()) - n_tasks,
        _rss_kb() - grown_kb[0],
    )


async def _read(port: Port) -> None:
    rim = Rim(port.take, time.monotonic, None, (), every_wire())
    await read.run(read.Settings(port=str(port.cable.name)), rim)


def _n_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _rss_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--ports", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    # Every return is a line of the log; here only trouble is of interest.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    verdict = asyncio.run(campaign(chosen.cycles, chosen.ports, chosen.seed))
    print(verdict.table())
    print("holds" if verdict.holds else "MISSED")
    return int(not verdict.holds)


if __name__ == "__main__":
    sys.exit(main())
