"""The notifier's socket: what it is told (`edge.egress.board`), and what is known of it here."""

from __future__ import annotations

from typing import Final

import msgspec

from edge.control import Way
from edge.egress.board import AlertNotice, Board, notice_of, plain_words

__all__ = [
    "HEARD_S",
    "NOTICES_SOCKET",
    "PROVE_S",
    "STALLED_S",
    "AlertNotice",
    "Board",
    "NoticesReport",
    "notice_of",
    "plain_words",
]

NOTICES_SOCKET: Final = "notices.sock"
"""Beside the control socket: answers the notifier alone, and nothing but what stands here."""

STALLED_S: Final = 30.0
"""A monitor whose tick has not moved on for so long is as good as gone."""
HEARD_S: Final = 7.0
"""A notifier that has not told how it is for so long is gone; it is due every 2.2 s at the latest.

The alert `cannot_notify` is due 10 s after its end: these 7, until the next turn of the box watch
(1.0), the next tick (0.25), and the next second of the rule (1.0) make 9.25 at most; what it
waits itself (``delay_s``, 3) counts from the last word of the notifier, and has passed by then."""

PROVE_S: Final = 20.0
"""A way that has not taken a test notice after so long has failed."""


class NoticesReport(msgspec.Struct, frozen=True):
    """What the status says of the notices.

    Attributes
    ----------
    wanted : bool
        Somebody is configured to be told.
    age_s : float | None
        Since the notifier last said how it is; None: never since the start.
    trouble : str
        Why notices do not go out; empty: they do, or are not wanted.
    failing_s : float | None
        For how long; None: not failing.
    since_s : float | None
        The same as a moment of the boot clock, which stays the same while it fails.
    idle : bool
        What fails has nothing to send just now: nobody is untold yet.
    withheld : str
        Why nothing is sent although somebody is configured; empty: it is.
    """

    wanted: bool
    age_s: float | None
    trouble: str
    failing_s: float | None
    ways: tuple[Way, ...] = ()
    deadman: Way | None = None
    since_s: float | None = None
    idle: bool = False
    withheld: str = ""
