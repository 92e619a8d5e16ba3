"""Every serial device there is, at once, in one process, at loose plugs: not one wrong value.

    python -m tests.rigs.serial.soak [--minutes 3] [--seed 1]

Each device sends in real time over a tty of its own to a reader of its own, and goes on while its
plug is out, which happens every few seconds and in mid-frame. All values that are read must have
been sent, in this order, and those of one run one after the other; *no value* stands for what was
missed, and is never wrong. Prints what was read of what
was sent, what was wrong, and what has leaked. Ends with 1 where `Verdict.holds` is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import structlog

from edge import decoders
from edge.assemble import every_wire
from edge.decoders import Decoder
from edge.discover import discover
from edge.events import BOX
from edge.readers import Rim
from edge.readers import uart as read
from edge.records import Packet, Samples
from tests.rigs.serial.cable import Cable
from tests.rigs.serial_senders import Sender, Sent, by_wire, changes

IN_S, OUT_S = (1.0, 12.0), (0.05, 2.0)
SECOND_S = 1.0


class Verdict(msgspec.Struct, frozen=True):
    """What came of a soak.

    Attributes
    ----------
    wrong : dict[str, str]
        Wire -> the first value that was not sent.
    share : dict[str, float]
        Wire -> values read of those sent, 0 to 1.
    n_pulled : int
        How often a plug was out.
    n_open, n_tasks, grown_kb : int
        File descriptors and tasks left over, and memory after the first fifth.
    busy : float
        Share of one core.
    """

    wrong: dict[str, str]
    share: dict[str, float]
    n_pulled: int
    n_open: int
    n_tasks: int
    grown_kb: int
    busy: float

    @property
    def holds(self) -> bool:
        """Whether nothing was wrong, everything was read again and again, and nothing leaks."""
        return not (self.wrong or self.n_open or self.n_tasks) and min(self.share.values()) > 0.2

    def table(self) -> str:
        """Return the figures for people."""
        lines = [
            f"{wire:14} {share:6.1%} read  {self.wrong.get(wire, 'nothing wrong')}"
            for wire, share in self.share.items()
        ]
        return "\n".join(
            [
                *lines,
                f"{self.n_pulled} plugs pulled, {self.busy:.1%} of a core (senders included)",
                f"left open: {self.n_open} files, {self.n_tasks} tasks",
                f"memory {self.grown_kb:+d} kB after the first fifth, with all that was kept",
            ]
        )


class Device:
    """One device, its cable and its reader."""

    def __init__(self, folder: Path, wire: str, sender: Sender, seed: int) -> None:
        self.wire, self._sender, self._seed = wire, sender, seed
        self._rng = random.Random(seed)  # noqa: S311  # repeatable
        self._cable = Cable(folder / f"usb-Rig_{wire}-if00")
        self._waiting: list[Packet] = []
        stream = next(one.stream for one in every_wire() if one.name == wire)
        known = discover(decoders, "DECODER", Decoder)
        decoder = next(one for one in known if stream in one.streams)
        assert decoder.open_batch is not None
        self._decode = decoder.open_batch()
        self.found: list[Samples] = []
        self.sent: list[Sent] = []
        self.n_pulled = 0

    async def run(self, span_s: float) -> None:
        """Send and read for `span_s`."""
        rim = Rim(self._take, time.monotonic, None, (), every_wire())
        settings = read.Settings(port=str(self._cable.name), device=self.wire)
        tasks = [
            asyncio.ensure_future(one)
            for one in (read.run(settings, rim), self._jiggle(), self._send(), self._decode_all())
        ]
        done, _ = await asyncio.wait(tasks, timeout=span_s, return_when="FIRST_EXCEPTION")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._cable.unplug()
        for task in done:
            task.result()

    def _take(self, packet: Packet) -> None:
        if packet.source != BOX:
            self._waiting.append(packet)

    async def _decode_all(self) -> None:
        while True:
            await asyncio.sleep(SECOND_S)
            waiting, self._waiting = self._waiting, []
            self.found += [samples for samples, _ in self._decode(waiting).found]

    async def _jiggle(self) -> None:
        while True:
            self._cable.plug()
            await asyncio.sleep(self._rng.uniform(*IN_S))
            self._cable.unplug()
            self.n_pulled += 1
            await asyncio.sleep(self._rng.uniform(*OUT_S))

    async def _send(self) -> None:
        written = b""
        while self._sender.started_by not in written:
            await asyncio.sleep(0.01)
            written += self._cable.read()
        began_s = time.monotonic()
        for one in self._sender.run(self._seed):
            await asyncio.sleep(max(0.0, began_s + one.due_s - time.monotonic()))
            self._cable.write(one.line)
            self._cable.read()
            self.sent.append(one)

    def judge(self) -> tuple[str, float]:
        """Return what was wrong, and the share of the values that was read."""
        sent: dict[str, list[float]] = {}
        for one in self.sent:
            for signal, values in one.says.items():
                sent.setdefault(signal, []).extend(values)
        n_read = n_sent = 0
        for signal, values in sent.items():
            said = values
            runs = [one for one in self.found if _name(one) == signal]
            if runs and not runs[0].fs_hz:
                # How often a value is said again is the decoder's own affair.
                said = changes(said)
                runs_of = [[value] for value in changes(_values(runs))]
            else:
                runs_of = [piece for one in runs for piece in _pieces(one.values)]
                n_read += sum(map(len, runs_of))
                n_sent += int(np.count_nonzero(~np.isnan(said)))
            if wrong := _not_sent(runs_of, np.asarray(said, np.float32)):
                return f"{signal}: {wrong}", 0.0
        strange = {_name(one) for one in self.found} - sent.keys()
        return f"{strange} were never sent" if strange else "", n_read / n_sent if n_sent else 1.0


def _name(samples: Samples) -> str:
    return f"{samples.signal}/{samples.lead}" if samples.lead else samples.signal


def _values(runs: Sequence[Samples]) -> Iterator[float]:
    for one in runs:
        yield from one.values.tolist()


def _pieces(values: np.ndarray) -> Iterator[list[float]]:
    """Yield what stands between *no value* and *no value*."""
    for piece in np.split(values, np.flatnonzero(np.diff(np.isnan(values))) + 1):
        if not np.isnan(piece[0]):
            yield piece.tolist()


def _not_sent(runs: Sequence[Sequence[float]], said: np.ndarray) -> str:
    """Return the first run that is not found in what was sent, from where the last one ended."""
    at = 0
    for run in runs:
        wanted = np.asarray(run, np.float32)
        n = len(wanted)
        while at + n <= len(said):
            if np.isclose(said[at : at + n], wanted, rtol=1e-6, equal_nan=True).all():
                break
            at += 1
        else:
            return f"a run of {n} values ({run[:3]} ...) was not sent"
        at += n
    return ""


async def soak(span_s: float, seed: int) -> Verdict:
    """Return what came of `span_s` seconds."""
    n_open, n_tasks, cpu_s = _n_open(), len(asyncio.all_tasks()), time.process_time()
    with tempfile.TemporaryDirectory() as name:
        devices = [
            Device(Path(name), wire, sender, seed * 100 + at)
            for at, (wire, sender) in enumerate(by_wire().items())
        ]
        running = asyncio.gather(*(device.run(span_s) for device in devices))
        await asyncio.sleep(span_s / 5)
        kept_kb = _rss_kb()
        await running
    busy = (time.process_time() - cpu_s) / span_s
    grown_kb = _rss_kb() - kept_kb
    told = {device.wire: device.judge() for device in devices}
    return Verdict(
        {wire: words for wire, (words, _) in told.items() if words},
        {wire: share for wire, (_, share) in told.items()},
        sum(device.n_pulled for device in devices),
        _n_open() - n_open,
        len(asyncio.all_tasks()) - n_tasks,
        grown_kb,
        busy,
    )


def _n_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _rss_kb() -> int:
    """Return the memory in use now: what was sent and read is kept to the end, and counted."""
    with contextlib.suppress(StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    verdict = asyncio.run(soak(60 * chosen.minutes, chosen.seed))
    print(verdict.table())
    print("holds" if verdict.holds else "MISSED")
    return int(not verdict.holds)


if __name__ == "__main__":
    sys.exit(main())
