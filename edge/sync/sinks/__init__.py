"""Entries of the outbox -> a record far away: one file a sink; each ends with ``SINK``.

A sink packs items into a message, to the byte, and hands it to its transport once it is told to.
What, when and how often was decided before; the monitor was told of every message first. What
counts is what the other end says afterwards: only a `Receipt` settles an entry.

Sinks run in the sender's event loop. Nothing here may block it, grow with what the other end
sends, or lower what TLS checks.
"""

from __future__ import annotations

from asyncio import Queue
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.secret import Secret
from edge.sync.parcel import Item, Parcel, Receipt

SEND_S: Final = 40.0
"""The longest a sink may take over anything it is asked."""


class SinkError(Exception):
    """A message did not go out, or nobody knows; the text says what happened and what to do.

    Attributes
    ----------
    arrived : bool
        It may have arrived all the same.
    retry_after_s : float | None
        For how long the other end wants to be left alone.
    refused : bool
        The other end will never take this message as it is (4xx): its items are tried one by one,
        and one that is refused alone is set aside.
    """

    def __init__(
        self,
        text: str,
        *,
        arrived: bool = False,
        retry_after_s: float | None = None,
        refused: bool = False,
    ) -> None:
        super().__init__(text)
        self.arrived, self.retry_after_s, self.refused = arrived, retry_after_s, refused


class Place(msgspec.Struct, frozen=True):
    """Where a sink stands.

    Attributes
    ----------
    name : str
        The destination's.
    data_dir : Path
        Of the box; secrets are named relative to it.
    sync_dir : Path
        Keys and certificates of `homeward enrol`, and what sinks keep.
    box : Callable
        Returns the pseudonym of the box, once it is known; empty before.
    secret : Callable
        ``secret(named)`` reads a file of `data_dir` (`edge.secret.read_secret`).
    """

    name: str
    data_dir: Path
    sync_dir: Path
    box: Callable[[], str]
    secret: Callable[[str], Secret]


class Opened(Protocol):
    """A sink in use.

    Attributes
    ----------
    host : str
        Where to; no more of the address than that.
    receipts : Queue[Receipt]
        What the other end said, in order; bounded.
    uses_tls : bool
        Certificates are judged: not before the clock is right.
    window : int
        Entries that may be under way without a receipt.

    A sink that is handed receipts nobody it knows has signed counts them in ``n_forged``.
    """

    host: str
    receipts: Queue[Receipt]
    uses_tls: bool
    window: int

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        """Return one message with as many of the items as fit, from the first on; at least one."""
        ...

    async def send(self, parcel: Parcel) -> None:
        """Hand a message to the transport, connecting first where that is due; once.

        A receipt may come before this returns, or long after. Where a connection was lost since
        the last message, what was under way may be lost with it: that is an error here, once, and
        the sender begins again at the lowest entry without a receipt.

        Raises
        ------
        SinkError
            It did not go out, or nobody knows.
        """
        ...

    def state_message(self, what: HeartbeatOut | Sequence[NumbersOut]) -> Parcel | None:
        """Return what leaves to say how the box or its patients are; None: this sink says none."""
        ...

    async def send_state(self, parcel: Parcel) -> None:
        """Send it, once; nobody answers.

        Raises
        ------
        SinkError
            As `send`.
        """
        ...

    def certificate_s(self) -> float | None:
        """Return when our certificate ends, seconds since 1970; None: there is none."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class Sink(msgspec.Struct, frozen=True):
    """A way to send.

    Attributes
    ----------
    name : str
        The file's name; ``sink = "..."`` in the configuration.
    settings : type[msgspec.Struct]
        Frozen struct of its options, each with a default and a meaning.
    open : Callable
        ``open(settings, place)`` returns at once and reaches for nothing.

        Raises `edge.secret.SecretError` or `edge.sync.SyncError` where it cannot be used.
    takes : frozenset[str]
        What of ``content`` it can carry: alerts, summaries, heartbeats, numbers.
    """

    name: str
    settings: type[msgspec.Struct]
    open: Callable[[Any, Place], Opened]
    takes: frozenset[str]
