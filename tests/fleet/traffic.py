"""A fleet over a night, in minutes: realistic traffic, links that come and go, and what arrived.

Each box makes a summary every five minutes, alerts by chance, a heartbeat every five minutes, and
loses its link now and then for a while; all of it `speed` times as fast. At the end the outages are
over, the outboxes drain, and the judge of histories says whether all came exactly once.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fleet import wire
from tests.fleet.box import Box
from tests.fleet.far import Far
from tests.fleet.measure import wait
from tests.rigs.net.broker import broker
from tests.rigs.net.programs import cpu_s, rss_kb
from tests.rigs.net.proxy import Proxy
from tests.rigs.sync.history import Verdict, check

SUMMARY_S: Final = 300.0
HEARTBEAT_S: Final = 300.0
ALERT_STATES_PER_DAY: Final = 40.0
OUTAGES_PER_DAY: Final = 4.0
OUTAGE_S: Final = 1800.0


class Night(msgspec.Struct, frozen=True):
    """What a night of a fleet came to."""

    n_boxes: int
    hours: float
    verdict: Verdict
    n_outages: int
    n_messages: int
    n_heartbeats: int
    broker_mb: float
    broker_cpu_s: float
    longest_outbox: int
    took_s: float

    @property
    def line(self) -> str:
        return (
            f"{self.n_boxes} boxes, {self.hours:g} h in {self.took_s:.0f} s: {self.n_outages} "
            f"outages, {self.n_messages} messages, {self.n_heartbeats} heartbeats, longest outbox "
            f"{self.longest_outbox}, broker {self.broker_mb:.1f} MB {self.broker_cpu_s:.1f} s cpu; "
            f"{self.verdict.line}"
        )


class Life:
    """What befalls one box."""

    def __init__(self, box: Box, speed: float, end_s: float, seed: int) -> None:
        self.box, self.speed, self.end_s = box, speed, end_s
        self.n_outages = self.longest = 0
        self._chance = random.Random(seed)  # noqa: S311
        self._task: asyncio.Task[None] | None = None

    async def live(self) -> None:
        """Make what a box makes until the end; have the link while there is one."""
        begin_s = time.monotonic()
        day_s = 86_400.0
        due = {
            "summary": self._chance.uniform(0.0, SUMMARY_S),
            "alert": self._chance.expovariate(ALERT_STATES_PER_DAY / day_s),
            "heartbeat": self._chance.uniform(0.0, HEARTBEAT_S),
            "outage": self._chance.expovariate(OUTAGES_PER_DAY / day_s),
        }
        self._task = asyncio.create_task(self.box.run())
        while True:
            what = min(due, key=lambda name: due[name])
            if due[what] > self.end_s:
                break
            ahead_s = begin_s + due[what] / self.speed - time.monotonic()
            await asyncio.sleep(max(0.0, ahead_s))
            due[what] = self._happen(what, due[what])
            self.longest = max(self.longest, self.box.n_waiting)
        if self._task is None:
            self._task = asyncio.create_task(self.box.run())

    def _happen(self, what: str, at_s: float) -> float:
        day_s = 86_400.0
        if what == "heartbeat":
            self._beat()
            return at_s + HEARTBEAT_S
        if what == "outage":
            self._change_link()
            rate = 1.0 / OUTAGE_S if self._task is None else OUTAGES_PER_DAY / day_s
            return at_s + self._chance.expovariate(rate)
        self.box.make(what)
        if what == "summary":
            return at_s + SUMMARY_S
        return at_s + self._chance.expovariate(ALERT_STATES_PER_DAY / day_s)

    def _beat(self) -> None:
        client = self.box._client
        if client is not None:
            what = {"schema": "homeward-sync/1", "box": self.box.name, "kind": "heartbeat"}
            client.publish(f"{wire.ROOT}/{self.box.name}/up/heartbeat", msgspec.json.encode(what))

    def _change_link(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.n_outages += 1
        else:
            self._task = asyncio.create_task(self.box.run())

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def night(folder: Path, n_boxes: int, hours: float, speed: float, seed: int = 3) -> Night:
    """Let a fleet live through a night."""

    async def all_of_it() -> Night:
        key = Ed25519PrivateKey.generate()
        begin_s = time.monotonic()
        with broker(folder / "broker") as one, Proxy(one.port) as link:
            far = Far(folder / "far.db", [one.port], key)
            receiver = asyncio.create_task(far.run())
            await wait(lambda: far.client is not None)
            boxes = [
                Box(f"box-{i}", [link.port], key=key.public_key(), most_s=2.0, seed=seed)
                for i in range(n_boxes)
            ]
            lives = [Life(box, speed, hours * 3600.0, seed + i) for i, box in enumerate(boxes)]
            await asyncio.gather(*(life.live() for life in lives))
            await wait(lambda: not any(box.n_waiting for box in boxes))
            facts = (rss_kb(one.pid) / 1024, cpu_s(one.pid))
            for life in lives:
                await life.end()
            receiver.cancel()
            await asyncio.gather(receiver, return_exceptions=True)
        verdict = check(
            [made for box in boxes for made in box.made],
            far.stored,
            {uuid for box in boxes for uuid in box.settled},
            far.came,
        )
        far.close()
        return Night(
            n_boxes,
            hours,
            verdict,
            sum(life.n_outages for life in lives),
            far.n_messages,
            far.n_heartbeats,
            *facts,
            max(life.longest for life in lives),
            time.monotonic() - begin_s,
        )

    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(all_of_it())
