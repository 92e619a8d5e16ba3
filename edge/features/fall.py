"""What looks like a fall in the acceleration of a trunk: weightless, an impact, lying still.

After Kangas et al. 2008 (Comparison of low-complexity fall detection algorithms for body attached
accelerometers, Gait & Posture 28:285-291, doi:10.1016/j.gaitpost.2008.01.003), algorithm 2, with
the thresholds of the waist as remembered [mem]: the resultant falls to `WEIGHTLESS_G` or below;
an impact follows within `FALLING_S`; `SETTLED_S` after the impact the mean of `POSTURE_S` along the
vertical is half a g or less. Of theirs: 97 to 98 % of intentional falls of three middle-aged people
found and none of the daily activities taken for one. Here no recording of a real fall was at hand:
nothing of this was measured on any (`tests/edge/features/test_fall.py` uses made ones).

Our own [own]: what is vertical is not known of a sensor somebody put on, so it is the direction of
gravity before the fall; and the posture must be so, and the body still, until `LYING_S` after the
impact, because somebody who is up again needs no alarm.

Not found: a fall out of bed (lying before and after), one that ends sitting, one that slides down,
and any with a sensor whose range is below 3 g. A sensor that is dropped looks just like a fall,
unless it says itself that it is not on the body (`edge.alarms.fall` asks).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.features import FeatureFamily
from edge.records import SECOND_S, Window

AXES: Final = ("accel_g", "accel_g:y", "accel_g:z")
"""The first lead carries the signal's name (`edge.bedside`)."""
WEIGHTLESS_G: Final = 0.6
IMPACT_G: Final = 2.0
FALLING_S: Final = 1.0
SETTLED_S: Final = 2.0
POSTURE_S: Final = 0.4
BLOW_S: Final = 0.5
LYING_S: Final = 10.0
BEFORE_S: Final = 3.0
"""The vertical is that of this time before the impact, less the fall itself."""
UPRIGHT_G: Final = 0.7
"""Without a direction of gravity before (somebody ran) there is no vertical."""
FS_HZ: Final = 20.0
"""A slower sensor does not see an impact."""

_Axes: TypeAlias = NDArray[np.float64]
_Seen: TypeAlias = tuple[float, float, float]
"""Impact, part of gravity along the old vertical, spread of the resultant: all in g."""


def compute(window: Window) -> Mapping[str, float]:
    """Return the last seconds' most fall-like event.

    Returns
    -------
    Mapping[str, float]
        `FEATURES.names`. All zero but ``fall_upright_g``, which is 1, where nothing like a fall
        was seen; NaN where no acceleration came that could show one.
    """
    axes, fs_hz = _axes(window)
    if axes is None or axes.shape[1] < (BEFORE_S + LYING_S) * fs_hz:
        return dict.fromkeys(FEATURES.names, nan)
    impacts = _impacts(axes, fs_hz)
    if not impacts:
        return dict(zip(FEATURES.names, (0.0, 1.0, 0.0), strict=True))
    found = [seen for i in impacts if (seen := _look(axes, fs_hz, i)) is not None]
    # An impact nobody can judge is not the absence of a fall.
    values = min(found, key=_least_upright, default=(nan, nan, nan))
    return dict(zip(FEATURES.names, values, strict=True))


def _axes(window: Window) -> tuple[_Axes | None, float]:
    """Return the acceleration along three axes, shape (3, n), without its missing samples' ends."""
    found = [window.signals.get(name) for name in AXES]
    first = found[0]
    if first is None or first.fs_hz < FS_HZ:
        return None, 0.0
    same = [
        one.values
        for one in found
        if one is not None and (one.start_s, one.fs_hz) == (first.start_s, first.fs_hz)
    ]
    n = min(len(values) for values in same)
    axes = np.array([values[:n] for values in same], np.float64)
    if len(same) < len(AXES) or np.isnan(axes).mean() > 0.1:
        return None, 0.0
    return axes, first.fs_hz


def _impacts(axes: _Axes, fs_hz: float) -> list[int]:
    """Return where impacts begin that come after weightlessness and are old enough to judge."""
    resultant_g = _resultant_g(axes)
    hard = np.flatnonzero(resultant_g >= IMPACT_G)  # NaN is not
    falling = round(FALLING_S * fs_hz)
    last = resultant_g.size - round(LYING_S * fs_hz)
    starts: list[int] = []
    for i in hard.tolist():
        if starts and i - starts[-1] < falling:
            continue  # the same blow, or the bounce after it
        if not round(BEFORE_S * fs_hz) <= i <= last:
            continue
        if (resultant_g[i - falling : i] <= WEIGHTLESS_G).any():
            starts.append(i)
    return starts


def _look(axes: _Axes, fs_hz: float, impact: int) -> _Seen | None:
    """Return what an impact was and what came after it; None: that cannot be told.

    For that there has to be a vertical before it, and samples in every piece that is looked at.
    """

    def piece(from_s: float, to_s: float) -> _Axes:
        found = axes[:, impact + round(from_s * fs_hz) : impact + round(to_s * fs_hz)]
        return found[:, ~np.isnan(found).any(axis=0)]

    before, blow = piece(-BEFORE_S, -FALLING_S), piece(0.0, BLOW_S)
    first, last = piece(SETTLED_S, SETTLED_S + POSTURE_S), piece(LYING_S - POSTURE_S, LYING_S)
    if not all(one.shape[1] for one in (before, blow, first, last)):
        return None
    gravity = before.mean(axis=1)
    gravity_g = float(np.sqrt((gravity * gravity).sum()))
    if not gravity_g >= UPRIGHT_G:
        return None
    along = [float(gravity @ one.mean(axis=1)) / gravity_g for one in (first, last)]
    rest_g = _resultant_g(piece(SETTLED_S, LYING_S))
    return float(_resultant_g(blow).max()), max(along), float(rest_g.std())


def _resultant_g(axes: _Axes) -> _Axes:
    found: _Axes = np.sqrt((axes * axes).sum(axis=0))
    return found


def _least_upright(seen: _Seen) -> float:
    return seen[1]


_WORDS = {
    "fall_impact_g": "impact after a moment without weight, g",
    "fall_upright_g": "part of gravity along what was upright before that impact, g",
    "fall_moving_g": "movement after that impact, g",
}

FEATURES = FeatureFamily(
    name="fall",
    every_s=SECOND_S,
    needs=("accel_g",),
    names=tuple(_WORDS),
    words=_WORDS,
    compute=compute,
)
