"""What one period looked like: coverage, vital signs, beats, gaps, alerts. Never raw signals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from edge.records import Alert, AlertState, Summary

VITALS: Final = (
    *("hr_bpm", "spo2_pct", "pulse_bpm", "resp_brpm", "temp_degc"),
    *("news2_lower", "news2_upper"),
)
"""All that a summary describes: what is not named here never gets into one. Of NEWS2 both bounds,
points for certain and points at most: where they differ, something was not known."""
_QUANTILES: Final = (("min", 0.0), ("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("max", 1.0))


class Tally:
    """Collects one patient's period until it is closed."""

    def __init__(self) -> None:
        self._vitals: dict[str, list[float]] = {name: [] for name in VITALS}
        self._alerts: Counter[str] = Counter()
        self.n_beats = 0
        self.n_broken = 0
        self.n_gaps = 0

    def add_vitals(self, values: Mapping[str, float]) -> None:
        """Take one second's vital signs; NaN and absent ones are left out."""
        for name, seen in self._vitals.items():
            value = values.get(name, math.nan)
            if value == value:  # noqa: PLR0124  # a NaN is not itself; math.isnan is slower
                seen.append(value)

    def add_alerts(self, alerts: Sequence[Alert]) -> None:
        """Count the alerts that were raised."""
        for alert in alerts:
            if alert.state is AlertState.RAISED:
                self._alerts[alert.rule] += 1

    def close(
        self, patient: str, start_s: float, length_s: float, coverage: Mapping[str, float]
    ) -> Summary:
        """Return the period's summary and begin the next one."""
        summary = Summary(
            patient,
            start_s,
            length_s,
            dict(coverage),
            {name: describe(seen) for name, seen in self._vitals.items() if seen},
            self.n_beats,
            self.n_broken,
            self.n_gaps,
            dict(sorted(self._alerts.items())),
        )
        self.__init__()  # type: ignore[misc]  # the next period begins as the first one did
        return summary


def describe(values: Sequence[float]) -> dict[str, float]:
    """Return count, extremes and quantiles, linear between order statistics, to 0.1.

    Examples
    --------
    >>> describe([97.0, 98.0, 99.0])
    {'n': 3, 'min': 97.0, 'p10': 97.2, 'p50': 98.0, 'p90': 98.8, 'max': 99.0}
    """
    ranked = sorted(values)
    last = len(ranked) - 1
    found: dict[str, float] = {"n": len(ranked)}
    for name, share in _QUANTILES:
        low = math.floor(share * last)
        high = min(low + 1, last)
        value = ranked[low] + (share * last - low) * (ranked[high] - ranked[low])
        found[name] = round(value, 1)
    return found
