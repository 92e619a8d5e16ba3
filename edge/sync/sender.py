"""One destination, served until the end: what waits leaves when it may, in its order."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from edge.egress.allowed import Content
from edge.egress.outbox import SyncBoard
from edge.sync.backoff import after_start_s
from edge.sync.gates import Closed
from edge.sync.incoming import Incoming
from edge.sync.network import Routes
from edge.sync.opening import Destination
from edge.sync.outgoing import AWAY_S, Outgoing
from edge.sync.policy import Choice, Waits, choose
from edge.sync.post import SILENT, Common, Post
from edge.sync.sinks import Opened
from edge.sync.states import States
from edge.sync.underway import UnderWay

OPEN_AGAIN_S: Final = 60.0
"""A destination that could not be opened is opened again: a key may have come meanwhile."""
OUTBOX: Final = frozenset({Content.ALERT, Content.ERASE, Content.SUMMARY})
CLOSE_S: Final = 1.0
HURRY_S: Final = 900.0
"""So long after an alert of high priority came, it is tried more often than the rest would be.
What could not be told by then is told when it can be: each try is a row in the ledger."""
UNKNOWN: Final = "the monitor knows no such sink: start `homeward run` again"

_log = structlog.get_logger("sync")


class Sender:
    """Serves one destination.

    Parameters
    ----------
    to : Destination
        Which.
    common : Common
        What it shares with the others.

    Attributes
    ----------
    post : Post
        All that is known of it.
    """

    def __init__(self, to: Destination, common: Common) -> None:
        self.post = Post(to, common)
        self._waits = Waits()
        self._dry: dict[Content, tuple[int, float]] = {}
        self._n_urgent, self._urgent_s = 0, 0.0

    def look(self, board: SyncBoard | None) -> None:
        """Take what waits; None: the monitor is not there."""
        post, now_s = self.post, self.post.common.now_s()
        post.board, post.queue = board, None
        if board is not None:
            self._know(board.box, now_s)
            post.gates.clock(board.time_quality, now_s)
            post.queue = next((one for one in board.queues if one.sink == post.to.name), None)
        post.wake.set()

    def network(self, routes: Routes) -> None:
        """Take the routes as they are now."""
        post = self.post
        post.routes = routes
        opened = post.to.opened
        if opened is not None and post.gates.network(routes, opened.host, post.common.now_s()):
            _log.info("there is a network again", sink=post.to.name)
            if post.common.at_once:
                post.gates.backoff.worked()
        post.wake.set()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing that waits may leave now."""
        post = self.post
        if post.under_way.uuids or post.board is None:
            return False
        return bool(post.quiet) or (post.queue is not None and post.queue.n == 0)

    async def run(self) -> None:
        """Serve it until cancelled."""
        post = self.post
        while not post.to.open(lambda: post.board.box if post.board is not None else ""):
            post.works_not(post.to.trouble)
            _log.error("cannot be used", sink=post.to.name, reason=post.to.trouble)
            await asyncio.sleep(OPEN_AGAIN_S)
        opened = post.to.opened
        if opened is None:
            return
        post.works()
        post.under_way = UnderWay(opened.window)
        if post.routes is not None:
            self.network(post.routes)
        try:
            async with asyncio.TaskGroup() as parts:
                parts.create_task(self._send_what_waits(opened))
                parts.create_task(Incoming(post).run(opened.receipts))
                if not post.common.at_once:
                    parts.create_task(States(post, opened).run())
        finally:
            await _closed(opened)

    async def _send_what_waits(self, opened: Opened) -> None:
        post, outgoing = self.post, Outgoing(self.post, opened)
        while True:
            post.wake.clear()
            now_s = post.common.now_s()
            step = self._next(opened, now_s)
            post.quiet = step.quiet if step.kind is None else ""
            if step.kind is not None:
                if not await outgoing.send(step.kind):
                    change = post.board.change if post.board is not None else -1
                    self._dry[step.kind] = (change, post.common.now_s() + AWAY_S)
                continue
            wait_s = min(step.again_s, post.under_way.overdue_s) - now_s
            with suppress(TimeoutError):
                async with asyncio.timeout(None if wait_s == math.inf else max(wait_s, 0.02)):
                    await post.wake.wait()

    def _next(self, opened: Opened, now_s: float) -> Choice:
        """Return what leaves next."""
        post = self.post
        self._see_silence(now_s)
        if post.board is None or post.queue is None:
            return Choice(quiet="" if post.board is None else UNKNOWN)
        waiting = self._waits.look(post.queue, post.under_way, now_s)
        if not waiting.n_summaries:
            post.common.budget.let_go(post.to.name)
        if not waiting.n:
            return Choice()
        urgent = self._hurries(waiting.n_urgent, now_s)
        shut = post.gates.closed(now_s, urgent=urgent, tls=opened.uses_tls)
        if shut is None and now_s < post.pause_s:
            shut = Closed("", post.pause_s)
        if shut is not None:
            return Choice(None, shut.until_s, shut.quiet)
        if not post.under_way.room(waiting.n_urgent):
            return Choice()
        dry = self._dry_now(post.board.change, now_s)
        takes = frozenset(kind for kind in OUTBOX.difference(dry) if post.takes(kind))
        ways = post.ways(opened.host, takes)
        if ways.metered and waiting.n_summaries:
            held_s = post.common.budget.hold(post.to.name, now_s)
            waiting = msgspec.structs.replace(waiting, held_s=held_s)
        choice = choose(waiting, ways, now_s)
        return msgspec.structs.replace(choice, again_s=min([choice.again_s, *dry.values()]))

    def _dry_now(self, change: int, now_s: float) -> dict[Content, float]:
        """Return the kinds of which nothing was handed out just now, and until when that counts."""
        for kind, (at, until_s) in tuple(self._dry.items()):
            if at != change or now_s >= until_s:
                del self._dry[kind]
        return {kind: until_s for kind, (_, until_s) in self._dry.items()}

    def _hurries(self, n_urgent: int, now_s: float) -> bool:
        """Return whether an alert of high priority waits that came lately, or for no failure."""
        if n_urgent > self._n_urgent:
            self._urgent_s = now_s
        self._n_urgent = n_urgent
        lately = now_s < self._urgent_s + HURRY_S
        return n_urgent > 0 and (lately or not self.post.gates.backoff.n_failed)

    def _see_silence(self, now_s: float) -> None:
        """Begin again where no receipt came."""
        post = self.post
        if post.under_way.overdue_s <= now_s:
            if not post.under_way.silent(now_s):
                post.tell("overtaken")
                return
            post.tell("silent", n=post.under_way.n_silent)
            if post.under_way.n_silent > 1:
                post.works_not(SILENT)

    def _know(self, box: str, now_s: float) -> None:
        """Take the box's place among others, once; after a power cut it waits its turn."""
        post = self.post
        if post.gates.box:
            return
        post.gates.box = box
        wait_s = after_start_s(box, post.common.up_s)
        if wait_s and not post.common.at_once:
            post.gates.backoff.spread(now_s, wait_s)


async def _closed(opened: Opened) -> None:
    """Hang up; a sink that does not is left."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await opened.close()
    except Exception as error:  # noqa: BLE001  # it ends
        _log.info("a sink did not close", error=repr(error))
