"""The same past under one set of limits: which alarms, how long, how loud."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.alarms import Rule
from edge.pipeline import PipelineSettings
from edge.pipeline.past import Refold
from edge.records import AlarmEvent, Alert, AlertState, Priority, SettingChange
from edge.whatif.recalling import Recalled


class Episode(msgspec.Struct):
    """One alarm.

    Attributes
    ----------
    night : int
        Number of the night it was in.
    priority : Priority
        The highest it had.
    raised_s, ended_s : float
        Boot clock; where it had not ended, the end of the night and `open` is true.
    evidence : dict[str, float]
        What decided when it was raised.
    """

    night: int
    patient: str
    rule: str
    alert_id: str
    priority: Priority
    raised_s: float
    ended_s: float
    reason: str
    evidence: dict[str, float]
    open: bool = True

    @property
    def length_s(self) -> float:
        """How long it stood."""
        return self.ended_s - self.raised_s


class World(msgspec.Struct):
    """What alarmed.

    Attributes
    ----------
    episodes : list[Episode]
        In the order in which they were raised; information is no alarm and is left out.
    watched_s : float
        How long was watched, all nights together.
    alarm_s, audible_s : float
        For how long any alarm stood, and for how long one sounded.
    n_passed_over : int
        Acknowledgements of alerts that do not stand here.
    n_answers : int
        Acknowledgements that were followed.
    lines : list
        All records of alerts and events, where they were asked for.
    """

    episodes: list[Episode] = []
    watched_s: float = 0.0
    alarm_s: float = 0.0
    audible_s: float = 0.0
    n_passed_over: int = 0
    n_answers: int = 0
    lines: list[Alert | AlarmEvent | SettingChange] = []

    def of(self, rule: str) -> list[Episode]:
        """Return the alarms of one rule."""
        return [episode for episode in self.episodes if episode.rule == rule]

    def a_day(self, n: float) -> float:
        """Return a count or a time as so much a day."""
        return n * 86400.0 / self.watched_s if self.watched_s else 0.0


class Asking(msgspec.Struct, frozen=True):
    """How a past is asked again.

    Attributes
    ----------
    rules : Sequence[Rule]
        Those that are asked.
    patient : str
        Whose alarms are counted; empty: everybody's.
    fixed : bool
        As in `edge.pipeline.past.Refold`.
    loud : bool
        Whether to find out when it sounded.
    keep : bool
        Whether to keep the records.
    """

    rules: Sequence[Rule]
    patient: str = ""
    fixed: bool = True
    loud: bool = True
    keep: bool = False


def live_through(
    nights: Sequence[Recalled], settings: PipelineSettings, run_id: str, asking: Asking
) -> World:
    """Return what would have alarmed in these nights under `settings`."""
    world = World()
    for number, night in enumerate(nights):
        fold = Refold(settings, asking.rules, run_id, fixed=asking.fixed)
        _Night(world, number, night, asking).run(fold)
        world.n_passed_over += fold.n_passed_over
    world.episodes = [e for e in world.episodes if e.priority.rank > 0]
    return world


class _Night:
    def __init__(self, world: World, number: int, night: Recalled, asking: Asking) -> None:
        self._world, self._number, self._night, self._asking = world, number, night, asking
        self._standing: dict[str, Episode] = {}

    def run(self, fold: Refold) -> None:
        world, night, asking = self._world, self._night, self._asking
        begin_s, layouts, last_s = night.begin_s, night.past.layouts, night.begin_s
        for second in night.past:
            records = fold.advance(second, layouts)
            for record in records:
                self._note(record)
            if second.now_s <= begin_s:
                continue
            passed_s, last_s = second.now_s - last_s, second.now_s
            world.watched_s += passed_s
            if any(one.priority.rank > 0 for one in self._standing.values()):
                world.alarm_s += passed_s
                if asking.loud and fold.alarms.signal(second.now_s, asking.patient).audible:
                    world.audible_s += passed_s
        for episode in self._standing.values():
            episode.ended_s = max(episode.raised_s, last_s)
        # What ended while it was led up to is not of this span.
        world.episodes = [
            e for e in world.episodes if e.night != self._number or e.ended_s > begin_s
        ]
        for episode in world.episodes:
            if episode.night == self._number:
                episode.raised_s = max(episode.raised_s, begin_s)

    def _note(self, record: Alert | AlarmEvent | SettingChange) -> None:
        asking, world = self._asking, self._world
        if asking.keep:
            world.lines.append(record)
        if not isinstance(record, Alert) or asking.patient not in ("", record.patient):
            return
        episode = self._standing.get(record.id)
        if episode is None:
            if record.state is AlertState.ENDED:
                return
            episode = self._standing[record.id] = Episode(
                self._number,
                record.patient,
                record.rule,
                record.id,
                record.priority,
                record.at_s,
                record.at_s,
                record.reason,
                dict(record.evidence),
            )
            world.episodes.append(episode)
        if record.priority.rank > episode.priority.rank:
            episode.priority = record.priority
        if record.state is AlertState.ACKNOWLEDGED:
            world.n_answers += 1
        if record.state is AlertState.ENDED:
            episode.ended_s, episode.open = record.at_s, False
            del self._standing[record.id]
