"""Entries -> one message -> the transport: fetched, packed, told of, and let go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from edge.control import ControlError
from edge.control.asking import AwayError
from edge.control.syncing import SyncFetch
from edge.egress.allowed import Content
from edge.egress.outbox import MAX_HANDED
from edge.sync.parcel import MAX_PARCEL_BYTES, Item, Parcel
from edge.sync.post import Post
from edge.sync.sinks import SEND_S, Opened, SinkError
from edge.sync.witness import KeptBackError

AWAY_S: Final = 1.0
KEPT_BACK_S: Final = 5.0
N_SET_ASIDE: Final = 3
"""So many may be refused without one that is stored; then it is taken for a fault of the other end,
and each further one waits like a failure: a wrong address must not empty the outbox."""

_log = structlog.get_logger("sync")


class Outgoing:
    """Sends to one destination.

    Parameters
    ----------
    post : Post
        The destination.
    opened : Opened
        Its sink.
    """

    def __init__(self, post: Post, opened: Opened) -> None:
        self._post, self._opened = post, opened

    async def send(self, kind: Content) -> bool:
        """Send one message of a kind, as much as fits; return whether there was anything to send.

        What goes wrong is noted with the destination.
        """
        post = self._post
        try:
            items = await self._fetched(kind)
            if not items:
                return False
            parcel = await self._packed(kind, items)
            if parcel is not None and await self._let_go(parcel):
                n = len(parcel.items)
                # As many as fit are asked for, and few at first: four times as many each time.
                fits = n + 2 if n < len(items) else 4 * max(n, post.limit)
                post.limit = min(MAX_HANDED, fits)
        except AwayError:
            post.pause_s = post.common.now_s() + AWAY_S
        except ControlError as error:
            _log.warning("the monitor says no", why=str(error))
            post.pause_s = post.common.now_s() + KEPT_BACK_S
        return True

    async def _fetched(self, kind: Content) -> list[Item]:
        """Return entries that may leave now; what cannot be said is set aside."""
        post = self._post
        n_urgent = post.queue.n_urgent if post.queue is not None else 0
        limit = 1 if post.careful else min(post.limit, post.under_way.room(n_urgent))
        but, mark = post.under_way.uuids, post.under_way.mark(kind)
        # The values of Content are those of the request: alert, summary, erase.
        request = SyncFetch(post.to.name, kind.value, mark, but, max(1, limit))  # type: ignore[arg-type]
        items: list[Item] = []
        for handed in await post.common.desk.fetch(request):
            if handed.trouble:
                await post.set_aside(handed.uuid, handed.trouble)
                continue
            try:
                resources = () if handed.erase is not None else post.common.content(handed)
            except Exception as error:  # noqa: BLE001  # a fault of ours in one holds up no other
                _log.error("an entry cannot be put into words", exc_info=error)
                why = f"it cannot be put into FHIR ({type(error).__name__})"
                await post.set_aside(handed.uuid, why)
                continue
            items.append(Item(handed, kind, resources))
        return items

    async def _packed(self, kind: Content, items: Sequence[Item]) -> Parcel | None:
        """Return one message; None: one that cannot be was set aside, or they go one by one."""
        try:
            parcel = self._opened.pack(kind, items)
            if parcel.items and len(parcel.body) <= MAX_PARCEL_BYTES:
                return parcel
            why = f"it is too large for one message ({len(parcel.body)} bytes)"
        except SinkError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001  # one sink's fault is not the others'
            _log.error("a sink failed", sink=self._post.to.name, exc_info=error)
            why = f"it cannot be packed ({type(error).__name__})"
        if len(items) == 1:
            await self._post.set_aside(items[0].uuid, why)
        else:
            self._post.careful = {item.uuid for item in items}
        return None

    async def _let_go(self, parcel: Parcel) -> bool:
        """Send a message; return whether the transport took it."""
        post, uuids, n_bytes = self._post, [item.uuid for item in parcel.items], size_of(parcel)

        def leaves(letter: str) -> None:
            post.under_way.send(parcel.items, letter, post.common.now_s())
            post.common.budget.add(post.to.name, n_bytes)

        try:
            await passed(post, self._opened, parcel, self._opened.send, leaves)
        except KeptBackError as error:
            post.pause_s = post.common.now_s() + KEPT_BACK_S
            post.tell("kept_back", kind=parcel.kind.value, why=str(error))
        except SinkError as error:
            if error.refused:
                await self._refused(uuids, str(error))
            else:
                post.failed(error)
        else:
            post.careful.difference_update(uuids)
            post.n_sent += len(uuids)
            post.went_out()
            told = {"kind": parcel.kind.value, "n": len(uuids), "n_bytes": n_bytes}
            post.tell("sent", **told, uuids=uuids)
            return True
        return False

    async def _refused(self, uuids: Sequence[str], why: str) -> None:
        """Send one by one what is refused together; set aside what is refused alone."""
        post = self._post
        post.under_way.drop(uuids)
        if len(uuids) > 1:
            post.careful = set(uuids)
            return
        post.n_refused += 1
        if post.n_refused > N_SET_ASIDE:
            post.failed(SinkError(f"it refuses all it is sent: {why}"))
        else:
            post.gates.backoff.worked()
        await post.set_aside(uuids[0], why)


async def passed(
    post: Post,
    opened: Opened,
    parcel: Parcel,
    send: Callable[[Parcel], Awaitable[None]],
    leaves: Callable[[str], None],
) -> None:
    """Let a message pass the witness to its sink, one at a time.

    Raises
    ------
    SinkError
        It did not go out: the sink says so, takes longer than it promised, or is at fault.
    KeptBackError, AwayError
        As `edge.sync.witness.Witness.through`.
    """
    async with post.turn:
        go = partial(_bounded, post, send, parcel)
        to, witness = (post.to.name, opened.host), post.common.witness
        await witness.through(parcel, to, go, leaves, post.to.scrub)


async def _bounded(post: Post, send: Callable[[Parcel], Awaitable[None]], parcel: Parcel) -> None:
    try:
        async with asyncio.timeout(SEND_S + 5.0):
            await send(parcel)
    except SinkError:
        raise
    except TimeoutError as error:
        raise SinkError("it did not answer in time", arrived=True) from error
    except Exception as error:
        _log.error("a sink failed", sink=post.to.name, exc_info=error)
        raise SinkError(f"{type(error).__name__} in its sink", arrived=True) from error


def size_of(parcel: Parcel) -> int:
    """Return what of a message is counted, in bytes."""
    return len(parcel.body) + sum(len(key) + len(value) for key, value in parcel.headers.items())
