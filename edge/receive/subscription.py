"""Messages of boxes from a broker: stored first, acknowledged afterwards.

A message is acknowledged to the broker when its receipt has gone out; one that was not comes again
after the next connection, or from its box. Who a message is from is what its topic says: the
broker lets a box write below its own name only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from edge.receive.desk import Desk, Task
from edge.sync import wire
from edge.sync.bounded import Broker
from edge.sync.broker import BrokerError, Heard, Line

SHORTEST_S: Final = 0.5
LONGEST_S: Final = 15.0
FULL_S: Final = 5.0
"""So long the connection waits for the desk; then it is the box that sends again."""

_log = structlog.get_logger("receive")


class Subscription:
    """Listens to a broker for ever, from a thread of its own.

    Parameters
    ----------
    group : str
        Receivers of one group share what comes (``$share``); empty: this one gets everything, and
        the broker keeps it while it is away.
    now_s, chance : Callable
        Any clock that never steps; uniform in 0..1.
    told : Callable
        Is told why the broker is away, and (empty) that it is listened to; from another thread.

    Attributes
    ----------
    since_s : float | None
        Since when it has been listening; None: the broker is away, for the reason in `trouble`.
    """

    def __init__(
        self,
        broker: Broker,
        group: str,
        desk: Desk,
        now_s: Callable[[], float],
        chance: Callable[[], float],
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._broker, self._desk, self._now_s, self._chance = broker, desk, now_s, chance
        self._told = told
        self._topic = f"$share/{group}/{wire.UP_OF_ALL}" if group else wire.UP_OF_ALL
        self.since_s: float | None = None
        self.trouble = "not connected yet"
        self._ended, self._down = threading.Event(), threading.Event()
        self._line: Line | None = None
        self._n_failed = 0
        self._thread = threading.Thread(target=self._run, name="subscription", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Hang up."""
        self._ended.set()
        if self._line is not None:
            self._line.end()
        self._down.set()
        self._thread.join(15.0)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._down.clear()
            line = self._line = Line(
                self._broker,
                self._topic,
                on_up=self._came,
                on_down=self._gone,
                on_heard=self._hear,
            )
            line.start()
            self._down.wait()
            line.end()
            self._ended.wait(self._wait_s())

    def _wait_s(self) -> float:
        self._n_failed += 1
        most_s = min(SHORTEST_S * 2.0 ** min(self._n_failed - 1, 10), LONGEST_S)
        return SHORTEST_S / 2 + self._chance() * most_s

    def _came(self) -> None:
        self._n_failed = 0
        self.since_s, self.trouble = self._now_s(), ""
        _log.info("listening", topic=self._topic)
        self._told("")

    def _gone(self, why: str) -> None:
        if why != self.trouble and not self._ended.is_set():
            _log.warning("the broker is away", why=why)
            self._told(why)
        self.since_s, self.trouble = None, why
        self._down.set()

    def _hear(self, heard: Heard) -> None:
        line = self._line
        if line is None:
            return
        try:
            box, kind = wire.from_topic(heard.topic)
        except wire.WireError:
            line.ack(heard)
            return
        task = Task(
            box,
            kind,
            heard.body,
            partial(self._answer, line, heard, box),
            partial(line.ack, heard),
        )
        if not self._desk.put(task, FULL_S):
            _log.warning("too much at once: a message was left to be sent again", box=box)

    def _answer(self, line: Line, heard: Heard, box: str, receipt: bytes) -> None:
        try:
            if receipt:
                line.publish(wire.receipt_topic(box), receipt)
        except BrokerError as error:
            _log.info("a receipt did not go out; its box will ask again", box=box, why=str(error))
            return
        line.ack(heard)
