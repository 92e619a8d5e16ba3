"""A what-if from its question to its answer, for the command and for whoever changes a limit."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import msgspec

import edge.alarms
from edge.alarms import Rule
from edge.assemble import settings_of
from edge.config import Alarm, Config
from edge.discover import discover
from edge.pipeline import PipelineSettings, RuleSettings
from edge.whatif.axis import Axis
from edge.whatif.comparing import (
    RuleChange,
    Untold,
    Watched,
    by_priority,
    compare,
    untold,
    watched_by,
)
from edge.whatif.picture import Bar, Panel, draw
from edge.whatif.recalling import Recalled, curve
from edge.whatif.worlds import Asking, World, live_through

RUN_ID = "what-if"
N_POINTS = 850
"""Points of a curve in a picture: about one a pixel."""


class Question(msgspec.Struct, frozen=True):
    """Whose past is asked, and how every rule of that patient is set now."""

    nights: Sequence[Recalled]
    config: Config
    patient: str
    alarms: Mapping[str, Alarm]


class Answer(msgspec.Struct, frozen=True):
    """What a what-if found.

    Attributes
    ----------
    before, after : World
        Under the limits in force, and under the others.
    rules : list[RuleChange]
        Every rule that alarmed in one of them.
    untold : list[Untold]
        Time beyond an old limit of which its rule would not tell any more.
    watched : dict[str, Watched]
        Which number a rule watches, where it watches one.
    """

    patient: str
    nights: Sequence[Recalled]
    alarms_before: Mapping[str, Alarm]
    alarms_after: Mapping[str, Alarm]
    before: World
    after: World
    rules: list[RuleChange]
    untold: list[Untold]
    watched: dict[str, Watched]


class SweepRow(msgspec.Struct, frozen=True, tag="sweep", tag_field="record"):
    """One value of a limit: alarms of its rule and of all rules, compared with those in force."""

    value: float
    in_force: bool
    n_rule: int
    n_all: int
    a_day: float
    n_missed: int
    n_new: int
    alarm_min: float
    untold_s: float


def every_rule() -> tuple[Rule, ...]:
    """Return the rules there are."""
    return discover(edge.alarms, "RULE", Rule)


def settings_for(config: Config, patient: str, alarms: Mapping[str, Alarm]) -> PipelineSettings:
    """Return the pipeline's settings, with one patient watched as `alarms` say."""
    settings = settings_of(config)
    theirs = {
        name: RuleSettings(one.settings, one.priority, one.enabled) for name, one in alarms.items()
    }
    return msgspec.structs.replace(settings, rules_of={**settings.rules_of, patient: theirs})


def ask(question: Question, after: Mapping[str, Alarm]) -> Answer:
    """Return what the limits `after` would have changed."""
    nights, patient, before = question.nights, question.patient, question.alarms
    config = question.config
    asking = Asking(every_rule(), patient)
    then = live_through(nights, settings_for(config, patient, before), RUN_ID, asking)
    now = then
    if before != after:
        now = live_through(nights, settings_for(config, patient, after), RUN_ID, asking)
    changes = compare(then, now)
    watched = {}
    for change in changes:
        episodes = then.of(change.rule) + now.of(change.rule)
        found = watched_by(before[change.rule].settings, episodes)
        if found is not None:
            watched[change.rule] = found
    lost = _untold(nights, patient, changes, now, watched, before)
    return Answer(patient, nights, before, after, then, now, changes, lost, watched)


def sweep(
    question: Question, rule: str, setting: str, values: Sequence[float], base: World
) -> list[SweepRow]:
    """Return how many alarms each value of one limit would have given.

    Only the rule itself is asked again: alarms of the others do not depend on it
    (`tests/edge/test_past.py`).
    """
    nights, patient, before = question.nights, question.patient, question.alarms
    only = [one for one in every_rule() if one.name == rule]
    asking = Asking(only, patient, loud=False)
    old = World(base.of(rule), base.watched_s)
    n_others = len(base.episodes) - len(old.episodes)
    rows = []
    for value in values:
        alarms = dict(before)
        alarms[rule] = msgspec.structs.replace(
            before[rule], enabled=True, settings={**before[rule].settings, setting: value}
        )
        new = live_through(nights, settings_for(question.config, patient, alarms), RUN_ID, asking)
        changes = compare(old, new)
        watched = watched_by(before[rule].settings, old.episodes + new.episodes)
        told = {rule: watched} if watched is not None else {}
        lost = _untold(nights, patient, changes, new, told, before)
        n_all = n_others + len(new.episodes)
        rows.append(
            SweepRow(
                value,
                value == before[rule].settings[setting],
                len(new.episodes),
                n_all,
                round(base.a_day(n_all), 2),
                sum(len(one.missed) for one in changes),
                sum(len(one.new) for one in changes),
                round(sum(one.length_s for one in new.episodes) / 60.0, 2),
                sum(one.seconds for one in lost),
            )
        )
    return rows


