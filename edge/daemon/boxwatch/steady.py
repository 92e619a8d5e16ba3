"""Numbers that tremble, made still: told anew when they changed in substance.

A number is told in whole steps. One that becomes worse is told at once, so that a limit on a whole
step is reached when it is reached; one that becomes better only when it is well past the step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec


class Tremor(msgspec.Struct, frozen=True):
    """How a number trembles: `sign` 1 where more is worse, -1 where less is."""

    step: float
    slack: float
    sign: float


TREMORS: Final[Mapping[str, Tremor]] = {
    "disk_free_pct": Tremor(1.0, 0.5, -1.0),
    "memory_free_pct": Tremor(1.0, 1.0, -1.0),
    "cpu_degc": Tremor(1.0, 2.0, 1.0),
}
"""By fact; others are told as they are."""


class Steady:
    """Remembers what was told last."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def still(self, facts: Mapping[str, float]) -> dict[str, float]:
        """Return the facts without their tremor."""
        stilled = dict(facts)
        for name, tremor in TREMORS.items():
            if name in facts:
                before = self._told.get(name)
                self._told[name] = stilled[name] = steady(facts[name], before, tremor)
        return stilled


def steady(value: float, before: float | None, tremor: Tremor) -> float:
    """Return the whole step a number is told as.

    >>> hot = TREMORS["cpu_degc"]
    >>> steady(80.1, 79.0, hot), steady(79.5, 80.0, hot), steady(77.9, 80.0, hot)
    (80.0, 80.0, 77.0)
    """
    whole = math.floor(value / tremor.step) * tremor.step
    if before is None or (whole - before) * tremor.sign > 0.0:
        return whole
    edge = before if tremor.sign > 0.0 else before + tremor.step
    return whole if tremor.sign * (edge - value) >= tremor.slack else before
