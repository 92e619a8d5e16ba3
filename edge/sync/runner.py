"""All of it, running: follows the monitor and the network, and serves every destination."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from edge.clock import BootClock
from edge.config.sync import Sync
from edge.control import ControlError
from edge.control.asking import AwayError
from edge.control.syncing import SyncState
from edge.egress.outbox import Handed, SyncBoard
from edge.sync.budget import Budget, BudgetFile, Moment
from edge.sync.follower import Desk
from edge.sync.network import Routes, Watch, read_routes
from edge.sync.opening import SYNC_DIR, Destination
from edge.sync.parcel import Resource
from edge.sync.post import Common
from edge.sync.sender import Sender
from edge.sync.witness import Witness
from edge.systemd import notify, watchdog_period_s

AWAY_S: Final = 1.0
REPORT_S: Final = 2.0
KEEP_S: Final = 30.0
"""How often the bytes of the day are written down: what left since then is not counted after a
power cut."""
LOOK_S: Final = 0.2
ONCE_AWAY_S: Final = 8.0
"""Sent once: for so long a monitor may be away."""
ONCE_STILL_S: Final = 45.0
"""Sent once: without progress for so long it is given up. A receipt may take 30 s."""
N_TRIES: Final = 3
END_S: Final = 2.0

_log = structlog.get_logger("sync")


class Runner:
    """The sender of this box.

    Parameters
    ----------
    settings : Sync
        ``[sync]``.
    to : Sequence[Destination]
        The destinations.
    place : tuple[Path, Path]
        The monitor's socket for the sender; the box's folder.
    clock : BootClock
        The clocks of this box.
    content : Callable
        An entry as FHIR resources.
    tell : Callable
        Told of each event, as plain values.
    once : bool
        Send what waits now, then end.

    Attributes
    ----------
    senders : tuple[Sender, ...]
        One for each destination.
    board : SyncBoard | None
        The monitor; None: it is not there.
    """

    def __init__(
        self,
        settings: Sync,
        to: Sequence[Destination],
        place: tuple[Path, Path],
        clock: BootClock,
        content: Callable[[Handed], tuple[Resource, ...]],
        *,
        tell: Callable[[Mapping[str, Any]], None] = lambda _: None,
        once: bool = False,
    ) -> None:
        self._clock, self._once = clock, once
        self._desk = Desk(place[0])
        self._file = BudgetFile(place[1] / SYNC_DIR)
        self._budget: Budget = self._file.read()
        self._witness = Witness(self._desk.leaving, self._desk.telling, clock.now_s)
        now_s = clock.now_s()
        common = Common(
            settings,
            self._desk,
            self._witness,
            self._budget,
            clock.now_s,
            random.random,
            content,
            tell,
            up_s=now_s,
            at_once=once,
        )
        self.senders = tuple(Sender(one, common) for one in to)
        self.board: SyncBoard | None = None
        self._began_s = self._heard_s = now_s
        self._routes: Routes | None = None

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; sent once, until nothing more can leave now.

        Raises
        ------
        AwayError
            Sent once, and the monitor is not there.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        tasks = [loop.create_task(one) for one in self._work()]
        _log.info("sending", n_sinks=len(self.senders))
        _tell_systemd("READY=1")
        try:
            await self._until(stop, tasks)
        finally:
            _tell_systemd("STOPPING=1")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(AwayError, TimeoutError):
                async with asyncio.timeout(END_S):
                    await self._witness.hand_back()
                    await self._desk.tell(self.state())
            self._desk.close()
            self._file.write(self._budget)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def state(self) -> SyncState:
        """Return how every destination is, as the monitor is told it."""
        return SyncState(os.getpid(), tuple(one.post.state() for one in self.senders))

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        work = [self._follow(), self._tell_how_it_is(), self._watch_network(), self._count()]
        return [*work, self._witness.run(), *(sender.run() for sender in self.senders)]

    async def _until(self, stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
        period_s = watchdog_period_s()
        due_s = self._began_s
        while not stop.is_set() and not (self._once and self._done()):
            for task in tasks:
                if task.done():
                    task.result()  # a fault of ours ends the process: it is started again
            now_s = self._clock.now_s()
            if period_s is not None and now_s >= due_s:
                due_s = now_s + period_s
                _tell_systemd("WATCHDOG=1")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await stop.wait()

    def _done(self) -> bool:
        """Return whether nothing more can leave now."""
        now_s = self._clock.now_s()
        if self.board is None:
            if now_s - self._heard_s > ONCE_AWAY_S:
                raise AwayError("the monitor does not answer")
            return False
        return all(self._is_done(sender, now_s) for sender in self.senders)

    def _is_done(self, sender: Sender, now_s: float) -> bool:
        post = sender.post
        if post.to.opened is None:
            return bool(post.trouble)
        if post.gates.backoff.n_failed >= N_TRIES:
            return True
        return sender.idle or now_s - post.progress_s > ONCE_STILL_S

    async def _follow(self) -> None:
        change = -1
        while True:
            try:
                board = await self._desk.board(change)
            except (AwayError, ControlError) as error:
                if self.board is not None:
                    _log.warning("the monitor does not answer", why=str(error))
                change = -1
                self._take(None)
                await asyncio.sleep(AWAY_S)
                continue
            if self.board is None:
                _log.info("following the monitor", run=board.run_id)
            change = board.change
            self._take(board)

    def _take(self, board: SyncBoard | None) -> None:
        if board is not None:
            self._heard_s = self._clock.now_s()
        self.board = board
        for sender in self.senders:
            sender.look(board)

    async def _tell_how_it_is(self) -> None:
        while True:
            try:
                await self._desk.tell(self.state())
            except (AwayError, ControlError) as error:
                _log.debug("the monitor does not take it", why=str(error))
            await asyncio.sleep(REPORT_S)

    async def _watch_network(self) -> None:
        """Look at the routes when they change; nothing is ever sent to find out."""
        watch = Watch()
        try:
            while True:
                routes = await asyncio.to_thread(read_routes)
                for sender in self.senders:
                    sender.network(routes)
                await watch.change()
        finally:
            watch.close()

    async def _count(self) -> None:
        """Keep the bytes of the day, and notice when one is over."""
        while True:
            self._budget.look(self._moment())
            await asyncio.to_thread(self._file.write, self._budget)
            for sender in self.senders:
                sender.post.wake.set()
            await asyncio.sleep(KEEP_S)

    def _moment(self) -> Moment:
        now = self._clock.read()
        return Moment(now.boot_id, now.boot_s, now.wall_s if now.synchronised else None)


def _tell_systemd(state: str) -> None:
    try:
        notify(state)
    except OSError as error:  # it is there and does not listen: what is sent matters more
        _log.warning("systemd cannot be told", error=str(error))
