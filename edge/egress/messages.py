"""Messages as they go over the wire: notices, test notices, pings, questions, heartbeats.

`notice_out` is the only way a text gets to a channel (`edge.notices.channels`): whatever a notice
was made of, no more than this leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress.bounds import (
    MAX_NAME,
    MAX_TEXT,
    MAX_TITLE,
    Boot,
    Count,
    Utc,
    Uuid,
    checked,
    cut,
    cut_lines,
)
from edge.records import Priority

NoticeAbout: TypeAlias = Literal["alarm", "answered", "over", "missed", "gone", "back", "summary"]
Say: TypeAlias = Literal["ping", "fail"]

MAX_BUTTONS: Final = 2
MAX_ERASED: Final = 100

_Id: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9]{1,64}$", description="Id by which the service tells repeats")
]
_Title: TypeAlias = Annotated[
    str, Meta(max_length=MAX_TITLE, description="Priority and the rule in plain words")
]


class ButtonOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A button under a notice, and the word of chance it sends back, good once."""

    name: Annotated[Literal["seen", "coming"], Meta(description="Which button")]
    word: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Word of chance, good once")
    ]


class NoticeOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A notice to a person."""

    id: _Id
    about: Annotated[NoticeAbout, Meta(description="Why it is sent")]
    priority: Annotated[Priority, Meta(description="How loud it should be far away")]
    title: _Title
    text: Annotated[
        str,
        Meta(
            max_length=MAX_TEXT,
            description="Pseudonym, name of the box, local times, names of who answered; the "
            "reason WITH MEASURED VALUES only where details = true and consent to notice_details",
        ),
    ]
    buttons: Annotated[
        tuple[ButtonOut, ...], Meta(max_length=MAX_BUTTONS, description="Buttons under it")
    ] = ()

    @property
    def tokens(self) -> dict[str, str]:
        """Button -> the word it sends back."""
        return {button.name: button.word for button in self.buttons}


class TestOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test notice: nothing has happened."""

    __test__ = False  # no test of pytest's

    id: _Id
    about: Annotated[Literal["test"], Meta(description="Why it is sent")]
    priority: Annotated[Priority, Meta(description="How loud it should be far away")]
    title: Annotated[str, Meta(max_length=MAX_TITLE, description="That it is a test, and the box")]
    text: Annotated[str, Meta(max_length=MAX_TITLE, description="A sentence that never differs")]
    buttons: Annotated[
        tuple[ButtonOut, ...], Meta(max_length=MAX_BUTTONS, description="Buttons under it")
    ] = ()

    @property
    def tokens(self) -> dict[str, str]:
        """Button -> the word it sends back."""
        return {button.name: button.word for button in self.buttons}


class PingOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That the monitor lives, or does not: an empty message, told by where it goes."""

    say: Annotated[Say, Meta(description="It lives; or it does not come on")]


class QuestionOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a service holds a notice, or anybody has pressed its button: an empty message."""

    since: Annotated[
        str, Meta(max_length=MAX_NAME, description="Span, or id of the service's last message")
    ] = ""


class HeartbeatOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a box is, for whoever looks after many; nothing of any patient."""

    uuid: Uuid
    box: Annotated[str, Meta(max_length=MAX_NAME, description="Pseudonym of the box")]
    version: Annotated[str, Meta(max_length=MAX_NAME, description="Version of Homeward")]
    model_id: Annotated[str, Meta(max_length=2 * MAX_NAME, description="Which model it runs")]
    at_utc: Annotated[Utc | None, Meta(description="When (UTC)")]
    time_quality: Annotated[TimeQuality | None, Meta(description="How far to trust it")]
    up_s: Annotated[Boot, Meta(description="Since the box was started")]
    watching: Annotated[bool, Meta(description="Whether it watches all it should")]
    n_patients: Annotated[int, Meta(ge=0, le=64, description="Patients watched")]
    n_standing: Annotated[Count, Meta(description="Alerts that stand, of whatever kind")]
    n_unsent: Annotated[Count, Meta(description="Messages that wait")]
    disk_free_pct: Annotated[float, Meta(ge=0.0, le=100.0, description="Free part of its disk")]


class EraseOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request to a receiver to delete what it was sent; it names ids and nothing else."""

    uuid: Uuid
    uuids: Annotated[
        tuple[Uuid, ...], Meta(max_length=MAX_ERASED, description="Of the messages to be deleted")
    ]
    asked_utc: Annotated[Utc | None, Meta(description="When that was asked for (UTC)")]


def notice_out(  # what a notice consists of
    notice_id: str,
    about: NoticeAbout | Literal["test"],
    priority: Priority,
    title: str,
    text: str,
    tokens: Mapping[str, str],
) -> NoticeOut | TestOut:
    """Return a notice as it may leave: a text that is too long is cut.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to its bounds.
    """
    buttons = tuple(
        ButtonOut(name, word)  # type: ignore[arg-type]  # checked below
        for name, word in tokens.items()
    )
    if about == "test":
        told = cut(text, MAX_TITLE)
        return checked(TestOut(notice_id, about, priority, cut(title, MAX_TITLE), told, buttons))
    told = cut_lines(text, MAX_TEXT)
    return checked(NoticeOut(notice_id, about, priority, cut(title, MAX_TITLE), told, buttons))


def erase_out(uuid: str, uuids: Sequence[str], asked_utc: Utc | None) -> EraseOut:
    """Return a request to delete; at most `MAX_ERASED` messages in one.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to its bounds.
    """
    return checked(EraseOut(uuid, tuple(uuids), asked_utc))
