"""How the box and its patients are, told again and again: nobody answers, nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from edge.control import ControlError
from edge.control.asking import AwayError
from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.sync.outgoing import passed, size_of
from edge.sync.post import Post
from edge.sync.sinks import Opened, SinkError
from edge.sync.witness import KeptBackError

NUMBERS_S: Final = 10.0
LOOK_S: Final = 1.0

_log = structlog.get_logger("sync")


class States:
    """Tells one destination.

    Parameters
    ----------
    post : Post
        The destination.
    opened : Opened
        Its sink.
    """

    def __init__(self, post: Post, opened: Opened) -> None:
        self._post, self._opened = post, opened

    async def run(self) -> None:
        """Tell until cancelled."""
        settings, content = self._post.common.settings, self._post.to.content
        async with asyncio.TaskGroup() as both:
            if "heartbeats" in content:
                both.create_task(self._every(settings.heartbeat_s, Content.HEARTBEAT))
            if "numbers" in content:
                both.create_task(self._every(NUMBERS_S, Content.NUMBERS))

    async def _every(self, period_s: float, kind: Content) -> None:
        now_s = self._post.common.now_s
        due_s = now_s()
        while True:
            if now_s() >= due_s and self._may(kind):
                due_s = now_s() + period_s
                await self.tell(kind)
            await asyncio.sleep(LOOK_S)

    def _may(self, kind: Content) -> bool:
        post, now_s = self._post, self._post.common.now_s()
        if post.board is None or not post.takes(kind):
            return False
        ways = post.ways(self._opened.host)
        if kind is Content.NUMBERS and (ways.spent or ways.metered):
            return False
        return post.gates.closed(now_s, urgent=False, tls=self._opened.uses_tls) is None

    async def tell(self, kind: Content) -> None:
        """Tell how the box is, or its patients; what goes wrong is noted with the destination."""
        post = self._post
        try:
            for what in await self._asked(kind):
                parcel = self._opened.state_message(what)
                if parcel is None:
                    return
                post.common.budget.add(post.to.name, size_of(parcel))
                await passed(post, self._opened, parcel, self._opened.send_state, lambda _: None)
                post.went_out()
                post.tell("told", kind=kind.value)
        except (AwayError, ControlError, KeptBackError) as error:
            _log.debug("not told how it is", why=str(error))
        except SinkError as error:
            post.failed(error)

    async def _asked(
        self, kind: Content
    ) -> Sequence[HeartbeatOut] | Sequence[tuple[NumbersOut, ...]]:
        """Return what is to be told, message by message."""
        if kind is Content.HEARTBEAT:
            return (await self._post.common.desk.heartbeat(),)
        found = await self._post.common.desk.numbers()
        return (found,) if found else ()
