"""What a sensor said before it fell silent, asked before an alert ends (part of the rules).

Of two clips the one that alarms may fall silent, and the other says that all is well: that is no
end of the alert, as it would be none without the other (DESIGN 1: losing the sensor cures no one).
So where a condition has lasted, and a sensor that spoke in its course was beyond the limit with its
last word, the rule cannot tell. That raises nothing, and it holds no alert that another sensor's
numbers raised after the silent one spoke: a clip put away last week is no part of it.

It is over when the sensor speaks again, when a person removed it or gave it to somebody else, and
when a person answered the alert: from then on the sensors that speak are believed, so that the
next fall is a new alert, which sounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from edge.records import Features

WORD: Final = "last:"
AGE: Final = "last_s:"
ANSWERED: Final = "answered:"
STANDS_S: Final = 10.0
"""A number counts for so long: the one that met a condition may be so much older than it."""


def last_word(
    seen: Features,
    rule: str,
    feature: str,
    beyond: Callable[[float, float], bool],
    limit: float,
    began_s: float,
) -> float | None:
    """Return what a silent sensor said last that keeps an alert from ending; None: nothing does.

    Parameters
    ----------
    seen : Features
        With ``last:<feature>:<sensor>`` and ``last_s:<feature>:<sensor>`` of silent sensors, and
        ``answered:<rule>`` where a person has answered the alert.
    rule, feature : str
        Whose alert, and the number it watches.
    beyond, limit : Callable, float
        What the rule finds.
    began_s : float
        When the condition began.
    """
    values: Mapping[str, float] = seen.values
    if f"{ANSWERED}{rule}" in values:
        return None
    prefix = f"{WORD}{feature}:"
    for name, value in values.items():
        if name.startswith(prefix) and beyond(value, limit):
            age_s = values.get(AGE + name.removeprefix(WORD), float("inf"))
            if seen.end_s - age_s >= began_s - STANDS_S:
                return value
    return None
