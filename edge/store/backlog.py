"""What is made and not yet written: bounded, and first things last to go.

The monitor puts records in and never waits; whoever writes takes them out, and gives them back
when the disk would not have them. While nothing can be written the oldest scores, gaps, summaries
and clock lines give way to newer ones (counted); an alert never does.

What waits here is not acknowledged: kill -9 or the plug takes it. Of alarms, answers and limits
nothing waits; of all else no more than `BATCH_ROWS` records or `BATCH_S`. An orderly stop writes
all of it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, TypeVar

import msgspec

from edge.clock import WallEntry
from edge.config.words import Words
from edge.egress.departure import Left
from edge.pseudonyms import Pseudonym
from edge.records import (
    AlarmEvent,
    Alert,
    Gap,
    LinkChange,
    Outcome,
    Reading,
    Score,
    SelfTest,
    SettingChange,
    Summary,
)
from edge.store.chain import LedgerEntry
from edge.store.stored import KeptAlerts

_R = TypeVar("_R")

BATCH_ROWS, BATCH_S = 60, 600.0
"""What is not an alert waits until there are so many records, or so long: every transaction wears
an SD card, and one patient without alarms makes seven records a minute."""

SOON_S = 60.0
"""What the clock has newly become waits no longer than this: without it no record of the run, and
nothing of the raw data, has a time of day."""

MAX_SUMMARIES = 3_000
"""Two days of one-minute summaries."""
MAX_GAPS = 10_000
MAX_SCORES = 9_000
"""About a day of one patient's windows."""
MAX_CLOCK = 1_000
MAX_READINGS = 20_000
"""More than any meter keeps."""
MAX_LINKS = 5_000
MAX_ALARM_EVENTS = 10_000
MAX_LEDGER = 10_000
MAX_SELF_TESTS = 100
MAX_SETTING_CHANGES = 10_000
MAX_EGRESS = 2_000
"""What left; a disk that hangs lets nothing leave but alarms when so much waits."""
MAX_OF_PEOPLE = 10_000


