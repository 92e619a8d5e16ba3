"""The list of what may leave the box: every kind of content, in one place.

Another kind is one row here, with a struct of its own that `edge.egress.schema.faults` finds
nothing in, and its fields under review in ``tests/edge/egress/schema.txt``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from edge.egress.alert import AlertOut
from edge.egress.board import Board
from edge.egress.consent import Switch
from edge.egress.messages import EraseOut, HeartbeatOut, NoticeOut, PingOut, QuestionOut, TestOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import Hand, SyncBoard
from edge.egress.summary import SummaryOut


class Content(StrEnum):
    """A kind of content."""

    ALERT = "alert"
    SUMMARY = "summary"
    BOARD = "board"
    NOTICE = "notice"
    SELF_TEST = "self_test"
    PING = "ping"
    QUESTION = "question"
    HEARTBEAT = "heartbeat"
    ERASE = "erase"
    NUMBERS = "numbers"
    SYNC_BOARD = "sync_board"
    HAND = "hand"


class Allowed(msgspec.Struct, frozen=True):
    """One kind of content that may leave.

    Attributes
    ----------
    struct : type[msgspec.Struct]
        Its only fields.
    version : int
        Of the struct; grows when a field is added, taken away or means something else.
    consent : Switch | None
        Which switch lets it leave; None: it says nothing of anybody.
    words : str
        What it is, for people.
    inside : bool
        It stays on this machine: what a process with a network is handed, to make messages of.
    """

    struct: type[msgspec.Struct]
    version: int
    consent: Switch | None
    words: str
    inside: bool = False


ALLOWED: Final[Mapping[Content, Allowed]] = {
    Content.ALERT: Allowed(AlertOut, 1, Switch.ALERTS, "one state of one alert, to a record"),
    Content.SUMMARY: Allowed(SummaryOut, 2, Switch.SUMMARIES, "one period, to a record"),
    Content.BOARD: Allowed(
        Board, 1, None, "what the notifier is told, on this machine; no message", inside=True
    ),
    Content.NOTICE: Allowed(NoticeOut, 1, Switch.NOTICES, "a notice of an alarm to a person"),
    Content.SELF_TEST: Allowed(TestOut, 1, Switch.SELF_TESTS, "a test notice to a person"),
    Content.PING: Allowed(PingOut, 1, Switch.PINGS, "an empty ping to the dead-man watcher"),
    Content.QUESTION: Allowed(
        QuestionOut, 1, Switch.NOTICES, "an empty question: was the notice read?"
    ),
    Content.HEARTBEAT: Allowed(
        HeartbeatOut, 1, Switch.HEARTBEATS, "how the box is, to whoever looks after many"
    ),
    Content.ERASE: Allowed(EraseOut, 1, None, "a request to delete what was sent"),
    Content.NUMBERS: Allowed(
        NumbersOut, 1, Switch.NUMBERS, "numbers and alarm state of now, to a display in the home"
    ),
    Content.SYNC_BOARD: Allowed(
        SyncBoard,
        1,
        None,
        "what waits, for the sender on this machine; no message",
        inside=True,
    ),
    Content.HAND: Allowed(
        Hand, 1, None, "what the sender is handed of the outbox, to make messages of", inside=True
    ),
}
"""Every kind; what is not here cannot be told to the ledger, and so cannot leave."""
