"""Why a window scored as it did, in words a carer can read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from edge.records import Features, Score

N_NAMED: Final = 3
"""How many contributions a score names."""
UNITS: Final = frozenset({"ms", "s", "%", "beats a minute", "% a minute"})
"""What after the last comma of a feature's words is a unit; anything else is a remark."""


def name_strongest(score: Score, features: Features, words: Mapping[str, str]) -> Score:
    """Return the score with the contributions that spoke most strongly for an anomaly.

    Parameters
    ----------
    score : Score
        With contributions to the log odds by feature name.
    features : Features
        The window's numbers.
    words : Mapping[str, str]
        Feature name -> ``"what it is, unit"``; a name that is missing is shown as it is.
    """
    speaking = sorted((-c, name) for name, c in score.contributions.items() if c > 0.0)
    strongest = tuple(
        describe(name, features.values.get(name, math.nan), -minus, words)
        for minus, name in speaking[:N_NAMED]
    )
    return msgspec.structs.replace(score, strongest=strongest)


def describe(name: str, value: float, contribution: float, words: Mapping[str, str]) -> str:
    """Return one feature, its value, and its addend to the log odds.

    Examples
    --------
    >>> describe("mean_rr_ms", 412.0, 1.93, {"mean_rr_ms": "mean time between beats, ms"})
    'mean time between beats 412 ms (+1.9)'
    >>> describe("quality", 0.625, 0.5, {"quality": "quality of the ECG, 0 useless to 1 clean"})
    'quality of the ECG (0 useless to 1 clean) 0.625 (+0.5)'
    >>> describe("my_own_ms", float("nan"), 0.5, {})
    'my_own_ms unknown (+0.5)'
    """
    what, _, last = words.get(name, name).rpartition(", ")
    number = "unknown" if math.isnan(value) else f"{value:.4g}"
    if not what:
        what = last
    elif last not in UNITS:
        what = f"{what} ({last})"
    elif number != "unknown":
        number = f"{number} {last}"
    return f"{what} {number} ({contribution:+.1f})"
