"""A broker is killed again and again between boxes and their receiver (N2).

    python -m tests.rigs.sync.kills [--kills 100] [--settle puback] [--cluster]

Boxes of the fleet (`tests.fleet.box`) and a receiver that is away for every third life of the
broker: what the broker has confirmed and not handed on dies with it. Those that settle by a receipt
lose nothing; those that believe the broker (the control) must lose, or this rig sees nothing.

``--cluster``: three nodes of nats-server; the one that boxes speak to is killed for good.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fleet.box import Box
from tests.fleet.far import Far
from tests.rigs.net.broker import Broker, broker
from tests.rigs.net.nats import Cluster, cluster
from tests.rigs.sync.history import Verdict, check

N_BOXES = 3
DRAIN_S = 120.0
Settle = Literal["receipt", "puback"]


class Done(msgspec.Struct, frozen=True):
    """What came of it."""

    verdict: Verdict
    n_kills: int
    n_connects: int
    n_published: int
    took_s: float

    @property
    def line(self) -> str:
        return (
            f"{self.n_kills} kills, {self.n_connects} connections, {self.n_published} messages, "
            f"{self.took_s:.1f} s: {self.verdict.line}"
        )


class Stage:
    """Boxes, their receiver, and whoever lets them work."""

    def __init__(self, folder: Path, ports: Sequence[int], settle: Settle, far: int = 0) -> None:
        key = Ed25519PrivateKey.generate()
        self.far = Far(folder / "far.db", [far] if far else ports, key)
        self.boxes = [
            Box(f"box-{i}", ports, settle=settle, key=key.public_key(), seed=i)
            for i in range(N_BOXES)
        ]
        self._making = True
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        for work in (self.far.run(), *(box.run() for box in self.boxes), self._make()):
            self._tasks.append(asyncio.create_task(work))

    async def _make(self) -> None:
        while self._making:
            for n, box in enumerate(self.boxes):
                box.make("summary" if (n + len(box.made)) % 4 == 0 else "alert")
            await asyncio.sleep(0.01)

    async def end(self) -> Verdict:
        """Let all that waits get there; return what got there."""
        self._making = False
        self.far.stay_away = False
        await until(lambda: all(not box.n_waiting for box in self.boxes), DRAIN_S)
        n = -1
        while n != self.far.n_messages:  # what is still on its way to the receiver
            n = self.far.n_messages
            await asyncio.sleep(1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        made = [one for box in self.boxes for one in box.made]
        settled = {uuid for box in self.boxes for uuid in box.settled}
        verdict = check(made, self.far.stored, settled, self.far.came, ordered=False)
        self.far.close()
        return verdict


async def until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Wait for something; return whether it came about."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while not condition():  # noqa: ASYNC110  # there is no event of it
                await asyncio.sleep(0.02)
            return True
    return False


async def _lives(stage: Stage, one: Broker, n_kills: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for n in range(n_kills):
        if n % 3 == 2:
            stage.far.leave()
        await asyncio.sleep(chance.uniform(0.1, 0.4))
        await asyncio.to_thread(one.kill)
        stage.far.stay_away = False
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        await asyncio.to_thread(one.start)
        await until(lambda: any(box.up for box in stage.boxes), 20.0)


def broker_killed(folder: Path, n_kills: int, settle: Settle = "receipt", seed: int = 7) -> Done:
    """Kill one mosquitto, as Debian ships it, again and again."""

    async def all_of_it() -> Done:
        begin_s = time.monotonic()
        with broker(folder) as one:
            stage = Stage(folder, [one.port], settle)
            stage.begin()
            await _lives(stage, one, n_kills, seed)
            verdict = await stage.end()
        return _done(stage, verdict, n_kills, begin_s)

    return asyncio.run(all_of_it())


def node_killed(folder: Path, settle: Settle = "receipt", for_s: float = 3.0) -> Done:
    """Kill one of three nodes for good, the one that the boxes speak to."""

    async def all_of_it(three: Cluster) -> Done:
        begin_s = time.monotonic()
        first, _, last = three.nodes
        ports = [node.port for node in three.nodes]
        stage = Stage(folder, ports, settle, far=last.port)
        stage.begin()
        await asyncio.sleep(for_s)
        await asyncio.to_thread(first.kill)
        await asyncio.sleep(for_s)
        verdict = await stage.end()
        return _done(stage, verdict, 1, begin_s)

    with cluster(folder) as three:
        return asyncio.run(all_of_it(three))


def _done(stage: Stage, verdict: Verdict, n_kills: int, begin_s: float) -> Done:
    return Done(
        verdict,
        n_kills,
        sum(box.n_connects for box in stage.boxes),
        sum(box.n_published for box in stage.boxes),
        time.monotonic() - begin_s,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.sync.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--settle", choices=("receipt", "puback"), default="receipt")
    parser.add_argument("--cluster", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.cluster:
            done = node_killed(Path(folder), chosen.settle)
        else:
            done = broker_killed(Path(folder), chosen.kills, chosen.settle)
    print(done.line)
    return 1 if done.verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
