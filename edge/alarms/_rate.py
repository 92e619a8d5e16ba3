"""The heart's rate against one limit, from whoever tells it (part of the rules, not one of them).

- The ECG's rate, or a strap's, counts where there is one (``hr_bpm``).
- Where there is none, the pulse an oximeter tells counts (``pulse_bpm``), and the reason says so.
  It can find the condition at once. That the pulse is within its limit says something only when
  no ECG and no strap has told a rate for `AWAY_S`: an electrode that comes off in a tachycardia
  must not end its alert because weak beats make no pulse. Until then the answer is None.

Of two straps or two oximeters the one that alarms may fall silent: `edge.alarms._last_word`.

Losing the heart rate and finding the same condition in the pulse is one condition: the count goes
on.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from math import isnan, nan
from typing import Final, TypeAlias

from edge.alarms import Step
from edge.alarms._last_word import last_word
from edge.alarms._lasting import Lasting, met, unmet
from edge.records import Features, Finding, Score

AWAY_S: Final = 60.0
"""After so long without a heart rate the oximeter's pulse stands for it."""
BLIND: Final = "no heart rate reading and no pulse"

State: TypeAlias = tuple[Lasting, float | None, float] | None
"""How long the condition has lasted, when there was a heart rate last (None: never), and when the
condition began."""


def below(rule: str) -> Step:
    """Return a step that finds the rate strictly below ``limit_bpm`` for ``delay_s`` or longer."""
    return _step(rule, operator.lt, "below")


def above(rule: str) -> Step:
    """Return a step that finds the rate strictly above ``limit_bpm`` for ``delay_s`` or longer."""
    return _step(rule, operator.gt, "above")


def _step(rule: str, beyond: Callable[[float, float], bool], side: str) -> Step:
    def step(
        state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
    ) -> tuple[State, Finding]:
        at_s, limit = seen.end_s, settings["limit_bpm"]
        lasting, hr_s, began_s = state or (None, None, at_s)
        if lasting is None:
            began_s = at_s
        value = seen.values.get("hr_bpm", nan)
        feature, word = "hr_bpm", "heart rate"
        if isnan(value):
            value = seen.values.get("pulse_bpm", nan)
            feature, word = "pulse_bpm", "pulse of the oximeter (no ECG)"
        else:
            hr_s = at_s
        if isnan(value):
            return (lasting, hr_s, began_s), Finding(seen.patient, rule, at_s, None, BLIND)
        if beyond(value, limit):
            lasting, lasted_s, lasted = met(lasting, at_s, settings["delay_s"], settings["hold_s"])
            reason = f"{word} {round(value, 1):g} bpm for {lasted_s:.0f} s, limit {limit:g} bpm"
            evidence = {feature: value, "limit_bpm": limit, "lasted_s": lasted_s}
            finding = Finding(seen.patient, rule, at_s, lasted or None, reason, evidence)
            return (lasting, hr_s, began_s), finding
        if feature == "pulse_bpm" and hr_s is not None and 0.0 <= at_s - hr_s < AWAY_S:
            reason = f"no heart rate reading; {word} is not {side} its limit"
            return (lasting, hr_s, began_s), Finding(seen.patient, rule, at_s, None, reason)
        reason = f"{word} not {side} its limit"
        if lasting is not None and lasting[2]:
            last_bpm = last_word(seen, rule, feature, beyond, limit, began_s)
            if last_bpm is not None:
                reason = f"{reason}; a sensor that said {last_bpm:g} bpm is silent"
                return (lasting, hr_s, began_s), Finding(seen.patient, rule, at_s, None, reason)
        lasting = unmet(lasting, at_s, settings["hold_s"])
        return (lasting, hr_s, began_s), Finding(seen.patient, rule, at_s, False, reason)  # noqa: FBT003

    return step
