"""The monitor as the sender sees it: what waits, entry by entry, and what it may say of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from edge.control import Request
from edge.control.asking import AwayError, Line
from edge.control.syncing import (
    SyncBeat,
    SyncFetch,
    SyncNumbers,
    SyncReject,
    SyncSettle,
    SyncState,
    SyncWait,
)
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import Hand, Handed, SyncBoard

WAIT_S: Final = 10.0
"""A board comes after so long even where nothing changed: it says that the monitor lives."""

_T = TypeVar("_T")


class Desk:
    """Connections to the monitor's socket for the sender; each kind of question has its own.

    So a board that is waited for, and what was stored, hold up nothing that is to leave.

    Parameters
    ----------
    path : Path
        The socket.

    Attributes
    ----------
    leaving, telling : Line
        For `edge.sync.witness`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.leaving, self.telling = Line(path), Line(path)
        self._boards, self._marks = Line(path), Line(path)

    async def board(self, after: int, wait_s: float = WAIT_S) -> SyncBoard:
        """Return the board as soon as it is not as at `after` any more, or after `wait_s`.

        Raises
        ------
        edge.control.asking.AwayError, edge.control.ControlError
            The monitor does not answer; it says no. So do all the others.
        """
        return await self._told(self._boards, SyncWait(after, wait_s), SyncBoard, wait_s)

    async def fetch(self, request: SyncFetch) -> tuple[Handed, ...]:
        """Return entries that wait, in the order they are to leave."""
        return (await self._told(self.leaving, request, Hand)).entries

    async def settle(self, sink: str, uuids: Sequence[str]) -> None:
        """Have entries marked: the other end has stored them."""
        await self._marks.ask(SyncSettle(sink, tuple(uuids)))

    async def reject(self, sink: str, uuid: str, why: str) -> None:
        """Have one entry set aside."""
        await self._marks.ask(SyncReject(sink, uuid, why[:200]))

    async def heartbeat(self) -> HeartbeatOut:
        """Return how the box is."""
        return await self._told(self.leaving, SyncBeat(), HeartbeatOut)

    async def numbers(self) -> tuple[NumbersOut, ...]:
        """Return how each patient is now."""
        answer = await self.leaving.ask(SyncNumbers())
        return _as(answer, tuple[NumbersOut, ...])

    async def tell(self, state: SyncState) -> None:
        """Say how each sink is."""
        await self.telling.ask(state)

    def close(self) -> None:
        """Hang up."""
        for line in (self.leaving, self.telling, self._boards, self._marks):
            line.close()

    async def _told(self, line: Line, request: Request, kind: type[_T], wait_s: float = 0.0) -> _T:
        return _as(await line.ask(request, wait_s), kind)


def _as(answer: Any, kind: type[_T]) -> _T:  # noqa: ANN401  # JSON
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise AwayError(f"the monitor is of another version ({error})") from error
