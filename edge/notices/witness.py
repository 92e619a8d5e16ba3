"""Nothing leaves unseen: the monitor is told of every message before it is sent.

Every message of this process goes through here, and only here is it sent. What the monitor refuses
is not sent. Where the monitor cannot be told, only that is sent for which somebody has to come; it
is written down beside the notifier first, and told as soon as the monitor is there again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from uuid import uuid4

import msgspec
import structlog

from edge.control import WITHHELD, Became, ControlError, Leaves
from edge.egress.allowed import ALLOWED, Content
from edge.egress.departure import MAX_DETAIL, Departure, Stage
from edge.notices.channels import Letter, Opened, SendError, Sent
from edge.notices.follower import AwayError, Monitor
from edge.notices.journal import Journal

TELL_S: Final = -2.0
"""An answer comes out of the monitor's memory: 3 s are more than enough, and an alarm waits."""
AWAY_S: Final = 1.0
MAX_OUTCOMES: Final = 1_000

_T = TypeVar("_T")

_log = structlog.get_logger("notify")


class WithheldError(SendError):
    """People do not let it leave."""


class Witness:
    """Tells the monitor what is sent, and sends it.

    Parameters
    ----------
    monitor : Monitor
        Who is told; a connection of its own.
    folder : Path
        Of the box's data.
    now_s : Callable
        Boot clock.
    process : str
        Who sends.
    boot_id : str
        Which boot the clock is of.
    alone : bool
        A person runs this process to see whether it works: it may send without a monitor too, and
        what it sends is told later.

    Attributes
    ----------
    withheld : Collection[str]
        Switches of consent that are off, as far as is known: what counts is what the monitor
        says, and this where it cannot be asked.
    """

    def __init__(
        self,
        monitor: Monitor,
        folder: Path,
        now_s: Callable[[], float],
        boot_id: str,
        process: str = "notify",
        *,
        alone: bool = False,
    ) -> None:
        self._monitor, self._now_s, self._boot_id = monitor, now_s, boot_id
        self._process, self._alone = process, alone
        self.journal = Journal(folder)
        self.withheld: Collection[str] = ()
        self._outcomes: deque[Became] = deque(maxlen=MAX_OUTCOMES)
        self._untold = True  # of an earlier process, perhaps

    def attend(self, opened: Opened, destination: str) -> None:
        """Be told of everything a channel asks its service."""
        opened.asking = partial(self._ask, destination, opened.host)

    async def send(
        self,
        opened: Opened,
        letter: Letter,
        destination: str,
        refs: Sequence[str] = (),
        scrub: Callable[[str], str] = str,
    ) -> Sent:
        """Send a notice, once it is told.

        Raises
        ------
        WithheldError
            People do not let it leave; it was not sent.
        SendError
            It was not sent, or nobody knows.
        """
        notice = letter.notice
        about: str = notice.about
        if about == "summary" and notice.priority.rank > 0:
            about = "alarms"
        kind = Content.SELF_TEST if notice.about == "test" else Content.NOTICE
        what = Departure(
            str(uuid4()),
            self._now_s(),
            self._process,
            destination,
            opened.host,
            kind,
            ALLOWED[kind].version,
            about,
            notice.id,
            tuple(refs)[:64],
            letter.shown,
            letter.body,
        )
        return await self.through(what, partial(opened.send, letter), scrub)

    async def _ask(self, destination: str, host: str) -> None:
        await self._tell(self._empty(Content.QUESTION, "", destination, host))

    async def ping(
        self, say: str, destination: str, host: str, go: Callable[[], Awaitable[_T]]
    ) -> _T:
        """Send a ping, once it is told.

        Raises
        ------
        SendError
            As `send`.
        """
        return await self.through(self._empty(Content.PING, say, destination, host), go)

    async def through(
        self,
        what: Departure,
        go: Callable[[], Awaitable[_T]],
        scrub: Callable[[str], str] = str,
    ) -> _T:
        """Tell of a message, let it go, and tell what became of it; `scrub`: without its address.

        Raises
        ------
        SendError
            It must not go, or `go` said so.
        """
        await self._tell(what)
        try:
            sent = await go()
        except asyncio.CancelledError:
            self._note(what.uuid, "failed", "given up before an answer came")
            raise
        except Exception as error:
            said = scrub(str(error)) if isinstance(error, SendError) else ""
            self._note(what.uuid, "failed", said or type(error).__name__)
            raise
        self._note(what.uuid, "sent")
        if isinstance(sent, Sent) and sent.held:
            self._note(what.uuid, "received", "held by the server")
        return sent

    def hang_up(self) -> None:
        """Leave the monitor."""
        self._monitor.close()

    async def run(self) -> None:
        """Tell what became of messages, and what was sent untold, until cancelled."""
        while True:
            try:
                await self.hand_back()
            except AwayError:
                await asyncio.sleep(AWAY_S)
            await asyncio.sleep(0.2)

    async def hand_back(self) -> None:
        """Tell all that is to be told still.

        Raises
        ------
        AwayError
            The monitor does not answer.
        """
        if self._untold:
            await self._tell_untold()
        while self._outcomes:
            try:
                await self._monitor.ask(self._outcomes[0])
            except ControlError as error:
                _log.info("not taken", why=str(error))
            self._outcomes.popleft()

    async def _tell_untold(self) -> None:
        found = await asyncio.to_thread(self.journal.take)
        for what in found:
            try:
                await self._monitor.ask(Leaves(what))
            except ControlError as error:
                _log.warning("sent, and not taken into the ledger", why=str(error))
        self._untold = False
        if found:
            await asyncio.to_thread(self.journal.clear, len(found))

    async def _tell(self, what: Departure) -> None:
        try:
            await self._monitor.ask(Leaves(what), TELL_S)
        except ControlError as error:
            if str(error).startswith(WITHHELD):
                raise WithheldError(str(error)) from error
            raise SendError(f"the monitor does not let it leave: {error}") from error
        except AwayError as error:
            if not await self._may_untold(what):
                raise SendError(
                    "the monitor cannot be told of it, and nothing leaves unseen: is "
                    "`homeward run` running?"
                ) from error

    async def _may_untold(self, what: Departure) -> bool:
        """Return whether it may go although nobody could be told, and write it down."""
        consent = ALLOWED[what.kind].consent
        if consent is not None and consent.value in self.withheld:
            raise WithheldError(f"{WITHHELD}consent to {consent.value} is off")
        if not (what.urgent or self._alone or what.kind is Content.QUESTION):
            return False
        self._untold = True
        late = msgspec.structs.replace(what, late=True, boot_id=self._boot_id)
        kept = await self.journal.keep(late)
        return kept or what.urgent

    def _empty(self, kind: Content, about: str, destination: str, host: str) -> Departure:
        names = (self._process, destination, host, kind, ALLOWED[kind].version, about)
        return Departure(str(uuid4()), self._now_s(), *names)

    def _note(self, uuid: str, stage: Stage, detail: str = "") -> None:
        self._outcomes.append(Became(uuid, stage, self._now_s(), detail[:MAX_DETAIL]))
