"""The monitor as the notifier sees it: its board, waited for on the local socket."""

from __future__ import annotations

from typing import Final

import msgspec

from edge.control import Notices
from edge.control.asking import AwayError, Line
from edge.control.board import Board

__all__ = ["WAIT_S", "AwayError", "Monitor"]

WAIT_S: Final = 10.0
"""A board comes after so long even where nothing changed: it says that the monitor lives."""


class Monitor(Line):
    """One connection to the monitor's socket for notices, made anew when it breaks."""

    async def board(self, after: int, wait_s: float = WAIT_S, *, details: bool = False) -> Board:
        """Return the board as soon as it is not as at `after` any more, or after `wait_s`.

        Raises
        ------
        AwayError
            The monitor does not answer, or is of another version.
        """
        answer = await self.ask(Notices(after, wait_s, details), wait_s)
        try:
            return msgspec.convert(answer, Board)
        except msgspec.ValidationError as error:
            raise AwayError(f"the monitor is of another version ({error})") from error
