"""The sinks as configured, opened; one that cannot be used says why and keeps no other from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from edge.config.sync import Sink as Settings
from edge.egress.allowed import Content
from edge.secret import Secret, SecretError, read_secret
from edge.sync import SyncError
from edge.sync.sinks import Opened, Place, Sink

SYNC_DIR: Final = "sync"
"""In the box's folder: keys, certificates and what sinks keep."""
MAX_TROUBLE: Final = 300
OF: Final = {"alerts": Content.ALERT, "summaries": Content.SUMMARY}
"""What of ``content`` comes out of the outbox."""

_log = structlog.get_logger("sync")


class Destination:
    """One of [[sinks]].

    Parameters
    ----------
    settings : Settings
        As configured.
    sink : Sink
        The way.
    data_dir : Path
        Of the box.

    Attributes
    ----------
    name : str
        What the status and the ledger call it.
    content : frozenset[str]
        What goes there: what is configured, as far as the way can carry it.
    opened : Opened | None
        None: `trouble` says why not.
    """

    def __init__(self, settings: Settings, sink: Sink, data_dir: Path) -> None:
        self.name, self.sink = settings.name or settings.sink, settings.sink
        self.content = frozenset(settings.content) & sink.takes
        self.opened: Opened | None = None
        self.trouble = ""
        self._settings, self._way, self._data_dir = settings, sink, data_dir
        self._secrets: list[Secret] = []

    def open(self, box: Callable[[], str] = str) -> bool:
        """Make it usable, reaching for nothing; return whether it is.

        Parameters
        ----------
        box : Callable
            Gives the pseudonym of the box.
        """
        sync_dir = self._data_dir / SYNC_DIR
        place = Place(self.name, self._data_dir, sync_dir, box, self._secret)
        try:
            self.opened = self._way.open(self._settings.settings, place)
        except (SecretError, SyncError) as error:
            self.trouble = self.scrub(str(error))[:MAX_TROUBLE]
            return False
        self.trouble = ""
        return True

    def scrub(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            text = secret.scrub(text)
        return text

    def _secret(self, named: str) -> Secret:
        found = read_secret(named, self._data_dir)
        self._secrets = [*self._secrets[-7:], found]
        return found


def destinations(
    settings: Sequence[Settings], known: Sequence[Sink], data_dir: Path
) -> tuple[Destination, ...]:
    """Return all of [[sinks]], not opened yet."""
    by_name = {sink.name: sink for sink in known}
    return tuple(Destination(one, by_name[one.sink], data_dir) for one in settings)
