"""Numbers that cannot be true are no numbers.

A broken cable, a wrong scale or a hostile board can send anything. What lies outside these ranges
is taken for missing (NaN) before any filter, beat or limit sees it, and is counted. The ranges
are far wider than life on purpose: they keep out what cannot be a measurement, not what is
alarming. SpO2 and shares: 0 to 100 % by definition; pulse: IEC 60601-2-27 asks for 30 to 200 bpm
and children reach 300; temperature: what a sensor can meet in a room; electrodes: saturation of
any amplifier lies far below 10 V.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from edge.records import FloatArray

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "bpm": (0.0, 400.0),
    "brpm": (0.0, 200.0),
    "degc": (-40.0, 70.0),
    "flag": (0.0, 1.0),
    "g": (-200.0, 200.0),
    "mmhg": (-100.0, 500.0),
    "ms": (0.0, 60_000.0),
    "mv": (-10_000.0, 10_000.0),
    "pct": (0.0, 100.0),
}
"""Unit -> least and greatest value that can be a measurement."""
ANYTHING: Final = (-1e9, 1e9)
"""Of units without a range of their own: squares and sums of these still fit single precision."""


def range_of(signal: str) -> tuple[float, float]:
    """Return the least and the greatest value of a signal that can be a measurement.

    >>> range_of("spo2_pct"), range_of("pleth_au")
    ((0.0, 100.0), (-1000000000.0, 1000000000.0))
    """
    return RANGES.get(signal.rpartition("_")[2], ANYTHING)


def blank(values: FloatArray, low: float, high: float) -> tuple[FloatArray, int]:
    """Return the values with NaN for those outside the range, and how many those were."""
    inside = (values >= low) & (values <= high)
    n_outside = len(values) - int(np.count_nonzero(inside)) - int(np.isnan(values).sum())
    if not n_outside:
        return values, 0
    return np.where(inside, values, np.float32(np.nan)), n_outside
