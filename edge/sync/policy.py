"""What leaves next, and when: urgent alerts at once, the rest together; alerts before summaries.

Pure. Whether the network, the clock or the other end allow anything at all was asked before.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from edge.egress.allowed import Content
from edge.egress.outbox import Queue
from edge.sync.underway import UnderWay

BATCH: Final = 50
"""So many that wait are sent whatever the time."""
METERED_S: Final = 86400.0
"""The longest that summaries are held back on a link that costs money."""
SPENT: Final = "the bytes of the day are spent: summaries wait"
METERED: Final = "the link costs money: summaries wait, a day at most"


class Waiting(msgspec.Struct, frozen=True):
    """What waits and is not under way; `*_s`: boot clock since when the oldest of them has.

    `held_s`: since when summaries are held back on a link that costs money.
    """

    n_urgent: int = 0
    n_alerts: int = 0
    n_erase: int = 0
    n_summaries: int = 0
    alerts_s: float = math.inf
    summaries_s: float = math.inf
    held_s: float = math.inf

    @property
    def n(self) -> int:
        """All of it."""
        return self.n_alerts + self.n_erase + self.n_summaries


class Ways(msgspec.Struct, frozen=True):
    """What bounds the choice.

    Attributes
    ----------
    batch_s : float
        How long what is not urgent waits for more.
    spent, metered : bool
        The bytes of the day are spent; the link costs money.
    at_once : bool
        Nothing waits for more: a person waits.
    takes : frozenset[Content]
        Kinds that may leave now.
    """

    batch_s: float
    spent: bool = False
    metered: bool = False
    at_once: bool = False
    takes: frozenset[Content] = frozenset({Content.ALERT, Content.ERASE, Content.SUMMARY})


class Choice(msgspec.Struct, frozen=True):
    """What leaves now (None: nothing), when to look again, and why what waits does not leave."""

    kind: Content | None = None
    again_s: float = math.inf
    quiet: str = ""


def choose(waiting: Waiting, ways: Ways, now_s: float) -> Choice:
    """Return what leaves next.

    >>> choose(Waiting(n_urgent=1, n_alerts=3, alerts_s=5.0), Ways(60.0), 6.0).kind
    <Content.ALERT: 'alert'>
    >>> choose(Waiting(n_alerts=3, alerts_s=5.0), Ways(60.0), 6.0).again_s
    65.0
    """
    n_alerts = waiting.n_alerts if Content.ALERT in ways.takes else 0
    n_erase = waiting.n_erase if Content.ERASE in ways.takes else 0
    n_summaries = waiting.n_summaries if Content.SUMMARY in ways.takes else 0
    quiet, free_s = _held(waiting, ways, now_s) if n_summaries else ("", -math.inf)
    summaries_s = max(_due_s(n_summaries, waiting.summaries_s, ways), free_s)
    alerts_s = _due_s(n_alerts, waiting.alerts_s, ways)
    if waiting.n_urgent and n_alerts:
        alerts_s = -math.inf
    due_s = min(alerts_s, summaries_s, -math.inf if n_erase else math.inf)
    if due_s > now_s:
        return Choice(None, due_s, quiet)
    # Whatever is due, the line is open now: alerts that would have waited for more go first.
    if n_alerts:
        return Choice(Content.ALERT, now_s, quiet)
    return Choice(Content.ERASE if n_erase else Content.SUMMARY, now_s, quiet)


def _due_s(n: int, since_s: float, ways: Ways) -> float:
    if not n:
        return math.inf
    return -math.inf if ways.at_once else since_s + ways.batch_s


def _held(waiting: Waiting, ways: Ways, now_s: float) -> tuple[str, float]:
    """Return why summaries are held back and until when; nothing: they are not."""
    if ways.spent:
        return SPENT, math.inf
    until_s = min(waiting.held_s, now_s) + METERED_S
    if ways.metered and now_s < until_s:
        return METERED, until_s
    return "", -math.inf


class Waits:
    """Since when something waits for one destination: the board tells how many, and no more."""

    def __init__(self) -> None:
        self._alerts_s = self._summaries_s = math.inf

    def look(self, queue: Queue, under_way: UnderWay, now_s: float) -> Waiting:
        """Return what waits and is not under way."""
        n_alerts = max(0, queue.n_alerts - under_way.n(Content.ALERT))
        n_summaries = max(0, queue.n_summaries - under_way.n(Content.SUMMARY))
        n_urgent = min(n_alerts, max(0, queue.n_urgent - under_way.n_urgent))
        oldest_s = now_s if queue.oldest_s is None else min(queue.oldest_s, now_s)
        # What is under way may be the oldest there is: then this counts from when others came.
        first_s = now_s if under_way.n(Content.ALERT) else oldest_s
        self._alerts_s = _since_s(self._alerts_s, n_alerts, first_s)
        self._summaries_s = _since_s(self._summaries_s, n_summaries, now_s)
        return Waiting(
            n_urgent,
            n_alerts,
            max(0, queue.n_erase - under_way.n(Content.ERASE)),
            n_summaries,
            self._alerts_s,
            self._summaries_s,
        )


def _since_s(was_s: float, n: int, first_s: float) -> float:
    """Return since when some wait; where they are many, all of them have waited long enough."""
    if not n:
        return math.inf
    return -math.inf if n >= BATCH else min(was_s, first_s)
