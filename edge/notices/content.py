"""What a notice says, in words, and the name by which it is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from edge.clock import TimeQuality
from edge.control.board import AlertNotice, Board
from edge.egress.messages import NoticeOut, TestOut, notice_out
from edge.records import Meaning, Priority, Role, Step

About: TypeAlias = Literal["alarm", "answered", "over", "missed", "gone", "back", "test", "summary"]
ALERTING: Final = frozenset({"alarm", "missed", "gone"})
"""What asks somebody to come; everything else only tells how it went on."""

_HOW: Final = {
    None: "answered",
    Meaning.SEEN: "seen",
    Meaning.FALSE_ALARM: "called a false alarm",
    Meaning.HANDLED: "handled",
}


class Item(msgspec.Struct):
    """One notice to one destination, until it was sent.

    Attributes
    ----------
    id : str
        The same for the same thing told to the same destination, also after a restart.
    about : str
        Why it is sent.
    alerts : tuple[str, ...]
        Ids of the alerts it tells of; empty: of none.
    priority : Priority
        How loud it should be far away; `Priority.INFORMATION`: it should wake nobody.
    begun : bool
        It was tried, and may have arrived.
    tokens : dict[str, str]
        Button -> the word it sends back; each is good once.
    settles : bool
        Nobody has to come any more: an alarm that has not been sent need not be.
    plain : str
        The text without measured values, where it has some.
    """

    id: str
    about: About
    alerts: tuple[str, ...]
    priority: Priority
    title: str
    text: str
    begun: bool = False
    tokens: dict[str, str] = {}
    settles: bool = True
    plain: str = ""

    def out(self) -> NoticeOut | TestOut:
        """Return what may leave of it.

        Raises
        ------
        edge.egress.EgressError
            It does not keep to the list of what may leave.
        """
        return notice_out(self.id, self.about, self.priority, self.title, self.text, self.tokens)


class Place(msgspec.Struct, frozen=True):
    """Where and when a text is made: the box's name, the local time, whether to trust it."""

    box: str
    now: datetime
    certain: bool = True


def place_of(board: Board, now: datetime) -> Place:
    """Return the place a board speaks of."""
    return Place(board.box, now, board.time_quality is not TimeQuality.UNSYNCED)


def name_of(destination: str, about: str, *parts: str) -> str:
    """Return the id of a notice: letters and digits, the same for the same things.

    >>> name_of("anna", "alarm", "x", "high") == name_of("anna", "alarm", "x", "high")
    True
    """
    content = msgspec.json.encode([destination, about, *parts])
    return f"hw{hashlib.blake2b(content, digest_size=12).hexdigest()}"


def alarm(
    destination: str, notice: AlertNotice, place: Place, n_anew: int = 0, *, details: bool = False
) -> Item:
    """Return the notice that there is an alarm; `details`: with its reason, and so with values.

    `n_anew`: so often it has asked anew after an answer; each time is a notice of its own.
    """
    answered = "Nobody has answered yet."
    if notice.answered_by:
        answered = f"Only the patient has answered ({notice.answered_by})."
    text = f"{_whose(notice, place)}, since {_clock(notice.since_utc, place)}. {answered}"
    return Item(
        name_of(destination, "alarm", notice.id, notice.priority.value, *["anew"] * n_anew),
        "alarm",
        (notice.id,),
        notice.priority,
        f"{notice.priority.value.upper()} {_kind(notice)}: {notice.words}",
        f"{text} {notice.reason if details else ''}".rstrip(),
        plain=text if details and notice.reason else "",
    )


def answered(destination: str, notice: AlertNotice, place: Place) -> Item:
    """Return the notice that somebody has answered."""
    how = _HOW[notice.meaning]
    return Item(
        name_of(destination, "answered", notice.id, answer_of(notice)),
        "answered",
        (notice.id,),
        Priority.INFORMATION,
        f"{how.capitalize()}: {notice.words}",
        f"{_whose(notice, place)}, {how} by {_who(notice)} {_clock(notice.at_utc, place)}.",
        settles=notice.settled,
    )


def over(destination: str, notice: AlertNotice, place: Place, *, known: bool = True) -> Item:
    """Return the notice that an alarm is over; not `known`: it stands no more, nobody said why."""
    span = f"{_clock(notice.since_utc, place)} to {_clock(notice.at_utc, place)}"
    told = f"{_whose(notice, place)}, {span}."
    if not known:
        told = f"{_whose(notice, place)}, since {_clock(notice.since_utc, place)}: stands no more."
    if notice.answered_by:
        told += f" It was {_HOW[notice.meaning]} by {_who(notice)}."
    return Item(
        name_of(destination, "over", notice.id),
        "over",
        (notice.id,),
        Priority.INFORMATION,
        f"Over: {notice.words}",
        told,
    )


