"""NEWS2 that lasts (part of the rules, not one of them).

NEWS2 is a score that nurses take every few hours. Taken every second it would alarm on every cough,
so a condition must be met for ``delay_s`` (five minutes at least, clinical.md 6.1); a dip shorter
than ``hold_s`` neither begins that count anew nor ends an alert.

What is certain alarms by its lower bound. It is over when what is seen says so: the upper bound is
below, or every parameter that made the points is still seen and they are gone. A parameter that is
not seen any more (a sensor that is off, an entry that expired) may have all its points, and then
the answer is None: losing the sensor cures no one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan, nan
from typing import Final, TypeAlias

import msgspec

from edge.alarms import Step
from edge.alarms._lasting import HOLD_LIMITS_S, Lasting, met, unmet
from edge.news2 import MOST, PARAMETERS, POINTS, WORDS, in_words
from edge.records import Features, Finding, Score

NEEDS: Final = ("ecg_mv", "hr_bpm", "pulse_bpm", "spo2_pct", "resp_brpm", "resp_au")
SETTINGS: Final[Mapping[str, float]] = {"delay_s": 300.0, "hold_s": 30.0}
LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "delay_s": (300.0, 1800.0),
    "hold_s": HOLD_LIMITS_S,
}

State: TypeAlias = tuple[Lasting, Sequence[str]] | None
"""How long the condition has lasted, and the parameters that had points when it was met last."""


class Seen(msgspec.Struct, frozen=True):
    """The score of this moment, as `edge.features.news2` gives it."""

    lower: float
    upper: float
    n_missing: float
    n_red: float
    points: Mapping[str, float]

    def unseen(self, made_by: Sequence[str]) -> int:
        """Return the points that parameters could have that made some before and are missing."""
        return sum(MOST[name] for name in made_by if name in MOST and name not in self.points)

    @property
    def words(self) -> str:
        """The score as a carer reads it, with what made it."""
        if self.lower == self.upper:
            score = f"NEWS2 {self.lower:g}"
        else:
            score = f"NEWS2 at least {self.lower:g}, at most {self.upper:g}"
        made = (f"{WORDS[name]} {points:g}" for name, points in self.points.items() if points > 0.0)
        told = ", ".join(made)
        return f"{score} ({told})" if told else score


Judge: TypeAlias = Callable[[Seen, Sequence[str], Mapping[str, float]], bool | None]
"""(score, what made the points before, settings) -> whether the condition is met."""


def lasting(rule: str, judge: Judge) -> Step:
    """Return a step that finds what `judge` says once it has lasted."""

    def step(
        state: State, seen: Features, _score: Score | None, settings: Mapping[str, float]
    ) -> tuple[State, Finding]:
        at_s = seen.end_s
        now = _seen(seen.values)
        if now is None:
            return state, Finding(seen.patient, rule, at_s, None, in_words(seen.values))
        count, made_by = state or (None, ())
        judged = judge(now, made_by, settings)
        if judged is None:
            reason = f"{now.words}: {now.n_missing:g} of 7 values are missing"
            return state, Finding(seen.patient, rule, at_s, None, reason)
        if judged:
            count, lasted_s, lasted = met(count, at_s, settings["delay_s"], settings["hold_s"])
            reason = f"{now.words} for {lasted_s / 60.0:.0f} min"
            evidence = {
                "news2_lower": now.lower,
                "news2_upper": now.upper,
                "news2_n_missing": now.n_missing,
                "lasted_s": lasted_s,
            }
            made_by = tuple(name for name, points in now.points.items() if points > 0.0)
            finding = Finding(seen.patient, rule, at_s, lasted or None, reason, evidence)
            return (count, made_by), finding
        count = _dip(count, at_s, settings["hold_s"])
        if count is not None:
            finding = Finding(seen.patient, rule, at_s, None, f"{now.words} only just now")
        else:
            finding = Finding(seen.patient, rule, at_s, False, now.words)  # noqa: FBT003
        # What made the points is still asked for: it must be seen to be over until the alert ends.
        return (count, made_by), finding

    return step


def _dip(count: Lasting, at_s: float, hold_s: float) -> Lasting:
    """Return the count while the condition is not met for less than `hold_s`; then None."""
    if count is None or count[2]:
        return unmet(count, at_s, hold_s)
    return count if 0.0 <= at_s - count[1] < hold_s else None


def _seen(values: Mapping[str, float]) -> Seen | None:
    lower, upper, n_missing, n_red = (
        values.get(f"news2_{name}", nan) for name in ("lower", "upper", "n_missing", "n_red")
    )
    if isnan(lower) or isnan(upper) or isnan(n_missing) or isnan(n_red):
        return None
    points = {name: values.get(POINTS[name], nan) for name in PARAMETERS}
    known = {name: value for name, value in points.items() if not isnan(value)}
    return Seen(lower, upper, n_missing, n_red, known)
