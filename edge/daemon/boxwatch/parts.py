"""What the running monitor knows of the box without waiting: clock, records, sound, notices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from edge.clock import WallEntry
from edge.control.board import NoticesReport
from edge.daemon.local import BUTTON, AnnunciatorReport
from edge.daemon.recorder import StoreReport
from edge.events import BoxHealth
from edge.store.floors import Floor

STUCK_S: Final = 3.0
"""A write that has not come back for so long: SQLite waits 5 s for another program, a disk that
hangs for ever."""
OPENING_S: Final = 5.0
"""At the start the store is looked through before it takes anything; no fault before that."""
GIVEN_UP_S: Final = 60.0
"""Records that were given up are told for so long after the last one."""
FULL: Final = Floor.FULL.name.lower()
START_S: Final = 7.5
"""A loudspeaker takes some 6 s to show that it is there (`edge.annunciators._pace`)."""


class Since:
    """Remembers since when something has failed."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def health(self, name: str, now_s: float, *, fails: bool) -> BoxHealth:
        """Return that it works (0), or since when it does not."""
        if not fails:
            self._since_s = None
            return BoxHealth({name: 0.0})
        if self._since_s is None or self._since_s > now_s:
            self._since_s = now_s
        return BoxHealth({}, {name: self._since_s})


class ClockPart:
    """Whether the wall clock is set.

    Parameters
    ----------
    read : Callable
        Both clocks, now.
    was_set : bool
        It was set in this boot, before this run of the monitor began.
    """

    def __init__(self, read: Callable[[], WallEntry], *, was_set: bool = False) -> None:
        self._read, self._was_set = read, was_set

    def __call__(self, _now_s: float) -> BoxHealth:
        """Return what is known now."""
        synchronised = self._read().synchronised
        self._was_set = self._was_set or synchronised
        facts = {
            "clock_synced_flag": float(synchronised),
            "clock_set_flag": float(self._was_set),
        }
        return BoxHealth(facts)


class RecorderPart:
    """Whether what happens is recorded."""

    def __init__(self, report: Callable[[], StoreReport]) -> None:
        self._report = report
        self._store, self._log, self._given_up = Since(), Since(), Since()
        self._key, self._was_locked = Since(), False
        self._n_dropped = 0
        self._dropped_s: float | None = None
        self._aside = ""
        self._damaged_s: float | None = None
        self._began_s: float | None = None

    def __call__(self, now_s: float) -> BoxHealth:
        """Return what is known now."""
        report = self._report()
        if report.n_dropped > self._n_dropped:
            self._n_dropped, self._dropped_s = report.n_dropped, now_s
        lately = self._dropped_s is not None and now_s - self._dropped_s < GIVEN_UP_S
        told = [
            self._store.health(
                "store_fails_s", now_s, fails=self._fails(report, now_s) and not report.locked
            ),
            self._given_up.health("given_up_fails_s", now_s, fails=lately),
            BoxHealth({"rationed_flag": float(report.room.floor == FULL)}),
            self._damage(report, now_s),
        ]
        if report.locked or self._was_locked:
            self._was_locked = True
            told.append(self._key.health("locked_fails_s", now_s, fails=report.locked))
        if report.packet_log:
            ended = report.packet_log.startswith("ended")
            told.append(self._log.health("log_fails_s", now_s, fails=ended))
        return joined(told)

    def _damage(self, report: StoreReport, now_s: float) -> BoxHealth:
        """Return whether the records were damaged in this run; it need not be told for ever."""
        aside, salvage = report.moved_aside, report.salvage
        if aside != self._aside:
            self._aside, self._damaged_s = aside, now_s
        told = self._damaged_s is not None and now_s - self._damaged_s < GIVEN_UP_S
        recovering = salvage is not None and not salvage.finished
        return BoxHealth({"damaged_flag": float(told or recovering)})

    def _fails(self, report: StoreReport, now_s: float) -> bool:
        if self._began_s is None:
            self._began_s = now_s
        never = report.written_s is None and report.n_failures == 0
        if report.trouble and never and now_s - self._began_s < OPENING_S:
            return False
        writing_s = report.writing_since_s
        return bool(report.trouble) or (writing_s is not None and now_s - writing_s >= STUCK_S)


class SoundPart:
    """Whether alarms can be heard and seen at the box."""

    def __init__(self, reports: Callable[[], Sequence[AnnunciatorReport]]) -> None:
        self._reports = reports
        self._opened_s: dict[str, float] = {}
        self._worked: set[str] = set()

    def __call__(self, now_s: float) -> BoxHealth:
        """Return what is known now."""
        # A button that is not believed hides no alarm; the status says so.
        told = [report for report in self._reports() if report.name != BUTTON]
        return joined([self._one(report, now_s) for report in told])

    def _one(self, report: AnnunciatorReport, now_s: float) -> BoxHealth:
        name = f"unheard_fails_s:{report.name}"
        if report.works:
            self._worked.add(report.name)
            return BoxHealth({name: 0.0})
        opened_s = self._opened_s.setdefault(report.name, report.since_s)
        if report.name not in self._worked and now_s - opened_s < START_S:
            return BoxHealth()  # it has yet to show what it can
        return BoxHealth({}, {name: report.since_s})


class NoticesPart:
    """Whether people who are not in the room can be told; unknown where nobody is to be."""

    def __init__(self, report: Callable[[], NoticesReport]) -> None:
        self._report = report

    def __call__(self, now_s: float) -> BoxHealth:
        """Return what is known now."""
        report = self._report()
        never_heard = report.age_s is None and report.since_s is None  # it may be starting
        if not report.wanted or never_heard:
            return BoxHealth()
        if report.since_s is None:
            return BoxHealth({"notices_fails_s": 0.0})
        # The notifier may say any moment; one that is to come is none it can have failed since.
        since_s = min(report.since_s, now_s)
        if report.idle:
            return BoxHealth({"notices_fails_s": 0.0}, {"idle_way_fails_s": since_s})
        return BoxHealth({}, {"notices_fails_s": since_s})


def joined(told: Sequence[BoxHealth]) -> BoxHealth:
    """Return all of it as one."""
    facts = {name: value for one in told for name, value in one.facts.items()}
    since_s = {name: value for one in told for name, value in one.since_s.items()}
    return BoxHealth(facts, since_s)