class Batch(msgspec.Struct, frozen=True):
    """What goes into one transaction; false when there is nothing."""

    alerts: tuple[Alert, ...] = ()
    summaries: tuple[Summary, ...] = ()
    gaps: tuple[Gap, ...] = ()
    scores: tuple[Score, ...] = ()
    clock: tuple[WallEntry, ...] = ()
    readings: tuple[Reading, ...] = ()
    links: tuple[LinkChange, ...] = ()
    alarm_events: tuple[AlarmEvent, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    self_tests: tuple[SelfTest, ...] = ()
    setting_changes: tuple[SettingChange, ...] = ()
    egress: tuple[Left, ...] = ()
    of_people: tuple[Pseudonym | Words, ...] = ()
    kept: KeptAlerts | None = None

    def __bool__(self) -> bool:
        return self.kept is not None or self.n_records > 0

    @property
    def n_records(self) -> int:
        """Records in the batch."""
        return sum(len(getattr(self, part)) for part in self.__struct_fields__ if part != "kept")


class Backlog:
    """Records waiting to be written. May be filled and emptied by two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alerts: deque[Alert] = deque()
        self._summaries: deque[Summary] = deque(maxlen=MAX_SUMMARIES)
        self._gaps: deque[Gap] = deque(maxlen=MAX_GAPS)
        self._scores: deque[Score] = deque(maxlen=MAX_SCORES)
        self._clock: deque[WallEntry] = deque(maxlen=MAX_CLOCK)
        self._readings: deque[Reading] = deque(maxlen=MAX_READINGS)
        self._links: deque[LinkChange] = deque(maxlen=MAX_LINKS)
        self._alarm_events: deque[AlarmEvent] = deque(maxlen=MAX_ALARM_EVENTS)
        self._ledger: deque[LedgerEntry] = deque(maxlen=MAX_LEDGER)
        self._self_tests: deque[SelfTest] = deque(maxlen=MAX_SELF_TESTS)
        self._setting_changes: deque[SettingChange] = deque(maxlen=MAX_SETTING_CHANGES)
        self._egress: deque[Left] = deque(maxlen=MAX_EGRESS)
        self._of_people: deque[Pseudonym | Words] = deque(maxlen=MAX_OF_PEOPLE)
        self._queue_of: dict[type, deque[Any]] = {
            Alert: self._alerts,
            AlarmEvent: self._alarm_events,
            Summary: self._summaries,
            Gap: self._gaps,
            Score: self._scores,
            Reading: self._readings,
            LinkChange: self._links,
            SelfTest: self._self_tests,
            SettingChange: self._setting_changes,
        }
        self._kept: KeptAlerts | None = None
        self._oldest_s: float | None = None
        self._soon_s: float | None = None
        self._synchronised: bool | None = None
        self.rationed = False
        """Hold back what is no alarm, nor the time of one: the disk is full."""
        self.n_dropped = 0
        self.withheld: frozenset[str] = frozenset()
        """Kinds of the outbox that people do not let leave (`edge.egress.consent`)."""
        self.run_n: int | None = None
        """Number of the run in the file that was written last."""

    def __len__(self) -> int:
        return len(self._alerts) + sum(len(queue) for queue in self._bounded())

    def _bounded(self) -> tuple[deque[Any], ...]:
        """Return the queues whose oldest gives way, in the order of `Batch`."""
        return (
            self._summaries,
            self._gaps,
            self._scores,
            self._clock,
            self._readings,
            self._links,
            self._alarm_events,
            self._ledger,
            self._self_tests,
            self._setting_changes,
            self._egress,
            self._of_people,
        )

    def add(self, outcome: Outcome, now_s: float) -> None:
        """Put an outcome's records in line; beats and features are not stored (see migrations)."""
        if not outcome.records:
            return  # as a rule: four ticks a second
        with self._lock:
            for record in outcome.records:
                queue = self._queue_of.get(type(record))
                if queue is None:
                    continue
                self._append(queue, record)
                self._begin(now_s)

    def add_clock(self, entry: WallEntry) -> None:
        """Put a moment at which both clocks were read in line."""
        with self._lock:
            self._append(self._clock, entry)
            self._begin(entry.boot_s)
            if self._synchronised is not entry.synchronised:
                self._synchronised = entry.synchronised
                self._soon_s = entry.boot_s + SOON_S if self._soon_s is None else self._soon_s

    def vouch(self, entry: LedgerEntry, now_s: float) -> None:
        """Put in line what stands in the ledger alone."""
        with self._lock:
            self._append(self._ledger, entry)
            self._begin(now_s)

    def leave(self, left: Left, now_s: float) -> None:
        """Put in line what leaves the box."""
        with self._lock:
            self._append(self._egress, left)
            self._begin(now_s)

    @property
    def n_leaving(self) -> int:
        """Messages that left, and are not written down yet."""
        return len(self._egress)

    def name(self, one: Pseudonym | Words, now_s: float) -> None:
        """Put in line what a patient is called outside, or who decided on a limit, and why."""
        with self._lock:
            self._append(self._of_people, one)
            self._begin(now_s)

    def keep(self, kept: KeptAlerts) -> None:
        """Put in line what the alert engine remembers now; it takes the place of the last."""
        with self._lock:
            self._kept = kept
            self._begin(kept.at.boot_s)

    def due(self, now_s: float) -> bool:
        """Return whether to write: of alarms or limits anything, or else much, or for long.

        What the alert engine remembers is due at once as well: whoever keeps it says how often, and
        what waits here is what a power cut takes.
        """
        with self._lock:
            if self._kept is not None or any(self._at_once()):
                return True
            if self.rationed:
                return False
            if len(self) >= BATCH_ROWS:
                return True
            if self._soon_s is not None and now_s >= self._soon_s:
                return True
            oldest_s = self._oldest_s
            return oldest_s is not None and now_s - oldest_s >= BATCH_S

    def _at_once(self) -> tuple[deque[Any], ...]:
        return (
            self._alerts,
            self._alarm_events,
            self._ledger,
            self._self_tests,
            self._setting_changes,
            self._egress,
            self._of_people,
        )

    def _held_back(self) -> tuple[deque[Any], ...]:
        return (self._summaries, self._gaps, self._scores, self._readings, self._links)

    def take(self) -> Batch:
        """Return all that waits, or what may be written now, and forget it."""
        with self._lock:
            queues: list[deque[Any]] = [self._alerts, *self._bounded()]
            held = set(map(id, self._held_back())) if self.rationed else set()
            parts: list[Any] = [() if id(queue) in held else tuple(queue) for queue in queues]
            parts.append(self._kept)
            batch = Batch(*parts)
            self._kept = None
            for queue in queues:
                if id(queue) not in held:
                    queue.clear()
            if not len(self):
                self._oldest_s = self._soon_s = None
            return batch

    def give_back(self, batch: Batch, now_s: float) -> None:
        """Put a batch that could not be written back in front, as far as the bounds allow."""
        with self._lock:
            self._alerts.extendleft(reversed(batch.alerts))
            self._put_back(self._summaries, batch.summaries)
            self._put_back(self._gaps, batch.gaps)
            self._put_back(self._scores, batch.scores)
            self._put_back(self._clock, batch.clock)
            self._put_back(self._readings, batch.readings)
            self._put_back(self._links, batch.links)
            self._put_back(self._alarm_events, batch.alarm_events)
            self._put_back(self._ledger, batch.ledger)
            self._put_back(self._self_tests, batch.self_tests)
            self._put_back(self._setting_changes, batch.setting_changes)
            self._put_back(self._egress, batch.egress)
            self._put_back(self._of_people, batch.of_people)
            self._kept = self._kept or batch.kept
            if batch:
                # Overdue at once: whoever writes decides how soon to try again.
                self._oldest_s = now_s - BATCH_S

    def _begin(self, now_s: float) -> None:
        if self._oldest_s is None:
            self._oldest_s = now_s

    def _append(self, queue: deque[_R], record: _R) -> None:
        self.n_dropped += len(queue) == queue.maxlen
        queue.append(record)

    def _put_back(self, queue: deque[_R], records: tuple[_R, ...]) -> None:
        room = (queue.maxlen or 0) - len(queue)
        kept = records[max(0, len(records) - room) :]
        self.n_dropped += len(records) - len(kept)
        queue.extendleft(reversed(kept))