def summary(answer: Answer) -> dict[str, object]:
    """Return the numbers of both worlds, for the last line of ``--json``."""
    return {
        "record": "whatif",
        "patient": answer.patient,
        "nights": len(answer.nights),
        "watched_h": round(answer.before.watched_s / 3600.0, 3),
        "set": changed_words(answer),
        "before": _numbers(answer.before),
        "after": _numbers(answer.after),
        "n_missed": sum(len(one.missed) for one in answer.rules),
        "n_new": sum(len(one.new) for one in answer.rules),
        "untold_s": sum(one.seconds for one in answer.untold),
        "untold_by_anything_s": sum(one.seconds for one in answer.untold if not one.also),
    }


def changed_words(answer: Answer) -> dict[str, tuple[object, object]]:
    """Return every setting that differs, with both values."""
    found: dict[str, tuple[object, object]] = {}
    for rule, old in answer.alarms_before.items():
        new = answer.alarms_after[rule]
        if old.enabled != new.enabled:
            found[f"{rule}.enabled"] = (old.enabled, new.enabled)
        for name, value in old.settings.items():
            if new.settings[name] != value:
                found[f"{rule}.{name}"] = (value, new.settings[name])
    return found


def picture(answer: Answer, axis: Axis, title: str, lines: Sequence[str]) -> str:
    """Return the answer as SVG: a panel for every rule that is set or alarms otherwise."""
    touched = {key.partition(".")[0] for key in changed_words(answer)}
    shown = [one for one in answer.rules if one.rule in touched or one.differs]
    panels = [_panel(answer, one, axis) for one in shown]
    return draw(title, lines, panels, axis)


def curves_of(
    nights: Sequence[Recalled], patient: str, features: Sequence[str]
) -> dict[int, tuple[array[float], array[float]]]:
    """Return a vital sign of every night, second by second."""
    return {number: curve(night, patient, features) for number, night in enumerate(nights)}


def _panel(answer: Answer, change: RuleChange, axis: Axis) -> Panel:
    watched = answer.watched.get(change.rule)
    points: Sequence[tuple[float, float, float]] = ()
    limits: tuple[tuple[str, float], ...] = ()
    unit = ""
    if watched is not None:
        found = curves_of(answer.nights, answer.patient, watched.features)
        points = axis.envelope(found, N_POINTS)
        old = answer.alarms_before[change.rule].settings[watched.limit]
        new = answer.alarms_after[change.rule].settings[watched.limit]
        limits = (("in force", old), ("what if", new)) if new != old else (("in force", old),)
        unit = unit_words(watched.limit)
    missed, new_ones = ({id(e) for e in part} for part in (change.missed, change.new))

    def bars(world: World) -> list[Bar]:
        marks = {True: "missed"} if world is answer.before else {True: "new"}
        odd = missed if world is answer.before else new_ones
        return [
            Bar(
                e.night,
                e.raised_s,
                e.ended_s,
                marks.get(id(e) in odd, "kept"),
                f"{axis.label(e.night, e.raised_s)}, {e.length_s:.0f} s: {e.reason}",
            )
            for e in world.of(change.rule)
        ]

    name = change.rule.replace("_", " ")
    counts = f"{name}: {change.n_before} alarms in force, {change.n_after} what if"
    return Panel(counts, unit, points, limits, bars(answer.before), bars(answer.after))


def unit_words(limit: str) -> str:
    """Return the unit of a limit as people write it.

    >>> unit_words("limit_pct"), unit_words("limit_bpm"), unit_words("n_needed")
    ('%', 'bpm', '')
    """
    unit = limit.rpartition("_")[2] if not limit.startswith("n_") else ""
    return {"pct": "%", "brpm": "/min", "degc": "°C", "au": ""}.get(unit, unit)


def _untold(  # all that was found until here
    nights: Sequence[Recalled],
    patient: str,
    changes: Sequence[RuleChange],
    after: World,
    watched: Mapping[str, Watched],
    before: Mapping[str, Alarm],
) -> list[Untold]:
    found: list[Untold] = []
    for change in changes:
        told = watched.get(change.rule)
        if told is None or not change.differs:
            continue
        curves = {
            (night, patient): one
            for night, one in curves_of(nights, patient, told.features).items()
        }
        limit = before[change.rule].settings[told.limit]
        same = [
            rule
            for rule, other in watched.items()
            if rule != change.rule and set(other.features) & set(told.features)
        ]
        found += untold(change, after, told, limit, curves, same)
    return found


def _numbers(world: World) -> dict[str, object]:
    return {
        "alarms": len(world.episodes),
        "alarms_a_day": round(world.a_day(len(world.episodes)), 2),
        "by_priority": {priority.value: n for priority, n in by_priority(world).items()},
        "alarm_min": round(world.alarm_s / 60.0, 2),
        "audible_min": round(world.audible_s / 60.0, 2),
        "n_answers": world.n_answers,
        "n_answers_passed_over": world.n_passed_over,
    }
