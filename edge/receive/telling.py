"""Who is told that a box has fallen silent: a topic of ntfy, or whatever takes a POST.

The message says which box, by its pseudonym, and since when; nothing of any patient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog

from edge.fetch import Ask, FetchError, fetch
from edge.secret import Secret

MAX_WAITING: Final = 200
TRIES: Final = 60
AGAIN_S: Final = 5.0
LONGEST_S: Final = 300.0

_WORDS: Final = {
    "silence": "{box} has been silent since {since_utc}: look after it",
    "speaks_again": "{box} speaks again",
}

_log = structlog.get_logger("receive")


class Teller:
    """Tells one address, in order, until it was taken.

    Parameters
    ----------
    secret : Secret
        The address, and a token where it wants one.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(MAX_WAITING)

    def tell(self, said: Mapping[str, Any]) -> None:
        """Take what is to be told; of too much the oldest is given up."""
        if said["record"] not in _WORDS:
            return
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(said)

    async def run(self) -> None:
        """Tell what comes, until cancelled."""
        while True:
            await self._tell(await self._waiting.get())

    async def _tell(self, said: Mapping[str, Any]) -> None:
        ask = self._ask(said)
        for n in range(TRIES):
            try:
                reply = await fetch(ask)
            except FetchError as error:
                why = self._secret.scrub(str(error))
            else:
                if reply.ok:
                    return
                why = f"it answers {reply.status}"
            if n == 0:
                _log.warning("nobody could be told of a silent box; tried again", why=why)
            await asyncio.sleep(min(AGAIN_S * 2.0**n, LONGEST_S))
        _log.error("nobody was told of a silent box", box=said["box"])

    def _ask(self, said: Mapping[str, Any]) -> Ask:
        urgent = said["record"] == "silence"
        headers = {
            "Title": "Homeward: a box is silent" if urgent else "Homeward: a box is back",
            "Priority": "high" if urgent else "default",
            "Content-Type": "text/plain; charset=utf-8",
        }
        if self._secret.token:
            headers["Authorization"] = f"Bearer {self._secret.token}"
        text = _WORDS[said["record"]].format_map(said)
        return Ask(self._secret.url, "POST", headers, text.encode())
