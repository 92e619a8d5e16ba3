"""Nothing leaves unseen: the monitor is told of every message before it is sent.

It is on the same machine, and without it there is nothing to send: so what it refuses, and what it
cannot be told of, is not sent. That goes for alerts too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

import structlog

from edge.control import WITHHELD, Became, ControlError, Leaves
from edge.control.asking import AwayError, Line
from edge.egress.allowed import ALLOWED, Content
from edge.egress.departure import MAX_DETAIL, MAX_REFS, Departure, Stage
from edge.sync.parcel import Parcel
from edge.sync.sinks import SinkError

PROCESS: Final = "sync"
MAX_OUTCOMES: Final = 1_000
_KNOWN_AS: Final = MAX_REFS * 64

_log = structlog.get_logger("sync")


class KeptBackError(Exception):
    """The monitor does not let it leave; `withheld`: because people do not."""

    def __init__(self, text: str, *, withheld: bool = False) -> None:
        super().__init__(text)
        self.withheld = withheld


class Witness:
    """Tells the monitor what is sent, and lets it be sent.

    Parameters
    ----------
    ask, report : Line
        To the monitor: one to ask whether, one to tell what became of it, so that no message waits
        for what is told of another.
    now_s : Callable
        Boot clock.
    """

    def __init__(self, ask: Line, report: Line, now_s: Callable[[], float]) -> None:
        self._ask, self._report, self._now_s = ask, report, now_s
        self._outcomes: deque[Became] = deque(maxlen=MAX_OUTCOMES)
        self._wake = asyncio.Event()

    async def through(
        self,
        parcel: Parcel,
        to: tuple[str, str],
        go: Callable[[], Awaitable[None]],
        ready: Callable[[str], None] = lambda _: None,
        scrub: Callable[[str], str] = str,
    ) -> str:
        """Tell of a message, let it go, and tell what became of it; return the departure's id.

        Parameters
        ----------
        to : tuple[str, str]
            Destination and host.
        go : Callable
            Sends it.
        ready : Callable
            Told the departure's id when it may leave, just before it does.
        scrub : Callable
            Takes secrets out of a text.

        Raises
        ------
        KeptBackError
            It may not leave.
        AwayError
            The monitor is not there.
        """
        what = self.departure(parcel, to)
        try:
            await self._ask.ask(Leaves(what))
        except ControlError as error:
            raise KeptBackError(str(error), withheld=str(error).startswith(WITHHELD)) from error
        ready(what.uuid)
        try:
            await go()
        except asyncio.CancelledError:
            self.note(what.uuid, "failed", "given up before an answer came")
            raise
        except Exception as error:
            # The text of an error that is no sink's may hold anything.
            said = scrub(str(error)) if isinstance(error, SinkError) else ""
            self.note(what.uuid, "failed", said or type(error).__name__)
            raise
        self.note(what.uuid, "sent")
        return what.uuid

    def departure(self, parcel: Parcel, to: tuple[str, str]) -> Departure:
        """Return a message as the ledger keeps it."""
        told = [item.handed.alert.id for item in parcel.items if item.handed.alert is not None]
        return Departure(
            str(uuid4()),
            self._now_s(),
            PROCESS,
            to[0],
            to[1][:255],
            parcel.kind,
            ALLOWED[parcel.kind].version,
            _about(parcel),
            " ".join(item.uuid for item in parcel.items)[:_KNOWN_AS],
            tuple(dict.fromkeys(told))[:MAX_REFS],
            parcel.shown,
            parcel.body,
        )

    def note(self, uuid: str, stage: Stage, detail: str = "") -> None:
        """Have it told what became of a message."""
        self._outcomes.append(Became(uuid, stage, self._now_s(), detail[:MAX_DETAIL]))
        self._wake.set()

    async def run(self) -> None:
        """Tell what became of messages, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.hand_back()
            except AwayError:
                self._wake.set()
                await asyncio.sleep(1.0)

    async def hand_back(self) -> None:
        """Tell all that is to be told still.

        Raises
        ------
        AwayError
            The monitor is not there.
        """
        while self._outcomes:
            said = self._outcomes[0]
            try:
                await self._report.ask(said)
            except ControlError as error:
                _log.info("not taken", why=str(error))
            if self._outcomes and self._outcomes[0] is said:
                self._outcomes.popleft()


def _about(parcel: Parcel) -> str:
    """Return what of its kind a message is, in a word."""
    if parcel.kind is Content.ALERT and any(item.handed.early for item in parcel.items):
        return "early"
    return parcel.kind.value