def missed(destination: str, notice: AlertNotice, place: Place) -> Item:
    """Return the notice of an alarm that began and ended while nobody could be told."""
    item = over(destination, notice, place)
    item.id = name_of(destination, "missed", notice.id)
    item.about, item.priority = "missed", Priority.LOW
    item.title = f"Was {notice.priority.value.upper()} {_kind(notice)}: {notice.words}"
    item.text += " It could not be told before."
    return item


def gone(destination: str, box: str, since: datetime, episode: str) -> Item:
    """Return the notice that the monitor itself is gone: then no alarm can be."""
    return Item(
        name_of(destination, "gone", episode),
        "gone",
        (),
        Priority.HIGH,
        f"HIGH: the monitor at {box} does not answer",
        f"Since {since:%H:%M} nobody is watched by it. Look after the patient, then the box.",
    )


def back(destination: str, box: str, episode: str, now: datetime) -> Item:
    """Return the notice that the monitor is there again."""
    return Item(
        name_of(destination, "back", episode),
        "back",
        (),
        Priority.INFORMATION,
        f"The monitor at {box} is back",
        f"It watches again since {now:%H:%M}.",
    )


def test(destination: str, box: str, number: str) -> Item:
    """Return a test notice."""
    return Item(
        name_of(destination, "test", number),
        "test",
        (),
        Priority.LOW,
        f"Test from {box}",
        "This is how an alarm will be told. Nothing has happened.",
    )


def self_test(destination: str, box: str, number: str) -> Item:
    """Return the test notice of the daily self-test: seen by who looks, and it wakes nobody."""
    return Item(
        name_of(destination, "test", number),
        "test",
        (),
        Priority.INFORMATION,
        f"Test from {box}: nothing to do",
        "The box has tested itself; nothing has happened. That you see this shows that you can be "
        "told of an alarm. Should it not come one day, look after the box.",
    )


def summary(destination: str, items: Sequence[Item]) -> Item:
    """Return one notice for many that must not each ring."""
    worst = max((item.priority for item in items), key=lambda priority: priority.rank)
    n_alarms = sum(item.about in ALERTING for item in items)
    rest = len(items) - n_alarms
    parts = [f"{n_alarms} more alarm{'s' * (n_alarms != 1)}"] if n_alarms else []
    parts += [f"{rest} more notice{'s' * (rest != 1)}"] if rest else []
    titles: dict[str, int] = {}
    for item in items:
        titles[item.title] = titles.get(item.title, 0) + 1
    lines = [f"{title} ({n} times)" if n > 1 else title for title, n in titles.items()]
    shown = lines[:_LINES_SHOWN]
    if len(lines) > len(shown):
        shown.append(f"and {len(lines) - len(shown)} others")
    return Item(
        name_of(destination, "summary", *(item.id for item in items)),
        "summary",
        tuple(dict.fromkeys(alert for item in items for alert in item.alerts)),
        worst,
        " and ".join(parts),
        "\n".join(shown),
    )


def answer_of(notice: AlertNotice) -> str:
    """Return what tells one answer to an alert from another; empty: nobody has answered."""
    if not notice.answered_by:
        return ""
    return f"{notice.answered_by}/{notice.role}/{notice.meaning}"


_LINES_SHOWN: Final = 10


def _whose(notice: AlertNotice, place: Place) -> str:
    who = f"{notice.patient} at {place.box}" if notice.patient else place.box
    return who if notice.step is not Step.SECOND_CARER else f"{who} (nobody came so far)"


def _kind(notice: AlertNotice) -> str:
    return "fault" if notice.kind == "technical" else "alarm"


def _who(notice: AlertNotice) -> str:
    name = notice.answered_by
    role = notice.role.value if notice.role is not None else ""
    return name if notice.role in (None, Role.CARER) or name == role else f"{name} ({role})"


def _clock(utc: datetime | None, place: Place) -> str:
    if utc is None:
        return "a time not known"
    local = utc.astimezone(place.now.tzinfo)
    text = f"{local:%H:%M}" if local.date() == place.now.date() else f"{local:%Y-%m-%d %H:%M}"
    return text if place.certain else f"{text} (clock not set)"
