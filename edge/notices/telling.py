"""Who is due to be told what: worked out of the board as it is, and of what was told before.

It goes by what stands, not by events: a notifier that was away, or a monitor that began again,
ends up telling the same. Only what was told is remembered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from edge.config import Notice
from edge.control.board import AlertNotice, Board
from edge.notices import content
from edge.notices.content import Item, Place
from edge.records import Kind, Priority, Step

MAX_KNOWN: Final = 500
"""Alerts that are remembered; the oldest that are over go first."""

Due: TypeAlias = tuple[str, Item]
"""Destination and what it is to be told."""


class Told(msgspec.Struct):
    """What was told of one alert.

    Attributes
    ----------
    last : AlertNotice
        As it was seen last.
    to : dict[str, Priority]
        Destination -> the highest priority it was told.
    answers : dict[str, str]
        Destination -> the last answer it was told of.
    anew, asked : dict[str, int]
        Destination -> how often the answer it was told of has ceased to count, and for which of
        these times it was told that the alarm asks anew.
    over : bool
        Its end was told, or there was nobody to tell.
    """

    last: AlertNotice
    to: dict[str, Priority] = {}
    answers: dict[str, str] = {}
    anew: dict[str, int] = {}
    asked: dict[str, int] = {}
    over: bool = False


def due(notice: AlertNotice, way: Notice, ways: Sequence[Notice], minute: float | None) -> bool:
    """Return whether a destination is to be told of a standing alert now.

    Parameters
    ----------
    way, ways : Notice, Sequence[Notice]
        The destination, and all there are: who has the watch is told in the first carer's place,
        if there is a way to tell them.
    minute : float | None
        Of the local day; None while no clock is to be trusted, and then there are no quiet hours.
    """
    if notice.settled or not _wanted(notice, way, minute):
        return False
    return way.on == "raise" or _carried_to(notice, way, ways)


def in_quiet_hours(way: Notice, minute: float | None) -> bool:
    """Return whether it is quiet at a destination; the hours may go over midnight."""
    if minute is None or way.quiet_from is None or way.quiet_to is None:
        return False
    start, end = _minute(way.quiet_from), _minute(way.quiet_to)
    return start <= minute < end if start <= end else minute >= start or minute < end


class Teller:
    """Works out what is to be told, and remembers what was.

    Parameters
    ----------
    ways : Sequence[Notice]
        The destinations.
    told : dict[str, Told]
        What was told before, by alert; kept up to date.
    fresh : bool
        Nothing is remembered: what has ended already is then no news.
    """

    def __init__(
        self, ways: Sequence[Notice], told: dict[str, Told] | None = None, *, fresh: bool = False
    ) -> None:
        self._ways = tuple(ways)
        self.told: dict[str, Told] = {} if told is None else told
        self._fresh = fresh

    def look(self, board: Board, now: datetime, minute: float | None) -> list[Due]:
        """Return what is due; the board of a monitor that is not ready tells nothing."""
        if not board.ready:
            return []
        place = content.place_of(board, now)
        news: list[Due] = []
        for notice in board.standing:
            known = self.told.setdefault(notice.id, Told(notice))
            known.last = msgspec.structs.replace(notice, reason="")  # no value is kept
            known.over = False
            news += self._of_standing(notice, known, place, minute)
        for notice in board.ended:
            news += self._of_ended(notice, place, minute)
        here = {notice.id for notice in (*board.standing, *board.ended)}
        for alert_id, known in list(self.told.items()):
            if alert_id not in here:
                news += self._vanished(known, place)
        self._forget(here)
        self._fresh = False
        return news

    def _of_standing(
        self, notice: AlertNotice, known: Told, place: Place, minute: float | None
    ) -> Iterator[Due]:
        for way in self._ways:
            had = known.to.get(way.name)
            n = _times_anew(notice, known, way.name)
            untold = had is None or _rose(had, notice) or n != known.asked.get(way.name, 0)
            if untold and due(notice, way, self._ways, minute):
                known.to[way.name], known.asked[way.name] = notice.priority, n
                yield way.name, content.alarm(way.name, notice, place, n, details=way.details)
            elif had is not None:
                yield from self._answered(way.name, notice, known, place)

    def _answered(self, name: str, notice: AlertNotice, known: Told, place: Place) -> Iterator[Due]:
        answer = content.answer_of(notice)
        if answer and known.answers.get(name) != answer:
            known.answers[name] = answer
            yield name, content.answered(name, notice, place)

    def _of_ended(self, notice: AlertNotice, place: Place, minute: float | None) -> Iterator[Due]:
        known = self.told.get(notice.id)
        if known is None:
            self.told[notice.id] = Told(msgspec.structs.replace(notice, reason=""), over=True)
            if not self._fresh and not notice.answered_by:
                yield from self._missed(notice, place, minute)
        elif not known.over:
            known.over = True
            if not known.to and not notice.answered_by:
                yield from self._missed(notice, place, minute)
            for name in known.to:
                yield name, content.over(name, notice, place)

    def _missed(self, notice: AlertNotice, place: Place, minute: float | None) -> Iterator[Due]:
        """Tell of what was carried to people and ended before anybody could be told."""
        for way in self._ways:
            reached = way.on != "raise" and _carried_to(notice, way, self._ways)
            if reached and _wanted(notice, way, minute):
                yield way.name, content.missed(way.name, notice, place)

    def _vanished(self, known: Told, place: Place) -> Iterator[Due]:
        if known.over:
            return
        known.over = True
        for name in known.to:
            yield name, content.over(name, known.last, place, known=False)

    def _forget(self, here: set[str]) -> None:
        gone = [key for key, known in self.told.items() if known.over and key not in here]
        for key in gone:
            del self.told[key]
        over = [key for key, known in self.told.items() if known.over]
        for key in over[: max(0, len(self.told) - MAX_KNOWN)]:
            del self.told[key]


def _wanted(notice: AlertNotice, way: Notice, minute: float | None) -> bool:
    rank = notice.priority.rank
    if rank < max(1, Priority(way.from_priority).rank):
        return False
    if notice.kind is Kind.TECHNICAL and not way.technical:
        return False
    return rank >= Priority(way.quiet_floor).rank or not in_quiet_hours(way, minute)


def _times_anew(notice: AlertNotice, known: Told, name: str) -> int:
    """Return how often the alert has asked anew after an answer that somebody was told of.

    It got worse, or was found again long after anybody had seen it: the answer counts no more.
    """
    if not notice.answered_by and known.answers.pop(name, ""):
        known.anew[name] = known.anew.get(name, 0) + 1
    return known.anew.get(name, 0)


def _rose(had: Priority, notice: AlertNotice) -> bool:
    return notice.priority.rank > had.rank


def _carried_to(notice: AlertNotice, way: Notice, ways: Sequence[Notice]) -> bool:
    who = {name.casefold() for name in way.who}
    if notice.step is Step.SECOND_CARER and Step.SECOND_CARER.value in who:
        return True
    if notice.step.rank < Step.FIRST_CARER.rank:
        return False
    holder = notice.to.casefold()
    reachable = holder and any(holder in {n.casefold() for n in one.who} for one in ways)
    return (holder if reachable else Step.FIRST_CARER.value) in who


def _minute(clock: str) -> int:
    return 60 * int(clock[:2]) + int(clock[3:])
