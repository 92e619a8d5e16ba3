"""A notice -> somebody far away: one file a way to send; each ends with ``CHANNEL``.

A channel is handed one notice (`edge.egress.messages`), writes the letter that will leave, and
sends it once. When, how often, to whom and what it says was decided before; what is sent again has
the same id. It may take as long as `SEND_S`, never longer, and it never raises anything but
`SendError`. Only `edge.notices.witness` lets it send: it tells the monitor of every letter first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from edge.egress.messages import NoticeOut, TestOut
from edge.secret import Secret

Notice: TypeAlias = NoticeOut | TestOut
Asking: TypeAlias = Callable[[], Awaitable[None]]
"""Tells the monitor that a question goes out; raises `SendError` where it must not."""

SEND_S: Final = 40.0
"""The longest a channel may take over anything it is asked."""


class SendError(Exception):
    """It was not sent, or nobody knows; the text says what happened and what to do.

    Attributes
    ----------
    arrived : bool
        It may have arrived all the same.
    retry_after_s : float | None
        For how long the service wants to be left alone.
    """

    def __init__(
        self, text: str, *, arrived: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(text)
        self.arrived, self.retry_after_s = arrived, retry_after_s


class Sent(msgspec.Struct, frozen=True):
    """What the service said of a notice it took; `held`: it was asked again and has it."""

    receipt: str = ""
    held: bool = False


class Letter(msgspec.Struct, frozen=True):
    """A notice as it leaves.

    Attributes
    ----------
    headers, body : Mapping[str, str], bytes
        What leaves: of the headers those that carry content.
    shown : Mapping[str, str]
        These headers as they may be shown: without addresses and words of chance.
    """

    notice: Notice
    headers: Mapping[str, str]
    shown: Mapping[str, str]
    body: bytes


async def nobody_told() -> None:
    """Stand for the monitor where nobody was named: then nothing is asked."""
    raise SendError("nobody was told of the question, and nothing leaves unseen")


class Opened(Protocol):
    """A channel in use.

    Attributes
    ----------
    host : str
        Where to; no more of the address than that, and nothing where the host is a secret too.
    asking : Asking
        Called before every question to the service.
    """

    host: str
    asking: Asking

    def letter(self, notice: Notice) -> Letter:
        """Return what will leave of a notice, to the byte."""
        ...

    async def send(self, letter: Letter) -> Sent:
        """Send a letter, once.

        Raises
        ------
        SendError
            It was not sent, or nobody knows.
        """
        ...

    async def holds(self, notice: Notice) -> bool | None:
        """Return whether the service has a notice already; None: it cannot be asked.

        Raises
        ------
        SendError
            It could not be asked now.
        """
        ...

    async def replies(self) -> tuple[str, ...] | None:
        """Return the words that phones have sent back lately; None: there is no way back.

        Raises
        ------
        SendError
            They could not be asked for now.
        """
        ...


class Channel(msgspec.Struct, frozen=True):
    """A way to send.

    Attributes
    ----------
    name : str
        The file's name; ``channel = "..."`` in the configuration.
    settings : type[msgspec.Struct]
        Frozen struct of its options, each with a default and a meaning.
    open : Callable
        ``open(settings, secret)`` returns at once and reaches for nothing.

        Raises `edge.notices.NoticesError` where the address or the settings cannot be used.
    buttons : Callable
        ``buttons(settings)``: names of the buttons a notice may carry, each with whether it
        acknowledges.
    """

    name: str
    settings: type[msgspec.Struct]
    open: Callable[[Any, Secret], Opened]
    buttons: Callable[[Any], dict[str, bool]] = lambda _: {}
