"""Readers, kept running, and the bounded queue their packets wait in for the next tick."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from edge.events import ASSIGN, BOX, EXPECT, LINK, Assignment, Expectation, LinkTold, tell
from edge.gatt import Profile
from edge.readers import Reader, ReadError, Rim
from edge.records import Packet
from edge.wire import Wire

MAX_PACKETS = 20_000
"""Packets that may wait for a tick: three minutes of a hundred a second."""

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 60.0
"""A source that fails is tried again after 0.5 s, then twice as long each time, up to a minute."""

SOUND_S = 60.0
"""A source that ran so long before it failed is tried again soon."""

_log = structlog.get_logger("intake")


class LinkState(StrEnum):
    """What a link is doing."""

    RUNNING = "running"
    WAITING = "waiting"
    ENDED = "ended"


class Link(msgspec.Struct):
    """One configured source: a reader, its settings, and how it fares.

    Attributes
    ----------
    name : str
        The source's name in the configuration.
    patient : str
        Whose its sensors are; empty: the first patient's.
    state : LinkState
        WAITING: it failed, and is tried again in `retry_s`. ENDED: it has no more to give.
    n_packets, n_overflow : int
        Packets it gave; packets that were dropped because the queue was full.
    n_failures : int
        Times it failed.
    last_error : str
        What it said when it last failed; kept after it came back.
    """

    name: str
    reader: Reader
    settings: msgspec.Struct
    patient: str = ""
    state: LinkState = LinkState.RUNNING
    n_packets: int = 0
    n_overflow: int = 0
    n_failures: int = 0
    retry_s: float = 0.0
    last_error: str = ""


class LinkReport(msgspec.Struct, frozen=True):
    """A link as the status shows it; fields as in `Link`."""

    name: str
    reader: str
    state: LinkState
    n_packets: int
    n_overflow: int
    n_failures: int
    retry_s: float
    last_error: str


class Intake:
    """Runs the links and keeps what they deliver until the next tick takes it.

    Parameters
    ----------
    links : list[Link]
        What to read.
    now_s : Callable
        The boot clock.
    data_dir : Path | None
        Where readers find the sensors that were paired.
    profiles : tuple[Profile, ...]
        What readers of Bluetooth devices know of them.
    wires : tuple[Wire, ...]
        What readers of serial devices know of them.
    """

    def __init__(
        self,
        links: list[Link],
        now_s: Callable[[], float],
        data_dir: Path | None = None,
        profiles: tuple[Profile, ...] = (),
        wires: tuple[Wire, ...] = (),
    ) -> None:
        self.links = links
        self._now_s = now_s
        self._data_dir, self._profiles, self._wires = data_dir, profiles, wires
        self._queue: deque[Packet] = deque()
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def n_overflow(self) -> int:
        """Packets dropped because the queue was full."""
        return sum(link.n_overflow for link in self.links)

    def reports(self) -> tuple[LinkReport, ...]:
        """Return how each link fares."""
        return tuple(
            LinkReport(
                link.name,
                link.reader.name,
                link.state,
                link.n_packets,
                link.n_overflow,
                link.n_failures,
                link.retry_s if link.state is LinkState.WAITING else 0.0,
                link.last_error,
            )
            for link in self.links
        )

    def start(self) -> None:
        """Begin to read all links, in the running event loop."""
        for link in self.links:
            if link.patient:
                self.put(expectation(link, self._now_s()))
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep_reading(link)) for link in self.links]

    async def stop(self) -> None:
        """Stop reading, and wait until every reader has closed what it had open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def put(self, packet: Packet) -> None:
        """Take a packet of a person or of the box; these are few, and are never dropped."""
        self._queue.append(packet)

    def take(self) -> list[Packet]:
        """Return what has arrived, in its order, and forget it."""
        taken = []
        while self._queue:  # a reader's own thread may be adding
            taken.append(self._queue.popleft())
        return taken

    def _rim(self, link: Link) -> Rim:
        """Return what a link's reader is handed."""
        assigned: set[str] = set()

        def assign(source: str, at_s: float) -> None:
            if link.patient and source not in assigned:
                assigned.add(source)
                self.put(assignment(source, link, at_s))

        def deliver(packet: Packet) -> None:
            if packet.source == BOX:
                if packet.stream == LINK:
                    # What becomes of a link is the patient's too, before anything has come over it.
                    assign(msgspec.json.decode(packet.payload, type=LinkTold).source, self._now_s())
                self.put(packet)
                return
            link.n_packets += 1
            assign(packet.source, packet.arrived_s)
            if len(self._queue) >= MAX_PACKETS:
                link.n_overflow += 1
                return
            self._queue.append(packet)

        return Rim(deliver, self._now_s, self._data_dir, self._profiles, self._wires)

    async def _keep_reading(self, link: Link) -> None:
        rim = self._rim(link)
        retry_s = RETRY_FIRST_S
        while True:
            began_s = self._now_s()
            link.state = LinkState.RUNNING
            try:
                await link.reader.run(link.settings, rim)
            except (ReadError, OSError) as error:
                _note_failure(link, str(error))
            except Exception as error:  # noqa: BLE001  # one reader's fault must not end the others
                _note_failure(link, repr(error), trace=True)
            else:
                link.state = LinkState.ENDED
                _log.info("source ended", source=link.name, n_packets=link.n_packets)
                return
            if self._now_s() - began_s >= SOUND_S:
                retry_s = RETRY_FIRST_S
            link.state, link.retry_s = LinkState.WAITING, retry_s
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_MOST_S)


def expectation(link: Link, now_s: float) -> Packet:
    """Return the packet that says that a link should bring something."""
    return tell(EXPECT, Expectation(link.name, link.patient), now_s)


def assignment(source: str, link: Link, at_s: float) -> Packet:
    """Return the packet that says whose a source is.

    It goes before the first one of that source, so that a log of packets knows it too.
    """
    return tell(ASSIGN, Assignment(source, link.patient, link.name), at_s)


def _note_failure(link: Link, text: str, *, trace: bool = False) -> None:
    link.n_failures += 1
    if trace or text != link.last_error:  # the same again every minute says nothing new
        _log.warning("source failed", source=link.name, error=text, exc_info=trace)
    link.last_error = text
