"""A night: eight sensors at once, hundreds of drops, and books kept of every notification.

    python -m tests.rigs.night --hours 24 --drops 200

The real reader, bleak, a private message bus, the small BlueZ, bumble and eight virtual sensors
run in one process and one event loop (`tests.rigs.steady_loop`); what the reader delivers goes
through the daemon's intake into the pipeline on the loop's clock. See `tests.rigs.night_ledger`
for what is counted, `tests.rigs.night_watch` for what is timed, and `broken` for what must hold.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import structlog

from edge.assemble import assemble, every_profile
from edge.daemon.intake import Intake, Link
from edge.devices import save
from edge.pipeline import TICK_S, PipelineSettings
from edge.readers.ble import READER, Settings
from edge.virtual._bluez import Bluez
from edge.virtual._bus import private_bus
from tests.rigs.night_air import Worn, put_on, register
from tests.rigs.night_drops import BOX, Drop, cause, plan
from tests.rigs.night_ledger import Ledger
from tests.rigs.night_report import Mark, Night, broken, table
from tests.rigs.night_watch import Watch
from tests.rigs.running import close_bleak
from tests.rigs.steady_loop import SteadyLoop

SPEED: Final = 200.0
START_S: Final = 120.0
BACK_S: Final = 300.0
"""A drop that is not made good by then ends the night."""
SETTLE_S: Final = 5.0
FETCH_S: Final = 60.0
HOUR_S: Final = 3600.0

Spoil: TypeAlias = Callable[[Bluez, Sequence[Worn]], None]


class Box:
    """The box of the night: reader, intake and pipeline, and who looks on."""

    def __init__(self, folder: Path, worn: Sequence[Worn]) -> None:
        self._loop = asyncio.get_running_loop()
        profiles = every_profile()
        self.ledger = Ledger(profiles)
        self.watch = Watch(worn)
        for one in worn:
            self._keep_books(one)
        self.link = Link("ble", READER, Settings(write_time=False))
        self.intake = Intake([self.link], self._loop.time, folder, profiles)
        settings = PipelineSettings(default_patient="p1")
        self.pipeline = assemble(settings, "night", start_s=self._loop.time())

    def _keep_books(self, one: Worn) -> None:
        address, ledger, loop = one.address, self.ledger, self._loop
        ledger.add(address, one.kind.wearable)
        one.on_air.on_delivered = lambda told: ledger.delivered(address, told)
        one.on_air.on_link = lambda is_up, _: ledger.linked(address, loop.time(), is_up=is_up)

    async def run(self) -> None:
        """Tick, as the daemon does, until cancelled."""
        self.intake.start()
        try:
            while True:
                now_s = self._loop.time()
                await asyncio.sleep((math.floor(now_s / TICK_S) + 1) * TICK_S - now_s)
                self._tick()
        finally:
            await self.intake.stop()

    def _tick(self) -> None:
        now_s = self._loop.time()
        packets = self.intake.take()
        for packet in packets:
            self.ledger.took(packet)
            self.watch.took(packet)
        outcome = self.pipeline.advance(packets, now_s)
        for record in outcome.records:
            self.watch.gave(record)


async def play(night: Night, folder: Path, bus: str, spoil: Spoil | None = None) -> None:
    """Play the night and fill in what became of it."""
    bluez = await Bluez(bus).start()
    try:
        worn = await put_on(bluez, night.seed)
        save(folder, await register(worn, every_profile()))
        box = Box(folder, worn)
        ticking = asyncio.create_task(box.run())
        try:
            await _guarded(ticking, _live(night, box, bluez, worn, spoil))
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
    finally:
        await bluez.stop()
        await close_bleak()


async def _live(
    night: Night, box: Box, bluez: Bluez, worn: Sequence[Worn], spoil: Spoil | None
) -> None:
    await _all_connected(box, worn)
    if spoil is not None:
        spoil(bluez, worn)
    night.names = {one.address: one.kind.wearable.name for one in worn}
    night.began_s = asyncio.get_running_loop().time()
    drops = plan(worn, night.n_drops, night.hours * HOUR_S, night.seed, night.only)
    await _live_through(night, box, bluez, worn, drops)
    await _finish(night, box, worn)
    night.n_overflow, night.reader_error = box.intake.n_overflow, box.link.last_error


async def _guarded(ticking: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
    """Do something while the box ticks; what breaks the box breaks it."""
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.wait({ticking, doing}, return_when=asyncio.FIRST_COMPLETED)
        if ticking.done():
            ticking.result()
        await doing
    finally:
        doing.cancel()


async def _all_connected(box: Box, worn: Sequence[Worn]) -> None:
    async with asyncio.timeout(START_S):
        while not all(box.watch.is_well(one.address) for one in worn):  # noqa: ASYNC110
            await asyncio.sleep(TICK_S)
    await asyncio.sleep(SETTLE_S)


async def _live_through(
    night: Night, box: Box, bluez: Bluez, worn: Sequence[Worn], drops: Sequence[Drop]
) -> None:
    loop = asyncio.get_running_loop()
    end_s = night.began_s + night.hours * HOUR_S
    events = [(night.began_s + drop.at_s, drop) for drop in drops]
    n_marks = max(math.ceil(night.hours), 4)
    for n in range(n_marks + 1):
        mark_s = night.began_s + n * night.hours * HOUR_S / n_marks
        while events and events[0][0] < mark_s:
            at_s, drop = events.pop(0)
            await asyncio.sleep(max(at_s - loop.time(), 0.0))
            await _drop(night, box, bluez, worn, drop)
        await asyncio.sleep(max(min(mark_s, end_s) - loop.time(), 0.0))
        night.marks.append(_mark(loop.time() - night.began_s))
        _progress(night, box)


async def _drop(night: Night, box: Box, bluez: Bluez, worn: Sequence[Worn], drop: Drop) -> None:
    loop = asyncio.get_running_loop()
    hit = list(worn) if drop.target == BOX else [worn[drop.target]]
    began_s = loop.time()
    box.watch.drop_begins([one.address for one in hit])
    there_s = await cause(drop, bluez, worn)
    night.causes[drop.kind] += 1
    back = {}
    while len(back) < len(hit) and loop.time() - there_s < BACK_S:
        await asyncio.sleep(TICK_S)
        for one in hit:
            back_s = box.watch.back_s(one.address, began_s, there_s)
            if back_s is not None:
                back.setdefault(one.address, back_s)
    for one in hit:
        took_s = back.get(one.address, math.inf) - there_s
        night.back.append((drop.kind, one.address, took_s))
    await asyncio.sleep(SETTLE_S)
    box.watch.drop_ends([one.address for one in hit])


async def _finish(night: Night, box: Box, worn: Sequence[Worn]) -> None:
    """Fetch what is still stored, let all come to rest, and close the books."""
    made = {one.address: list(one.made) for one in worn}
    box.watch.drop_begins([one.address for one in worn])
    for one in worn:
        if made[one.address]:
            one.on_air.hang_up()
    await asyncio.sleep(FETCH_S)
    for one in worn:
        one.on_air.silence()
    await asyncio.sleep(SETTLE_S / 2)
    box.ledger.close()
    night.accounts = {at: one.account for at, one in box.ledger.sensors.items()}
    night.troubles = box.ledger.troubles
    for address, had in made.items():
        here, got = set(had), box.ledger.sensors[address].records()
        night.n_both += box.ledger.sensors[address].n_both()
        if here:
            night.records[address] = (len(here), len(here - got))
    night.watch = box.watch.summary()


def _mark(at_s: float) -> Mark:
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    return Mark(
        at_s / HOUR_S,
        int(facts["VmRSS"].split()[0]) / 1024,
        len(asyncio.all_tasks()),
        int(facts["Threads"]),
        len(list(Path("/proc/self/fd").iterdir())),
        time.perf_counter(),
        time.process_time(),
    )


def _progress(night: Night, box: Box) -> None:
    mark, first = night.marks[-1], night.marks[0]
    accounts = [one.account for one in box.ledger.sensors.values()]
    n, lost = sum(a.n_delivered for a in accounts), sum(a.n_lost for a in accounts)
    print(
        f"{mark.hour:5.2f} h  wall {mark.wall_s - first.wall_s:6.0f} s  "
        f"cpu {mark.cpu_s - first.cpu_s:6.0f} s  {len(night.back):4} drops  {n:7} notified  "
        f"{lost} lost  {mark.rss_mb:6.1f} MB  {mark.n_tasks} tasks  {mark.n_threads} threads  "
        f"{mark.n_files} files",
        file=sys.stderr,
        flush=True,
    )


def run(
    hours: float,
    n_drops: int,
    *,
    speed: float = SPEED,
    seed: int = 1,
    only: str = "",
    spoil: Spoil | None = None,
) -> Night:
    """Play one night from beginning to end; return what became of it.

    Parameters
    ----------
    hours : float
        Simulated hours.
    n_drops : int
        Drops, spread over them.
    speed : float
        How fast time passes while nobody works; see `SteadyLoop`.
    seed : int
        Of the drops and of the sensors.
    only : str
        One kind of `night_drops`, which all drops then are; empty: all kinds.
    spoil : Callable | None
        Called when all are connected: does what the books must show.
    """
    night = Night(hours, n_drops, speed, seed, only, Counter())
    with (
        tempfile.TemporaryDirectory(prefix="homeward-night-") as folder,
        private_bus(as_system_bus=True) as bus,
        asyncio.Runner(loop_factory=lambda: SteadyLoop(speed)) as runner,
    ):
        runner.run(play(night, Path(folder), bus, spoil))
    return night


def _quieten() -> None:
    """Let only errors be logged; NIGHT_LOG=INFO lets more."""
    logging.getLogger().setLevel(logging.ERROR)
    level = getattr(logging, os.environ.get("NIGHT_LOG", "ERROR"))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the night the command line asks for; return 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.night", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--drops", type=int, default=200)
    parser.add_argument("--speed", type=float, default=SPEED)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help='one kind of drops, e.g. "out of range"')
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    _quieten()
    night = run(asked.hours, asked.drops, speed=asked.speed, seed=asked.seed, only=asked.only)
    if asked.json:
        print(json.dumps({"broken": broken(night), **msgspec.to_builtins(night)}, default=str))
    else:
        print(table(night))
    return 1 if broken(night) else 0


if __name__ == "__main__":
    sys.exit(main())
