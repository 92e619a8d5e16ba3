"""A number of the box that is bad, and then worse (part of the rules, not one of them).

Two limits: at the first the rule is present with low priority, at the second with its own. That is
one alert which rises, and which sounds again when it rises although somebody has answered it.

A number that trembles around a limit is one episode: a limit once reached is left only when the
number is better than it by ``margin``. A number that is not known changes nothing (None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isnan, nan
from typing import Final, TypeAlias

import msgspec

from edge.alarms import Step
from edge.records import Features, Finding, Priority, Score

FINE: Final = 0
BAD: Final = 1
WORSE: Final = 2

Grade: TypeAlias = int
"""`FINE`, `BAD` or `WORSE`: the state of such a rule."""


class Graded(msgspec.Struct, frozen=True):
    """Which number is watched, and how a carer reads it.

    Attributes
    ----------
    rule, feature : str
        Names of the rule and of the number.
    bad, worse, margin : str
        Names of the settings.
    sign : float
        1: a large number is bad; -1: a small one is.
    words : Callable
        ``words(value, grade)``: the sentence a carer reads.
    fine, blind : str
        The same where nothing is wrong, and where nothing is known.
    """

    rule: str
    feature: str
    bad: str
    worse: str
    margin: str
    sign: float
    words: Callable[[float, Grade], str]
    fine: str
    blind: str


def graded(watched: Graded) -> Step:
    """Return a step that finds the number at or beyond its limits."""

    def step(
        state: Grade, seen: Features, _score: Score | None, settings: Mapping[str, float]
    ) -> tuple[Grade, Finding]:
        at_s, rule = seen.end_s, watched.rule
        value = seen.values.get(watched.feature, nan)
        if isnan(value):
            return state, Finding(seen.patient, rule, at_s, None, watched.blind)
        limits = settings[watched.bad], settings[watched.worse]
        state = grade(value, state, limits, settings[watched.margin], watched.sign)
        if state == FINE:
            return state, Finding(seen.patient, rule, at_s, False, watched.fine)  # noqa: FBT003
        # One fault, whichever limit it has reached: the priority says which.
        evidence = {watched.feature: value}
        said, priority = watched.words(value, state), priority_of(state)
        return state, Finding(seen.patient, rule, at_s, True, said, evidence, priority)  # noqa: FBT003

    return step


def grade(
    value: float, before: Grade, limits: tuple[float, float], margin: float, sign: float
) -> Grade:
    """Return how bad a number is, given how bad it was.

    >>> grade(5.5, FINE, (10.0, 5.0), 1.0, -1.0), grade(5.5, WORSE, (10.0, 5.0), 1.0, -1.0)
    (1, 2)
    """
    for reached in (WORSE, BAD):
        slack = margin if before >= reached else 0.0
        if sign * value >= sign * limits[reached - 1] - slack:
            return reached
    return FINE


def priority_of(grade: Grade) -> Priority | None:
    """Return low for what is only bad; None, the rule's own, for what is worse."""
    return None if grade == WORSE else Priority.LOW
