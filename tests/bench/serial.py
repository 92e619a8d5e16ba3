"""What a packet of a serial board costs on its way from the kernel to the monitor's queue.

    python -m tests.bench.serial [--packets 1000] [--repeats 7] [--json]

Frames of a two-channel board (112 bytes, 25 rows) go through a pseudo terminal, in two ways:

- *hot*: the bench writes a frame, and lets it be read, and so on: what the instructions cost
  (as in the reference measurement, `send` is in it);
- *paced*: a child process sends one every 10 ms, ten times as often as a board does: between two
  the processor goes to sleep and its caches to others, and every wake-up is dear, the kernel's too.

The ways to read them take turns:

    kernel      select and read in a plain loop: the floor, nothing can be cheaper
    loop        an asyncio reader that reads and throws away
    reader      `edge.readers.uart`: pyserial, silence watch, packets delivered
    decoded     the same, and the packets decoded once a second, as the pipeline does it

CPU is `time.process_time` of the reading process: wake-ups, system calls and all. Medians.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from edge.decoders.homeward_serial import DECODER
from edge.events import BOX
from edge.readers import Rim
from edge.readers import uart as read
from edge.records import Packet
from tests.rigs.serial.board import Board
from tests.rigs.serial.cable import Cable

EVERY_S = 0.010
A_SECOND = 10
"""Packets a board sends in a second."""
_SENDER = (
    "import sys; from tests.bench.serial import send; send(int(sys.argv[1]), int(sys.argv[2]))"
)


def send(fd: int, n_packets: int) -> None:
    """Be the child process: send frames in time."""
    board = Board()
    os.write(fd, board.hello())
    due_s = time.monotonic()
    for _ in range(n_packets):
        os.write(fd, board.next())
        due_s += EVERY_S
        time.sleep(max(0.0, due_s - time.monotonic()))


class Feed:
    """Writes frames to a cable, and says what reading them cost.

    Parameters
    ----------
    n_packets : int
        How many.
    hot : bool
        In turns with the reading, in this process; else from a child process, in time.
    """

    def __init__(self, n_packets: int, *, hot: bool) -> None:
        self.n_packets, self._hot = n_packets, hot

    def plainly(self, cable: Cable, read_once: Callable[[], object]) -> float:
        """Return the CPU time of a plain loop; `read_once` waits for bytes and reads them."""
        if not self._hot:
            sender = self._begin(cable)
            began_s = time.process_time()
            while sender.poll() is None:
                read_once()
            return time.process_time() - began_s
        board = Board()
        frames = [board.next() for _ in range(self.n_packets)]
        began_s = time.process_time()
        for frame in frames:
            os.write(cable.fd, frame)
            read_once()
        return time.process_time() - began_s

    async def looping(self, cable: Cable, n_read: Callable[[], int]) -> float:
        """Return the CPU time of an event loop in which something reads."""
        if not self._hot:
            sender = self._begin(cable)
            began_s = time.process_time()
            while sender.poll() is None:  # noqa: ASYNC110  # a process sets no events
                await asyncio.sleep(0.3)
            return time.process_time() - began_s
        board = Board()
        frames = [board.next() for _ in range(self.n_packets)]
        began_s = time.process_time()
        for frame in frames:
            n_before = n_read()
            os.write(cable.fd, frame)
            while n_read() == n_before:  # noqa: ASYNC110  # that is what is measured
                await asyncio.sleep(0)
        return time.process_time() - began_s

    def _begin(self, cable: Cable) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _SENDER, str(cable.fd), str(self.n_packets)]
        return subprocess.Popen(command, pass_fds=(cable.fd,))


def kernel(cable: Cable, feed: Feed) -> float:
    """Return the CPU time of the floor."""
    port = os.open(cable.name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def read_once() -> None:
        if select.select([port], [], [], 0.3)[0]:
            os.read(port, 4096)

    cost_s = feed.plainly(cable, read_once)
    os.close(port)
    return cost_s


def loop(cable: Cable, feed: Feed) -> float:
    """Return the CPU time of the barest asyncio reader."""

    async def reading() -> float:
        port = os.open(cable.name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        running, lengths = asyncio.get_running_loop(), list[int]()
        running.add_reader(port, lambda: lengths.append(len(os.read(port, 4096))))
        cost_s = await feed.looping(cable, lambda: len(lengths))
        running.remove_reader(port)
        os.close(port)
        return cost_s

    return asyncio.run(reading())


def reader(cable: Cable, feed: Feed, *, decoded: bool = False) -> float:
    """Return the CPU time of the product's reader."""
    taken: list[Packet] = []
    n_taken = [0]
    decode = DECODER.open_batch() if DECODER.open_batch else None
    assert decode is not None

    def take(packet: Packet) -> None:
        n_taken[0] += 1
        taken.append(packet)
        if len(taken) >= A_SECOND:
            if decoded:
                decode([one for one in taken if one.source != BOX])
            taken.clear()

    async def reading() -> float:
        rim = Rim(take, time.monotonic, None, (), DECODER.wires)
        settings = read.Settings(port=str(cable.name), device="homeward")
        task = asyncio.ensure_future(read.run(settings, rim))
        await asyncio.sleep(0.3)
        os.write(cable.fd, Board().hello())
        await asyncio.sleep(0.1)
        cost_s = await feed.looping(cable, lambda: n_taken[0])
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return cost_s

    return asyncio.run(reading())


WAYS: dict[str, Callable[[Cable, Feed], float]] = {
    "kernel": kernel,
    "loop": loop,
    "reader": reader,
    "decoded": lambda cable, feed: reader(cable, feed, decoded=True),
}


def measure(n_packets: int, n_repeats: int, *, hot: bool) -> list[dict[str, object]]:
    """Return one row a way."""
    costs: dict[str, list[float]] = {way: [] for way in WAYS}
    feed = Feed(n_packets, hot=hot)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(n_repeats):
            for way, cost in WAYS.items():
                cable = Cable(Path(folder) / "port")
                cable.plug()
                os.set_blocking(cable.fd, True)
                costs[way].append(cost(cable, feed) / n_packets * 1e6)
                cable.unplug()
    floor_us = statistics.median(costs["kernel"])
    return [
        {
            "fed": "hot" if hot else "paced",
            "way": way,
            "us_a_packet": round(statistics.median(found), 1),
            "least": round(min(found), 1),
            "most": round(max(found), 1),
            "above_floor_us": round(statistics.median(found) - floor_us, 1),
        }
        for way, found in costs.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serial", description=__doc__)
    parser.add_argument("--packets", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows = [
        row for hot in (True, False) for row in measure(chosen.packets, chosen.repeats, hot=hot)
    ]
    if chosen.json:
        for row in rows:
            print(json.dumps(row))
        return
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


if __name__ == "__main__":
    main()
