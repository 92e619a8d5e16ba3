"""The vault for a command alone: a monitor that runs stands aside until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge.control import ControlError, Unlock, VaultAside, VaultBack, VaultStay
from edge.control.client import ControlClient, NotRunningError

OnDone = Callable[[int, int], None]
STAY_EVERY_S: Final = 10.0
UNLOCK_S: Final = 30.0
"""A passphrase takes a second to try, by design, and more on a busy Pi."""


class Aside:
    """A monitor that stands aside; `client` is None where none runs, or it keeps no vault."""

    def __init__(self, socket: Path, client: ControlClient | None, lease: int, by: str) -> None:
        self._socket, self._client, self._lease, self._by = socket, client, lease, by
        self._said_s = time.monotonic()
        self.told: dict[str, int] = {}
        """What came of it, for the ledger."""
        self.passphrase = ""
        """Of the key there is now, where somebody typed it."""

    def staying(self, on_done: OnDone) -> OnDone:
        """Return what passes on how far it is, and says that we are still there."""

        def done(n_done: int, n: int) -> None:
            on_done(n_done, n)
            if self._client is not None and time.monotonic() - self._said_s > STAY_EVERY_S:
                self._said_s = time.monotonic()
                self._client.ask(VaultStay(self._lease))

        return done

    def back(self, *, done: bool) -> None:
        """Let the monitor go on."""
        if self._client is None:
            return
        with ControlClient(self._socket, UNLOCK_S) as client:  # the other may be closed by now
            if self.passphrase:
                client.ask(Unlock(self.passphrase, self._by))
            client.ask(VaultBack(self._lease, done, self.told))


@contextmanager
def aside(socket: Path, act: str, by: str, span: str = "") -> Iterator[Aside]:
    """Have the vault to ourselves.

    Raises
    ------
    ControlError
        A monitor runs that does not stand aside.
    """
    try:
        client = ControlClient(socket)
    except NotRunningError:
        yield Aside(socket, None, 0, by)
        return
    with client:
        lease = int(client.ask(VaultAside(act, by, span))["lease"])
        ours = Aside(socket, client if lease else None, lease, by)
        try:
            yield ours
        except BaseException:
            with suppress(ControlError):  # what went wrong is told already
                ours.back(done=False)
            raise
        ours.back(done=True)
