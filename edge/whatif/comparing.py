"""Two worlds side by side: what was kept, missed and new, and what nobody was told of any more."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from edge.records import Priority
from edge.whatif.worlds import Episode, World

MARGIN_S = 60.0
"""So long before its alarm a value may have crossed its limit: the longest delay there is."""


class Kept(msgspec.Struct, frozen=True):
    """An alarm that both have, `after` in one or several; `later_s` below 0: it comes earlier."""

    before: Episode
    after: tuple[Episode, ...]
    later_s: float


class RuleChange(msgspec.Struct, frozen=True):
    """What becomes of the alarms of one rule.

    Attributes
    ----------
    kept : tuple[Kept, ...]
        Alarms that overlap one of the other world.
    missed, new : tuple[Episode, ...]
        Alarms that would not have been; that were not.
    n_before, n_after : int
        Alarms of each world.
    s_before, s_after : float
        How long they stood.
    """

    rule: str
    kept: tuple[Kept, ...]
    missed: tuple[Episode, ...]
    new: tuple[Episode, ...]
    n_before: int
    n_after: int
    s_before: float
    s_after: float

    @property
    def differs(self) -> bool:
        """Whether anything would have been otherwise."""
        moved = any(
            one.later_s or len(one.after) > 1 or one.before.ended_s != one.after[0].ended_s
            for one in self.kept
        )
        return bool(self.missed or self.new or moved)

    def delays_s(self) -> tuple[float, float]:
        """Return the median and the longest delay of the alarms that are kept."""
        later = [one.later_s for one in self.kept]
        return (median(later), max(later)) if later else (0.0, 0.0)


class Watched(msgspec.Struct, frozen=True):
    """Which number a rule holds against which limit; `below`: it alarms when it is too low."""

    features: tuple[str, ...]
    limit: str
    below: bool


class Untold(msgspec.Struct, frozen=True):
    """Time beyond the old limit, alarmed before, of which the rule would not have told.

    Attributes
    ----------
    seconds : float
        How long the value was beyond the old limit while only the world before alarmed.
    worst : float
        The lowest value (the highest, where the rule alarms on high ones) in that time.
    also : tuple[str, ...]
        Other rules on the same number that would have alarmed meanwhile; empty: nobody is told.
    """

    night: int
    patient: str
    rule: str
    at_s: float
    seconds: float
    worst: float
    feature: str
    also: tuple[str, ...]


def compare(before: World, after: World) -> list[RuleChange]:
    """Return what becomes of every rule that alarmed in one of them, by name."""
    rules = sorted({e.rule for e in (*before.episodes, *after.episodes)})
    return [_compare(rule, before.of(rule), after.of(rule)) for rule in rules]


def watched_by(rule_settings: Mapping[str, float], episodes: Sequence[Episode]) -> Watched | None:
    """Return which number a rule watches, from what it said; None: it has no one limit."""
    features: dict[str, bool] = {}
    limit = ""
    for episode in episodes:
        limits = [name for name in episode.evidence if name in rule_settings]
        values = [
            name for name in episode.evidence if name not in rule_settings and name != "lasted_s"
        ]
        if len(limits) != 1 or len(values) != 1:
            return None
        limit = limits[0]
        features[values[0]] = episode.evidence[values[0]] < episode.evidence[limit]
    if not features:
        return None
    order = sorted(features, key=lambda name: (name == "pulse_bpm", name))
    return Watched(tuple(order), limit, features[order[0]])


def untold(
    change: RuleChange,
    after: World,
    watched: Watched,
    limit: float,
    curves: Mapping[tuple[int, str], tuple[array[float], array[float]]],
    same: Sequence[str],
) -> list[Untold]:
    """Return the time under the old limit of which the rule would not have told any more.

    Parameters
    ----------
    limit : float
        The old one.
    curves : Mapping
        (night, patient) -> times and values of the number, second by second.
    same : Sequence[str]
        Rules that watch the same number.
    """
    found = []
    lost: list[tuple[Episode, tuple[Episode, ...]]] = [(old, ()) for old in change.missed]
    lost += [(kept.before, kept.after) for kept in change.kept]
    others = [e for e in after.episodes if e.rule in same]
    for episode, there in lost:
        times, values = curves[episode.night, episode.patient]
        seconds, worst = _beyond(episode, there, times, values, limit, below=watched.below)
        if seconds <= 0.0:
            continue
        also = {e.rule for e in others if _overlap(e, episode) and e not in there}
        found.append(
            Untold(
                episode.night,
                episode.patient,
                episode.rule,
                episode.raised_s,
                seconds,
                worst,
                watched.features[0],
                tuple(sorted(also)),
            )
        )
    return sorted(found, key=lambda one: (one.night, one.at_s))


def by_priority(world: World) -> dict[Priority, int]:
    """Return how many alarms of each priority there were."""
    counts = dict.fromkeys((Priority.HIGH, Priority.MEDIUM, Priority.LOW), 0)
    for episode in world.episodes:
        counts[episode.priority] += 1
    return counts


def _compare(rule: str, before: Sequence[Episode], after: Sequence[Episode]) -> RuleChange:
    kept, met = [], set()
    missed = []
    for old in before:
        there = [new for new in after if _overlap(old, new)]
        met |= {id(new) for new in there}
        if not there:
            missed.append(old)
            continue
        first = min(there, key=lambda new: new.raised_s)
        kept.append(Kept(old, tuple(there), first.raised_s - old.raised_s))
    new = tuple(one for one in after if id(one) not in met)
    return RuleChange(
        rule,
        tuple(kept),
        tuple(missed),
        new,
        len(before),
        len(after),
        sum(one.length_s for one in before),
        sum(one.length_s for one in after),
    )


def _overlap(one: Episode, other: Episode) -> bool:
    return (
        (one.night, one.patient) == (other.night, other.patient)
        and one.raised_s <= other.ended_s
        and other.raised_s <= one.ended_s
    )


def _beyond(
    episode: Episode,
    there: Sequence[Episode],
    times: array[float],
    values: array[float],
    limit: float,
    *,
    below: bool,
) -> tuple[float, float]:
    """Return for how long, and how far, the value was beyond the limit without an alarm now."""
    seconds, worst = 0.0, math.nan
    # An alarm came after its delay: of one that is missed, what led to it counts too.
    idx = bisect_left(times, episode.raised_s - (0.0 if there else MARGIN_S))
    while idx < len(times) and times[idx] <= episode.ended_s:
        at_s, value = times[idx], values[idx]
        idx += 1
        if not (value < limit if below else value > limit):
            if at_s < episode.raised_s:
                seconds, worst = 0.0, math.nan  # an earlier dip, too short to alarm
            continue
        if any(one.raised_s <= at_s <= one.ended_s for one in there):
            continue
        seconds += 1.0
        if math.isnan(worst) or (value < worst if below else value > worst):
            worst = value
    return seconds, worst
