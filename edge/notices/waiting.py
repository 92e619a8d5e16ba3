"""What one destination has yet to be sent: in which order, how often, and again after what wait.

Pure: the boot clock and chance are handed in. High priority waits for no rate; what else comes too
fast is put together into one notice, so that a storm of alarms does not make people turn it off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Final

from edge.notices.content import ALERTING, Item
from edge.records import Priority

MAX_WAITING: Final = 200
"""More wait for nobody: what should wake nobody goes first, then the oldest."""
MAX_TOGETHER: Final = 50
BACKOFF_MOST_S: Final = 300.0
BACKOFF_LEAST_S: Final = 1.0


class Waiting:
    """The queue of one destination.

    Parameters
    ----------
    n_burst, refill_s : int, float
        So many in a row, and one more after each such time.
    items : Sequence[Item]
        What waited when the notifier ended.
    now_s : float
        Boot clock.
    """

    def __init__(
        self, n_burst: int, refill_s: float, now_s: float, items: Sequence[Item] = ()
    ) -> None:
        self.items = list(items)
        self.n_dropped = 0
        self._n_burst, self._refill_s = n_burst, refill_s
        self._level, self._level_s = float(n_burst), now_s
        self._n_failures, self._not_before_s, self._asked_s = 0, -math.inf, -math.inf

    def put(self, item: Item, now_s: float) -> Item | None:
        """Add an item; return one that had to be given up for it.

        A notice that has not been tried is replaced by the next one about the same alert: nobody
        needs to hear that there is an alarm after it is over. Where only the patient has answered
        one of high priority, somebody still has to come, and so it stays.
        """
        if any(item.id == one.id for one in self.items):
            return None
        if item.about in {"over", "answered"} and item.settles:
            self._replace(item)
        self.items.append(item)
        if item.priority is Priority.HIGH:
            self._not_before_s = max(now_s, self._asked_s)
        if len(self.items) <= MAX_WAITING:
            return None
        least = min(self.items, key=lambda one: one.priority.rank)
        self.items.remove(least)
        self.n_dropped += 1
        return least

    def take(self, now_s: float) -> tuple[Item, ...]:
        """Return what is to be sent now: one, or several as one; empty: nothing yet.

        They stay in the queue until `sent`.
        """
        if not self.items or now_s < self._not_before_s:
            return ()
        first = min(self.items, key=_urgency)
        if first.priority is Priority.HIGH or first.begun:
            return (first,)
        level = self._filled(now_s)
        if level < 1.0:
            return ()
        if level < 2.0 and len(self.items) > 1 and self._n_burst > 1:
            return tuple(self.items[:MAX_TOGETHER])
        return (first,)

    def combine(self, items: Sequence[Item], one: Item) -> None:
        """Let one item stand for several, from now on."""
        gone = {item.id for item in items}
        self.items = [one, *(item for item in self.items if item.id not in gone)]

    def due_s(self, now_s: float) -> float:
        """Return when to ask `take` again; infinite: when something is put."""
        if not self.items:
            return math.inf
        lacking = max(0.0, 1.0 - self._filled(now_s)) * self._refill_s
        if any(one.priority is Priority.HIGH or one.begun for one in self.items):
            lacking = 0.0
        return max(now_s + lacking, self._not_before_s)

    def sent(self, items: Sequence[Item], now_s: float) -> None:
        """Take out what was sent."""
        gone = {item.id for item in items}
        self.items = [item for item in self.items if item.id not in gone]
        self._level, self._level_s = max(0.0, self._filled(now_s) - 1.0), now_s
        self._n_failures, self._not_before_s, self._asked_s = 0, -math.inf, -math.inf

    def drop(self, ids: Collection[str]) -> list[Item]:
        """Take out what is not to be sent any more, and return it."""
        gone = [item for item in self.items if item.id in ids]
        self.items = [item for item in self.items if item.id not in ids]
        return gone

    def failed(
        self, now_s: float, chance: Callable[[], float], asked_s: float | None = None
    ) -> float:
        """Wait after a failure; return for how long.

        Full jitter: anything from the least to a most that doubles each time. Where the service
        says how long (``Retry-After``), that is the least, up to the same bound.

        Parameters
        ----------
        chance : Callable
            Uniform in 0..1.
        asked_s : float | None
            What the service asks for.
        """
        most_s = min(BACKOFF_MOST_S, BACKOFF_LEAST_S * 2.0 ** min(self._n_failures, 16))
        self._n_failures += 1
        wait_s = BACKOFF_LEAST_S + chance() * (most_s - BACKOFF_LEAST_S)
        if asked_s is not None:
            wait_s = max(wait_s, min(asked_s, BACKOFF_MOST_S))
            self._asked_s = now_s + wait_s
        self._not_before_s = now_s + wait_s
        return wait_s

    def _replace(self, item: Item) -> None:
        """Let an untried alarm go for what became of it, which then has to be heard."""
        old = [one for one in self.items if one.alerts == item.alerts and not one.begun]
        if not old:
            return
        self.items = [one for one in self.items if one not in old]
        if any(one.about in ALERTING for one in old):
            item.priority = Priority.LOW
            item.text += " It could not be told before."

    def _filled(self, now_s: float) -> float:
        passed_s = max(0.0, now_s - self._level_s)
        return min(float(self._n_burst), self._level + passed_s / self._refill_s)


def _urgency(item: Item) -> tuple[bool, bool, int]:
    """Order: high priority, then what may have arrived and must be cleared up, then the rest."""
    return (item.priority is not Priority.HIGH, not item.begun, -item.priority.rank)
