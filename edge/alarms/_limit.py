"""One number against one limit, with a delay (part of the rules, not one of them)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from math import isnan, nan
from typing import TypeAlias

import msgspec

from edge.alarms import Step
from edge.alarms._last_word import last_word
from edge.alarms._lasting import Lasting, met, unmet
from edge.records import Features, Finding, Score


class Watched(msgspec.Struct, frozen=True):
    """Which number a limit rule watches, and how a carer reads it.

    Attributes
    ----------
    rule : str
        Name of the rule.
    feature : str
        Name of the number in `Features.values`.
    word, unit : str
        What it is called, and its unit as people write it: ``SpO2``, ``%``.
    limit : str
        Name of the setting that holds the limit.
    """

    rule: str
    feature: str
    word: str
    unit: str
    limit: str


State: TypeAlias = tuple[Lasting, float] | None
"""How long the condition has lasted, and when it began."""


def below(watched: Watched) -> Step:
    """Return a step that finds the number strictly below its limit for ``delay_s`` or longer."""
    return _step(watched, operator.lt, f"{watched.word} not below its limit")


def above(watched: Watched) -> Step:
    """Return a step that finds the number strictly above its limit for ``delay_s`` or longer."""
    return _step(watched, operator.gt, f"{watched.word} not above its limit")


def _step(watched: Watched, beyond: Callable[[float, float], bool], fine: str) -> Step:
    rule, feature, limit_name = watched.rule, watched.feature, watched.limit
    blind = f"no {watched.word} reading"

    def step(
        state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
    ) -> tuple[State, Finding]:
        at_s = seen.end_s
        value = seen.values.get(feature, nan)
        limit = settings[limit_name]
        lasting, began_s = state or (None, at_s)
        if beyond(value, limit):
            lasting, lasted_s, lasted = met(lasting, at_s, settings["delay_s"], settings["hold_s"])
            reason = (
                f"{watched.word} {round(value, 1):g} {watched.unit} for {lasted_s:.0f} s, "
                f"limit {limit:g} {watched.unit}"
            )
            evidence = {feature: value, limit_name: limit, "lasted_s": lasted_s}
            finding = Finding(seen.patient, rule, at_s, lasted or None, reason, evidence)
            return (lasting, began_s), finding
        if isnan(value):
            return state, Finding(seen.patient, rule, at_s, None, blind)
        if lasting is None:
            return None, Finding(seen.patient, rule, at_s, False, fine)  # noqa: FBT003
        if lasting[2]:
            word = last_word(seen, rule, feature, beyond, limit, began_s)
            if word is not None:
                reason = f"{fine}; a sensor that said {word:g} {watched.unit} is silent"
                return state, Finding(seen.patient, rule, at_s, None, reason)
        lasting = unmet(lasting, at_s, settings["hold_s"])
        state = None if lasting is None else (lasting, began_s)
        return state, Finding(seen.patient, rule, at_s, False, fine)  # noqa: FBT003

    return step
