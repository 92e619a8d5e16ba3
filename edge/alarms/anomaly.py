"""The model calls several windows of the last minute unlike normal.

Of the last ``n_windows`` windows at least ``n_needed`` had a score at or above (``>=``) the
score's own threshold. Three answers: True when that many hits are there; False when even a hit
in every window that could not be scored would not be enough; None otherwise, so also after the
start and wherever the model abstains. ``n_needed`` above ``n_windows`` counts as ``n_windows``.

Low priority only: a model advises, the limits decide (clinical.md 6.3). Nothing this rule says
touches another one.

The reason names up to three features that spoke most strongly for the last hit, with value and
addend to the log odds (`edge.explain` puts them into words).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from edge.alarms import Rule
from edge.records import WINDOW_S, Category, Features, Finding, Kind, Priority, Score

NAME = "anomaly"

State: TypeAlias = tuple[Sequence[bool | None], Sequence[str], float]
"""Hits of the last windows, oldest first (None: not scored); what spoke for the last hit, in
words; and its score."""


def step(
    state: State, seen: Features, score: Score | None, settings: Mapping[str, float]
) -> tuple[State, Finding]:
    """Count the hits among the last windows; see the module."""
    marks, told, value = state
    n_windows = int(settings["n_windows"])
    n_needed = min(int(settings["n_needed"]), n_windows)
    hit = _hit(score)
    marks = (*marks, hit)[-n_windows:]
    if hit and score is not None:
        told, value = score.strongest, score.value
    state = (marks, told, value)
    n_hits = marks.count(True)
    n_unknown = n_windows - n_hits - marks.count(False)
    at_s = seen.end_s
    if n_hits >= n_needed:
        why = ", ".join(told) or "no single feature stands out"
        reason = f"unlike normal in {n_hits} of the last {n_windows} windows, score {value:.2f}: "
        evidence = {"score": value, "n_hits": float(n_hits)}
        return state, Finding(seen.patient, NAME, at_s, True, reason + why, evidence)  # noqa: FBT003
    if n_hits + n_unknown < n_needed:
        return state, Finding(seen.patient, NAME, at_s, False, "like normal")  # noqa: FBT003
    reason = "no model" if score is None else "too few windows could be scored"
    return state, Finding(seen.patient, NAME, at_s, None, reason)


def _hit(score: Score | None) -> bool | None:
    if score is None or math.isnan(score.value):
        return None
    return score.value >= score.threshold


RULE = Rule(
    name=NAME,
    kind=Kind.PHYSIOLOGICAL,
    priority=Priority.LOW,
    latching=False,
    every_s=WINDOW_S,
    needs=("ecg_mv", "spo2_pct", "pleth_au", "rr_ms"),
    settings={"n_windows": 6.0, "n_needed": 3.0},
    limits={"n_windows": (1.0, 60.0), "n_needed": (1.0, 60.0)},
    start=((), (), 0.0),
    step=step,
    source="clinical.md 6.3: anomaly score, low only; detection.md: M of N only lowers alarms",
    category=Category.GENERAL,
)
