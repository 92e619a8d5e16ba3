"""Receipts -> marks: what the other end vouches for is settled, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from edge.control import ControlError
from edge.control.asking import AwayError
from edge.sync.outgoing import AWAY_S, KEPT_BACK_S
from edge.sync.parcel import Receipt
from edge.sync.post import Post

SETTLE_AT_ONCE: Final = 200
"""Ids in one request."""

_log = structlog.get_logger("sync")


class Incoming:
    """Takes the receipts of one destination.

    Parameters
    ----------
    post : Post
        The destination.
    """

    def __init__(self, post: Post) -> None:
        self._post = post

    async def run(self, receipts: asyncio.Queue[Receipt]) -> None:
        """Take them until cancelled."""
        while True:
            await self.take(await receipts.get())

    async def take(self, receipt: Receipt) -> None:
        """Take one, however long the monitor is away: what is not marked leaves again."""
        post = self._post
        n_forged = post.under_way.n_forged
        taken = post.under_way.take(receipt)
        for first in range(0, len(taken.stored), SETTLE_AT_ONCE):
            await self._settle(taken.stored[first : first + SETTLE_AT_ONCE])
        for uuid, why in taken.rejected:
            await self._marked(partial(post.set_aside, uuid, why))
        if post.under_way.n_forged > n_forged:
            post.tell("forged", n=post.under_way.n_forged, uuids=list(receipt.stored))
            _log.warning("a receipt vouches for what was not sent", sink=post.to.name)
        post.wake.set()

    async def _settle(self, uuids: Sequence[str]) -> None:
        post = self._post
        marked = await self._marked(partial(post.common.desk.settle, post.to.name, uuids))
        letters = post.under_way.done(uuids)
        if not marked:
            post.pause_s = post.common.now_s() + KEPT_BACK_S
            return
        for letter in letters:
            post.common.witness.note(letter, "received")
        post.came_back(len(uuids))
        post.tell("receipt", n=len(uuids), uuids=list(uuids))

    async def _marked(self, mark: Callable[[], Awaitable[None]]) -> bool:
        """Mark something once the monitor is there; return whether it let that be done."""
        while True:
            try:
                await mark()
            except AwayError:
                await asyncio.sleep(AWAY_S)
            except ControlError as error:
                _log.warning("the monitor says no", why=str(error))
                return False
            else:
                return True
