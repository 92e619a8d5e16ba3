"""The ping that stops when the monitor does: a watcher far away then calls somebody.

The only fault no box can tell of is its own end. So somebody else (healthchecks.io, or one's own)
expects a ping and calls when it does not come. It is sent only if the monitor's own clock has moved
on since the last, never because this process happens to live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import structlog

from edge.config import Deadman
from edge.control import WITHHELD, Way
from edge.control.board import STALLED_S, Board
from edge.egress.consent import Switch
from edge.fetch import Ask, FetchError, fetch
from edge.notices.channels import SendError
from edge.notices.witness import Witness
from edge.secret import Secret

NAME: Final = "deadman"
RETRY_S: Final = 5.0
N_TRIES: Final = 3
START_S: Final = 30.0
"""So long after the start nothing is sent: the monitor may be starting too."""

Say: TypeAlias = Literal["", "ping", "fail"]

_log = structlog.get_logger("notify")


class Progress:
    """Whether the monitor has come on since it was last asked, and watches what it should.

    Parameters
    ----------
    settings : Deadman
        What is needed for a ping.
    """

    def __init__(self, settings: Deadman) -> None:
        self._settings = settings
        self._last: tuple[str, float] | None = None
        self.reason = ""

    def look(self, board: Board | None, seen_s: float, now_s: float) -> Say:
        """Return what to tell the watcher: a ping, a failure, or nothing.

        Parameters
        ----------
        board, seen_s : Board | None, float
            The last that came, and when (boot time).
        now_s : float
            Boot time.
        """
        self.reason = self._trouble(board, seen_s, now_s)
        if not self.reason and board is not None:
            self._last = (board.run_id, board.tick_s)
            return "ping"
        return "fail" if self._settings.fails else ""

    def _trouble(self, board: Board | None, seen_s: float, now_s: float) -> str:
        if board is None or now_s - seen_s > STALLED_S:
            return "the monitor does not answer"
        moved = self._last is None or self._last[0] != board.run_id or self._last[1] < board.tick_s
        if not board.ready or not moved or now_s - board.tick_s > STALLED_S:
            return "the monitor does not come on"
        if board.not_watching and self._settings.needs == "patients":
            return "; ".join(board.not_watching)[:200]
        return ""


class Watcher:
    """Pings the watcher far away.

    Parameters
    ----------
    settings : Deadman
        How often, and on what condition.
    secret : Secret
        The ping's URL.
    seen : Callable
        Returns the last board, and when it came.
    now_s : Callable
        Boot clock.
    witness : Witness
        Is told of every ping before it is sent.
    """

    def __init__(
        self,
        settings: Deadman,
        secret: Secret,
        seen: Callable[[], tuple[Board | None, float]],
        now_s: Callable[[], float],
        witness: Witness,
    ) -> None:
        self._settings, self._secret, self._seen, self._now_s = settings, secret, seen, now_s
        self._witness = witness
        self._progress = Progress(settings)
        self._works, self._reason, self._since_s = True, "", now_s()
        self._sent_s: float | None = None

    def state(self) -> Way:
        """Return how it is; it does not work too while there is nothing to ping for."""
        return Way(NAME, self._works, self._since_s, self._reason, 0, self._sent_s)

    async def run(self) -> None:
        """Ping until cancelled."""
        for _ in range(int(START_S)):
            if self._seen()[0] is None:
                await asyncio.sleep(1.0)
        while True:
            began_s = self._now_s()
            say = self._progress.look(*self._seen(), began_s)
            if Switch.PINGS in self._witness.withheld:
                self._works, self._reason = True, f"{WITHHELD}consent to pings is off"
            else:
                trouble = await self._tell(say) if say else ""
                self._note(trouble or self._progress.reason)
            await asyncio.sleep(max(1.0, self._settings.every_s - (self._now_s() - began_s)))

    async def _tell(self, say: Say) -> str:
        """Tell the watcher; return why that was not possible."""
        trouble = ""
        for _ in range(N_TRIES):
            trouble = await ping(self._secret, say, self._witness)
            if not trouble:
                self._sent_s = self._now_s() if say == "ping" else self._sent_s
                return ""
            await asyncio.sleep(RETRY_S)
        return trouble

    def _note(self, reason: str) -> None:
        if self._works == bool(reason):
            self._works, self._since_s = not reason, self._now_s()
            _log.warning("dead-man ping", works=self._works, reason=reason)
        self._reason = reason


async def ping(secret: Secret, say: Say, witness: Witness) -> str:
    """Send one ping or failure; return why it did not arrive, empty if it did."""
    url = fail_url(secret.url) if say == "fail" else secret.url

    async def go() -> None:
        try:
            reply = await fetch(Ask(url, "POST"))
        except FetchError as error:
            raise SendError(secret.scrub(str(error)), arrived=error.arrived) from error
        if not reply.ok:
            raise SendError(f"the watcher answered {reply.status}: is its address right?")

    try:
        await witness.ping(say, NAME, _host(url), go)
    except SendError as error:
        return str(error)
    return ""


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # no address: `fetch` says so
        return ""


def fail_url(url: str) -> str:
    """Return where failures are told, as healthchecks.io has it.

    >>> fail_url("https://hc-ping.com/uuid?create=1")
    'https://hc-ping.com/uuid/fail?create=1'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))
